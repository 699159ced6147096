/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a hostile vhost-user backend answers: all of it lies in the socket before the front end asks for
 * anything, and then the backend is gone.
 */
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/block/vhost_user.h"

#define MAX_BYTES 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(struct vhost_user *vu, int fd)
{
	struct vhost_user_inflight inflight = { .fd = -1 };
	const struct vhost_user_ring ring = { .index = 1, .size = 16, .kick = fd, .call = -1 };
	uint8_t config[60];
	uint16_t base = 0;

	if (!vhost_user_max_queues(vu))
		abort();
	vhost_user_get_config(vu, config, sizeof(config));
	vhost_user_set_features(vu, vhost_user_features(vu));
	vhost_user_set_memory(vu, 0, 4096, config, fd);
	if (vhost_user_inflight_new(vu, 2, 16, &inflight) == 0 && inflight.fd < 0)
		abort();
	if (inflight.fd >= 0) {
		vhost_user_inflight_give(vu, &inflight);
		close(inflight.fd);
	}
	vhost_user_start(vu, &ring);
	vhost_user_set_config(vu, 32, config, 1);
	if (vhost_user_stop(vu, 1, &base) < 0 && base)
		abort();
}

/* The first byte: a descriptor comes with the first answers. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} cmsg = { .header = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
	struct vhost_user *vu = NULL;
	struct msghdr msg = { 0 };
	struct iovec iov;
	int pair[2], fd;

	if (size < 2 || size > MAX_BYTES)
		return 0;
	fd = eventfd(0, EFD_CLOEXEC);
	if (fd < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		abort();
	iov = (struct iovec){ (void *)(data + 1), size - 1 };
	msg.msg_iov = &iov;
	msg.msg_iovlen = 1;
	if (data[0] & 1) {
		*(int *)CMSG_DATA(&cmsg.header) = fd;
		msg.msg_control = &cmsg;
		msg.msg_controllen = sizeof(cmsg);
	}
	if (sendmsg(pair[0], &msg, MSG_DONTWAIT) < 0)
		abort();
	shutdown(pair[0], SHUT_WR);

	if (vhost_user_new(pair[1], data[0] & 2 ? VHOST_USER_ASSUME_INFLIGHT : 0, &vu, NULL) == 0)
		use(vu, fd);
	vhost_user_free(vu);
	close(pair[0]);
	close(fd);
	return 0;
}
