/* SPDX-License-Identifier: Apache-2.0 */
/* The network device with a socket in place of the tap: one datagram is one frame. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cmocka.h>
#include <linux/virtio_net.h>

#include "tests/unit/virtio_driver.h"
#include "vmm/net/tap.h"

#define RXQ 0
#define TXQ 1
#define MRG (1ULL << VIRTIO_NET_F_MRG_RXBUF)
#define PATIENCE_MS 20000

struct fixture {
	struct driver d;
	int peer; /* the other end of the "tap" */
};

static int set_up(void **state)
{
	static struct fixture f;
	struct virtio_net_args args = { .mac = { 2, 0, 0, 0, 0, 1 } };
	struct virtio_dev *dev;
	int pair[2], size = (int)MIB;

	driver_open(&f.d);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair), 0);
	setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	args.tap = pair[0];
	f.peer = pair[1];
	assert_int_equal(virtio_net_new(&args, f.d.mem, f.d.io, &dev, NULL), 0);
	driver_set_device(&f.d, dev);
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	driver_close(&f->d);
	close(f->peer);
	return 0;
}

/* Offer n receive buffers of len bytes each: descriptors and buffers i … i + n. */
static void offer(struct fixture *f, uint16_t i, uint16_t n, uint32_t len)
{
	for (; n; n--, i++) {
		queue_desc(&f->d.queue[RXQ], i, data_ipa(i * 0x20000ULL), len, VRING_DESC_F_WRITE,
			   0);
		queue_avail(&f->d.queue[RXQ], i);
	}
	driver_kick(&f->d, RXQ);
}

static uint8_t *buffer(struct fixture *f, uint16_t i)
{
	return data_ptr(&f->d, i * 0x20000ULL);
}

/* A frame with a header of zeroes, as from a tap; content depends on seed. */
static void frame(uint8_t *buf, size_t len, uint8_t seed)
{
	memset(buf, 0, TAP_HEADER);
	for (size_t i = TAP_HEADER; i < len; i++)
		buf[i] = (uint8_t)(i * 3 + i / 256 + seed);
}

static void arrive(struct fixture *f, size_t len, uint8_t seed)
{
	static uint8_t buf[100 * KIB];

	frame(buf, len, seed);
	assert_int_equal(send(f->peer, buf, len, 0), len);
}

