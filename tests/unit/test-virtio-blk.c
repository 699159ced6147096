/* SPDX-License-Identifier: Apache-2.0 */
/* The block device on a real file and a real io_uring, driven as a guest drives it. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/blk_rig.h"

static struct blk_rig rig;

static int set_up(void **state)
{
	*state = &rig;
	return blk_open(&rig, (struct virtio_blk_args){ .fd = -1,
							.serial = "disk-0123456789abcdef" });
}

/* Requests stay in flight for a while, where reads from the page cache are done at once. */
static int set_up_direct(void **state)
{
	*state = &rig;
	return blk_open(&rig, (struct virtio_blk_args){ .fd = -1, .direct = true });
}

static int set_up_read_only(void **state)
{
	*state = &rig;
	return blk_open(&rig, (struct virtio_blk_args){ .fd = -1, .read_only = true });
}

static int tear_down(void **state)
{
	blk_close(*state);
	return 0;
}

static void test_config(void **state)
{
	struct blk_rig *f = *state;
	const struct virtio_blk_config *config = (void *)f->d.dev->config;

	assert_int_equal(config->capacity, BLK_SECTORS);
	assert_int_equal(config->blk_size, 512);
	assert_int_equal(config->seg_max, VQ_MAX_SEGS - 2);
	assert_int_equal(config->max_discard_seg, 1);
	assert_false(f->d.dev->host_features & 1ULL << VIRTIO_BLK_F_RO);
}

static void test_read(void **state)
{
	struct blk_rig *f = *state;

	assert_int_equal(blk_request(f, VIRTIO_BLK_T_IN, 3, 8192, true), VIRTIO_BLK_S_OK);
	blk_expect_pattern(blk_data(f), 3 * 512, 8192);
}

static void test_write_and_flush(void **state)
{
	struct blk_rig *f = *state;
	uint8_t back[512];

	memset(blk_data(f), 0x5a, 512);
	assert_int_equal(blk_request(f, VIRTIO_BLK_T_OUT, 7, 512, false), VIRTIO_BLK_S_OK);
	assert_int_equal(blk_request(f, VIRTIO_BLK_T_FLUSH, 0, 0, false), VIRTIO_BLK_S_OK);
	assert_int_equal(pread(f->fd, back, 512, 7 * 512), 512);
	assert_memory_equal(back, blk_data(f), 512);
}

static void test_counters(void **state)
{
	struct blk_rig *f = *state;
	uint64_t counted[COUNTERS_MAX] = { 0 };
	const uint64_t want[COUNTERS_MAX] = {
		[DISK_READS] = 2,    [DISK_READ_BYTES] = 8192 + 512, [DISK_WRITES] = 1,
		[DISK_FLUSHES] = 1,  [DISK_WRITTEN_BYTES] = 512,     [DISK_DISCARDS] = 2,
		[DISK_DISCARDED_BYTES] = 12 * 512,
	};

	blk_request(f, VIRTIO_BLK_T_IN, 3, 8192, true);
	blk_request(f, VIRTIO_BLK_T_IN, 0, 512, true);
	blk_request(f, VIRTIO_BLK_T_OUT, 7, 512, false);
	blk_request(f, VIRTIO_BLK_T_FLUSH, 0, 0, false);
	blk_range(f, VIRTIO_BLK_T_DISCARD, 0, 8, 0);
	blk_range(f, VIRTIO_BLK_T_WRITE_ZEROES, 8, 4, 0);
	/* the guest's mistakes are no requests of the disk */
	blk_request(f, VIRTIO_BLK_T_IN, BLK_SECTORS, 512, true);
	blk_request(f, VIRTIO_BLK_T_GET_ID, 0, 20, true);

	f->d.dev->ops->count(f->d.dev, counted);
	for (size_t i = 0; i < COUNTERS_MAX; i++)
		assert_int_equal(counted[i], want[i]);
	f->d.dev->ops->count(f->d.dev, counted); /* is added to what is there */
	assert_int_equal(counted[DISK_READS], 4);
}

