/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "vmm/base/iov.h"
#include "vmm/virtio/vsock_private.h"

#define PACKET_MAX  (64 * KIB) /* of data, as large as Linux takes it */
#define UPDATE_AT   (VSOCK_BUFFER / 2)
#define BUCKET(host, guest) (((host) ^ (guest) ^ (guest) >> 7) % VSOCK_BUCKETS)

static uint8_t *buffer_of(const struct vsock_conn *c)
{
	return c->vsock->buffers + (size_t)(c - c->vsock->conns) * VSOCK_BUFFER;
}

/* --- life */

int vsock_conns_init(struct vsock *v)
{
	void *p;

	list_init(&v->unused);
	list_init(&v->ready);
	list_init(&v->closed);
	for (size_t i = 0; i < VSOCK_BUCKETS; i++)
		list_init(&v->buckets[i]);
	v->next_port = VSOCK_FIRST_PORT;

	/* costs nothing until it is used, and goes back to the host after that */
	p = mmap(NULL, VSOCK_MAX_CONNECTIONS * VSOCK_BUFFER, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return -errno;
	v->buffers = p;
	return 0;
}

void vsock_conns_destroy(struct vsock *v)
{
	if (v->buffers)
		munmap(v->buffers, VSOCK_MAX_CONNECTIONS * VSOCK_BUFFER);
}

static void drop_socket(struct vsock_conn *c)
{
	loop_remove(&c->src);
	if (c->src.fd >= 0)
		close(c->src.fd);
	c->src.fd = -1;
	if (c->buffer_used)
		madvise(buffer_of(c), VSOCK_BUFFER, MADV_DONTNEED);
	c->buffer_used = false;
	c->len = 0;
}

void vsock_conn_release(struct vsock_conn *c)
{
	drop_socket(c);
	list_remove(&c->by_ports);
	list_remove(&c->ready);
	list_remove(&c->closed);
	list_append(&c->vsock->unused, &c->unused);
}

void vsock_conns_reset(struct vsock *v)
{
	for (unsigned i = 0; i < v->n_conns; i++)
		if (list_empty(&v->conns[i].unused))
			vsock_conn_release(&v->conns[i]);
}

static void on_socket(struct loop_source *src, uint32_t events);

/* A slot that is not in use, or that of who has been waiting longest for a guest's last word. */
static struct vsock_conn *take_slot(struct vsock *v)
{
	struct vsock_conn *c;

	if (list_empty(&v->unused) && v->n_conns < VSOCK_MAX_CONNECTIONS) {
		c = &v->conns[v->n_conns++];
		list_init(&c->unused);
		list_append(&v->unused, &c->unused);
	}
	if (list_empty(&v->unused) && !list_empty(&v->closed)) {
		c = list_entry(v->closed.next, struct vsock_conn, closed);
		vsock_conn_release(c);
	}
	if (list_empty(&v->unused))
		return NULL;

	c = list_entry(v->unused.next, struct vsock_conn, unused);
	list_remove(&c->unused);
	*c = (struct vsock_conn){ .vsock = v, .src = { .fd = -1, .fn = on_socket } };
	list_init(&c->unused);
	list_init(&c->by_ports);
	list_init(&c->ready);
	list_init(&c->closed);
	return c;
}

struct vsock_conn *vsock_conn_new(struct vsock *v, int fd, enum vsock_state state)
{
	struct vsock_conn *c = take_slot(v);

	if (!c) {
		close(fd);
		return NULL;
	}
	c->state = state;
	c->src.fd = fd;
	/* told at once what there is, then of each change */
	if (loop_add(v->dev.io, &c->src, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET) == 0)
		return c;
	vsock_conn_release(c);
	return NULL;
}

void vsock_conn_name(struct vsock_conn *c, uint32_t host_port, uint32_t guest_port)
{
	c->host_port = host_port;
	c->guest_port = guest_port;
	list_append(&c->vsock->buckets[BUCKET(host_port, guest_port)], &c->by_ports);
}

struct vsock_conn *vsock_find(struct vsock *v, uint32_t host_port, uint32_t guest_port)
{
	struct vsock_conn *c;

	list_for_each(c, &v->buckets[BUCKET(host_port, guest_port)], by_ports)
		if (c->host_port == host_port && c->guest_port == guest_port)
			return c;
	return NULL;
}

void vsock_conn_pend(struct vsock_conn *c, uint32_t ops)
{
	c->pending |= ops;
	if (list_empty(&c->ready))
		list_append(&c->vsock->ready, &c->ready);
}

/* The guest is sent a reset, and that is all. */
static void kill_conn(struct vsock_conn *c)
{
	drop_socket(c);
	list_remove(&c->by_ports); /* its ports may be used again */
	list_remove(&c->closed);
	c->state = VSOCK_DEAD;
	c->pending = 0;
	vsock_conn_pend(c, VSOCK_OP(RST));
}

/* --- credit */

static uint32_t credit(const struct vsock_conn *c)
{
	uint32_t used = c->sent - c->peer_forwarded;

	/* counters that make no sense are no credit */
	return used < c->peer_alloc ? c->peer_alloc - used : 0;
}

static void forward(struct vsock_conn *c, size_t len)
{
	c->forwarded += (uint32_t)len;
	/* in packets that go anyway it is told, too */
	if (c->forwarded - c->told_forwarded >= UPDATE_AT && c->state == VSOCK_OPEN)
		vsock_conn_pend(c, VSOCK_OP(CREDIT_UPDATE));
}

/* --- from the guest to the socket */

/* The program of the host reads no more. Returns false when the connection is over. */
static bool host_is_deaf(struct vsock_conn *c)
{
	c->len = 0;
	if (c->state == VSOCK_DRAINING) {
		vsock_conn_release(c);
		return false;
	}
	if (c->guest_closed & VIRTIO_VSOCK_SHUTDOWN_SEND) {
		kill_conn(c);
		return false;
	}
	c->closed_sides |= VIRTIO_VSOCK_SHUTDOWN_RCV;
	vsock_conn_pend(c, VSOCK_OP(SHUTDOWN));
	return true;
}

/* The socket has taken all that the guest has sent and will send. Returns false when it is over. */
static bool drained(struct vsock_conn *c)
{
	if (c->state == VSOCK_DRAINING) {
		vsock_conn_release(c);
		return false;
	}
	if (c->guest_closed == VSOCK_BOTH) {
		kill_conn(c); /* §5.10.6.5: the answer to a clean end */
		return false;
	}
	shutdown(c->src.fd, SHUT_WR);
	return true;
}

static ssize_t write_socket(struct vsock_conn *c, const struct iovec *iov, unsigned n)
{
	ssize_t r = writev(c->src.fd, iov, (int)n);

	if (r < 0 && errno == EINTR)
		return 0;
	if (r < 0 && errno == EAGAIN)
		c->writable = false;
	return r < 0 && errno == EAGAIN ? 0 : r;
}

/* The parts of the ring that hold something, or that are free. */
static unsigned parts(struct vsock_conn *c, uint32_t at, uint32_t len, struct iovec iov[static 2])
{
	uint32_t first = MIN(len, VSOCK_BUFFER - at);

	iov[0] = (struct iovec){ buffer_of(c) + at, first };
	iov[1] = (struct iovec){ buffer_of(c), len - first };
	return len > first ? 2 : 1;
}

/* Returns false when the connection is over. */
static bool flush(struct vsock_conn *c)
{
	struct iovec iov[2];
	ssize_t r;

	while (c->len && c->writable) {
		r = write_socket(c, iov, parts(c, c->at, c->len, iov));
		if (r < 0)
			return host_is_deaf(c);
		c->at = (c->at + (uint32_t)r) % VSOCK_BUFFER;
		c->len -= (uint32_t)r;
		forward(c, (size_t)r);
		if (!c->len && (c->guest_closed & VIRTIO_VSOCK_SHUTDOWN_SEND))
			return drained(c);
	}
	return true;
}

/* There is room for it. */
static void keep(struct vsock_conn *c, struct iovec *iov, unsigned n, uint32_t len)
{
	struct iovec room[2];
	unsigned n_room = parts(c, (c->at + c->len) % VSOCK_BUFFER, len, room);

	for (unsigned i = 0; i < n_room; i++) {
		iov_gather(iov, n, room[i].iov_base, room[i].iov_len);
		iov_advance(&iov, &n, room[i].iov_len);
	}
	c->len += len;
	c->buffer_used = true;
}

static void take_data(struct vsock_conn *c, struct iovec *iov, unsigned n, uint32_t len)
{
	ssize_t r = 0;

	if (c->closed_sides & VIRTIO_VSOCK_SHUTDOWN_RCV) {
		forward(c, len); /* on its way while we said that we would not read it */
		return;
	}
	if (c->guest_closed & VIRTIO_VSOCK_SHUTDOWN_SEND || len > VSOCK_BUFFER - c->len) {
		kill_conn(c); /* more than it was told that it may */
		return;
	}
	iov_truncate(iov, &n, len);
	if (!c->len && c->writable)
		r = write_socket(c, iov, n);
	if (r < 0) {
		host_is_deaf(c);
		return;
	}
	iov_advance(&iov, &n, (size_t)r);
	if ((uint32_t)r < len)
		keep(c, iov, n, len - (uint32_t)r);
	forward(c, (size_t)r);
}

/* --- packets of the guest */

static int connect_host(const struct vsock *v, uint32_t port)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	AUTO(close) int fd = -1;

	if (!v->folder || snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/vsock_%u", v->folder,
				   port) >= (int)sizeof(addr.sun_path))
		return -ENOENT;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return -errno;
	return TAKE_FD(fd);
}

