/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/block/vhost_user.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "vmm/base/macro.h"

/* Requests that are used here, by the numbers of the protocol. */
enum {
	GET_FEATURES = 1,
	SET_FEATURES = 2,
	SET_OWNER = 3,
	SET_MEM_TABLE = 5,
	SET_VRING_NUM = 8,
	SET_VRING_ADDR = 9,
	SET_VRING_BASE = 10,
	GET_VRING_BASE = 11,
	SET_VRING_KICK = 12,
	SET_VRING_CALL = 13,
	GET_PROTOCOL_FEATURES = 15,
	SET_PROTOCOL_FEATURES = 16,
	GET_QUEUE_NUM = 17,
	SET_VRING_ENABLE = 18,
	GET_CONFIG = 24,
	SET_CONFIG = 25,
	GET_INFLIGHT_FD = 31,
	SET_INFLIGHT_FD = 32,
};

#define BIT(n) (1ULL << (n))

#define VHOST_USER_F_PROTOCOL_FEATURES BIT(30)

#define PROTOCOL_MQ        BIT(0)
#define PROTOCOL_REPLY_ACK BIT(3)
#define PROTOCOL_CONFIG    BIT(9)
#define PROTOCOL_INFLIGHT  BIT(12)

#define FLAG_VERSION    1u
#define FLAG_VERSION_IS 3u /* mask */
#define FLAG_REPLY      4u
#define FLAG_NEED_REPLY 8u

#define VRING_NO_FD BIT(8)

#define MAX_FDS 8 /* that are received, if only to be closed */

struct header {
	uint32_t request, flags, size;
};

struct config_payload {
	uint32_t offset, size, flags;
	uint8_t bytes[VHOST_USER_MAX_CONFIG];
};

struct memory_payload {
	uint32_t n, padding;
	uint64_t ipa, size, host, offset;
};

struct vring_state {
	uint32_t index, num;
};

struct vring_addr {
	uint32_t index, flags;
	uint64_t desc, used, avail, log;
};

struct inflight_payload {
	uint64_t size, offset;
	uint16_t n_queues, queue_size;
	uint32_t padding; /* of the protocol's own struct */
};

struct message {
	struct header header;
	union {
		uint64_t u64;
		struct vring_state state;
		struct vring_addr addr;
		struct memory_payload memory;
		struct config_payload config;
		struct inflight_payload inflight;
	};
};

_Static_assert(offsetof(struct message, u64) == 16, "the payload is sent apart from the header");

struct vhost_user {
	int sock;
	bool lost;
	uint64_t features, protocol;
	unsigned max_queues;
};

/* Closing it would not do: others may hold copies, and the owner may wait for events of it. */
static int lose(struct vhost_user *vu)
{
	shutdown(vu->sock, SHUT_RDWR);
	vu->lost = true;
	return -EPIPE;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

static int wait_for(struct vhost_user *vu, short events, int64_t deadline)
{
	struct pollfd p = { .fd = vu->sock, .events = events };

	for (;;) {
		int64_t left = deadline - now_ms();
		int n = poll(&p, 1, left > 0 ? (int)left : 0);

		if (n == 1)
			return 0;
		if (n == 0 || errno != EINTR)
			return -EPIPE;
	}
}

static void add_fd(struct msghdr *msg, int fd)
{
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
}

/* fd -1: none. A message is small, so that it goes whole or not at all. */
static int send_message(struct vhost_user *vu, struct message *m, int fd, int64_t deadline)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov[] = { { &m->header, sizeof(m->header) }, { &m->u64, m->header.size } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	size_t len = sizeof(m->header) + m->header.size;
	ssize_t n;

	if (fd >= 0) {
		msg.msg_control = control.buf;
		msg.msg_controllen = sizeof(control.buf);
		add_fd(&msg, fd);
	}
	do {
		n = sendmsg(vu->sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN && wait_for(vu, POLLOUT, deadline) < 0)
			break;
	} while (n < 0 && (errno == EAGAIN || errno == EINTR));
	return n == (ssize_t)len ? 0 : -EPIPE;
}

/* Of what came along: the first descriptor, if one is wanted; all others are closed. */
static void take_fds(struct msghdr *msg, int *fd)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		int fds[MAX_FDS];

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		memcpy(fds, CMSG_DATA(c), MIN(n, (size_t)MAX_FDS) * sizeof(int));
		for (size_t i = 0; i < MIN(n, (size_t)MAX_FDS); i++) {
			if (fd && *fd < 0)
				*fd = fds[i];
			else
				close(fds[i]);
		}
	}
}

