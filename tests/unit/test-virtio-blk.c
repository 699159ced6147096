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
#include <linux/virtio_blk.h>

#include "tests/unit/virtio_driver.h"

#define DISK_SIZE (128 * KIB)
#define SECTORS (DISK_SIZE / 512)

/* Places in the data area. */
#define HEADER 0
#define STATUS 64
#define DATA 4096

struct fixture {
	struct driver d;
	int fd; /* another descriptor of the disk */
};

static uint8_t pattern(uint64_t offset)
{
	return (uint8_t)(offset * 5 + offset / 512);
}

static int disk_file(struct fixture *f)
{
	char path[] = "test-virtio-blk-XXXXXX";
	uint8_t *bytes = malloc(DISK_SIZE);
	int fd;

	f->fd = mkstemp(path);
	assert_true(f->fd >= 0);
	for (uint64_t i = 0; i < DISK_SIZE; i++)
		bytes[i] = pattern(i);
	assert_int_equal(pwrite(f->fd, bytes, DISK_SIZE, 0), DISK_SIZE);
	free(bytes);
	fd = open(path, O_RDWR | O_CLOEXEC);
	unlink(path);
	return fd;
}

static int open_with(struct fixture *f, struct virtio_blk_args args)
{
	struct virtio_dev *dev;
	struct hvd_error err = { 0 };
	int r;

	driver_open(&f->d);
	args.fd = disk_file(f);
	if (args.direct)
		args.direct = fcntl(args.fd, F_SETFL, O_DIRECT) == 0;
	r = virtio_blk_new(&args, f->d.mem, f->d.io, &dev, &err);
	if (r < 0) {
		fprintf(stderr, "%s\n", err.msg);
		return r;
	}
	driver_set_device(&f->d, dev);
	driver_start(&f->d, DRIVER_FEATURES | dev->host_features);
	return 0;
}

static struct fixture fixture;

static int set_up(void **state)
{
	*state = &fixture;
	return open_with(&fixture, (struct virtio_blk_args){ .serial = "disk-0123456789abcdef" });
}

/* Requests stay in flight for a while, where reads from the page cache are done at once. */
static int set_up_direct(void **state)
{
	*state = &fixture;
	return open_with(&fixture, (struct virtio_blk_args){ .direct = true });
}

static int set_up_read_only(void **state)
{
	*state = &fixture;
	return open_with(&fixture, (struct virtio_blk_args){ .read_only = true });
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	driver_close(&f->d);
	close(f->fd);
	return 0;
}

static uint8_t *data(struct fixture *f)
{
	return data_ptr(&f->d, DATA);
}

static void set_header(struct fixture *f, uint32_t type, uint64_t sector)
{
	struct virtio_blk_outhdr *hdr = data_ptr(&f->d, HEADER);

	*hdr = (struct virtio_blk_outhdr){ .type = type, .sector = sector };
	*(uint8_t *)data_ptr(&f->d, STATUS) = 0xee;
}

/* As Linux frames it: header, data, status in descriptors 0, 1, 2. */
static void queue_request(struct fixture *f, uint32_t type, uint64_t sector, uint32_t len, bool in)
{
	struct driver_queue *q = &f->d.queue[0];

	set_header(f, type, sector);
	queue_desc(q, 0, data_ipa(HEADER), 16, VRING_DESC_F_NEXT, len ? 1 : 2);
	queue_desc(q, 1, data_ipa(DATA), len, VRING_DESC_F_NEXT | (in ? VRING_DESC_F_WRITE : 0), 2);
	queue_desc(q, 2, data_ipa(STATUS), 1, VRING_DESC_F_WRITE, 0);
	queue_avail(q, 0);
}

/* Returns the status byte; the used length must fit it. */
static uint8_t finish(struct fixture *f, uint32_t in_len)
{
	struct vring_used_elem used;
	uint8_t status;

	driver_kick(&f->d, 0);
	used = driver_used(&f->d, 0);
	status = *(uint8_t *)data_ptr(&f->d, STATUS);
	assert_int_equal(used.id, 0);
	assert_int_equal(used.len, status == VIRTIO_BLK_S_OK ? in_len : 0);
	return status;
}

static uint8_t request(struct fixture *f, uint32_t type, uint64_t sector, uint32_t len, bool in)
{
	queue_request(f, type, sector, len, in);
	return finish(f, in ? len + 1 : 1);
}

