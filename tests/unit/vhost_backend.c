/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/vhost_backend.h"

#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "vmm/base/macro.h"

#define BIT(n) (1ULL << (n))

struct request {
	uint32_t number, flags, size;
	union {
		uint64_t u64;
		uint32_t words[80];
		uint64_t longs[40];
		uint8_t bytes[320];
	};
	int fd;
};

void backend_init(struct vhost_backend *b, uint8_t *disk)
{
	*b = (struct vhost_backend){
		.features = BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_BLK_F_FLUSH) |
			    BIT(VIRTIO_BLK_F_CONFIG_WCE) | BIT(VIRTIO_BLK_F_SEG_MAX) |
			    BIT(VIRTIO_RING_F_EVENT_IDX) | BIT(VIRTIO_RING_F_INDIRECT_DESC) | BIT(30),
		.protocol = BIT(0) | BIT(3) | BIT(9) | BIT(12), /* MQ, REPLY_ACK, CONFIG, INFLIGHT */
		.max_queues = 2,
		.disk = disk,
		.sock = -1,
		.wake = -1,
		.wce = UINT32_MAX,
	};
	for (unsigned i = 0; i < BACKEND_MAX_QUEUES; i++)
		b->ring[i].kick = b->ring[i].call = -1;
}

static void *at_host(struct vhost_backend *b, uint64_t host)
{
	return b->memory + (host - b->memory_host);
}

/* By the guest's address, which is 1 GiB in all tests. */
static void *at_guest(struct vhost_backend *b, uint64_t ipa)
{
	return b->memory + (ipa - 0x40000000);
}

static uint32_t serve_request(struct vhost_backend *b, const struct vring_desc *desc, uint16_t i)
{
	const struct virtio_blk_outhdr *header = at_guest(b, desc[i].addr);
	uint8_t *disk = b->disk + header->sector * 512;
	uint32_t written = 1;

	for (i = desc[i].next; desc[i].flags & VRING_DESC_F_NEXT; i = desc[i].next) {
		if (header->type == VIRTIO_BLK_T_OUT)
			memcpy(disk, at_guest(b, desc[i].addr), desc[i].len);
		else
			memcpy(at_guest(b, desc[i].addr), disk, desc[i].len);
		disk += desc[i].len;
		written += header->type == VIRTIO_BLK_T_IN ? desc[i].len : 0;
	}
	*(uint8_t *)at_guest(b, desc[i].addr) = VIRTIO_BLK_S_OK;
	return written;
}

static void complete(struct vhost_backend *b, unsigned q, uint16_t head)
{
	struct backend_ring *ring = &b->ring[q];
	struct vring_used *used = at_host(b, ring->used);
	uint32_t len = serve_request(b, at_host(b, ring->desc), head);

	used->ring[used->idx % ring->size] = (struct vring_used_elem){ head, len };
	__atomic_store_n(&used->idx, (uint16_t)(used->idx + 1), __ATOMIC_RELEASE);
	if (b->inflight)
		b->inflight[q * 256 + head] = 0;
	if (ring->call >= 0)
		(void)!write(ring->call, &(uint64_t){ 1 }, sizeof(uint64_t));
}

static void serve_ring(struct vhost_backend *b, unsigned q)
{
	struct backend_ring *ring = &b->ring[q];
	struct vring_avail *avail = at_host(b, ring->avail);

	while (ring->next != __atomic_load_n(&avail->idx, __ATOMIC_ACQUIRE)) {
		uint16_t head = avail->ring[ring->next++ % ring->size];

		if (b->inflight)
			b->inflight[q * 256 + head] = 1;
		if (b->hold)
			b->seen_held = true;
		else
			complete(b, q, head);
	}
	/* be told of the next one, whatever was negotiated */
	*(uint16_t *)&((struct vring_used *)at_host(b, ring->used))->ring[ring->size] = ring->next;
}

/* What a former backend has taken and not completed comes first. */
static void resubmit(struct vhost_backend *b, unsigned q)
{
	uint16_t n = 0;

	for (unsigned head = 0; b->inflight && head < 256; head++) {
		if (b->inflight[q * 256 + head]) {
			n++;
			complete(b, q, (uint16_t)head);
		}
	}
	b->ring[q].next = (uint16_t)(b->ring[q].next + n);
}

static void set_memory(struct vhost_backend *b, const struct request *m)
{
	if (b->memory)
		munmap(b->memory, b->memory_size);
	b->memory_size = m->longs[2];
	b->memory_host = m->longs[3];
	b->memory = mmap(NULL, b->memory_size, PROT_READ | PROT_WRITE, MAP_SHARED, m->fd,
			 (off_t)m->longs[4]);
}

static void map_inflight(struct vhost_backend *b, int fd, uint64_t size)
{
	if (b->inflight)
		munmap(b->inflight, b->inflight_size);
	b->inflight_size = size;
	b->inflight = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}

static void replace(int *fd, int by)
{
	if (*fd >= 0)
		close(*fd);
	*fd = by;
}

static void send_reply(struct vhost_backend *b, const struct request *m, uint32_t size, int fd)
{
	struct {
		uint32_t number, flags, size;
	} header = { m->number, 5, size };
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov[] = { { &header, sizeof(header) }, { (void *)m->bytes, size } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };

	if (m->number == b->lie_about) {
		(void)!write(b->sock, b->lie, b->lie_len);
		return;
	}
	if (fd >= 0) {
		msg.msg_control = control.buf;
		msg.msg_controllen = sizeof(control.buf);
		*CMSG_FIRSTHDR(&msg) = (struct cmsghdr){ CMSG_LEN(sizeof(fd)), SOL_SOCKET, SCM_RIGHTS };
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&msg)), &fd, sizeof(fd));
	}
	(void)!sendmsg(b->sock, &msg, MSG_NOSIGNAL);
}