/* Take the next frame from used buffers of the receive queue; checks that it is whole. */
static void expect_frame(struct fixture *f, size_t len, uint8_t seed, unsigned n_buffers)
{
	static uint8_t expected[100 * KIB];
	size_t at = 0;
	uint16_t n = 0;

	frame(expected, len, seed);
	for (unsigned i = 0; i < n_buffers; i++) {
		struct vring_used_elem used = driver_used(&f->d, RXQ);
		uint8_t *got = buffer(f, (uint16_t)used.id);

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

static void test_features(void **state)
{
	struct fixture *f = *state;
	uint64_t features = f->d.dev->host_features;

	assert_true(features & MRG);
	/* a socket segments nothing */
	assert_false(features & 1ULL << VIRTIO_NET_F_HOST_TSO4);
	assert_false(features & 1ULL << VIRTIO_NET_F_CSUM);
}

static void test_receive(void **state)
{
	struct fixture *f = *state;

	driver_start(&f->d, DRIVER_FEATURES);
	offer(f, 0, 4, 1526);
	for (uint8_t i = 0; i < 4; i++)
		arrive(f, 60 + i, i);
	for (uint8_t i = 0; i < 4; i++)
		expect_frame(f, 60 + i, i, 1);
}

static void test_receive_merged(void **state)
{
	struct fixture *f = *state;

	driver_start(&f->d, DRIVER_FEATURES | MRG);
	offer(f, 0, 12, 6000);
	arrive(f, 100, 1);
	expect_frame(f, 100, 1, 1);
	/* larger than the small part of the window, twice: spilled, then in place */
	arrive(f, 60000, 2);
	expect_frame(f, 60000, 2, 10);
	offer(f, 0, 12, 6000);
	arrive(f, 60000, 3);
	expect_frame(f, 60000, 3, 10);
	arrive(f, 6001, 4);
	expect_frame(f, 6001, 4, 2);
}

static void test_receive_split_header(void **state)
{
	struct fixture *f = *state;
	struct driver_queue *q;

	driver_start(&f->d, DRIVER_FEATURES | MRG);
	q = &f->d.queue[RXQ];
	queue_desc(q, 0, data_ipa(0), 11, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, 1);
	queue_desc(q, 1, data_ipa(11), 1000, VRING_DESC_F_WRITE, 0);
	queue_avail(q, 0);
	driver_kick(&f->d, RXQ);
	arrive(f, 500, 9);
	expect_frame(f, 500, 9, 1);
}

/* Without buffers frames wait, and the kick that brings some goes on. */
static void test_no_buffers(void **state)
{
	struct fixture *f = *state;

	driver_start(&f->d, DRIVER_FEATURES);
	for (uint8_t i = 0; i < 4; i++)
		arrive(f, 200, i);
	for (uint8_t i = 0; i < 4; i++) {
		offer(f, i, 1, 1526);
		expect_frame(f, 200, i, 1);
	}
}

static void test_frame_too_large(void **state)
{
	struct fixture *f = *state;

	driver_start(&f->d, DRIVER_FEATURES);
	offer(f, 0, 2, 300);
	arrive(f, 301, 1);
	arrive(f, 300, 2);
	expect_frame(f, 300, 2, 1);

	driver_start(&f->d, DRIVER_FEATURES | MRG);
	offer(f, 0, 2, 300);
	arrive(f, 601, 3);
	arrive(f, 600, 4);
	expect_frame(f, 600, 4, 2);
}

static void test_receive_buffer_smaller_than_header(void **state)
{
	struct fixture *f = *state;

	driver_start(&f->d, DRIVER_FEATURES);
	offer(f, 0, 1, TAP_HEADER - 1);
	arrive(f, 100, 0);
	driver_wait_broken(&f->d);
}

static void test_receive_buffer_to_read(void **state)
{
	struct fixture *f = *state;

	/* an out buffer on the receive queue has no room at all */
	driver_start(&f->d, DRIVER_FEATURES);
	queue_desc(&f->d.queue[RXQ], 0, data_ipa(0), 2000, 0, 0);
	queue_avail(&f->d.queue[RXQ], 0);
	driver_kick(&f->d, RXQ);
	arrive(f, 100, 0);
	driver_wait_broken(&f->d);
}

static void expect_sent(struct fixture *f, const uint8_t *expected, size_t len)
{
	struct pollfd p = { .fd = f->peer, .events = POLLIN };
	static uint8_t got[100 * KIB];

	assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
	assert_int_equal(recv(f->peer, got, sizeof(got), 0), len);
	assert_memory_equal(got, expected, len);
}

static void test_send(void **state)
{
	struct fixture *f = *state;
	struct driver_queue *q;

	driver_start(&f->d, DRIVER_FEATURES);
	q = &f->d.queue[TXQ];
	frame(buffer(f, 0), 1500, 7);
	queue_desc(q, 0, data_ipa(0), TAP_HEADER, VRING_DESC_F_NEXT, 1);
	queue_desc(q, 1, data_ipa(TAP_HEADER), 1500 - TAP_HEADER, 0, 0);
	queue_avail(q, 0);
	driver_kick(&f->d, TXQ);
	assert_int_equal(driver_used(&f->d, TXQ).id, 0);
	expect_sent(f, buffer(f, 0), 1500);
}

static void test_send_many(void **state)
{
	struct fixture *f = *state;
	struct driver_queue *q;

	driver_start(&f->d, DRIVER_FEATURES);
	q = &f->d.queue[TXQ];
	for (unsigned round = 0; round < 100; round++) {
		for (uint16_t i = 0; i < DRIVER_QUEUE_SIZE; i++) {
			frame(buffer(f, i), 100, (uint8_t)i);
			queue_desc(q, i, data_ipa(i * 0x20000ULL), 100, 0, 0);
			queue_avail(q, i);
			driver_kick(&f->d, TXQ);
			expect_sent(f, buffer(f, i), 100);
		}
		for (uint16_t i = 0; i < DRIVER_QUEUE_SIZE; i++)
			assert_int_equal(driver_used(&f->d, TXQ).id, i);
	}
}

/* Too short for a header, too long for a frame: not sent, given back, no harm (CVE-2023-6693). */
static void test_send_odd_lengths_cve_2023_6693(void **state)
{
	static const uint32_t lengths[] = { 1, TAP_HEADER - 1, TAP_FRAME_MAX + 1, (uint32_t)MIB };
	struct fixture *f = *state;
	struct driver_queue *q;

	driver_start(&f->d, DRIVER_FEATURES);
	q = &f->d.queue[TXQ];
	for (uint16_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		queue_desc(q, i, data_ipa(0), lengths[i], 0, 0);
		queue_avail(q, i);
	}
	frame(buffer(f, 0), 64, 1);
	queue_desc(q, 9, data_ipa(0), 64, 0, 0);
	queue_avail(q, 9);
	driver_kick(&f->d, TXQ);
	for (size_t i = 0; i <= ARRAY_SIZE(lengths); i++)
		driver_used(&f->d, TXQ);
	expect_sent(f, buffer(f, 0), 64);
}

/* A peer that is gone or full loses frames; the guest goes on. */
static void test_peer_gone(void **state)
{
	struct fixture *f = *state;

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
	struct fixture *f = *state;

	driver_start(&f->d, DRIVER_FEATURES | MRG);
	offer(f, 0, 8, 1000);
	arrive(f, 100, 1);
	expect_frame(f, 100, 1, 1);
	virtio_quiesce(f->d.dev);
	assert_int_equal(f->d.dev->queue[RXQ].last_avail, 1);
	arrive(f, 1500, 2);
	assert_int_equal(f->d.queue[RXQ].used->idx, 1);
	virtio_resume(f->d.dev);
	expect_frame(f, 1500, 2, 2);
}

/* Buffers that the device holds are not written to after a reset. */
static void test_reset_forgets_buffers_cve_2021_3748(void **state)
{
	static const uint8_t zeroes[1000];
	struct fixture *f = *state;

	driver_start(&f->d, DRIVER_FEATURES | MRG);
	offer(f, 0, 4, 1000);
	arrive(f, 100, 1);
	expect_frame(f, 100, 1, 1);
	driver_start(&f->d, DRIVER_FEATURES | MRG);
	memset(buffer(f, 1), 0, 1000);
	arrive(f, 100, 2);
	offer(f, 8, 1, 1000);
	expect_frame(f, 100, 2, 1);
	assert_memory_equal(buffer(f, 1), zeroes, 1000);
}

/* A real tap, where the test may make one: offloads, and the header size is set. */
static void test_tap(void **state)
{
	struct fixture *f = *state;
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	struct virtio_net_args args = { .tap = open("/dev/net/tun", O_RDWR | O_CLOEXEC) };
	struct virtio_dev *dev;
	int size = 0, tap;

	if (args.tap < 0 || ioctl(args.tap, TUNSETIFF, &ifr) < 0) {
		if (args.tap >= 0)
			close(args.tap);
		skip();
	}
	tap = args.tap;
	assert_int_equal(virtio_net_new(&args, f->d.mem, f->d.io, &dev, NULL), 0);
	assert_true(dev->host_features & 1ULL << VIRTIO_NET_F_HOST_TSO4);
	assert_true(dev->host_features & 1ULL << VIRTIO_NET_F_GUEST_TSO6);
	assert_int_equal(ioctl(tap, TUNGETVNETHDRSZ, &size), 0);
	assert_int_equal(size, TAP_HEADER);
	assert_true(fcntl(tap, F_GETFL) & O_NONBLOCK);
	virtio_dev_free(dev);
}

static void test_tap_without_header(void **state)
{
	struct fixture *f = *state;
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	struct virtio_net_args args = { .tap = open("/dev/net/tun", O_RDWR | O_CLOEXEC) };
	struct hvd_error err = { 0 };
	struct virtio_dev *dev;

	if (args.tap < 0 || ioctl(args.tap, TUNSETIFF, &ifr) < 0) {
		if (args.tap >= 0)
			close(args.tap);
		skip();
	}
	assert_int_equal(virtio_net_new(&args, f->d.mem, f->d.io, &dev, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "IFF_VNET_HDR"));
	assert_int_equal(fcntl(args.tap, F_GETFD), -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

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
		TEST(test_tap),
		TEST(test_tap_without_header),
	};

	return DRIVER_RUN(tests);
}
