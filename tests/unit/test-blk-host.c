/* SPDX-License-Identifier: Apache-2.0 */
/* The block device and its disk: errors of the host, a new size, what is written through. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "tests/unit/blk_rig.h"

static struct blk_rig rig;

/* What the device has told, on its I/O loop; looked at when the device is quiesced. */
static struct {
	unsigned times;
	int error;
} told;

static void on_failed(void *ctx, const char *name, int error)
{
	assert_string_equal(name, "test");
	told.times++;
	told.error = error;
}

static int open_with_policy(enum virtio_blk_on_error policy, int fd)
{
	told.times = 0;
	return blk_open(&rig, (struct virtio_blk_args){
		.fd = fd, .name = "test", .on_error = policy, .failed = on_failed,
	});
}

static int tear_down(void **state)
{
	blk_close(&rig);
	return 0;
}

/* Reading from beyond the end of a file that was cut is the error that needs no special disk. */
static void cut(uint64_t size)
{
	assert_int_equal(ftruncate(rig.fd, (off_t)size), 0);
}

static void test_error_is_reported(void **state)
{
	assert_int_equal(open_with_policy(VIRTIO_BLK_REPORT, -1), 0);
	cut(4096);
	assert_int_equal(blk_request(&rig, VIRTIO_BLK_T_IN, 8, 4096, true), VIRTIO_BLK_S_IOERR);
	assert_int_equal(blk_request(&rig, VIRTIO_BLK_T_IN, 0, 4096, true), VIRTIO_BLK_S_OK);
	cut(BLK_DISK_SIZE);
	assert_int_equal(blk_request(&rig, VIRTIO_BLK_T_IN, 8, 4096, true), VIRTIO_BLK_S_OK);
	assert_int_equal(told.times, 0);
}

static void test_other_error_is_reported(void **state)
{
	assert_int_equal(open_with_policy(VIRTIO_BLK_STOP_WHEN_FULL, -1), 0);
	cut(4096);
	assert_int_equal(blk_request(&rig, VIRTIO_BLK_T_IN, 8, 4096, true), VIRTIO_BLK_S_IOERR);
	assert_int_equal(told.times, 0);
}

/* The operator sees what happens, and wants the guest to be spared the rest. */
static void test_policy_changes(void **state)
{
	static const struct virtio_blk_args stop = { .on_error = VIRTIO_BLK_STOP };
	static const struct virtio_blk_args report;

	assert_int_equal(open_with_policy(VIRTIO_BLK_REPORT, -1), 0);
	cut(4096);
	assert_int_equal(blk_request(&rig, VIRTIO_BLK_T_IN, 8, 4096, true), VIRTIO_BLK_S_IOERR);
	cut(BLK_DISK_SIZE);
	assert_int_equal(virtio_update(rig.d.dev, &stop, NULL), 0);
	cut(4096);
	blk_queue_request(&rig, VIRTIO_BLK_T_IN, 8, 4096, true);
	driver_kick(&rig.d, 0);
	while (!told.times) {
		virtio_quiesce(rig.d.dev);
		virtio_resume(rig.d.dev);
	}
	virtio_quiesce(rig.d.dev);
	cut(BLK_DISK_SIZE);
	assert_int_equal(virtio_update(rig.d.dev, &report, NULL), 0);
	cut(4096);
	virtio_resume(rig.d.dev);
	driver_used(&rig.d, 0);
	assert_int_equal(*(uint8_t *)data_ptr(&rig.d, BLK_STATUS), VIRTIO_BLK_S_IOERR);
}

/* The guest's own mistakes stop nothing. */
static void test_mistakes_are_reported(void **state)
{
	assert_int_equal(open_with_policy(VIRTIO_BLK_STOP, -1), 0);
	assert_int_equal(blk_request(&rig, VIRTIO_BLK_T_IN, BLK_SECTORS, 512, true),
			 VIRTIO_BLK_S_IOERR);
	assert_int_equal(blk_request(&rig, VIRTIO_BLK_T_IN, 0, 100, true), VIRTIO_BLK_S_IOERR);
	assert_int_equal(blk_range(&rig, VIRTIO_BLK_T_DISCARD, BLK_SECTORS, 8, 0),
			 VIRTIO_BLK_S_IOERR);
	assert_int_equal(told.times, 0);
}

