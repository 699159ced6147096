/* SPDX-License-Identifier: Apache-2.0 */
/* The network device with a socket in place of the tap: frames in both directions. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/net_rig.h"

static void test_features(void **state)
{
	struct net_rig *f = *state;
	uint64_t features = f->d.dev->host_features;

	assert_true(features & MRG);
	/* a socket segments nothing */
	assert_false(features & 1ULL << VIRTIO_NET_F_HOST_TSO4);
	assert_false(features & 1ULL << VIRTIO_NET_F_CSUM);
}

static void test_receive(void **state)
{
	struct net_rig *f = *state;

	driver_start(&f->d, DRIVER_FEATURES);
	net_offer(f, 0, 4, 1526);
	for (uint8_t i = 0; i < 4; i++)
		net_arrive(f, 60 + i, i);
	for (uint8_t i = 0; i < 4; i++)
		net_expect_frame(f, 60 + i, i, 1);
}

static void test_receive_merged(void **state)
{
	struct net_rig *f = *state;

	driver_start(&f->d, DRIVER_FEATURES | MRG);
	net_offer(f, 0, 12, 6000);
	net_arrive(f, 100, 1);
	net_expect_frame(f, 100, 1, 1);
	/* larger than the small part of the window, twice: spilled, then in place */
	net_arrive(f, 60000, 2);
	net_expect_frame(f, 60000, 2, 10);
	net_offer(f, 0, 12, 6000);
	net_arrive(f, 60000, 3);
	net_expect_frame(f, 60000, 3, 10);
	net_arrive(f, 6001, 4);
	net_expect_frame(f, 6001, 4, 2);
}

static void test_receive_split_header(void **state)
{
	struct net_rig *f = *state;
	struct driver_queue *q;

	driver_start(&f->d, DRIVER_FEATURES | MRG);
	q = &f->d.queue[RXQ];
	queue_desc(q, 0, data_ipa(0), 11, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, 1);
	queue_desc(q, 1, data_ipa(11), 1000, VRING_DESC_F_WRITE, 0);
	queue_avail(q, 0);
	driver_kick(&f->d, RXQ);
	net_arrive(f, 500, 9);
	net_expect_frame(f, 500, 9, 1);
}

/* Without buffers frames wait, and the kick that brings some goes on. */
static void test_no_buffers(void **state)
{
	struct net_rig *f = *state;

	driver_start(&f->d, DRIVER_FEATURES);
	for (uint8_t i = 0; i < 4; i++)
		net_arrive(f, 200, i);
	for (uint8_t i = 0; i < 4; i++) {
		net_offer(f, i, 1, 1526);
		net_expect_frame(f, 200, i, 1);
	}
}

static void test_frame_too_large(void **state)
{
	struct net_rig *f = *state;

	driver_start(&f->d, DRIVER_FEATURES);
	net_offer(f, 0, 2, 300);
	net_arrive(f, 301, 1);
	net_arrive(f, 300, 2);
	net_expect_frame(f, 300, 2, 1);

	driver_start(&f->d, DRIVER_FEATURES | MRG);
	net_offer(f, 0, 2, 300);
	net_arrive(f, 601, 3);
	net_arrive(f, 600, 4);
	net_expect_frame(f, 600, 4, 2);
}

static void test_receive_buffer_smaller_than_header(void **state)
{
	struct net_rig *f = *state;

	driver_start(&f->d, DRIVER_FEATURES);
	net_offer(f, 0, 1, TAP_HEADER - 1);
	net_arrive(f, 100, 0);
	driver_wait_broken(&f->d);
}

static void test_receive_buffer_to_read(void **state)
{
	struct net_rig *f = *state;

	/* an out buffer on the receive queue has no room at all */
	driver_start(&f->d, DRIVER_FEATURES);
	queue_desc(&f->d.queue[RXQ], 0, data_ipa(0), 2000, 0, 0);
	queue_avail(&f->d.queue[RXQ], 0);
	driver_kick(&f->d, RXQ);
	net_arrive(f, 100, 0);
	driver_wait_broken(&f->d);
}

static void test_send(void **state)
{
	struct net_rig *f = *state;
	struct driver_queue *q;

	driver_start(&f->d, DRIVER_FEATURES);
	q = &f->d.queue[TXQ];
	net_frame(net_buffer(f, 0), 1500, 7);
	queue_desc(q, 0, data_ipa(0), TAP_HEADER, VRING_DESC_F_NEXT, 1);
	queue_desc(q, 1, data_ipa(TAP_HEADER), 1500 - TAP_HEADER, 0, 0);
	queue_avail(q, 0);
	driver_kick(&f->d, TXQ);
	assert_int_equal(driver_used(&f->d, TXQ).id, 0);
	net_expect_sent(f, net_buffer(f, 0), 1500);
}

