/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/xml_frame.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "vmm/base/cleanup.h"

/* However it has gone. */
static int failure(void)
{
	return errno == ECONNRESET ? -EPIPE : -errno;
}

static int wait_for(int fd, short events, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = events };
	int n;

	if (timeout_ms < 0)
		return 0;
	n = poll(&p, 1, timeout_ms);
	return n > 0 ? 0 : n == 0 ? -ETIMEDOUT : -errno;
}

/* Read (POLLIN) or write (POLLOUT) all of it. */
static int transfer(int fd, short events, void *data, size_t len, int timeout_ms)
{
	char *at = data;

	while (len) {
		ssize_t n = events == POLLIN ? read(fd, at, len) : write(fd, at, len);
		int r = n < 0 ? failure() : n == 0 ? -EPIPE : 0;

		if (r == -EAGAIN)
			r = wait_for(fd, events, timeout_ms);
		if (r < 0 && r != -EINTR)
			return r;
		if (n > 0) {
			at += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

int xml_frame_send(int fd, const struct xml_frame *head, const char *data, int timeout_ms)
{
	int r = transfer(fd, POLLOUT, (void *)head, sizeof(*head), timeout_ms);

	return r < 0 ? r : transfer(fd, POLLOUT, (void *)data, head->len, timeout_ms);
}

int xml_frame_receive(int fd, struct xml_frame *head, char **ret, int timeout_ms)
{
	AUTO(free) char *data = NULL;
	int r = transfer(fd, POLLIN, head, sizeof(*head), timeout_ms);

	if (r < 0)
		return r;
	if (head->version != XML_FRAME_VERSION || head->len > XML_FRAME_MAX)
		return -EBADMSG;
	head->schema[sizeof(head->schema) - 1] = '\0';
	head->field[sizeof(head->field) - 1] = '\0';
	head->msg[sizeof(head->msg) - 1] = '\0';
	data = malloc(head->len + 1);
	if (!data)
		return -ENOMEM;
	r = transfer(fd, POLLIN, data, head->len, timeout_ms);
	if (r < 0)
		return r;
	data[head->len] = '\0';
	*ret = TAKE(data);
	return 0;
}