static void test_stop_and_go_on(void **state)
{
	uint16_t used;

	assert_int_equal(open_with_policy(VIRTIO_BLK_STOP, -1), 0);
	cut(4096);
	blk_queue_many(&rig, 0);
	driver_kick(&rig.d, 0);
	driver_used(&rig.d, 0);

	/* all but the first are held: so it stays until the disk is whole again */
	for (int i = 1; i <= 3; i++) {
		virtio_quiesce(rig.d.dev);
		assert_int_equal(told.times, i * (DRIVER_QUEUE_SIZE - 1));
		assert_int_equal(told.error, -EIO);
		used = rig.d.queue[0].used->idx;
		assert_int_equal(used, 1);
		virtio_resume(rig.d.dev);
	}
	virtio_quiesce(rig.d.dev);
	cut(BLK_DISK_SIZE);
	virtio_resume(rig.d.dev);
	for (unsigned i = 1; i < DRIVER_QUEUE_SIZE; i++)
		assert_int_equal(driver_used(&rig.d, 0).len, 4097);
	assert_int_equal(blk_request(&rig, VIRTIO_BLK_T_IN, 0, 4096, true), VIRTIO_BLK_S_OK);
}

static void test_reset_while_stopped(void **state)
{
	assert_int_equal(open_with_policy(VIRTIO_BLK_STOP, -1), 0);
	for (int i = 0; i < 3; i++) {
		cut(4096);
		blk_queue_many(&rig, 0);
		driver_kick(&rig.d, 0);
		driver_used(&rig.d, 0);
		virtio_quiesce(rig.d.dev);
		cut(BLK_DISK_SIZE);
		driver_start(&rig.d, DRIVER_FEATURES);
		virtio_resume(rig.d.dev);
		assert_int_equal(blk_request(&rig, VIRTIO_BLK_T_IN, 0, 4096, true),
				 VIRTIO_BLK_S_OK);
	}
}