static void take_credit(struct vsock_conn *c, const struct virtio_vsock_hdr *hdr)
{
	c->peer_alloc = hdr->buf_alloc;
	c->peer_forwarded = hdr->fwd_cnt;
	if (credit(c))
		c->asked_credit = false;
}

bool vsock_request(struct vsock *v, const struct virtio_vsock_hdr *hdr)
{
	int fd = connect_host(v, hdr->dst_port);
	struct vsock_conn *c = fd < 0 ? NULL : vsock_conn_new(v, fd, VSOCK_OPEN);

	if (!c)
		return false;
	vsock_conn_name(c, hdr->dst_port, hdr->src_port);
	take_credit(c, hdr);
	vsock_conn_pend(c, VSOCK_OP(RESPONSE));
	return true;
}

/* The guest has accepted what a program of the host asked for. */
static void opened(struct vsock_conn *c)
{
	if (vsock_welcome(c))
		c->state = VSOCK_OPEN;
	else
		kill_conn(c);
}

static void take_shutdown(struct vsock_conn *c, uint32_t flags)
{
	c->guest_closed |= flags & VSOCK_BOTH;
	if (c->guest_closed & VIRTIO_VSOCK_SHUTDOWN_RCV)
		shutdown(c->src.fd, SHUT_RD);
	if (!c->len && (c->guest_closed & VIRTIO_VSOCK_SHUTDOWN_SEND))
		drained(c);
}