static void test_serial(void **state)
{
	struct blk_rig *f = *state;

	memset(blk_data(f), 0xee, 64);
	assert_int_equal(blk_request(f, VIRTIO_BLK_T_GET_ID, 0, 20, true), VIRTIO_BLK_S_OK);
	assert_memory_equal(blk_data(f), "disk-0123456789abcde\xee", 21);
	/* a shorter buffer gets what fits */
	memset(blk_data(f), 0xee, 64);
	assert_int_equal(blk_request(f, VIRTIO_BLK_T_GET_ID, 0, 4, true), VIRTIO_BLK_S_OK);
	assert_memory_equal(blk_data(f), "disk\xee", 5);
}

static void test_unknown_types(void **state)
{
	static const uint32_t types[] = { 2, 3, 5, 7, 9, 10, 12, 14, 255, 0x80000000, UINT32_MAX };
	struct blk_rig *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		assert_int_equal(blk_request(f, types[i], 0, 512, true), VIRTIO_BLK_S_UNSUPP);
}

static void test_out_of_disk_cve_2023_3180(void **state)
{
	static const uint64_t sectors[] = {
		BLK_SECTORS, BLK_SECTORS - 1, 1ULL << 55, (1ULL << 55) + 1, UINT64_MAX, UINT64_MAX / 512,
	};
	struct blk_rig *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(sectors); i++) {
		assert_int_equal(blk_request(f, VIRTIO_BLK_T_IN, sectors[i], 1024, true),
				 VIRTIO_BLK_S_IOERR);
		assert_int_equal(blk_request(f, VIRTIO_BLK_T_OUT, sectors[i], 1024, false),
				 VIRTIO_BLK_S_IOERR);
	}
	assert_int_equal(blk_request(f, VIRTIO_BLK_T_IN, BLK_SECTORS - 1, 512, true), VIRTIO_BLK_S_OK);
}

static void test_odd_length(void **state)
{
	struct blk_rig *f = *state;

	assert_int_equal(blk_request(f, VIRTIO_BLK_T_IN, 0, 511, true), VIRTIO_BLK_S_IOERR);
	assert_int_equal(blk_request(f, VIRTIO_BLK_T_OUT, 0, 513, false), VIRTIO_BLK_S_IOERR);
	assert_int_equal(blk_request(f, VIRTIO_BLK_T_IN, 0, 0, true), VIRTIO_BLK_S_OK);
}

/* §2.7.4.1: a device must not assume how a request is cut into descriptors. */
static void test_any_framing(void **state)
{
	struct blk_rig *f = *state;
	struct driver_queue *q = &f->d.queue[0];

	/* header in two pieces; data and status in pieces of 300 and 213 */
	blk_set_header(f, VIRTIO_BLK_T_IN, 1);
	queue_desc(q, 0, data_ipa(BLK_HEADER), 3, VRING_DESC_F_NEXT, 1);
	queue_desc(q, 1, data_ipa(BLK_HEADER + 3), 13, VRING_DESC_F_NEXT, 2);
	queue_desc(q, 2, data_ipa(BLK_DATA), 300, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 3);
	queue_desc(q, 3, data_ipa(BLK_DATA + 300), 213, VRING_DESC_F_WRITE, 0);
	*(uint8_t *)data_ptr(&f->d, BLK_DATA + 512) = 0xee;
	queue_avail(q, 0);
	driver_kick(&f->d, 0);
	assert_int_equal(driver_used(&f->d, 0).len, 513);
	assert_int_equal(blk_data(f)[512], VIRTIO_BLK_S_OK);
	blk_expect_pattern(blk_data(f), 512, 512);

	/* a write: header and data in one piece */
	blk_set_header(f, VIRTIO_BLK_T_OUT, 2);
	memset(data_ptr(&f->d, BLK_HEADER + 16), 0x77, 1024);
	queue_desc(q, 0, data_ipa(BLK_HEADER), 16 + 1024, VRING_DESC_F_NEXT, 1);
	queue_desc(q, 1, data_ipa(BLK_DATA), 1, VRING_DESC_F_WRITE, 0);
	queue_avail(q, 0);
	driver_kick(&f->d, 0);
	driver_used(&f->d, 0);
	assert_int_equal(blk_data(f)[0], VIRTIO_BLK_S_OK);
	assert_int_equal(blk_request(f, VIRTIO_BLK_T_IN, 2, 1024, true), VIRTIO_BLK_S_OK);
	for (unsigned i = 0; i < 1024; i++)
		assert_int_equal(blk_data(f)[i], 0x77);
}