/* Exactly len bytes. */
static int receive(struct vhost_user *vu, void *buf, size_t len, int *fd, int64_t deadline)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(MAX_FDS * sizeof(int))];
	} control;
	size_t done = 0;

	while (done < len) {
		struct iovec iov = { (char *)buf + done, len - done };
		struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.buf,
				      .msg_controllen = sizeof(control.buf) };
		ssize_t n = recvmsg(vu->sock, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

		if (n > 0) {
			take_fds(&msg, fd);
			done += (size_t)n;
		} else if (n == 0 || (errno != EAGAIN && errno != EINTR) ||
			   wait_for(vu, POLLIN, deadline) < 0) {
			return -EPIPE;
		}
	}
	return 0;
}

/* The answer to a request, whose payload has between min and max bytes. */
static int receive_reply(struct vhost_user *vu, struct message *m, uint32_t request, uint32_t min,
			 uint32_t max, int *fd, int64_t deadline)
{
	if (receive(vu, &m->header, sizeof(m->header), fd, deadline) < 0)
		return -EPIPE;
	if (m->header.request != request || m->header.size < min || m->header.size > max ||
	    (m->header.flags & FLAG_VERSION_IS) != FLAG_VERSION || !(m->header.flags & FLAG_REPLY))
		return -EPIPE;
	return receive(vu, &m->u64, m->header.size, fd, deadline);
}

static int64_t new_deadline(void)
{
	return now_ms() + VHOST_USER_SECONDS * 1000LL;
}

/* A request that is answered with min to max bytes, and with a descriptor where fd is not NULL. */
static int ask(struct vhost_user *vu, uint32_t request, struct message *m, uint32_t size, uint32_t min,
	       uint32_t max, int *fd)
{
	int64_t deadline = new_deadline();
	int got = -1;

	if (vu->lost)
		return -EPIPE;
	m->header = (struct header){ request, FLAG_VERSION, size };
	if (send_message(vu, m, -1, deadline) < 0 ||
	    receive_reply(vu, m, request, min, max, fd ? &got : NULL, deadline) < 0) {
		if (got >= 0)
			close(got);
		return lose(vu);
	}
	if (fd)
		*fd = got;
	return 0;
}

static int ask_u64(struct vhost_user *vu, uint32_t request, uint64_t *ret)
{
	struct message m;
	int r = ask(vu, request, &m, 0, sizeof(m.u64), sizeof(m.u64), NULL);

	if (r == 0)
		*ret = m.u64;
	return r;
}

/* A request that is not answered, but for the acknowledgement. fd -1: none. */
static int tell(struct vhost_user *vu, uint32_t request, struct message *m, uint32_t size, int fd)
{
	int64_t deadline = new_deadline();
	bool ack = vu->protocol & PROTOCOL_REPLY_ACK;

	if (vu->lost)
		return -EPIPE;
	m->header = (struct header){ request, FLAG_VERSION | (ack ? FLAG_NEED_REPLY : 0), size };
	if (send_message(vu, m, fd, deadline) < 0)
		return lose(vu);
	if (!ack)
		return 0;
	if (receive_reply(vu, m, request, sizeof(m->u64), sizeof(m->u64), NULL, deadline) < 0)
		return lose(vu);
	return m->u64 ? -EINVAL : 0;
}

