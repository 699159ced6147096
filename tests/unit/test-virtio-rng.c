/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/virtio_driver.h"

static int set_up(void **state)
{
	static struct driver d;
	struct virtio_dev *dev;

	driver_open(&d);
	assert_int_equal(virtio_rng_new(d.mem, d.io, &dev, NULL), 0);
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

	for (int i = 0; i < 10; i++) {
		queue_avail(&d->queue[0], 0xffff);
		driver_kick(d, 0);
		driver_wait_broken(d);
		driver_start(d, DRIVER_FEATURES);
	}
	/* a guest that goes on like this does not fill the log */
	assert_true(d->dev->log_limit.suppressed > 0);
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
	};

	return DRIVER_RUN(tests);
}