static void test_no_header(void **state)
{
	struct blk_rig *f = *state;
	struct driver_queue *q = &f->d.queue[0];

	queue_desc(q, 0, data_ipa(BLK_HEADER), 15, VRING_DESC_F_NEXT, 1);
	queue_desc(q, 1, data_ipa(BLK_STATUS), 1, VRING_DESC_F_WRITE, 0);
	queue_avail(q, 0);
	driver_kick(&f->d, 0);
	driver_wait_broken(&f->d);

	/* a reset cures it */
	driver_start(&f->d, DRIVER_FEATURES);
	assert_int_equal(blk_request(f, VIRTIO_BLK_T_IN, 0, 512, true), VIRTIO_BLK_S_OK);
}

static void test_no_status(void **state)
{
	struct blk_rig *f = *state;

	queue_desc(&f->d.queue[0], 0, data_ipa(BLK_HEADER), 16, 0, 0);
	queue_avail(&f->d.queue[0], 0);
	driver_kick(&f->d, 0);
	driver_wait_broken(&f->d);
}

static void test_discard_and_write_zeroes(void **state)
{
	static const uint8_t zeroes[4096];
	struct blk_rig *f = *state;

	assert_int_equal(blk_range(f, VIRTIO_BLK_T_DISCARD, 8, 8, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(blk_range(f, VIRTIO_BLK_T_WRITE_ZEROES, 24, 8, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(blk_range(f, VIRTIO_BLK_T_WRITE_ZEROES, 40, 8, 1), VIRTIO_BLK_S_OK);
	assert_int_equal(blk_request(f, VIRTIO_BLK_T_IN, 0, 32768, true), VIRTIO_BLK_S_OK);
	assert_memory_equal(blk_data(f) + 4096, zeroes, 4096);
	assert_memory_equal(blk_data(f) + 12288, zeroes, 4096);
	assert_memory_equal(blk_data(f) + 20480, zeroes, 4096);
	blk_expect_pattern(blk_data(f), 0, 4096);
	blk_expect_pattern(blk_data(f) + 8192, 8192, 4096);
}

static void test_bad_ranges(void **state)
{
	struct blk_rig *f = *state;

	/* §5.2.6.2: unmap is no flag of DISCARD, and other flags are reserved */
	assert_int_equal(blk_range(f, VIRTIO_BLK_T_DISCARD, 0, 8, 1), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(blk_range(f, VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 2), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(blk_range(f, VIRTIO_BLK_T_DISCARD, BLK_SECTORS, 1, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(blk_range(f, VIRTIO_BLK_T_DISCARD, UINT64_MAX, 8, 0),
			 VIRTIO_BLK_S_IOERR);
	assert_int_equal(blk_range(f, VIRTIO_BLK_T_DISCARD, 0, UINT32_MAX, 0),
			 VIRTIO_BLK_S_IOERR);
	assert_int_equal(blk_request(f, VIRTIO_BLK_T_DISCARD, 0, 32, false), VIRTIO_BLK_S_IOERR);
	assert_int_equal(blk_request(f, VIRTIO_BLK_T_DISCARD, 0, 15, false), VIRTIO_BLK_S_IOERR);
	assert_int_equal(blk_request(f, VIRTIO_BLK_T_IN, 0, 512, true), VIRTIO_BLK_S_OK);
	blk_expect_pattern(blk_data(f), 0, 512);
}

static void test_read_only(void **state)
{
	struct blk_rig *f = *state;

	assert_true(f->d.dev->host_features & 1ULL << VIRTIO_BLK_F_RO);
	assert_false(f->d.dev->host_features & 1ULL << VIRTIO_BLK_F_DISCARD);
	assert_int_equal(blk_request(f, VIRTIO_BLK_T_IN, 0, 512, true), VIRTIO_BLK_S_OK);
	memset(blk_data(f), 0, 512);
	assert_int_equal(blk_request(f, VIRTIO_BLK_T_OUT, 0, 512, false), VIRTIO_BLK_S_IOERR);
	assert_int_equal(blk_range(f, VIRTIO_BLK_T_DISCARD, 0, 1, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(blk_request(f, VIRTIO_BLK_T_FLUSH, 0, 0, false), VIRTIO_BLK_S_OK);
	assert_int_equal(blk_request(f, VIRTIO_BLK_T_IN, 0, 512, true), VIRTIO_BLK_S_OK);
	blk_expect_pattern(blk_data(f), 0, 512);
}

static void test_full_queue(void **state)
{
	struct blk_rig *f = *state;

	for (unsigned round = 0; round < 50; round++) {
		blk_queue_many(f, 0);
		driver_kick(&f->d, 0);
		for (unsigned i = 0; i < DRIVER_QUEUE_SIZE; i++)
			assert_int_equal(driver_used(&f->d, 0).len, 4097);
	}
	for (unsigned i = 0; i < DRIVER_QUEUE_SIZE; i++)
		blk_expect_pattern(blk_many_data(f, 0, i), i * 4096, 4096);
}

static void test_quiesce(void **state)
{
	struct blk_rig *f = *state;

	for (unsigned round = 0; round < 50; round++) {
		uint16_t used;

		blk_queue_many(f, 0);
		driver_kick(&f->d, 0);
		virtio_quiesce(f->d.dev);

		/* what was taken is finished, the rest is not begun */
		used = f->d.queue[0].used->idx;
		assert_int_equal(f->d.dev->queue[0].last_avail, used);
		driver_kick(&f->d, 0);
		assert_int_equal(f->d.queue[0].used->idx, used);

		virtio_resume(f->d.dev);
		for (unsigned i = 0; i < DRIVER_QUEUE_SIZE; i++)
			driver_used(&f->d, 0);
	}
}

/* The first takes a day's worth of bytes. */
static struct virtio_blk_args almost_nothing = {
	.bytes_limit = { .per_second = 1, .burst = 1 },
};

static void update(struct blk_rig *f, const struct virtio_blk_args *args)
{
	assert_int_equal(virtio_update(f->d.dev, args, NULL), 0);
}

static void test_limit(void **state)
{
	static const struct virtio_blk_args unlimited;
	struct blk_rig *f = *state;

	update(f, &almost_nothing);
	blk_queue_many(f, 0);
	driver_kick(&f->d, 0);
	driver_used(&f->d, 0);

	/* a pause neither waits for the others nor lets them pass */
	for (int i = 0; i < 3; i++) {
		virtio_quiesce(f->d.dev);
		update(f, &almost_nothing);
		assert_int_equal(f->d.queue[0].used->idx, 1);
		virtio_resume(f->d.dev);
	}
	update(f, &almost_nothing);
	virtio_quiesce(f->d.dev);
	assert_int_equal(f->d.queue[0].used->idx, 1);
	virtio_resume(f->d.dev);

	update(f, &unlimited);
	for (unsigned i = 1; i < DRIVER_QUEUE_SIZE; i++)
		assert_int_equal(driver_used(&f->d, 0).len, 4097);
}

static void test_limit_and_reset(void **state)
{
	struct blk_rig *f = *state;

	update(f, &almost_nothing);
	blk_queue_many(f, 0);
	driver_kick(&f->d, 0);
	driver_used(&f->d, 0);
	driver_start(&f->d, DRIVER_FEATURES);

	/* the limit is the device's, whatever the driver does; what moves no bytes passes */
	assert_int_equal(blk_request(f, VIRTIO_BLK_T_FLUSH, 0, 0, false), VIRTIO_BLK_S_OK);
	blk_queue_many(f, 0);
	driver_kick(&f->d, 0);
	virtio_quiesce(f->d.dev);
	assert_int_equal(f->d.queue[0].used->idx, 1);
	virtio_resume(f->d.dev);
}

/* More than the burst: the timer has to come for the rest. */
static void test_limit_of_requests(void **state)
{
	static const struct virtio_blk_args slow = { .ops_limit = { 2000, 4 } };
	struct blk_rig *f = *state;

	update(f, &slow);
	for (unsigned round = 0; round < 5; round++) {
		blk_queue_many(f, 0);
		driver_kick(&f->d, 0);
		for (unsigned i = 0; i < DRIVER_QUEUE_SIZE; i++)
			assert_int_equal(driver_used(&f->d, 0).len, 4097);
	}
}

/* When the write of 0 to the status returns, nothing of the old life writes to guest memory. */
static void test_reset_with_io_in_flight_cve_2026_45782(void **state)
{
	static const uint8_t zeroes[4096];
	struct blk_rig *f = *state;

	for (unsigned round = 0; round < 50; round++) {
		blk_queue_many(f, 0);
		driver_kick(&f->d, 0);
		driver_reset(&f->d);
		memset(data_ptr(&f->d, 0), 0, 0x60000);
		driver_start(&f->d, DRIVER_FEATURES);
		assert_int_equal(blk_request(f, VIRTIO_BLK_T_IN, 0, 512, true), VIRTIO_BLK_S_OK);
		for (unsigned i = 0; i < DRIVER_QUEUE_SIZE; i++)
			assert_memory_equal(blk_many_data(f, 0, i), zeroes,
					    sizeof(zeroes));
	}
}

static void test_duplicate_head_in_flight_cve_2021_3748(void **state)
{
	struct blk_rig *f = *state;
	struct driver_queue *q = &f->d.queue[0];

	/* one kick for both, so that the first is still in flight */
	blk_queue_request(f, VIRTIO_BLK_T_IN, 0, 65536, true);
	queue_avail(q, 0);
	driver_kick(&f->d, 0);
	driver_wait_broken(&f->d);
	driver_start(&f->d, DRIVER_FEATURES);
	assert_int_equal(blk_request(f, VIRTIO_BLK_T_IN, 0, 512, true), VIRTIO_BLK_S_OK);
}

/* The buffer of a read is the header of the next request: DMA that meets a device's own input. */
static void test_dma_into_ring_cve_2021_3750(void **state)
{
	struct blk_rig *f = *state;
	struct driver_queue *q = &f->d.queue[0];

	/* read the disk over the descriptor table and the available ring themselves */
	blk_set_header(f, VIRTIO_BLK_T_IN, 0);
	queue_desc(q, 0, data_ipa(BLK_HEADER), 16, VRING_DESC_F_NEXT, 1);
	queue_desc(q, 1, q->desc_ipa, 0x8000, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 2);
	queue_desc(q, 2, data_ipa(BLK_STATUS), 1, VRING_DESC_F_WRITE, 0);
	queue_avail(q, 0);
	driver_kick(&f->d, 0);
	driver_wait_broken(&f->d);
	driver_start(&f->d, DRIVER_FEATURES);
	assert_int_equal(blk_request(f, VIRTIO_BLK_T_IN, 0, 512, true), VIRTIO_BLK_S_OK);
}

static void test_refused_descriptor(void **state)
{
	struct virtio_blk_args args = { .fd = open("/dev/null", O_RDWR | O_CLOEXEC) };
	struct hvd_error err = { 0 };
	struct virtio_dev *dev;

	/* no leak, no descriptor left open (CVE-2022-26354: error paths) */
	assert_int_equal(virtio_blk_new(&args, rig.d.mem, rig.d.io, &dev, &err), -EINVAL);
	assert_int_equal(err.code, -EINVAL);
	assert_int_equal(fcntl(args.fd, F_GETFD), -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define TEST_DIRECT(name) cmocka_unit_test_setup_teardown(name, set_up_direct, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_config),
		TEST(test_read),
		TEST(test_write_and_flush),
		TEST(test_counters),
		TEST(test_serial),
		TEST(test_unknown_types),
		TEST(test_out_of_disk_cve_2023_3180),
		TEST(test_odd_length),
		TEST(test_any_framing),
		TEST(test_no_header),
		TEST(test_no_status),
		TEST(test_discard_and_write_zeroes),
		TEST(test_bad_ranges),
		cmocka_unit_test_setup_teardown(test_read_only, set_up_read_only, tear_down),
		TEST(test_full_queue),
		TEST_DIRECT(test_full_queue),
		TEST_DIRECT(test_quiesce),
		TEST(test_limit),
		TEST(test_limit_and_reset),
		TEST(test_limit_of_requests),
		TEST_DIRECT(test_reset_with_io_in_flight_cve_2026_45782),
		TEST_DIRECT(test_duplicate_head_in_flight_cve_2021_3748),
		TEST(test_dma_into_ring_cve_2021_3750),
		TEST(test_refused_descriptor),
	};
	void *state;
	int r = set_up(&state);

	if (r == -EPERM || r == -ENOSYS)
		return 77;
	tear_down(&state);
	return DRIVER_RUN(tests);
}
