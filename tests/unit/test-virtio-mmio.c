/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>
#include <linux/virtio_net.h>

#include "tests/unit/virtio_driver.h"

#define FULL                                                                                       \
	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK |      \
	 VIRTIO_CONFIG_S_DRIVER_OK)

static const uint8_t mac[6] = { 0x52, 0x54, 0, 1, 2, 3 };

/* A network device: it has a config space, and three queues, one of which is served by the driver. */
static int set_up(void **state)
{
	static struct driver d;
	struct virtio_net_args args = { .n_pairs = 1 };
	struct virtio_dev *dev;
	int pair[2];

	driver_open(&d);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
	close(pair[1]);
	args.taps = &pair[0];
	memcpy(args.mac, mac, sizeof(mac));
	assert_int_equal(virtio_net_new(&args, d.mem, d.io, &dev, NULL), 0);
	driver_set_device(&d, dev);
	*state = &d;
	return 0;
}

static int tear_down(void **state)
{
	driver_close(*state);
	return 0;
}

static uint32_t status(struct driver *d)
{
	return driver_read(d, VIRTIO_MMIO_STATUS);
}

static void set_status(struct driver *d, uint32_t value)
{
	driver_write(d, VIRTIO_MMIO_STATUS, value);
}

static void test_identity(void **state)
{
	struct driver *d = *state;

	assert_int_equal(driver_read(d, VIRTIO_MMIO_MAGIC_VALUE), 0x74726976);
	assert_int_equal(driver_read(d, VIRTIO_MMIO_VERSION), 2);
	assert_int_equal(driver_read(d, VIRTIO_MMIO_DEVICE_ID), VIRTIO_ID_NET);
	assert_int_equal(driver_read(d, VIRTIO_MMIO_VENDOR_ID), VIRTIO_MMIO_VENDOR);
	assert_int_equal(driver_read(d, VIRTIO_MMIO_SHM_LEN_LOW), UINT32_MAX);
	assert_int_equal(driver_read(d, VIRTIO_MMIO_SHM_LEN_HIGH), UINT32_MAX);
	assert_int_equal(status(d), 0);
}