static int tell_u64(struct vhost_user *vu, uint32_t request, uint64_t value, int fd)
{
	struct message m = { .u64 = value };

	return tell(vu, request, &m, sizeof(m.u64), fd);
}

static int tell_state(struct vhost_user *vu, uint32_t request, unsigned index, uint32_t num)
{
	struct message m = { .state = { index, num } };

	return tell(vu, request, &m, sizeof(m.state), -1);
}

static int introduce(struct vhost_user *vu, unsigned flags, struct hvd_error *err)
{
	const uint64_t wanted = PROTOCOL_MQ | PROTOCOL_REPLY_ACK | PROTOCOL_CONFIG | PROTOCOL_INFLIGHT;
	uint64_t offered = 0, max_queues = 1;
	struct message m;
	int r;

	r = tell(vu, SET_OWNER, &m, 0, -1);
	if (r == 0)
		r = ask_u64(vu, GET_FEATURES, &vu->features);
	if (r == 0 && !(vu->features & VHOST_USER_F_PROTOCOL_FEATURES))
		return hvd_err(err, EOPNOTSUPP, "the vhost-user backend has no protocol features");
	if (r == 0)
		r = ask_u64(vu, GET_PROTOCOL_FEATURES, &offered);
	if (r == 0 && !(offered & PROTOCOL_CONFIG))
		return hvd_err(err, EOPNOTSUPP, "the vhost-user backend has no configuration (CONFIG)");

	if (flags & VHOST_USER_ASSUME_INFLIGHT)
		offered |= PROTOCOL_INFLIGHT;
	if (r == 0)
		r = tell_u64(vu, SET_PROTOCOL_FEATURES, offered & wanted, -1);
	if (r == 0)
		vu->protocol = offered & wanted;
	if (r == 0 && vu->protocol & PROTOCOL_MQ)
		r = ask_u64(vu, GET_QUEUE_NUM, &max_queues);
	if (r < 0)
		return hvd_err(err, -r, "the vhost-user backend has ended, or does not answer in this "
			       "protocol");
	if (!max_queues)
		return hvd_err(err, EOPNOTSUPP, "the vhost-user backend has no queue");
	vu->max_queues = (unsigned)MIN(max_queues, (uint64_t)UINT16_MAX);
	return 0;
}

int vhost_user_new(int sock, unsigned flags, struct vhost_user **ret, struct hvd_error *err)
{
	AUTO(close) int owned = sock;
	AUTO(vhost_user_free) struct vhost_user *vu = calloc(1, sizeof(*vu));
	int r;

	if (!vu)
		return hvd_err(err, ENOMEM, "out of memory");
	vu->sock = TAKE_FD(owned);
	r = introduce(vu, flags, err);
	if (r < 0)
		return r;
	*ret = TAKE(vu);
	return 0;
}

struct vhost_user *vhost_user_free(struct vhost_user *vu)
{
	if (!vu)
		return NULL;
	close(vu->sock);
	free(vu);
	return NULL;
}

void vhost_user_end(struct vhost_user *vu)
{
	lose(vu);
}

int vhost_user_fd(const struct vhost_user *vu)
{
	return vu->sock;
}

bool vhost_user_is_lost(const struct vhost_user *vu)
{
	return vu->lost;
}

uint64_t vhost_user_features(const struct vhost_user *vu)
{
	return vu->features & ~VHOST_USER_F_PROTOCOL_FEATURES;
}

unsigned vhost_user_max_queues(const struct vhost_user *vu)
{
	return vu->max_queues;
}

int vhost_user_get_config(struct vhost_user *vu, void *buf, uint32_t len)
{
	const uint32_t head = offsetof(struct config_payload, bytes);
	struct message m = { .config = { .size = len } };
	int r;

	/* an answer without a payload: it does not have so much */
	r = ask(vu, GET_CONFIG, &m, head + len, 0, head + len, NULL);
	if (r < 0)
		return r;
	if (m.header.size != head + len || m.config.offset || m.config.size != len)
		return -EINVAL;
	memcpy(buf, m.config.bytes, len);
	return 0;
}

