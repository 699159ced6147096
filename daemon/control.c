/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/control.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union control_cmsg {
	struct cmsghdr header;
	char space[CMSG_SPACE(sizeof(int) * CONTROL_MAX_FDS)];
};

int control_send(int sock, const struct control_message *msg, const int *fds, size_t n)
{
	struct iovec iov = { .iov_base = (void *)msg, .iov_len = sizeof(*msg) };
	struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1 };
	union control_cmsg cmsg = { 0 };

	if (n > CONTROL_MAX_FDS)
		return -E2BIG;
	if (n > 0) {
		header.msg_control = &cmsg;
		header.msg_controllen = CMSG_SPACE(sizeof(int) * n);
		cmsg.header.cmsg_level = SOL_SOCKET;
		cmsg.header.cmsg_type = SCM_RIGHTS;
		cmsg.header.cmsg_len = CMSG_LEN(sizeof(int) * n);
		memcpy(CMSG_DATA(&cmsg.header), fds, sizeof(int) * n);
	}
	return sendmsg(sock, &header, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static void close_all(const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
}

/* Collects the descriptors of all SCM_RIGHTS parts; those beyond room are closed. */
static size_t take_fds(struct msghdr *header, int *fds, size_t room)
{
	size_t n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
		size_t count;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (n < room)
				fds[n++] = fd;
			else
				close(fd);
		}
	}
	return n;
}

int control_recv(int sock, struct control_message *msg, int *fds, size_t *n)
{
	struct control_message in;
	struct iovec iov = { .iov_base = &in, .iov_len = sizeof(in) };
	union control_cmsg cmsg;
	struct msghdr header = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &cmsg,
		.msg_controllen = sizeof(cmsg),
	};
	size_t n_fds;
	ssize_t len;

	len = recvmsg(sock, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (len < 0)
		return -errno;

	n_fds = take_fds(&header, fds, *n);
	if (len == 0 && n_fds == 0) {
		*n = 0;
		return 0;
	}

	/* MSG_CTRUNC: descriptors were lost, so what came is not what was meant. */
	if (len != sizeof(in) || (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) ||
	    in.version != CONTROL_VERSION) {
		close_all(fds, n_fds);
		return -EBADMSG;
	}

	in.field[sizeof(in.field) - 1] = '\0';
	in.text[sizeof(in.text) - 1] = '\0';
	*msg = in;
	*n = n_fds;
	return 1;
}

void control_set_error(struct control_message *msg, int r, const struct hvd_error *err)
{
	msg->result = r;
	if (r >= 0)
		return;
	snprintf(msg->field, sizeof(msg->field), "%s", err ? err->field : "");
	snprintf(msg->text, sizeof(msg->text), "%s", err && err->code ? err->msg : strerror(-r));
}

int control_get_error(const struct control_message *msg, struct hvd_error *err)
{
	/* The sender is less trusted than we: only an errno is passed on as one. */
	if (msg->result >= 0)
		return 0;
	if (msg->result < -4095)
		return hvd_err(err, EPROTO, "hvd-vmm answered with no valid error");
	return hvd_err_field(err, -msg->result, msg->field, "%s", msg->text);
}
