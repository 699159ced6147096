/* SPDX-License-Identifier: Apache-2.0 */
/* The disk backend on real files and a real ring, without any loop thread: disk_queue_drain() waits. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "tests/unit/loop_device.h"
#include "vmm/block/raw.h"

#define DISK_SIZE (256 * KIB)

struct fixture {
	struct loop *loop;
	struct disk *disk;
	struct disk_queue *queue;
	int fd; /* another descriptor of the same file, to look at it */
	unsigned batches;
	uint8_t *memory; /* page-aligned */
};

struct outcome {
	struct block_request req;
	struct iovec iov[8];
	int result;
	unsigned times;
};

static void on_done(struct block_request *req, int result)
{
	struct outcome *o = container_of(req, struct outcome, req);

	o->result = result;
	o->times++;
}

static void on_batch(void *ctx)
{
	((struct fixture *)ctx)->batches++;
}

static uint8_t pattern(uint64_t offset)
{
	return (uint8_t)(offset * 7 + offset / 512);
}

/* A temporary file in the build folder, which is on a real file system. */
static int disk_file(struct fixture *f, int flags)
{
	char path[] = "test-raw-XXXXXX";
	uint8_t *bytes = malloc(DISK_SIZE);
	int fd;

	f->fd = mkstemp(path);
	assert_true(f->fd >= 0);
	for (uint64_t i = 0; i < DISK_SIZE; i++)
		bytes[i] = pattern(i);
	assert_int_equal(pwrite(f->fd, bytes, DISK_SIZE, 0), DISK_SIZE);
	free(bytes);

	fd = open(path, O_RDWR | O_CLOEXEC | flags);
	if (fd < 0 && flags)
		fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	unlink(path);
	return fd;
}

static int new_ring(struct fixture *f, struct hvd_error *err)
{
	const struct disk_queue_args args = { .depth = 16, .batch_done = on_batch, .ctx = f };

	return disk_queue_new(f->disk, &args, f->loop, &f->queue, err);
}