/* A file with holes on a file system of 64 KiB, most of which another file has. */
static int full_disk(int *filler)
{
	AUTO(close) int fs = -1;
	int disk;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", "/mnt", "tmpfs", 0, "size=64k") < 0)
		return -1;
	fs = open("/mnt", O_PATH | O_CLOEXEC);
	disk = openat(fs, "disk", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	*filler = openat(fs, "filler", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(umount2("/mnt", MNT_DETACH), 0);
	assert_int_equal(ftruncate(disk, BLK_DISK_SIZE), 0);
	assert_int_equal(posix_fallocate(*filler, 0, 56 * KIB), 0);
	return disk;
}

static void test_no_space(void **state)
{
	AUTO(close) int filler = -1;
	int disk = full_disk(&filler);

	if (disk < 0) {
		rig.fd = -1;
		driver_open(&rig.d);
		skip();
	}
	assert_int_equal(open_with_policy(VIRTIO_BLK_STOP_WHEN_FULL, disk), 0);
	memset(blk_data(&rig), 0x17, 16 * KIB);
	assert_int_equal(blk_request(&rig, VIRTIO_BLK_T_OUT, 0, 4 * KIB, false), VIRTIO_BLK_S_OK);

	blk_queue_request(&rig, VIRTIO_BLK_T_OUT, 8, 16 * KIB, false);
	driver_kick(&rig.d, 0);
	for (unsigned i = 1; !told.times; i++) {
		virtio_quiesce(rig.d.dev);
		virtio_resume(rig.d.dev);
	}
	virtio_quiesce(rig.d.dev);
	assert_int_equal(told.error, -ENOSPC);
	assert_int_equal(rig.d.queue[0].used->idx, 1);

	/* the operator makes room, and the request is done as if nothing had been */
	assert_int_equal(ftruncate(filler, 0), 0);
	virtio_resume(rig.d.dev);
	driver_used(&rig.d, 0);
	assert_int_equal(*(uint8_t *)data_ptr(&rig.d, BLK_STATUS), VIRTIO_BLK_S_OK);
	memset(blk_data(&rig), 0, 16 * KIB);
	assert_int_equal(blk_request(&rig, VIRTIO_BLK_T_IN, 8, 16 * KIB, true), VIRTIO_BLK_S_OK);
	for (unsigned i = 0; i < 16 * KIB; i++)
		assert_int_equal(blk_data(&rig)[i], 0x17);
}

static uint64_t capacity(void)
{
	return driver_read(&rig.d, VIRTIO_MMIO_CONFIG) |
	       (uint64_t)driver_read(&rig.d, VIRTIO_MMIO_CONFIG + 4) << 32;
}

static void test_resize(void **state)
{
	static const struct virtio_blk_args same, larger = { .size = 4 * BLK_DISK_SIZE };
	uint32_t generation;

	assert_int_equal(open_with_policy(VIRTIO_BLK_REPORT, -1), 0);
	generation = driver_read(&rig.d, VIRTIO_MMIO_CONFIG_GENERATION);
	assert_int_equal(virtio_update(rig.d.dev, &same, NULL), 0);
	assert_int_equal(driver_read(&rig.d, VIRTIO_MMIO_CONFIG_GENERATION), generation);
	assert_int_equal(driver_read(&rig.d, VIRTIO_MMIO_INTERRUPT_STATUS), 0);

	cut(3 * BLK_DISK_SIZE + 1);
	assert_int_equal(blk_request(&rig, VIRTIO_BLK_T_IN, BLK_SECTORS, 512, true),
			 VIRTIO_BLK_S_IOERR);
	driver_write(&rig.d, VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INT_VRING);
	assert_int_equal(virtio_update(rig.d.dev, &same, NULL), 0);
	assert_int_not_equal(driver_read(&rig.d, VIRTIO_MMIO_CONFIG_GENERATION), generation);
	assert_int_equal(driver_read(&rig.d, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_CONFIG);
	assert_int_equal(capacity(), 3 * BLK_SECTORS);
	assert_int_equal(blk_request(&rig, VIRTIO_BLK_T_IN, 3 * BLK_SECTORS - 1, 512, true),
			 VIRTIO_BLK_S_OK);

	assert_int_equal(virtio_update(rig.d.dev, &larger, NULL), 0);
	assert_int_equal(capacity(), 4 * BLK_SECTORS);
	assert_int_equal(lseek(rig.fd, 0, SEEK_END), 4 * BLK_DISK_SIZE);

	cut(BLK_DISK_SIZE / 2);
	assert_int_equal(virtio_update(rig.d.dev, &same, NULL), 0);
	assert_int_equal(capacity(), BLK_SECTORS / 2);
	assert_int_equal(blk_request(&rig, VIRTIO_BLK_T_IN, BLK_SECTORS / 2, 512, true),
			 VIRTIO_BLK_S_IOERR);

	cut(0);
	assert_int_equal(virtio_update(rig.d.dev, &same, NULL), -EINVAL);
	assert_int_equal(capacity(), BLK_SECTORS / 2);
}

static uint8_t read_wce(void)
{
	return (uint8_t)rig.d.mmio.region.read(
		&rig.d.mmio.region,
		VIRTIO_MMIO_CONFIG + offsetof(struct virtio_blk_config, wce), 1);
}

static void write_config(size_t offset, uint64_t value, unsigned len)
{
	rig.d.mmio.region.write(&rig.d.mmio.region, VIRTIO_MMIO_CONFIG + offset, value, len);
}

static void write_wce(uint64_t value)
{
	write_config(offsetof(struct virtio_blk_config, wce), value, 1);
}

static void write_some(void)
{
	memset(blk_data(&rig), 0x42, 4096);
	assert_int_equal(blk_request(&rig, VIRTIO_BLK_T_OUT, 8, 4096, false), VIRTIO_BLK_S_OK);
	assert_int_equal(blk_range(&rig, VIRTIO_BLK_T_WRITE_ZEROES, 8, 4, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(blk_request(&rig, VIRTIO_BLK_T_IN, 12, 2048, true), VIRTIO_BLK_S_OK);
	assert_int_equal(blk_data(&rig)[0], 0x42);
}

/* §5.2.5.2 */
static void test_write_cache(void **state)
{
	static const uint64_t flush = 1ULL << VIRTIO_BLK_F_FLUSH;
	static const uint64_t wce = 1ULL << VIRTIO_BLK_F_CONFIG_WCE;

	assert_int_equal(open_with_policy(VIRTIO_BLK_REPORT, -1), 0);
	assert_int_equal(read_wce(), 1);
	write_some();
	write_wce(0);
	assert_int_equal(read_wce(), 0);
	write_some();
	write_wce(0xff);
	assert_int_equal(read_wce(), 1);

	/* the rest of the configuration is not the driver's */
	write_config(0, 0, 8);
	write_config(offsetof(struct virtio_blk_config, wce) - 1, 0, 2);
	write_config(UINT16_MAX, 0, 4);
	assert_int_equal(capacity(), BLK_SECTORS);
	assert_int_equal(read_wce(), 1);

	/* without a flush there is no cache; without the feature no choice */
	driver_start(&rig.d, DRIVER_FEATURES | wce);
	assert_int_equal(read_wce(), 0);
	write_some();
	driver_start(&rig.d, DRIVER_FEATURES | flush);
	assert_int_equal(read_wce(), 1);
	write_wce(0);
	assert_int_equal(read_wce(), 1);
	driver_start(&rig.d, DRIVER_FEATURES);
	write_some();
}

#define TEST(name) cmocka_unit_test_teardown(name, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_error_is_reported),
		TEST(test_other_error_is_reported),
		TEST(test_policy_changes),
		TEST(test_mistakes_are_reported),
		TEST(test_stop_and_go_on),
		TEST(test_reset_while_stopped),
		TEST(test_no_space),
		TEST(test_resize),
		TEST(test_write_cache),
	};
	int r = open_with_policy(VIRTIO_BLK_REPORT, -1);

	if (r == -EPERM || r == -ENOSYS)
		return 77;
	blk_close(&rig);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