static void test_features_in_halves(void **state)
{
	struct driver *d = *state;

	driver_write(d, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
	assert_true(driver_read(d, VIRTIO_MMIO_DEVICE_FEATURES) & 1U << VIRTIO_NET_F_MAC);
	driver_write(d, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
	assert_int_equal(driver_read(d, VIRTIO_MMIO_DEVICE_FEATURES),
			 1U << (VIRTIO_F_VERSION_1 - 32));
	for (uint32_t sel = 2; sel; sel <<= 1) {
		driver_write(d, VIRTIO_MMIO_DEVICE_FEATURES_SEL, sel);
		assert_int_equal(driver_read(d, VIRTIO_MMIO_DEVICE_FEATURES), 0);
		driver_write(d, VIRTIO_MMIO_DRIVER_FEATURES_SEL, sel);
		driver_write(d, VIRTIO_MMIO_DRIVER_FEATURES, UINT32_MAX);
		assert_int_equal(d->dev->guest_features, 0);
	}
}

static void test_features_ok_needs_the_steps_before(void **state)
{
	struct driver *d = *state;

	set_status(d, VIRTIO_CONFIG_S_FEATURES_OK);
	assert_int_equal(status(d), 0);
	set_status(d, FULL);
	assert_int_equal(status(d), VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
}

static void test_features_ok_refused(void **state)
{
	static const uint64_t bad[] = {
		0,                                       /* no VERSION_1 */
		1ULL << VIRTIO_NET_F_MAC,                /* the same, as legacy drivers do */
		1ULL << VIRTIO_F_VERSION_1 | 1ULL << 63, /* not offered */
		1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_NET_F_MQ,
	};
	struct driver *d = *state;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		driver_negotiate(d, bad[i]);
		assert_false(status(d) & VIRTIO_CONFIG_S_FEATURES_OK);
		/* and no way around it */
		set_status(d, FULL);
		assert_false(status(d) & VIRTIO_CONFIG_S_DRIVER_OK);
	}

	/* a driver may try again with less */
	driver_write(d, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	driver_write(d, VIRTIO_MMIO_DRIVER_FEATURES, 0);
	set_status(d, status(d) | VIRTIO_CONFIG_S_FEATURES_OK);
	assert_true(status(d) & VIRTIO_CONFIG_S_FEATURES_OK);
}

static void test_features_are_fixed_once_accepted(void **state)
{
	struct driver *d = *state;

	driver_negotiate(d, DRIVER_FEATURES);
	assert_true(status(d) & VIRTIO_CONFIG_S_FEATURES_OK);
	for (uint32_t half = 0; half < 2; half++) {
		driver_write(d, VIRTIO_MMIO_DRIVER_FEATURES_SEL, half);
		driver_write(d, VIRTIO_MMIO_DRIVER_FEATURES, UINT32_MAX);
	}
	assert_int_equal(d->dev->guest_features, DRIVER_FEATURES);
}

static void test_status_bits_stay_until_reset(void **state)
{
	struct driver *d = *state;

	driver_start(d, DRIVER_FEATURES);
	assert_int_equal(status(d), FULL);
	set_status(d, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	assert_int_equal(status(d), FULL);
	/* bits that are the device's or nobody's */
	set_status(d, VIRTIO_CONFIG_S_NEEDS_RESET | 0x20 | 0x10);
	assert_int_equal(status(d), FULL);
	set_status(d, VIRTIO_CONFIG_S_FAILED);
	assert_int_equal(status(d), FULL | VIRTIO_CONFIG_S_FAILED);
	driver_reset(d);
	assert_int_equal(d->dev->guest_features, 0);
}

static const unsigned address_registers[] = {
	VIRTIO_MMIO_QUEUE_DESC_LOW, VIRTIO_MMIO_QUEUE_AVAIL_LOW, VIRTIO_MMIO_QUEUE_USED_LOW,
};

static void scribble(struct driver *d)
{
	driver_write(d, VIRTIO_MMIO_QUEUE_NUM, 128);
	for (size_t i = 0; i < ARRAY_SIZE(address_registers); i++)
		driver_write64(d, address_registers[i], 0x123456789abcdef0);
	driver_write(d, VIRTIO_MMIO_QUEUE_READY, 0);
}

static void test_queue_registers(void **state)
{
	struct driver *d = *state;
	struct virtqueue *vq = &d->dev->queue[1];

	driver_negotiate(d, DRIVER_FEATURES);
	driver_set_up_queue(d, 1, 8);
	assert_int_equal(driver_read(d, VIRTIO_MMIO_QUEUE_READY), 1);
	assert_int_equal(vq->size, 8);
	scribble(d);
	assert_int_equal(driver_read(d, VIRTIO_MMIO_QUEUE_READY), 0);
	assert_int_equal(vq->size, 128);
	assert_int_equal(vq->desc, 0x123456789abcdef0);
	assert_int_equal(vq->avail, 0x123456789abcdef0);
	assert_int_equal(vq->used, 0x123456789abcdef0);
	assert_false(d->dev->queue[0].ready);
}

static void test_queue_out_of_range(void **state)
{
	static const uint32_t bad[] = { 3, 4, VIRTIO_MAX_QUEUES, 255, 65536, UINT32_MAX };
	struct driver *d = *state;

	driver_negotiate(d, DRIVER_FEATURES);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		driver_write(d, VIRTIO_MMIO_QUEUE_SEL, bad[i]);
		assert_int_equal(driver_read(d, VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
		scribble(d);
		driver_write(d, VIRTIO_MMIO_QUEUE_READY, 1);
		assert_int_equal(driver_read(d, VIRTIO_MMIO_QUEUE_READY), 0);
		driver_write(d, VIRTIO_MMIO_QUEUE_NOTIFY, bad[i]);
	}
	for (unsigned q = 0; q < VIRTIO_MAX_QUEUES; q++)
		assert_false(d->dev->queue[q].ready);
}

static void test_queue_size_is_checked_before_it_is_cut(void **state)
{
	struct driver *d = *state;

	/* 0x10010 is 16 in 16 bits */
	driver_negotiate(d, DRIVER_FEATURES);
	driver_set_up_queue(d, 0, 16);
	driver_write(d, VIRTIO_MMIO_QUEUE_NUM, 0x10010);
	set_status(d, status(d) | VIRTIO_CONFIG_S_DRIVER_OK);
	driver_wait_broken(d);
}

static void test_queue_written_after_activation_cve_2026_5747(void **state)
{
	struct driver *d = *state;
	struct virtqueue before;

	driver_start(d, DRIVER_FEATURES);
	for (uint32_t q = 0; q < 2; q++) {
		driver_write(d, VIRTIO_MMIO_QUEUE_SEL, q);
		before = d->dev->queue[q];
		scribble(d);
		assert_int_equal(driver_read(d, VIRTIO_MMIO_QUEUE_READY), 1);
		assert_int_equal(d->dev->queue[q].size, before.size);
		assert_int_equal(d->dev->queue[q].desc, before.desc);
		assert_int_equal(d->dev->queue[q].avail, before.avail);
		assert_int_equal(d->dev->queue[q].used, before.used);
	}
}

static void test_bad_queue_needs_reset(void **state)
{
	struct driver *d = *state;

	driver_negotiate(d, DRIVER_FEATURES);
	driver_set_up_queue(d, 0, 16);
	driver_write64(d, VIRTIO_MMIO_QUEUE_USED_LOW, DRIVER_RAM_BASE + DRIVER_RAM_SIZE);
	set_status(d, status(d) | VIRTIO_CONFIG_S_DRIVER_OK);
	driver_wait_broken(d);
	assert_false(d->dev->active);

	driver_start(d, DRIVER_FEATURES);
	assert_int_equal(status(d), FULL);
}

static void test_config(void **state)
{
	struct driver *d = *state;
	struct mmio_region *r = &d->mmio.region;

	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(r->read(r, VIRTIO_MMIO_CONFIG + i, 1), mac[i]);
	assert_int_equal(r->read(r, VIRTIO_MMIO_CONFIG + 6, 2), VIRTIO_NET_S_LINK_UP);
	assert_int_equal(r->read(r, VIRTIO_MMIO_CONFIG, 4), 0x01005452);
	assert_int_equal(r->read(r, VIRTIO_MMIO_CONFIG, 8), 0x0001030201005452);

	/* the end of its 12 bytes, and across it */
	assert_int_equal(r->read(r, VIRTIO_MMIO_CONFIG + 8, 2), 1); /* max_virtqueue_pairs */
	assert_int_equal(r->read(r, VIRTIO_MMIO_CONFIG + 11, 2), 0);
	assert_int_equal(r->read(r, VIRTIO_MMIO_CONFIG + 8, 8), 0);
	assert_int_equal(r->read(r, VIRTIO_MMIO_CONFIG + 12, 1), 0);
	assert_int_equal(r->read(r, VIRTIO_MMIO_SIZE - 8, 8), 0);

	/* read-only */
	r->write(r, VIRTIO_MMIO_CONFIG, 0xff, 1);
	assert_int_equal(r->read(r, VIRTIO_MMIO_CONFIG, 1), mac[0]);
}

static void test_other_widths_do_nothing(void **state)
{
	static const unsigned widths[] = { 1, 2, 8 };
	struct driver *d = *state;
	struct mmio_region *r = &d->mmio.region;

	for (size_t i = 0; i < ARRAY_SIZE(widths); i++) {
		assert_int_equal(r->read(r, VIRTIO_MMIO_MAGIC_VALUE, widths[i]), 0);
		r->write(r, VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE, widths[i]);
		assert_int_equal(status(d), 0);
	}
}

/* Every register in every state, read and written: only what is said to change changes. */
static void walk(struct driver *d)
{
	for (unsigned reg = 0; reg < VIRTIO_MMIO_CONFIG; reg++) {
		driver_read(d, reg);
		if (reg != VIRTIO_MMIO_STATUS)
			driver_write(d, reg, UINT32_MAX);
	}
}

static void test_register_walk(void **state)
{
	static const uint32_t steps[] = {
		VIRTIO_CONFIG_S_ACKNOWLEDGE,
		VIRTIO_CONFIG_S_DRIVER,
		VIRTIO_CONFIG_S_FEATURES_OK,
		VIRTIO_CONFIG_S_DRIVER_OK,
	};
	struct driver *d = *state;
	uint32_t expected = 0;

	walk(d);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		if (steps[i] == VIRTIO_CONFIG_S_FEATURES_OK) {
			/* the walk has asked for every feature there is */
			set_status(d, expected | steps[i]);
			assert_int_equal(status(d), expected);
			driver_negotiate(d, DRIVER_FEATURES);
		}
		expected |= steps[i];
		set_status(d, expected);
		assert_int_equal(status(d), expected);
		walk(d);
		assert_int_equal(status(d), expected);
	}
	driver_reset(d);
	walk(d);
	assert_int_equal(status(d), 0);
}

static void test_interrupt_status(void **state)
{
	struct driver *d = *state;
	struct pollfd p = { .fd = d->mmio.irq_fd, .events = POLLIN };
	uint32_t generation = driver_read(d, VIRTIO_MMIO_CONFIG_GENERATION);
	uint64_t count;

	assert_int_equal(driver_read(d, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
	virtio_notify_config(d->dev);
	virtio_notify_config(d->dev);
	assert_int_equal(driver_read(d, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_CONFIG);
	assert_int_equal(driver_read(d, VIRTIO_MMIO_CONFIG_GENERATION), generation + 2);

	/* not acknowledged: one interrupt is all the driver needs */
	assert_int_equal(read(d->mmio.irq_fd, &count, sizeof(count)), sizeof(count));
	assert_int_equal(count, 1);

	driver_write(d, VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INT_VRING);
	assert_int_equal(driver_read(d, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_CONFIG);
	driver_write(d, VIRTIO_MMIO_INTERRUPT_ACK, UINT32_MAX);
	assert_int_equal(driver_read(d, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
	assert_int_equal(poll(&p, 1, 0), 0);

	virtio_notify_config(d->dev);
	assert_int_equal(poll(&p, 1, 0), 1);
	driver_reset(d);
	assert_int_equal(driver_read(d, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
}

static void test_reset_forgets_queues(void **state)
{
	struct driver *d = *state;

	driver_start(d, DRIVER_FEATURES);
	driver_reset(d);
	for (uint32_t q = 0; q < 2; q++) {
		driver_write(d, VIRTIO_MMIO_QUEUE_SEL, q);
		assert_int_equal(driver_read(d, VIRTIO_MMIO_QUEUE_READY), 0);
		assert_int_equal(d->dev->queue[q].desc, 0);
	}

	/* no queue at all is a driver's right: kicks find nothing to do */
	driver_negotiate(d, DRIVER_FEATURES);
	set_status(d, FULL);
	driver_kick(d, 0);
	driver_kick(d, 1);
	driver_reset(d);
	assert_int_equal(status(d), 0);
}

static void *reset_often(void *arg)
{
	for (int i = 0; i < 200; i++)
		driver_start(arg, DRIVER_FEATURES);
	return NULL;
}

/* vCPUs that fight over one device: no crash, no deadlock. */
static void test_two_vcpus(void **state)
{
	struct driver *d = *state;
	pthread_t other;

	assert_int_equal(pthread_create(&other, NULL, reset_often, d), 0);
	for (int i = 0; i < 2000; i++) {
		walk(d);
		driver_kick(d, (unsigned)i % 2);
	}
	pthread_join(other, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_identity),
		TEST(test_features_in_halves),
		TEST(test_features_ok_needs_the_steps_before),
		TEST(test_features_ok_refused),
		TEST(test_features_are_fixed_once_accepted),
		TEST(test_status_bits_stay_until_reset),
		TEST(test_queue_registers),
		TEST(test_queue_out_of_range),
		TEST(test_queue_size_is_checked_before_it_is_cut),
		TEST(test_queue_written_after_activation_cve_2026_5747),
		TEST(test_bad_queue_needs_reset),
		TEST(test_config),
		TEST(test_other_widths_do_nothing),
		TEST(test_register_walk),
		TEST(test_interrupt_status),
		TEST(test_reset_forgets_queues),
		TEST(test_two_vcpus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