static void expect_pattern(const uint8_t *at, uint64_t offset, uint64_t len)
{
	for (uint64_t i = 0; i < len; i++)
		if (at[i] != pattern(offset + i))
			fail_msg("byte %zu is wrong", (size_t)(offset + i));
}

static void test_config(void **state)
{
	struct fixture *f = *state;
	const struct virtio_blk_config *config = (void *)f->d.dev->config;

	assert_int_equal(config->capacity, SECTORS);
	assert_int_equal(config->blk_size, 512);
	assert_int_equal(config->seg_max, VQ_MAX_SEGS - 2);
	assert_int_equal(config->max_discard_seg, 1);
	assert_false(f->d.dev->host_features & 1ULL << VIRTIO_BLK_F_RO);
}

static void test_read(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(request(f, VIRTIO_BLK_T_IN, 3, 8192, true), VIRTIO_BLK_S_OK);
	expect_pattern(data(f), 3 * 512, 8192);
}

static void test_write_and_flush(void **state)
{
	struct fixture *f = *state;
	uint8_t back[512];

	memset(data(f), 0x5a, 512);
	assert_int_equal(request(f, VIRTIO_BLK_T_OUT, 7, 512, false), VIRTIO_BLK_S_OK);
	assert_int_equal(request(f, VIRTIO_BLK_T_FLUSH, 0, 0, false), VIRTIO_BLK_S_OK);
	assert_int_equal(pread(f->fd, back, 512, 7 * 512), 512);
	assert_memory_equal(back, data(f), 512);
}

static void test_serial(void **state)
{
	struct fixture *f = *state;

	memset(data(f), 0xee, 64);
	assert_int_equal(request(f, VIRTIO_BLK_T_GET_ID, 0, 20, true), VIRTIO_BLK_S_OK);
	assert_memory_equal(data(f), "disk-0123456789abcde\xee", 21);
	/* a shorter buffer gets what fits */
	memset(data(f), 0xee, 64);
	assert_int_equal(request(f, VIRTIO_BLK_T_GET_ID, 0, 4, true), VIRTIO_BLK_S_OK);
	assert_memory_equal(data(f), "disk\xee", 5);
}

static void test_unknown_types(void **state)
{
	static const uint32_t types[] = { 2, 3, 5, 7, 9, 10, 12, 14, 255, 0x80000000, UINT32_MAX };
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		assert_int_equal(request(f, types[i], 0, 512, true), VIRTIO_BLK_S_UNSUPP);
}

static void test_out_of_disk_cve_2023_3180(void **state)
{
	static const uint64_t sectors[] = {
		SECTORS, SECTORS - 1, 1ULL << 55, (1ULL << 55) + 1, UINT64_MAX, UINT64_MAX / 512,
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(sectors); i++) {
		assert_int_equal(request(f, VIRTIO_BLK_T_IN, sectors[i], 1024, true),
				 VIRTIO_BLK_S_IOERR);
		assert_int_equal(request(f, VIRTIO_BLK_T_OUT, sectors[i], 1024, false),
				 VIRTIO_BLK_S_IOERR);
	}
	assert_int_equal(request(f, VIRTIO_BLK_T_IN, SECTORS - 1, 512, true), VIRTIO_BLK_S_OK);
}

static void test_odd_length(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(request(f, VIRTIO_BLK_T_IN, 0, 511, true), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(f, VIRTIO_BLK_T_OUT, 0, 513, false), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(f, VIRTIO_BLK_T_IN, 0, 0, true), VIRTIO_BLK_S_OK);
}