int vhost_user_set_config(struct vhost_user *vu, uint32_t offset, const void *buf, uint32_t len)
{
	struct message m = { .config = { .offset = offset, .size = len } };

	memcpy(m.config.bytes, buf, len);
	return tell(vu, SET_CONFIG, &m, offsetof(struct config_payload, bytes) + len, -1);
}

int vhost_user_set_features(struct vhost_user *vu, uint64_t features)
{
	return tell_u64(vu, SET_FEATURES, features | VHOST_USER_F_PROTOCOL_FEATURES, -1);
}

int vhost_user_set_memory(struct vhost_user *vu, uint64_t ipa, uint64_t size, const void *host, int fd)
{
	struct message m = { .memory = { .n = 1, .ipa = ipa, .size = size, .host = (uintptr_t)host } };

	return tell(vu, SET_MEM_TABLE, &m, sizeof(m.memory), fd);
}

int vhost_user_inflight_new(struct vhost_user *vu, uint16_t n_queues, uint16_t queue_size,
			    struct vhost_user_inflight *ret)
{
	struct message m = { .inflight = { .n_queues = n_queues, .queue_size = queue_size } };
	int fd, r;

	if (!(vu->protocol & PROTOCOL_INFLIGHT))
		return 1;
	r = ask(vu, GET_INFLIGHT_FD, &m, sizeof(m.inflight), offsetof(struct inflight_payload, padding),
		sizeof(m.inflight), &fd);
	if (r < 0)
		return r;
	if (fd < 0 || !m.inflight.size) {
		if (fd >= 0)
			close(fd);
		return 1;
	}
	*ret = (struct vhost_user_inflight){ fd, m.inflight.size, m.inflight.offset, n_queues,
					     queue_size };
	return 0;
}

int vhost_user_inflight_give(struct vhost_user *vu, const struct vhost_user_inflight *inflight)
{
	struct message m = { .inflight = { inflight->size, inflight->offset, inflight->n_queues,
					   inflight->queue_size, 0 } };

	if (!(vu->protocol & PROTOCOL_INFLIGHT))
		return 1;
	return tell(vu, SET_INFLIGHT_FD, &m, sizeof(m.inflight), inflight->fd);
}

int vhost_user_set_call(struct vhost_user *vu, unsigned index, int call)
{
	return tell_u64(vu, SET_VRING_CALL, index | (call < 0 ? VRING_NO_FD : 0), call);
}

int vhost_user_start(struct vhost_user *vu, const struct vhost_user_ring *ring)
{
	struct message addr = { .addr = { .index = ring->index, .desc = (uintptr_t)ring->desc,
					  .used = (uintptr_t)ring->used,
					  .avail = (uintptr_t)ring->avail } };
	int r;

	r = tell_state(vu, SET_VRING_NUM, ring->index, ring->size);
	if (r == 0)
		r = tell_state(vu, SET_VRING_BASE, ring->index, ring->base);
	if (r == 0)
		r = tell(vu, SET_VRING_ADDR, &addr, sizeof(addr.addr), -1);
	/* before the kick, with which the backend begins: an interrupt must not be lost */
	if (r == 0)
		r = vhost_user_set_call(vu, ring->index, ring->call);
	if (r == 0)
		r = tell_u64(vu, SET_VRING_KICK, ring->index, ring->kick);
	if (r == 0)
		r = tell_state(vu, SET_VRING_ENABLE, ring->index, 1);
	return r;
}

int vhost_user_stop(struct vhost_user *vu, unsigned index, uint16_t *base)
{
	struct message m = { .state = { .index = index } };
	int r = ask(vu, GET_VRING_BASE, &m, sizeof(m.state), sizeof(m.state), sizeof(m.state), NULL);

	if (r < 0)
		return r;
	if (m.state.index != index || m.state.num > UINT16_MAX)
		return -EINVAL;
	*base = (uint16_t)m.state.num;
	return 0;
}
