/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/net_rig.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "tests/unit/patience.h"

#define BUFFER_STEP 0x20000ULL
#define COMMAND_BUFFER 20 /* the first of those that commands are in */

void net_rig_open(struct net_rig *f, const struct virtio_net_args *args)
{
	int taps[NET_RIG_PAIRS], pair[2], size = (int)MIB;
	struct loop *loops[2];
	const struct virtio_loops spread = { loops, 2, 0 };
	struct virtio_dev *dev;

	driver_open(&f->d);
	loops[0] = f->d.io;
	loops[1] = f->second;
	f->args = *args;
	f->args.loops = f->second ? &spread : NULL;
	f->n_pairs = args->n_pairs;
	for (unsigned i = 0; i < args->n_pairs; i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair), 0);
		setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
		taps[i] = pair[0];
		f->peers[i] = pair[1];
	}
	f->peer = f->peers[0];
	f->args.taps = taps;
	assert_int_equal(virtio_net_new(&f->args, f->d.mem, f->d.io, &dev, NULL), 0);
	f->args.taps = NULL;
	f->args.loops = NULL;
	driver_set_device(&f->d, dev);
}

int net_rig_set_up(void **state)
{
	static struct net_rig f;
	const struct virtio_net_args args = {
		.name = "test", .n_pairs = 1, .mac = { 2, 0, 0, 0, 0, 1 },
	};

	net_rig_open(&f, &args);
	*state = &f;
	return 0;
}

int net_rig_tear_down(void **state)
{
	struct net_rig *f = *state;

	driver_close(&f->d);
	close(f->peer);
	for (unsigned i = 1; i < f->n_pairs; i++)
		close(f->peers[i]);
	return 0;
}

void net_offer_on(struct net_rig *f, unsigned queue, uint16_t i, uint16_t n, uint32_t len)
{
	for (; n; n--, i++) {
		queue_desc(&f->d.queue[queue], i, data_ipa(i * BUFFER_STEP), len,
			   VRING_DESC_F_WRITE, 0);
		queue_avail(&f->d.queue[queue], i);
	}
	driver_kick(&f->d, queue);
}

void net_offer(struct net_rig *f, uint16_t i, uint16_t n, uint32_t len)
{
	net_offer_on(f, RXQ, i, n, len);
}

uint8_t *net_buffer(struct net_rig *f, uint16_t i)
{
	return data_ptr(&f->d, i * BUFFER_STEP);
}

void net_frame(uint8_t *buf, size_t len, uint8_t seed)
{
	memset(buf, 0, TAP_HEADER);
	for (size_t i = TAP_HEADER; i < len; i++)
		buf[i] = (uint8_t)(i * 3 + i / 256 + seed);
}

void net_arrive(struct net_rig *f, size_t len, uint8_t seed)
{
	static uint8_t buf[100 * KIB];

	net_frame(buf, len, seed);
	assert_int_equal(send(f->peer, buf, len, 0), len);
}

void net_expect_frame(struct net_rig *f, size_t len, uint8_t seed, unsigned n_buffers)
{
	static uint8_t expected[100 * KIB];
	size_t at = 0;
	uint16_t n = 0;

	net_frame(expected, len, seed);
	for (unsigned i = 0; i < n_buffers; i++) {
		struct vring_used_elem used = driver_used(&f->d, RXQ);
		uint8_t *got = net_buffer(f, (uint16_t)used.id);

		if (i == 0) {
			memcpy(&n, got + offsetof(struct virtio_net_hdr_v1, num_buffers), 2);
			memcpy(expected, got, TAP_HEADER);
		}
		assert_true(at + used.len <= len);
		assert_memory_equal(got, expected + at, used.len);
		at += used.len;
	}
	assert_int_equal(at, len);
	assert_int_equal(n, n_buffers);
}

void net_expect_sent(struct net_rig *f, const uint8_t *expected, size_t len)
{
	struct pollfd p = { .fd = f->peer, .events = POLLIN };
	static uint8_t got[100 * KIB];

	assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
	assert_int_equal(recv(f->peer, got, sizeof(got), 0), len);
	assert_memory_equal(got, expected, len);
}

void net_send(struct net_rig *f, uint16_t i, uint32_t len)
{
	queue_desc(&f->d.queue[TXQ], i, data_ipa(i * BUFFER_STEP), len, 0, 0);
	queue_avail(&f->d.queue[TXQ], i);
	driver_kick(&f->d, TXQ);
}

static void nothing(void *arg)
{
}

/* Twice: what the first turn posts or kicks runs before the second. */
void net_settle(struct net_rig *f)
{
	for (int i = 0; i < 3; i++)
		loop_call(f->d.io, nothing, NULL);
}

uint8_t net_command(struct net_rig *f, unsigned queue, uint8_t class, uint8_t number,
		    const void *data, size_t len, uint32_t piece)
{
	struct driver_queue *q = &f->d.queue[queue];
	uint64_t at = COMMAND_BUFFER * BUFFER_STEP;
	uint8_t *buf = data_ptr(&f->d, at), *ack = data_ptr(&f->d, at - 1);
	uint32_t left = (uint32_t)(2 + len);
	uint16_t i = 0;

	buf[0] = class;
	buf[1] = number;
	if (len)
		memcpy(buf + 2, data, len);
	*ack = 0x55;
	for (uint32_t n; left; left -= n, at += n, i++) {
		n = MIN(left, piece);
		assert_true(i < q->size - 1);
		queue_desc(q, i, data_ipa(at), n, VRING_DESC_F_NEXT, i + 1);
	}
	queue_desc(q, i, data_ipa(COMMAND_BUFFER * BUFFER_STEP - 1), 1, VRING_DESC_F_WRITE, 0);
	queue_avail(q, 0);
	driver_kick(&f->d, queue);
	assert_int_equal(driver_used(&f->d, queue).len, 1);
	return *ack;
}
