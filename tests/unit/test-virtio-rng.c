/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/virtio_driver.h"

static const struct virtio_rng_args unlimited;

static int set_up(void **state)
{
	static struct driver d;
	struct virtio_dev *dev;

	driver_open(&d);
	assert_int_equal(virtio_rng_new(&unlimited, d.mem, d.io, &dev, NULL), 0);
	driver_set_device(&d, dev);
	driver_start(&d, DRIVER_FEATURES);
	*state = &d;
	return 0;
}

static int tear_down(void **state)
{
	driver_close(*state);
	return 0;
}

static uint32_t ask(struct driver *d, uint32_t len)
{
	queue_desc(&d->queue[0], 0, data_ipa(0), len, VRING_DESC_F_WRITE, 0);
	queue_avail(&d->queue[0], 0);
	driver_kick(d, 0);
	return driver_used(d, 0).len;
}

static void test_entropy(void **state)
{
	static const uint8_t zeroes[64];
	struct driver *d = *state;
	uint8_t first[64];

	assert_int_equal(ask(d, 64), 64);
	memcpy(first, data_ptr(d, 0), 64);
	assert_memory_not_equal(first, zeroes, 64);
	assert_memory_equal(data_ptr(d, 64), zeroes, 64);
	assert_int_equal(ask(d, 64), 64);
	assert_memory_not_equal(data_ptr(d, 0), first, 64);
}

/* However much is asked for, a request takes bounded time (CVE-2016-5403, CVE-2020-27174). */
static void test_bounded_request_cve_2016_5403(void **state)
{
	struct driver *d = *state;
	uint32_t len = ask(d, 2 * (uint32_t)MIB);

	assert_true(len > 0 && len <= 4096);
}

static void test_several_buffers(void **state)
{
	struct driver *d = *state;
	struct driver_queue *q = &d->queue[0];

	queue_desc(q, 0, data_ipa(0), 1, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, 1);
	queue_desc(q, 1, data_ipa(100), 20, VRING_DESC_F_WRITE, 0);
	queue_avail(q, 0);
	driver_kick(d, 0);
	assert_int_equal(driver_used(d, 0).len, 21);
}

static void test_nothing_to_write(void **state)
{
	struct driver *d = *state;

	queue_desc(&d->queue[0], 0, data_ipa(0), 16, 0, 0);
	queue_avail(&d->queue[0], 0);
	driver_kick(d, 0);
	assert_int_equal(driver_used(d, 0).len, 0);
}

/* More than one turn's worth with one kick: the device comes back by itself. */
static void test_more_than_a_turn(void **state)
{
	struct driver *d = *state;

	driver_negotiate(d, DRIVER_FEATURES);
	driver_set_up_queue(d, 0, VQ_MAX_SIZE);
	driver_write(d, VIRTIO_MMIO_STATUS, driver_read(d, VIRTIO_MMIO_STATUS) | 4);
	for (uint16_t i = 0; i < VQ_MAX_SIZE; i++) {
		queue_desc(&d->queue[0], i, data_ipa(i), 1, VRING_DESC_F_WRITE, 0);
		queue_avail(&d->queue[0], i);
	}
	driver_kick(d, 0);
	for (uint16_t i = 0; i < VQ_MAX_SIZE; i++)
		assert_int_equal(driver_used(d, 0).id, i);
}

static void test_broken_ring_again_and_again(void **state)
{
	struct driver *d = *state;

	/* a guest that goes on like this does not fill the log, though a new window of it may begin meanwhile */
	for (int i = 0; i < 10 || !d->dev->log_limit.suppressed; i++) {
		assert_true(i < 1000);
		queue_avail(&d->queue[0], 0xffff);
		driver_kick(d, 0);
		driver_wait_broken(d);
		driver_start(d, DRIVER_FEATURES);
	}
}

static void set_limit(struct driver *d, const struct virtio_rng_args *args)
{
	assert_int_equal(virtio_update(d->dev, args, NULL), 0);
}

/* As many requests as the queue holds, of so many bytes. */
static void ask_many(struct driver *d, uint32_t len)
{
	for (uint16_t i = 0; i < DRIVER_QUEUE_SIZE; i++) {
		queue_desc(&d->queue[0], i, data_ipa(i * 8192ULL), len, VRING_DESC_F_WRITE, 0);
		queue_avail(&d->queue[0], i);
	}
	driver_kick(d, 0);
}

static void expect_answers(struct driver *d, uint16_t from, uint16_t to, uint32_t len)
{
	for (uint16_t i = from; i < to; i++) {
		struct vring_used_elem elem = driver_used(d, 0);

		assert_int_equal(elem.id, i);
		assert_int_equal(elem.len, len);
	}
}

/* The second is more than is left, and takes an hour's worth of what comes. */
static const struct virtio_rng_args two_requests = { .bytes_limit = { .per_second = 1, .burst = 4097 } };

/* What the limit does not let pass is neither lost nor answered twice, whatever happens meanwhile. */
static void test_limit(void **state)
{
	struct driver *d = *state;

	set_limit(d, &two_requests);
	/* nobody is given more than REQUEST_MAX, and nobody pays for more */
	ask_many(d, 8192);
	expect_answers(d, 0, 2, 4096);
	for (int i = 0; i < 3; i++) {
		virtio_quiesce(d->dev);
		set_limit(d, &two_requests);
		assert_int_equal(d->queue[0].used->idx, 2);
		virtio_resume(d->dev);
		driver_kick(d, 0);
	}
	set_limit(d, &two_requests);
	virtio_quiesce(d->dev);
	assert_int_equal(d->queue[0].used->idx, 2);
	virtio_resume(d->dev);

	set_limit(d, &unlimited);
	expect_answers(d, 2, DRIVER_QUEUE_SIZE, 4096);
	assert_int_equal(d->queue[0].used->idx, DRIVER_QUEUE_SIZE);
	assert_int_equal(ask(d, 64), 64);
}

/* The limit is the device's, whatever the driver does. */
static void test_limit_and_reset(void **state)
{
	struct driver *d = *state;

	set_limit(d, &two_requests);
	ask_many(d, 4096);
	expect_answers(d, 0, 2, 4096);
	driver_start(d, DRIVER_FEATURES);
	ask_many(d, 4096);
	virtio_quiesce(d->dev);
	assert_int_equal(d->queue[0].used->idx, 0);
	virtio_resume(d->dev);
	set_limit(d, &unlimited);
	expect_answers(d, 0, DRIVER_QUEUE_SIZE, 4096);
}

/* More than the burst: the timer has to come for the rest. */
static void test_limit_goes_on(void **state)
{
	static const struct virtio_rng_args slow = { .bytes_limit = { .per_second = 64000, .burst = 256 } };
	struct driver *d = *state;

	set_limit(d, &slow);
	for (int round = 0; round < 5; round++) {
		ask_many(d, 64);
		expect_answers(d, 0, DRIVER_QUEUE_SIZE, 64);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_entropy),
		TEST(test_bounded_request_cve_2016_5403),
		TEST(test_several_buffers),
		TEST(test_nothing_to_write),
		TEST(test_more_than_a_turn),
		TEST(test_broken_ring_again_and_again),
		TEST(test_limit),
		TEST(test_limit_and_reset),
		TEST(test_limit_goes_on),
	};

	return DRIVER_RUN(tests);
}