/* §2.7.4.1: a device must not assume how a request is cut into descriptors. */
static void test_any_framing(void **state)
{
	struct fixture *f = *state;
	struct driver_queue *q = &f->d.queue[0];

	/* header in two pieces; data and status in pieces of 300 and 213 */
	set_header(f, VIRTIO_BLK_T_IN, 1);
	queue_desc(q, 0, data_ipa(HEADER), 3, VRING_DESC_F_NEXT, 1);
	queue_desc(q, 1, data_ipa(HEADER + 3), 13, VRING_DESC_F_NEXT, 2);
	queue_desc(q, 2, data_ipa(DATA), 300, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 3);
	queue_desc(q, 3, data_ipa(DATA + 300), 213, VRING_DESC_F_WRITE, 0);
	*(uint8_t *)data_ptr(&f->d, DATA + 512) = 0xee;
	queue_avail(q, 0);
	driver_kick(&f->d, 0);
	assert_int_equal(driver_used(&f->d, 0).len, 513);
	assert_int_equal(data(f)[512], VIRTIO_BLK_S_OK);
	expect_pattern(data(f), 512, 512);

	/* a write: header and data in one piece */
	set_header(f, VIRTIO_BLK_T_OUT, 2);
	memset(data_ptr(&f->d, HEADER + 16), 0x77, 1024);
	queue_desc(q, 0, data_ipa(HEADER), 16 + 1024, VRING_DESC_F_NEXT, 1);
	queue_desc(q, 1, data_ipa(DATA), 1, VRING_DESC_F_WRITE, 0);
	queue_avail(q, 0);
	driver_kick(&f->d, 0);
	driver_used(&f->d, 0);
	assert_int_equal(data(f)[0], VIRTIO_BLK_S_OK);
	assert_int_equal(request(f, VIRTIO_BLK_T_IN, 2, 1024, true), VIRTIO_BLK_S_OK);
	for (unsigned i = 0; i < 1024; i++)
		assert_int_equal(data(f)[i], 0x77);
}

static void test_no_header(void **state)
{
	struct fixture *f = *state;
	struct driver_queue *q = &f->d.queue[0];

	queue_desc(q, 0, data_ipa(HEADER), 15, VRING_DESC_F_NEXT, 1);
	queue_desc(q, 1, data_ipa(STATUS), 1, VRING_DESC_F_WRITE, 0);
	queue_avail(q, 0);
	driver_kick(&f->d, 0);
	driver_wait_broken(&f->d);

	/* a reset cures it */
	driver_start(&f->d, DRIVER_FEATURES);
	assert_int_equal(request(f, VIRTIO_BLK_T_IN, 0, 512, true), VIRTIO_BLK_S_OK);
}

static void test_no_status(void **state)
{
	struct fixture *f = *state;

	queue_desc(&f->d.queue[0], 0, data_ipa(HEADER), 16, 0, 0);
	queue_avail(&f->d.queue[0], 0);
	driver_kick(&f->d, 0);
	driver_wait_broken(&f->d);
}

static uint8_t range_request(struct fixture *f, uint32_t type, uint64_t sector, uint32_t n,
			     uint32_t flags)
{
	struct virtio_blk_discard_write_zeroes range = { sector, n, flags };

	memcpy(data(f), &range, sizeof(range));
	return request(f, type, 0, sizeof(range), false);
}