static void open_disk(struct fixture *f, struct raw_args args)
{
	struct hvd_error err = { 0 };

	if (!args.fd)
		args.fd = disk_file(f, args.direct ? O_DIRECT : 0);
	if (raw_new(&args, &f->disk, &err) < 0 || new_ring(f, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(disk_queue_start(f->queue), 0);
}

static int set_up(void **state)
{
	static struct fixture f;

	f = (struct fixture){ .fd = -1 };
	assert_int_equal(loop_new(&f.loop), 0);
	f.memory = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(f.memory, MAP_FAILED);
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	if (f->queue)
		disk_queue_stop(f->queue);
	disk_queue_free(f->queue);
	disk_free(f->disk);
	loop_free(f->loop);
	munmap(f->memory, MIB);
	if (f->fd >= 0)
		close(f->fd);
	return 0;
}

/* A transfer of len bytes through the first n of o->iov. */
static void queue_iov(struct fixture *f, struct outcome *o, enum block_op op, uint64_t offset,
		      uint64_t len, unsigned n)
{
	o->req = (struct block_request){
		.op = op,
		.offset = offset,
		.len = len,
		.iov = o->iov,
		.n_iov = n,
		.done = on_done,
	};
	o->times = 0;
	disk_queue_add(f->queue, &o->req);
}

/* One buffer at memory + at. */
static void queue(struct fixture *f, struct outcome *o, enum block_op op, uint64_t offset,
		  uint64_t len, size_t at)
{
	o->iov[0] = (struct iovec){ f->memory + at, len };
	queue_iov(f, o, op, offset, len, 1);
}

static int run(struct fixture *f, enum block_op op, uint64_t offset, uint64_t len, size_t at)
{
	struct outcome o;

	queue(f, &o, op, offset, len, at);
	disk_queue_drain(f->queue);
	assert_int_equal(o.times, 1);
	return o.result;
}

static void expect_pattern(const uint8_t *at, uint64_t offset, uint64_t len)
{
	for (uint64_t i = 0; i < len; i++)
		if (at[i] != pattern(offset + i))
			fail_msg("byte %zu is wrong", (size_t)(offset + i));
}

static void test_geometry(void **state)
{
	struct fixture *f = *state;

	open_disk(f, (struct raw_args){ 0 });
	assert_int_equal(f->disk->geometry.size, DISK_SIZE);
	assert_int_equal(f->disk->geometry.block, 512);
	assert_true(f->disk->geometry.physical >= 512);
}

static void test_size_is_whole_sectors(void **state)
{
	struct fixture *f = *state;
	int fd = disk_file(f, 0);

	assert_int_equal(ftruncate(fd, 1000), 0);
	open_disk(f, (struct raw_args){ .fd = fd });
	assert_int_equal(f->disk->geometry.size, 512);
}

static void expect_refused(struct fixture *f, int fd, int errnum)
{
	struct raw_args args = { .fd = fd };
	struct hvd_error err = { 0 };

	assert_int_equal(raw_new(&args, &f->disk, &err), -errnum);
	assert_int_equal(err.code, -errnum);
	/* the descriptor was taken all the same */
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void test_no_disk(void **state)
{
	int empty = memfd_create("empty", MFD_CLOEXEC);

	expect_refused(*state, open(".", O_RDONLY | O_CLOEXEC), EINVAL);
	expect_refused(*state, open("/dev/null", O_RDWR | O_CLOEXEC), EINVAL);
	expect_refused(*state, empty, EINVAL);
}

static void test_read_and_write(void **state)
{
	struct fixture *f = *state;
	uint8_t back[1024];

	open_disk(f, (struct raw_args){ 0 });
	assert_int_equal(run(f, BLOCK_READ, 512, 4096, 0), 0);
	expect_pattern(f->memory, 512, 4096);
	assert_int_equal(run(f, BLOCK_WRITE, 8192, 1024, 0), 0);
	assert_int_equal(pread(f->fd, back, sizeof(back), 8192), sizeof(back));
	expect_pattern(back, 512, 1024);
	assert_int_equal(run(f, BLOCK_FLUSH, 0, 0, 0), 0);
}

static void test_limits(void **state)
{
	struct fixture *f = *state;

	open_disk(f, (struct raw_args){ 0 });
	assert_int_equal(run(f, BLOCK_READ, DISK_SIZE - 512, 512, 0), 0);
	assert_int_equal(run(f, BLOCK_READ, DISK_SIZE, 0, 0), 0);
	assert_int_equal(run(f, BLOCK_READ, DISK_SIZE, 512, 0), -EINVAL);
	assert_int_equal(run(f, BLOCK_WRITE, DISK_SIZE - 512, 1024, 0), -EINVAL);
	assert_int_equal(run(f, BLOCK_DISCARD, UINT64_MAX - 511, 512, 0), -EINVAL);
	assert_int_equal(run(f, BLOCK_WRITE_ZEROES, 512, UINT64_MAX - 511, 0), -EINVAL);
}

static void test_read_only(void **state)
{
	struct fixture *f = *state;

	open_disk(f, (struct raw_args){ .read_only = true });
	assert_int_equal(run(f, BLOCK_READ, 0, 512, 0), 0);
	assert_int_equal(run(f, BLOCK_WRITE, 0, 512, 0), -EROFS);
	assert_int_equal(run(f, BLOCK_DISCARD, 0, 512, 0), -EROFS);
	assert_int_equal(run(f, BLOCK_WRITE_ZEROES, 0, 512, 0), -EROFS);
	assert_int_equal(run(f, BLOCK_FLUSH, 0, 0, 0), 0);
}

static void test_discard_and_zeroes(void **state)
{
	static const uint8_t zeroes[4096];
	struct fixture *f = *state;

	open_disk(f, (struct raw_args){ 0 });
	assert_int_equal(run(f, BLOCK_DISCARD, 4096, 4096, 0), 0);
	assert_int_equal(run(f, BLOCK_WRITE_ZEROES, 16384, 4096, 0), 0);
	assert_int_equal(run(f, BLOCK_READ, 0, 32768, 0), 0);
	expect_pattern(f->memory, 0, 4096);
	assert_memory_equal(f->memory + 4096, zeroes, 4096);
	expect_pattern(f->memory + 8192, 8192, 8192);
	assert_memory_equal(f->memory + 16384, zeroes, 4096);
}

/* tmpfs has holes but no ZERO_RANGE. */
static void test_zeroes_without_zero_range(void **state)
{
	static const uint8_t zeroes[4096];
	struct fixture *f = *state;
	int fd = memfd_create("disk", MFD_CLOEXEC);

	memset(f->memory, 0xaa, 8192);
	assert_int_equal(pwrite(fd, f->memory, 8192, 0), 8192);
	open_disk(f, (struct raw_args){ .fd = fd });
	assert_int_equal(run(f, BLOCK_WRITE_ZEROES, 4096, 4096, 0), 0);
	assert_int_equal(run(f, BLOCK_READ, 4096, 4096, 0), 0);
	assert_memory_equal(f->memory, zeroes, 4096);
}

/* Everything once more on a block device, with direct I/O and without. */
static void check_device(struct fixture *f, int flags)
{
	static const uint8_t zeroes[4096];
	int file = disk_file(f, 0), device;
	char path[32];

	device = loop_device(file, O_RDWR | flags, path);
	close(file);
	if (device < 0)
		skip();
	open_disk(f, (struct raw_args){ .fd = device, .direct = flags });
	assert_int_equal(f->disk->geometry.size, DISK_SIZE);
	assert_int_equal(f->disk->geometry.block, 512);
	assert_int_equal(f->disk->geometry.direct, flags != 0);
	assert_int_equal(disk_resize(f->disk, DISK_SIZE, NULL), 0);
	assert_int_equal(disk_resize(f->disk, DISK_SIZE + 512, NULL), -ERANGE);

	assert_int_equal(run(f, BLOCK_READ, 512, 8192, 512), 0);
	expect_pattern(f->memory + 512, 512, 8192);
	assert_int_equal(run(f, BLOCK_WRITE, 65536, 4096, 512), 0);
	assert_int_equal(run(f, BLOCK_FLUSH, 0, 0, 0), 0);
	assert_int_equal(run(f, BLOCK_READ, 65536, 4096, 16384), 0);
	expect_pattern(f->memory + 16384, 512, 4096);

	assert_int_equal(run(f, BLOCK_DISCARD, 4096, 4096, 0), 0);
	assert_int_equal(run(f, BLOCK_WRITE_ZEROES, 16384, 4096, 0), 0);
	assert_int_equal(run(f, BLOCK_READ, 0, 32768, 0), 0);
	assert_memory_equal(f->memory + 4096, zeroes, 4096);
	assert_memory_equal(f->memory + 16384, zeroes, 4096);
	expect_pattern(f->memory + 8192, 8192, 8192);
}

static void test_device(void **state)
{
	check_device(*state, 0);
}

static void test_device_direct(void **state)
{
	check_device(*state, O_DIRECT);
}

static void test_file_was_cut(void **state)
{
	struct fixture *f = *state;

	open_disk(f, (struct raw_args){ 0 });
	assert_int_equal(ftruncate(f->fd, 4096), 0);
	/* half of it is there: the rest is tried once more, and then is an error */
	assert_int_equal(run(f, BLOCK_READ, 2048, 4096, 0), -EIO);
	assert_int_equal(run(f, BLOCK_READ, 8192, 512, 0), -EIO);
}

static void test_many_at_once(void **state)
{
	struct fixture *f = *state;
	struct outcome o[16];

	open_disk(f, (struct raw_args){ 0 });
	for (unsigned i = 0; i < 16; i++)
		queue(f, &o[i], BLOCK_READ, i * 8192, 8192, i * 8192);
	disk_queue_drain(f->queue);
	for (unsigned i = 0; i < 16; i++) {
		assert_int_equal(o[i].times, 1);
		assert_int_equal(o[i].result, 0);
	}
	expect_pattern(f->memory, 0, 16 * 8192);
}

static void test_scattered(void **state)
{
	struct fixture *f = *state;
	struct outcome o = { 0 };

	open_disk(f, (struct raw_args){ 0 });
	for (unsigned i = 0; i < 8; i++)
		o.iov[i] = (struct iovec){ f->memory + i * 1000, 512 };
	queue_iov(f, &o, BLOCK_READ, 1024, 4096, 8);
	disk_queue_drain(f->queue);
	assert_int_equal(o.result, 0);
	for (unsigned i = 0; i < 8; i++)
		expect_pattern(f->memory + i * 1000, 1024 + i * 512, 512);
}

/* Memory that direct I/O does not take: more than a bounce buffer full, for several requests. */
static void test_direct_unaligned_memory(void **state)
{
	struct fixture *f = *state;
	struct outcome o[4];

	open_disk(f, (struct raw_args){ .direct = true });
	for (unsigned i = 0; i < 4; i++)
		queue(f, &o[i], BLOCK_READ, i * 512, 150 * KIB, i * 200 * KIB + 1 + i);
	disk_queue_drain(f->queue);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(o[i].times, 1);
		assert_int_equal(o[i].result, 0);
		expect_pattern(f->memory + i * 200 * KIB + 1 + i, i * 512, 150 * KIB);
	}

	assert_int_equal(run(f, BLOCK_WRITE, 100 * KIB, 130 * KIB, 200 * KIB + 2), 0);
	assert_int_equal(run(f, BLOCK_READ, 100 * KIB, 130 * KIB, 0), 0);
	expect_pattern(f->memory, 512, 130 * KIB);
}

static void test_direct_odd_segments(void **state)
{
	struct fixture *f = *state;
	struct outcome o = { 0 };

	open_disk(f, (struct raw_args){ .direct = true });
	o.iov[0] = (struct iovec){ f->memory, 100 };
	o.iov[1] = (struct iovec){ f->memory + 4096, 924 };
	queue_iov(f, &o, BLOCK_READ, 512, 1024, 2);
	disk_queue_drain(f->queue);
	assert_int_equal(o.result, 0);
	expect_pattern(f->memory, 512, 100);
	expect_pattern(f->memory + 4096, 612, 924);
}

static void test_direct_aligned(void **state)
{
	struct fixture *f = *state;

	open_disk(f, (struct raw_args){ .direct = true });
	assert_int_equal(run(f, BLOCK_READ, 4096, 65536, 4096), 0);
	expect_pattern(f->memory + 4096, 4096, 65536);
	assert_int_equal(run(f, BLOCK_READ, 512, 512, 512), 0);
	expect_pattern(f->memory + 512, 512, 512);
}

/*
 * A memfd tells no alignment of direct I/O and takes any: it is tried out. What cannot do it is
 * refused rather than used through the page cache behind the user's back.
 */
static void test_direct_tried_out(void **state)
{
	struct fixture *f = *state;
	int fd = memfd_create("disk", MFD_CLOEXEC);

	assert_int_equal(ftruncate(fd, DISK_SIZE), 0);
	open_disk(f, (struct raw_args){ .fd = fd, .direct = true });
	assert_true(f->disk->geometry.direct);
	assert_int_equal(f->disk->geometry.mem_align, 512);
	assert_int_equal(run(f, BLOCK_WRITE, 512, 512, 1), 0);
}

static void test_direct_impossible(void **state)
{
	struct raw_args args = { .direct = true };
	struct fixture *f = *state;
	struct hvd_error err = { 0 };
	char path[64];

	/* nothing can be read through it */
	f->fd = memfd_create("disk", MFD_CLOEXEC);
	assert_int_equal(ftruncate(f->fd, DISK_SIZE), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", f->fd);
	args.fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(args.fd >= 0);
	assert_int_equal(raw_new(&args, &f->disk, &err), -EINVAL);
	assert_string_equal(err.field, "cache");
}

static void test_durable(void **state)
{
	static const uint8_t zeroes[4096];
	struct fixture *f = *state;
	struct outcome o = { 0 };

	open_disk(f, (struct raw_args){ 0 });
	memset(f->memory, 0x3c, 4096);
	o.iov[0] = (struct iovec){ f->memory, 4096 };
	o.req = (struct block_request){
		.op = BLOCK_WRITE, .durable = true, .offset = 4096, .len = 4096,
		.iov = o.iov, .n_iov = 1, .done = on_done,
	};
	disk_queue_add(f->queue, &o.req);
	disk_queue_drain(f->queue);
	assert_int_equal(o.times, 1);
	assert_int_equal(o.result, 0);
	assert_int_equal(run(f, BLOCK_READ, 4096, 4096, 8192), 0);
	assert_memory_equal(f->memory, f->memory + 8192, 4096);

	/* a flush behind it, and one completion */
	o.req = (struct block_request){
		.op = BLOCK_WRITE_ZEROES, .durable = true, .offset = 4096, .len = 4096, .done = on_done,
	};
	disk_queue_add(f->queue, &o.req);
	disk_queue_drain(f->queue);
	assert_int_equal(o.times, 2);
	assert_int_equal(o.result, 0);
	assert_int_equal(run(f, BLOCK_READ, 4096, 4096, 0), 0);
	assert_memory_equal(f->memory, zeroes, 4096);
}

/* What a request has done before it failed is not done again when it is queued anew. */
static void test_failed_request_goes_on(void **state)
{
	struct fixture *f = *state;
	struct outcome o = { 0 };

	open_disk(f, (struct raw_args){ 0 });
	assert_int_equal(ftruncate(f->fd, 4096), 0);
	queue(f, &o, BLOCK_READ, 0, 8192, 0);
	disk_queue_drain(f->queue);
	assert_int_equal(o.result, -EIO);
	assert_int_equal(o.req.offset, 4096);
	assert_int_equal(o.req.len, 4096);
	expect_pattern(f->memory, 0, 4096);

	memset(f->memory, 0, 4096);
	assert_int_equal(ftruncate(f->fd, DISK_SIZE), 0);
	disk_queue_add(f->queue, &o.req);
	disk_queue_drain(f->queue);
	assert_int_equal(o.times, 2);
	assert_int_equal(o.result, 0);
	assert_int_equal(f->memory[0], 0);
}

static void test_new_size(void **state)
{
	struct fixture *f = *state;
	struct hvd_error err = { 0 };

	open_disk(f, (struct raw_args){ 0 });
	assert_int_equal(disk_resize(f->disk, 0, NULL), 0);
	assert_int_equal(disk_resize(f->disk, DISK_SIZE / 2, NULL), 0);
	assert_int_equal(run(f, BLOCK_READ, DISK_SIZE, 512, 0), -EINVAL);
	assert_int_equal(ftruncate(f->fd, 2 * DISK_SIZE + 100), 0);
	assert_int_equal(disk_resize(f->disk, 0, NULL), 1);
	assert_int_equal(f->disk->size, 2 * DISK_SIZE);
	assert_int_equal(run(f, BLOCK_READ, DISK_SIZE, 512, 0), 0);
	assert_int_equal(run(f, BLOCK_READ, 2 * DISK_SIZE, 512, 0), -EINVAL);

	/* enlarged, without being told its size */
	assert_int_equal(disk_resize(f->disk, 4 * DISK_SIZE, NULL), 1);
	assert_int_equal(f->disk->size, 4 * DISK_SIZE);
	assert_int_equal(lseek(f->fd, 0, SEEK_END), 4 * DISK_SIZE);
	assert_int_equal(disk_resize(f->disk, INT64_MAX - 511, &err), -EFBIG);
	assert_string_equal(err.field, "size");
	assert_int_equal(f->disk->size, 4 * DISK_SIZE);

	/* nothing is left of it: it stays as it was */
	assert_int_equal(ftruncate(f->fd, 100), 0);
	assert_int_equal(disk_resize(f->disk, 0, NULL), -EINVAL);
	assert_int_equal(f->disk->size, 4 * DISK_SIZE);
}

/* Two rings, as two queues on two I/O loops have them. */
static void test_two_rings(void **state)
{
	struct fixture *f = *state;
	struct disk_queue *first;

	open_disk(f, (struct raw_args){ 0 });
	first = f->queue;
	assert_int_equal(new_ring(f, NULL), 0);
	assert_int_equal(disk_queue_start(f->queue), 0);
	assert_int_equal(run(f, BLOCK_READ, 512, 512, 0), 0);
	expect_pattern(f->memory, 512, 512);
	disk_queue_stop(f->queue);
	disk_queue_free(f->queue);
	f->queue = first;
	assert_int_equal(run(f, BLOCK_READ, 1024, 512, 0), 0);
	expect_pattern(f->memory, 1024, 512);
}

static void test_start_and_stop_often(void **state)
{
	struct fixture *f = *state;

	open_disk(f, (struct raw_args){ 0 });
	/* more often than a thread may register rings */
	for (unsigned i = 0; i < 50; i++) {
		disk_queue_stop(f->queue);
		assert_int_equal(disk_queue_start(f->queue), 0);
		assert_int_equal(run(f, BLOCK_READ, 512, 512, 0), 0);
	}
}

static bool ring_allowed(void)
{
	struct fixture *f;
	struct raw_args args;
	struct hvd_error err = { 0 };
	bool allowed;

	set_up((void **)&f);
	args = (struct raw_args){ .fd = disk_file(f, 0) };
	allowed = raw_new(&args, &f->disk, &err) == 0 && new_ring(f, &err) != -EPERM &&
		  err.code != -ENOSYS;
	if (!allowed)
		fprintf(stderr, "skipped: %s\n", err.msg);
	f->queue = disk_queue_free(f->queue);
	tear_down((void **)&f);
	return allowed;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_geometry),
		TEST(test_size_is_whole_sectors),
		TEST(test_no_disk),
		TEST(test_read_and_write),
		TEST(test_limits),
		TEST(test_read_only),
		TEST(test_discard_and_zeroes),
		TEST(test_zeroes_without_zero_range),
		TEST(test_device),
		TEST(test_device_direct),
		TEST(test_file_was_cut),
		TEST(test_many_at_once),
		TEST(test_scattered),
		TEST(test_direct_unaligned_memory),
		TEST(test_direct_odd_segments),
		TEST(test_direct_aligned),
		TEST(test_direct_tried_out),
		TEST(test_direct_impossible),
		TEST(test_durable),
		TEST(test_failed_request_goes_on),
		TEST(test_new_size),
		TEST(test_two_rings),
		TEST(test_start_and_stop_often),
	};

	if (!ring_allowed())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