/* A guest that has ended a connection well does not wait for a slow reader for ever. */
static void take_reset(struct vsock_conn *c)
{
	if (c->state != VSOCK_OPEN || c->guest_closed != VSOCK_BOTH || !c->len) {
		vsock_conn_release(c);
		return;
	}
	c->state = VSOCK_DRAINING;
	c->pending = 0;
	list_remove(&c->ready);
	list_remove(&c->by_ports);
}

static void open_packet(struct vsock_conn *c, const struct virtio_vsock_hdr *hdr, struct iovec *iov,
			unsigned n)
{
	take_credit(c, hdr);
	switch (hdr->op) {
	case VIRTIO_VSOCK_OP_RW:
		take_data(c, iov, n, hdr->len);
		break;
	case VIRTIO_VSOCK_OP_SHUTDOWN:
		take_shutdown(c, hdr->flags);
		break;
	case VIRTIO_VSOCK_OP_CREDIT_UPDATE:
		break;
	case VIRTIO_VSOCK_OP_CREDIT_REQUEST:
		vsock_conn_pend(c, VSOCK_OP(CREDIT_UPDATE));
		break;
	default:
		kill_conn(c);
		return;
	}
	if (c->state == VSOCK_OPEN && vsock_wants(c))
		vsock_conn_pend(c, 0);
}

void vsock_packet(struct vsock_conn *c, const struct virtio_vsock_hdr *hdr, struct iovec *iov,
		  unsigned n)
{
	if (hdr->op == VIRTIO_VSOCK_OP_RST)
		take_reset(c);
	else if (c->state == VSOCK_OPEN)
		open_packet(c, hdr, iov, n);
	else if (c->state == VSOCK_CLOSED && hdr->op != VIRTIO_VSOCK_OP_SHUTDOWN &&
		 hdr->op != VIRTIO_VSOCK_OP_REQUEST)
		; /* sent before it knew, or what it still reads */
	else if (c->state == VSOCK_REQUESTED && hdr->op == VIRTIO_VSOCK_OP_RESPONSE &&
		 !(c->pending & VSOCK_OP(REQUEST))) {
		take_credit(c, hdr);
		opened(c);
		if (c->state == VSOCK_OPEN)
			vsock_conn_pend(c, 0);
	} else
		kill_conn(c);
}

/* --- from the socket to the guest */

static bool may_read(const struct vsock_conn *c)
{
	return c->state == VSOCK_OPEN && c->readable &&
	       !(c->guest_closed & VIRTIO_VSOCK_SHUTDOWN_RCV) &&
	       !(c->closed_sides & VIRTIO_VSOCK_SHUTDOWN_SEND);
}

bool vsock_wants(const struct vsock_conn *c)
{
	return c->pending || (may_read(c) && (credit(c) || !c->asked_credit));
}

static uint32_t read_socket(struct vsock_conn *c, struct iovec *iov, unsigned n)
{
	ssize_t r;

	iov_truncate(iov, &n, MIN(credit(c), (uint32_t)PACKET_MAX));
	r = readv(c->src.fd, iov, (int)n);
	if (r > 0) {
		c->sent += (uint32_t)r;
		return (uint32_t)r;
	}
	if (r < 0 && errno == EINTR)
		return 0;
	if (r < 0 && errno == EAGAIN) {
		c->readable = false;
		return 0;
	}
	/* the end; of a program that is gone altogether, both ways */
	c->closed_sides |= VIRTIO_VSOCK_SHUTDOWN_SEND;
	if (c->hung_up || r < 0)
		c->closed_sides |= VIRTIO_VSOCK_SHUTDOWN_RCV;
	vsock_conn_pend(c, VSOCK_OP(SHUTDOWN));
	return 0;
}