static void test_send_many(void **state)
{
	struct net_rig *f = *state;
	struct driver_queue *q;

	driver_start(&f->d, DRIVER_FEATURES);
	q = &f->d.queue[TXQ];
	for (unsigned round = 0; round < 100; round++) {
		for (uint16_t i = 0; i < DRIVER_QUEUE_SIZE; i++) {
			net_frame(net_buffer(f, i), 100, (uint8_t)i);
			queue_desc(q, i, data_ipa(i * 0x20000ULL), 100, 0, 0);
			queue_avail(q, i);
			driver_kick(&f->d, TXQ);
			net_expect_sent(f, net_buffer(f, i), 100);
		}
		for (uint16_t i = 0; i < DRIVER_QUEUE_SIZE; i++)
			assert_int_equal(driver_used(&f->d, TXQ).id, i);
	}
}

/* Too short for a header, too long for a frame: not sent, given back, no harm (CVE-2023-6693). */
static void test_send_odd_lengths_cve_2023_6693(void **state)
{
	static const uint32_t lengths[] = { 1, TAP_HEADER - 1, TAP_FRAME_MAX + 1, (uint32_t)MIB };
	struct net_rig *f = *state;
	struct driver_queue *q;

	driver_start(&f->d, DRIVER_FEATURES);
	q = &f->d.queue[TXQ];
	for (uint16_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		queue_desc(q, i, data_ipa(0), lengths[i], 0, 0);
		queue_avail(q, i);
	}
	net_frame(net_buffer(f, 0), 64, 1);
	queue_desc(q, 9, data_ipa(0), 64, 0, 0);
	queue_avail(q, 9);
	driver_kick(&f->d, TXQ);
	for (size_t i = 0; i <= ARRAY_SIZE(lengths); i++)
		driver_used(&f->d, TXQ);
	net_expect_sent(f, net_buffer(f, 0), 64);
}

/* A peer that is gone or full loses frames; the guest goes on. */
static void test_peer_gone(void **state)
{
	struct net_rig *f = *state;

	close(f->peer);
	driver_start(&f->d, DRIVER_FEATURES);
	queue_desc(&f->d.queue[TXQ], 0, data_ipa(0), 64, 0, 0);
	for (int i = 0; i < 3; i++) {
		queue_avail(&f->d.queue[TXQ], 0);
		driver_kick(&f->d, TXQ);
		assert_int_equal(driver_used(&f->d, TXQ).id, 0);
	}
	f->peer = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* The receive window is handed back: the ring at rest is all there is to know about the queue. */
static void test_quiesce(void **state)
{
	struct net_rig *f = *state;

	driver_start(&f->d, DRIVER_FEATURES | MRG);
	net_offer(f, 0, 8, 1000);
	net_arrive(f, 100, 1);
	net_expect_frame(f, 100, 1, 1);
	virtio_quiesce(f->d.dev);
	assert_int_equal(f->d.dev->queue[RXQ].last_avail, 1);
	net_arrive(f, 1500, 2);
	assert_int_equal(f->d.queue[RXQ].used->idx, 1);
	virtio_resume(f->d.dev);
	net_expect_frame(f, 1500, 2, 2);
}

/* Buffers that the device holds are not written to after a reset. */
static void test_reset_forgets_buffers_cve_2021_3748(void **state)
{
	static const uint8_t zeroes[1000];
	struct net_rig *f = *state;

	driver_start(&f->d, DRIVER_FEATURES | MRG);
	net_offer(f, 0, 4, 1000);
	net_arrive(f, 100, 1);
	net_expect_frame(f, 100, 1, 1);
	driver_start(&f->d, DRIVER_FEATURES | MRG);
	memset(net_buffer(f, 1), 0, 1000);
	net_arrive(f, 100, 2);
	net_offer(f, 8, 1, 1000);
	net_expect_frame(f, 100, 2, 1);
	assert_memory_equal(net_buffer(f, 1), zeroes, 1000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, net_rig_set_up, net_rig_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_features),
		TEST(test_receive),
		TEST(test_receive_merged),
		TEST(test_receive_split_header),
		TEST(test_no_buffers),
		TEST(test_frame_too_large),
		TEST(test_receive_buffer_smaller_than_header),
		TEST(test_receive_buffer_to_read),
		TEST(test_send),
		TEST(test_send_many),
		TEST(test_send_odd_lengths_cve_2023_6693),
		TEST(test_peer_gone),
		TEST(test_quiesce),
		TEST(test_reset_forgets_buffers_cve_2021_3748),
	};

	return DRIVER_RUN(tests);
}