/* Returns the size of the answer's payload; 0: none of its own. */
static uint32_t handle(struct vhost_backend *b, struct request *m, int *fd)
{
	struct backend_ring *ring = &b->ring[m->words[0] % BACKEND_MAX_QUEUES];

	switch (m->number) {
	case 1:
		m->u64 = b->features;
		return 8;
	case 2:
		b->accepted = m->u64;
		return 0;
	case 5:
		set_memory(b, m);
		return 0;
	case 8:
		ring->size = m->words[1];
		return 0;
	case 9:
		ring->desc = m->longs[1];
		ring->used = m->longs[2];
		ring->avail = m->longs[3];
		return 0;
	case 10:
		ring->next = (uint16_t)m->words[1];
		return 0;
	case 11:
		ring->started = false;
		b->stops++;
		replace(&ring->kick, -1);
		replace(&ring->call, -1);
		m->words[1] = ring->next;
		return 8;
	case 12:
		replace(&ring->kick, dup(m->fd));
		ring->started = true;
		b->starts++;
		resubmit(b, m->words[0]);
		return 0;
	case 13:
		replace(&ring->call, m->u64 & 256 ? -1 : dup(m->fd));
		return 0;
	case 15:
		m->u64 = b->protocol;
		return 8;
	case 17:
		m->u64 = b->max_queues;
		return 8;
	case 24:
		memset(m->bytes + 12, 0, m->words[1]);
		memmove(m->bytes + 12, &(uint64_t){ BACKEND_DISK_SIZE / 512 }, 8);
		return 12 + m->words[1];
	case 25:
		b->wce = m->bytes[12];
		return 0;
	case 31:
		*fd = memfd_create("inflight", MFD_CLOEXEC);
		(void)!ftruncate(*fd, BACKEND_MAX_QUEUES * 256);
		m->longs[0] = BACKEND_MAX_QUEUES * 256;
		m->longs[1] = 0;
		map_inflight(b, *fd, m->longs[0]);
		return 24;
	case 32:
		map_inflight(b, m->fd, m->longs[0]);
		return 0;
	default:
		return 0;
	}
}

static bool read_request(struct vhost_backend *b, struct request *m)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { m, 12 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.buf,
			      .msg_controllen = sizeof(control.buf) };

	memset(m, 0, sizeof(*m));
	m->fd = -1;
	if (recvmsg(b->sock, &msg, MSG_CMSG_CLOEXEC) != 12 || m->size > sizeof(m->bytes))
		return false;
	if (CMSG_FIRSTHDR(&msg))
		memcpy(&m->fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
	return !m->size || recv(b->sock, m->bytes, m->size, MSG_WAITALL) == (ssize_t)m->size;
}

static bool serve_message(struct vhost_backend *b)
{
	struct request m;
	uint32_t size;
	int fd = -1;

	if (!read_request(b, &m))
		return false;
	size = handle(b, &m, &fd);
	if (m.fd >= 0)
		close(m.fd);
	if (!size && m.flags & 8) {
		m.u64 = 0;
		size = 8;
	}
	if (size)
		send_reply(b, &m, size, fd);
	if (fd >= 0)
		close(fd);
	return true;
}

static void *run(void *arg)
{
	struct vhost_backend *b = arg;
	uint64_t count;

	for (;;) {
		struct pollfd p[2 + BACKEND_MAX_QUEUES] = { { b->wake, POLLIN, 0 },
							    { b->sock, POLLIN, 0 } };

		for (unsigned q = 0; q < BACKEND_MAX_QUEUES; q++)
			p[2 + q] = (struct pollfd){ b->ring[q].started ? b->ring[q].kick : -1, POLLIN, 0 };
		poll(p, ARRAY_SIZE(p), -1);
		if (p[0].revents || (p[1].revents && !serve_message(b)))
			return NULL;
		for (unsigned q = 0; q < BACKEND_MAX_QUEUES; q++)
			if (p[2 + q].revents && b->ring[q].started &&
			    read(b->ring[q].kick, &count, sizeof(count)) > 0)
				serve_ring(b, q);
	}
}

int backend_start(struct vhost_backend *b)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	b->sock = pair[0];
	b->wake = eventfd(0, EFD_CLOEXEC);
	b->running = true;
	assert_int_equal(pthread_create(&b->thread, NULL, run, b), 0);
	return pair[1];
}

void backend_kill(struct vhost_backend *b)
{
	if (!b->running)
		return;
	(void)!write(b->wake, &(uint64_t){ 1 }, sizeof(uint64_t));
	pthread_join(b->thread, NULL);
	b->running = false;
	close(b->wake);
	close(b->sock);
	for (unsigned q = 0; q < BACKEND_MAX_QUEUES; q++) {
		replace(&b->ring[q].kick, -1);
		replace(&b->ring[q].call, -1);
	}
	if (b->memory)
		munmap(b->memory, b->memory_size);
	if (b->inflight)
		munmap(b->inflight, b->inflight_size);
	b->memory = b->inflight = NULL;
}