static bool take_pending(struct vsock_conn *c, uint32_t op)
{
	if (!(c->pending & 1U << op))
		return false;
	c->pending &= ~(1U << op);
	return true;
}

/* Which packet is next; 0: none. */
static uint16_t choose(struct vsock_conn *c, struct virtio_vsock_hdr *hdr, struct iovec *iov, unsigned n)
{
	static const uint8_t first[] = { VIRTIO_VSOCK_OP_RST, VIRTIO_VSOCK_OP_REQUEST,
					 VIRTIO_VSOCK_OP_RESPONSE };
	static const uint8_t last[] = { VIRTIO_VSOCK_OP_SHUTDOWN, VIRTIO_VSOCK_OP_CREDIT_UPDATE,
					VIRTIO_VSOCK_OP_CREDIT_REQUEST };

	for (size_t i = 0; i < ARRAY_SIZE(first); i++)
		if (take_pending(c, first[i]))
			return first[i];
	if (may_read(c) && credit(c))
		hdr->len = read_socket(c, iov, n);
	if (hdr->len)
		return VIRTIO_VSOCK_OP_RW;
	if (may_read(c) && !credit(c) && !c->asked_credit) {
		c->asked_credit = true;
		c->pending |= VSOCK_OP(CREDIT_REQUEST);
	}
	for (size_t i = 0; i < ARRAY_SIZE(last); i++)
		if (take_pending(c, last[i]))
			return last[i];
	return 0;
}

/* The guest has been told that the host's side is over. */
static void closed(struct vsock_conn *c)
{
	drop_socket(c);
	c->state = VSOCK_CLOSED;
	c->pending = 0;
	list_append(&c->vsock->closed, &c->closed);
}

bool vsock_produce(struct vsock_conn *c, struct virtio_vsock_hdr *hdr, struct iovec *iov, unsigned n)
{
	uint16_t op = choose(c, hdr, iov, n);

	hdr->op = op;
	hdr->src_port = c->host_port;
	hdr->dst_port = c->guest_port;
	hdr->buf_alloc = VSOCK_BUFFER;
	hdr->fwd_cnt = c->told_forwarded = c->forwarded;
	if (op)
		c->pending &= ~VSOCK_OP(CREDIT_UPDATE); /* each packet is one */
	if (op == VIRTIO_VSOCK_OP_SHUTDOWN) {
		hdr->flags = c->closed_sides;
		if (c->closed_sides == VSOCK_BOTH)
			closed(c);
	}
	if (op == VIRTIO_VSOCK_OP_RST) {
		vsock_conn_release(c);
		vsock_accept(c->vsock);
		return true;
	}
	if (!vsock_wants(c))
		list_remove(&c->ready);
	return op;
}

/* --- what the socket tells */

/* Do what the socket is ready for. */
static void run(struct vsock_conn *c)
{
	if (c->state == VSOCK_GREETING && (c->readable || c->hung_up)) {
		vsock_greet(c);
		return;
	}
	if (c->state == VSOCK_REQUESTED && c->hung_up) {
		/* an answer, when it comes, is to something that nobody knows */
		vsock_conn_release(c);
		return;
	}
	if ((c->state == VSOCK_OPEN || c->state == VSOCK_DRAINING) && !flush(c))
		return;
	if (c->state != VSOCK_OPEN)
		return;
	if (c->hung_up && !may_read(c) && c->closed_sides != VSOCK_BOTH) {
		c->closed_sides = VSOCK_BOTH;
		vsock_conn_pend(c, VSOCK_OP(SHUTDOWN));
	}
	if (vsock_wants(c))
		vsock_conn_pend(c, 0);
}

static void on_socket(struct loop_source *src, uint32_t events)
{
	struct vsock_conn *c = container_of(src, struct vsock_conn, src);
	struct vsock *v = c->vsock;
	bool over = events & (EPOLLHUP | EPOLLERR);

	c->readable |= over || events & (EPOLLIN | EPOLLRDHUP);
	c->writable |= over || events & EPOLLOUT;
	c->hung_up |= over;
	if (!v->running)
		return;
	run(c);
	vsock_accept(v);
	vsock_send(v);
}

void vsock_conns_resume(struct vsock *v)
{
	for (unsigned i = 0; i < v->n_conns; i++)
		if (list_empty(&v->conns[i].unused))
			run(&v->conns[i]);
	vsock_accept(v);
}
