/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One datagram of the control protocol, as either side may get it from the other. The first byte
 * says how many descriptors come with it and for how many there is room.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/control.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void send_datagram(int sock, const uint8_t *data, size_t size, unsigned n_fds)
{
	struct iovec iov = { (void *)data, size };
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int) * 15)];
	} cmsg = { .header = { CMSG_LEN(sizeof(int) * n_fds), SOL_SOCKET, SCM_RIGHTS } };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	int fds[15];

	for (unsigned i = 0; i < n_fds; i++)
		fds[i] = sock;
	memcpy(CMSG_DATA(&cmsg.header), fds, sizeof(int) * n_fds);
	if (n_fds) {
		msg.msg_control = &cmsg;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
	}
	if (sendmsg(sock, &msg, MSG_DONTWAIT) < 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hvd_error err = { 0 };
	struct control_message msg;
	int fds[CONTROL_MAX_FDS], pair[2], r;
	size_t n;

	if (size < 1 || size > 4096)
		return 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return 0;

	send_datagram(pair[0], data + 1, size - 1, data[0] & 15);
	n = data[0] >> 4;
	r = control_recv(pair[1], &msg, fds, &n);
	if (r == 1) {
		/* strings end within their arrays, and only errno values come out */
		if (strlen(msg.field) >= sizeof(msg.field) || strlen(msg.text) >= sizeof(msg.text))
			abort();
		r = control_get_error(&msg, &err);
		if (r > 0 || r < -4095 || n > (size_t)(data[0] >> 4))
			abort();
		for (size_t i = 0; i < n; i++)
			close(fds[i]);
	}
	close(pair[0]);
	close(pair[1]);
	return 0;
}