static void test_discard_and_write_zeroes(void **state)
{
	static const uint8_t zeroes[4096];
	struct fixture *f = *state;

	assert_int_equal(range_request(f, VIRTIO_BLK_T_DISCARD, 8, 8, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(range_request(f, VIRTIO_BLK_T_WRITE_ZEROES, 24, 8, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(range_request(f, VIRTIO_BLK_T_WRITE_ZEROES, 40, 8, 1), VIRTIO_BLK_S_OK);
	assert_int_equal(request(f, VIRTIO_BLK_T_IN, 0, 32768, true), VIRTIO_BLK_S_OK);
	assert_memory_equal(data(f) + 4096, zeroes, 4096);
	assert_memory_equal(data(f) + 12288, zeroes, 4096);
	assert_memory_equal(data(f) + 20480, zeroes, 4096);
	expect_pattern(data(f), 0, 4096);
	expect_pattern(data(f) + 8192, 8192, 4096);
}

static void test_bad_ranges(void **state)
{
	struct fixture *f = *state;

	/* §5.2.6.2: unmap is no flag of DISCARD, and other flags are reserved */
	assert_int_equal(range_request(f, VIRTIO_BLK_T_DISCARD, 0, 8, 1), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(range_request(f, VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 2), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(range_request(f, VIRTIO_BLK_T_DISCARD, SECTORS, 1, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(range_request(f, VIRTIO_BLK_T_DISCARD, UINT64_MAX, 8, 0),
			 VIRTIO_BLK_S_IOERR);
	assert_int_equal(range_request(f, VIRTIO_BLK_T_DISCARD, 0, UINT32_MAX, 0),
			 VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(f, VIRTIO_BLK_T_DISCARD, 0, 32, false), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(f, VIRTIO_BLK_T_DISCARD, 0, 15, false), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(f, VIRTIO_BLK_T_IN, 0, 512, true), VIRTIO_BLK_S_OK);
	expect_pattern(data(f), 0, 512);
}

static void test_read_only(void **state)
{
	struct fixture *f = *state;

	assert_true(f->d.dev->host_features & 1ULL << VIRTIO_BLK_F_RO);
	assert_false(f->d.dev->host_features & 1ULL << VIRTIO_BLK_F_DISCARD);
	assert_int_equal(request(f, VIRTIO_BLK_T_IN, 0, 512, true), VIRTIO_BLK_S_OK);
	memset(data(f), 0, 512);
	assert_int_equal(request(f, VIRTIO_BLK_T_OUT, 0, 512, false), VIRTIO_BLK_S_IOERR);
	assert_int_equal(range_request(f, VIRTIO_BLK_T_DISCARD, 0, 1, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(f, VIRTIO_BLK_T_FLUSH, 0, 0, false), VIRTIO_BLK_S_OK);
	assert_int_equal(request(f, VIRTIO_BLK_T_IN, 0, 512, true), VIRTIO_BLK_S_OK);
	expect_pattern(data(f), 0, 512);
}

/* Every queue entry in flight at once, as indirect requests: 4 KiB reads. */
static void queue_many(struct fixture *f)
{
	struct driver_queue *q = &f->d.queue[0];

	for (uint16_t i = 0; i < DRIVER_QUEUE_SIZE; i++) {
		uint64_t at = 0x10000 + i * 0x4000;
		struct vring_desc *table = data_ptr(&f->d, at);
		struct virtio_blk_outhdr *hdr = data_ptr(&f->d, at + 64);

		*hdr = (struct virtio_blk_outhdr){ .type = VIRTIO_BLK_T_IN, .sector = i * 8U };
		table[0] = (struct vring_desc){ data_ipa(at + 64), 16, VRING_DESC_F_NEXT, 1 };
		table[1] = (struct vring_desc){ data_ipa(at + 4096), 4096,
						VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 2 };
		table[2] = (struct vring_desc){ data_ipa(at + 128), 1, VRING_DESC_F_WRITE, 0 };
		queue_desc(q, i, data_ipa(at), 48, VRING_DESC_F_INDIRECT, 0);
		queue_avail(q, i);
	}
}

static void test_full_queue(void **state)
{
	struct fixture *f = *state;

	for (unsigned round = 0; round < 50; round++) {
		queue_many(f);
		driver_kick(&f->d, 0);
		for (unsigned i = 0; i < DRIVER_QUEUE_SIZE; i++)
			assert_int_equal(driver_used(&f->d, 0).len, 4097);
	}
	for (unsigned i = 0; i < DRIVER_QUEUE_SIZE; i++)
		expect_pattern(data_ptr(&f->d, 0x10000 + i * 0x4000 + 4096), i * 4096, 4096);
}

static void test_quiesce(void **state)
{
	struct fixture *f = *state;

	for (unsigned round = 0; round < 50; round++) {
		uint16_t used;

		queue_many(f);
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

static void test_limit(void **state)
{
	static const struct virtio_blk_args unlimited;
	struct fixture *f = *state;

	virtio_blk_update(f->d.dev, &almost_nothing);
	queue_many(f);
	driver_kick(&f->d, 0);
	driver_used(&f->d, 0);

	/* a pause neither waits for the others nor lets them pass */
	for (int i = 0; i < 3; i++) {
		virtio_quiesce(f->d.dev);
		virtio_blk_update(f->d.dev, &almost_nothing);
		assert_int_equal(f->d.queue[0].used->idx, 1);
		virtio_resume(f->d.dev);
	}
	virtio_blk_update(f->d.dev, &almost_nothing);
	virtio_quiesce(f->d.dev);
	assert_int_equal(f->d.queue[0].used->idx, 1);
	virtio_resume(f->d.dev);

	virtio_blk_update(f->d.dev, &unlimited);
	for (unsigned i = 1; i < DRIVER_QUEUE_SIZE; i++)
		assert_int_equal(driver_used(&f->d, 0).len, 4097);
}

static void test_limit_and_reset(void **state)
{
	struct fixture *f = *state;

	virtio_blk_update(f->d.dev, &almost_nothing);
	queue_many(f);
	driver_kick(&f->d, 0);
	driver_used(&f->d, 0);
	driver_start(&f->d, DRIVER_FEATURES);

	/* the limit is the device's, whatever the driver does; what moves no bytes passes */
	assert_int_equal(request(f, VIRTIO_BLK_T_FLUSH, 0, 0, false), VIRTIO_BLK_S_OK);
	queue_many(f);
	driver_kick(&f->d, 0);
	virtio_quiesce(f->d.dev);
	assert_int_equal(f->d.queue[0].used->idx, 1);
	virtio_resume(f->d.dev);
}

/* More than the burst: the timer has to come for the rest. */
static void test_limit_of_requests(void **state)
{
	static const struct virtio_blk_args slow = { .ops_limit = { 2000, 4 } };
	struct fixture *f = *state;

	virtio_blk_update(f->d.dev, &slow);
	for (unsigned round = 0; round < 5; round++) {
		queue_many(f);
		driver_kick(&f->d, 0);
		for (unsigned i = 0; i < DRIVER_QUEUE_SIZE; i++)
			assert_int_equal(driver_used(&f->d, 0).len, 4097);
	}
}

/* When the write of 0 to the status returns, nothing of the old life writes to guest memory. */
static void test_reset_with_io_in_flight_cve_2026_45782(void **state)
{
	static const uint8_t zeroes[4096];
	struct fixture *f = *state;

	for (unsigned round = 0; round < 50; round++) {
		queue_many(f);
		driver_kick(&f->d, 0);
		driver_reset(&f->d);
		memset(data_ptr(&f->d, 0), 0, 0x60000);
		driver_start(&f->d, DRIVER_FEATURES);
		assert_int_equal(request(f, VIRTIO_BLK_T_IN, 0, 512, true), VIRTIO_BLK_S_OK);
		for (unsigned i = 0; i < DRIVER_QUEUE_SIZE; i++)
			assert_memory_equal(data_ptr(&f->d, 0x10000 + i * 0x4000 + 4096), zeroes,
					    sizeof(zeroes));
	}
}

static void test_duplicate_head_in_flight_cve_2021_3748(void **state)
{
	struct fixture *f = *state;
	struct driver_queue *q = &f->d.queue[0];

	/* one kick for both, so that the first is still in flight */
	queue_request(f, VIRTIO_BLK_T_IN, 0, 65536, true);
	queue_avail(q, 0);
	driver_kick(&f->d, 0);
	driver_wait_broken(&f->d);
	driver_start(&f->d, DRIVER_FEATURES);
	assert_int_equal(request(f, VIRTIO_BLK_T_IN, 0, 512, true), VIRTIO_BLK_S_OK);
}

/* The buffer of a read is the header of the next request: DMA that meets a device's own input. */
static void test_dma_into_ring_cve_2021_3750(void **state)
{
	struct fixture *f = *state;
	struct driver_queue *q = &f->d.queue[0];

	/* read the disk over the descriptor table and the available ring themselves */
	set_header(f, VIRTIO_BLK_T_IN, 0);
	queue_desc(q, 0, data_ipa(HEADER), 16, VRING_DESC_F_NEXT, 1);
	queue_desc(q, 1, q->desc_ipa, 0x8000, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 2);
	queue_desc(q, 2, data_ipa(STATUS), 1, VRING_DESC_F_WRITE, 0);
	queue_avail(q, 0);
	driver_kick(&f->d, 0);
	driver_wait_broken(&f->d);
	driver_start(&f->d, DRIVER_FEATURES);
	assert_int_equal(request(f, VIRTIO_BLK_T_IN, 0, 512, true), VIRTIO_BLK_S_OK);
}

static void test_refused_descriptor(void **state)
{
	struct virtio_blk_args args = { .fd = open("/dev/null", O_RDWR | O_CLOEXEC) };
	struct hvd_error err = { 0 };
	struct virtio_dev *dev;

	/* no leak, no descriptor left open (CVE-2022-26354: error paths) */
	assert_int_equal(virtio_blk_new(&args, fixture.d.mem, fixture.d.io, &dev, &err), -EINVAL);
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
