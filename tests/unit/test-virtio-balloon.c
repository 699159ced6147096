/* SPDX-License-Identifier: Apache-2.0 */
#include <linux/virtio_balloon.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/virtio_driver.h"

#define PAGE 4096U
#define FEATURES                                                                                   \
	(DRIVER_FEATURES | 1ULL << VIRTIO_BALLOON_F_STATS_VQ | 1ULL << VIRTIO_BALLOON_F_REPORTING)
#define POISON (1ULL << VIRTIO_BALLOON_F_PAGE_POISON)

enum { INFLATEQ, DEFLATEQ, STATSQ, REPORTSQ };

struct fixture {
	struct driver d;
	pthread_mutex_t lock;
	struct balloon_info info; /* the last that was told */
	struct virtio_balloon_args args;
};

static void on_changed(void *ctx, const struct balloon_info *info)
{
	struct fixture *f = ctx;

	pthread_mutex_lock(&f->lock);
	f->info = *info;
	pthread_mutex_unlock(&f->lock);
}

static struct balloon_info told(struct fixture *f)
{
	struct balloon_info info;

	pthread_mutex_lock(&f->lock);
	info = f->info;
	pthread_mutex_unlock(&f->lock);
	return info;
}

static int set_up(void **state)
{
	static struct fixture f;
	struct virtio_dev *dev;

	memset(&f, 0, sizeof(f));
	pthread_mutex_init(&f.lock, NULL);
	f.args = (struct virtio_balloon_args){
		.deflate_on_oom = true,
		.page_reporting = true,
		.changed = on_changed,
		.ctx = &f,
	};
	driver_open(&f.d);
	assert_int_equal(virtio_balloon_new(&f.args, f.d.mem, f.d.io, &dev, NULL), 0);
	driver_set_device(&f.d, dev);
	driver_start(&f.d, FEATURES);
	/* so that it shows which pages go */
	memset(data_ptr(&f.d, 0), 0xaa, 3 * MIB);
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	driver_close(&f->d);
	pthread_mutex_destroy(&f->lock);
	return 0;
}

/* Requests are written to the page behind the rings, which no test gives away. */
#define REQUEST (DRIVER_DATA - PAGE)

static void send_pages(struct fixture *f, unsigned queue, const uint32_t *pfns, size_t n)
{
	memcpy(guest_mem_ptr(f->d.mem, REQUEST, PAGE), pfns, n * sizeof(*pfns));
	queue_desc(&f->d.queue[queue], 0, REQUEST, (uint32_t)(n * sizeof(*pfns)), 0, 0);
	queue_avail(&f->d.queue[queue], 0);
	driver_kick(&f->d, queue);
	assert_int_equal(driver_used(&f->d, queue).len, 0);
}

static uint32_t pfn(unsigned page)
{
	return (uint32_t)(data_ipa(0) / PAGE) + page;
}

static bool is_gone(struct fixture *f, unsigned page)
{
	const uint8_t *p = data_ptr(&f->d, page * PAGE);

	if (p[0])
		assert_int_equal(p[PAGE - 1], 0xaa);
	else
		assert_int_equal(p[PAGE - 1], 0);
	return !p[0];
}

static void expect_gone(struct fixture *f, const char *pages)
{
	for (unsigned i = 0; pages[i]; i++)
		if (is_gone(f, i) != (pages[i] == 'x'))
			fail_msg("page %u is %s", i, is_gone(f, i) ? "gone" : "there");
}

static void test_inflate(void **state)
{
	struct fixture *f = *state;
	const uint32_t up[] = { pfn(1), pfn(2), pfn(3) };
	const uint32_t down[] = { pfn(8), pfn(7), pfn(6), pfn(10) };
	const uint32_t twice[] = { pfn(12), pfn(12) };

	send_pages(f, INFLATEQ, up, 3);
	expect_gone(f, ".xxx.........");
	send_pages(f, INFLATEQ, down, 4);
	expect_gone(f, ".xxx..xxx.x..");
	send_pages(f, INFLATEQ, twice, 2);
	expect_gone(f, ".xxx..xxx.x.x");

	/* what is taken back can be used */
	send_pages(f, DEFLATEQ, up, 3);
	memset(data_ptr(&f->d, PAGE), 0xaa, 3 * PAGE);
	expect_gone(f, "......xxx.x.x");
}

/* Numbers in several buffers, one of them cut in the middle of a number. */
static void test_request_in_pieces(void **state)
{
	struct fixture *f = *state;
	struct driver_queue *q = &f->d.queue[INFLATEQ];
	const uint32_t pfns[] = { pfn(0), pfn(1), pfn(5), pfn(6) };

	memcpy(guest_mem_ptr(f->d.mem, REQUEST, PAGE), pfns, sizeof(pfns));
	queue_desc(q, 0, REQUEST, 6, VRING_DESC_F_NEXT, 1);
	queue_desc(q, 1, REQUEST + 6, 9, 0, 0);
	queue_avail(q, 0);
	driver_kick(&f->d, INFLATEQ);
	driver_used(&f->d, INFLATEQ);
	expect_gone(f, "xx...x.");
}

static void test_pages_that_are_not_ram(void **state)
{
	struct fixture *f = *state;
	const uint32_t last = (uint32_t)((DRIVER_RAM_BASE + DRIVER_RAM_SIZE) / PAGE);
	const uint32_t bad[] = { 0, UINT32_MAX, last, last + 1, 0x09000000 / PAGE,
				 (uint32_t)(DRIVER_RAM_BASE / PAGE) - 1, pfn(2) };

	send_pages(f, INFLATEQ, bad, ARRAY_SIZE(bad));
	expect_gone(f, "..x.");
	send_pages(f, INFLATEQ, bad, 0 + 1);
	assert_false(driver_read(&f->d, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET);
}

/* A guest may give away what it works with: it finds zeroes there, and the device a sound state. */
static void test_rings_are_given_away(void **state)
{
	struct fixture *f = *state;
	uint32_t all[1024];

	for (unsigned i = 0; i < ARRAY_SIZE(all); i++)
		all[i] = (uint32_t)(DRIVER_RAM_BASE / PAGE) + i;
	/* the request itself goes too, in the middle of being read */
	memcpy(guest_mem_ptr(f->d.mem, REQUEST - 16 * PAGE, sizeof(all)), all, sizeof(all));
	queue_desc(&f->d.queue[INFLATEQ], 0, REQUEST - 16 * PAGE, sizeof(all), 0, 0);
	queue_avail(&f->d.queue[INFLATEQ], 0);
	driver_kick(&f->d, INFLATEQ);
	driver_reset(&f->d);
	driver_start(&f->d, FEATURES);
	memset(data_ptr(&f->d, 0), 0xaa, 8 * PAGE);
	send_pages(f, INFLATEQ, (uint32_t[]){ pfn(3) }, 1);
	expect_gone(f, "...x....");
}

static void put_stat(struct fixture *f, unsigned i, uint16_t tag, uint64_t value)
{
	struct virtio_balloon_stat stat = { tag, value };

	memcpy((char *)guest_mem_ptr(f->d.mem, REQUEST, PAGE) + i * sizeof(stat), &stat,
	       sizeof(stat));
}

static void offer_stats(struct fixture *f, uint16_t head, unsigned n)
{
	queue_desc(&f->d.queue[STATSQ], head, REQUEST, n * sizeof(struct virtio_balloon_stat), 0, 0);
	queue_avail(&f->d.queue[STATSQ], head);
	driver_kick(&f->d, STATSQ);
}

/* A turn of the I/O loop: what was kicked before has been dealt with. */
static void nothing(void *arg)
{
}

static void settle(struct fixture *f)
{
	for (int i = 0; i < 2; i++)
		loop_call(f->d.io, nothing, NULL);
}

static void wait_stats(struct fixture *f)
{
	while (!told(f).stats_usec)
		settle(f);
}

static void test_statistics(void **state)
{
	struct fixture *f = *state;
	struct balloon_info info;

	put_stat(f, 0, VIRTIO_BALLOON_S_MEMTOT, 128 * MIB);
	put_stat(f, 1, VIRTIO_BALLOON_S_AVAIL, 100 * MIB);
	put_stat(f, 2, VIRTIO_BALLOON_S_MEMFREE, 90 * MIB);
	put_stat(f, 3, VIRTIO_BALLOON_S_CACHES, 5 * MIB);
	put_stat(f, 4, VIRTIO_BALLOON_S_MAJFLT, 12);
	put_stat(f, 5, VIRTIO_BALLOON_S_MINFLT, 345);
	put_stat(f, 6, VIRTIO_BALLOON_S_SWAP_IN, 1);
	put_stat(f, 7, VIRTIO_BALLOON_S_SWAP_OUT, 2);
	put_stat(f, 8, VIRTIO_BALLOON_S_HTLB_PGFAIL, 7);
	put_stat(f, 9, 0xffff, 8);
	offer_stats(f, 0, 10);
	wait_stats(f);
	info = told(f);
	assert_int_equal(info.stats.total, 128 * MIB);
	assert_int_equal(info.stats.available, 100 * MIB);
	assert_int_equal(info.stats.free, 90 * MIB);
	assert_int_equal(info.stats.caches, 5 * MIB);
	assert_int_equal(info.stats.major_faults, 12);
	assert_int_equal(info.stats.minor_faults, 345);
	assert_int_equal(info.stats.swap_in, 1);
	assert_int_equal(info.stats.swap_out, 2);

	/* the buffer stays with the device until it wants others */
	assert_int_equal(f->d.queue[STATSQ].used->idx, 0);
	f->args.stats_period = 1;
	assert_int_equal(virtio_update(f->d.dev, &f->args, NULL), 0);
	assert_int_equal(driver_used(&f->d, STATSQ).id, 0);
	put_stat(f, 0, VIRTIO_BALLOON_S_MEMTOT, 64 * MIB);
	offer_stats(f, 0, 1);
	while (told(f).stats.total != 64 * MIB)
		settle(f);
	assert_int_equal(told(f).stats.available, 0);
	assert_int_equal(driver_used(&f->d, STATSQ).id, 0);
}

/* A driver that gives more than one buffer gets all but one back. */
static void test_many_buffers_of_statistics(void **state)
{
	struct fixture *f = *state;
	struct driver_queue *q = &f->d.queue[STATSQ];

	for (uint16_t i = 0; i < 10; i++) {
		queue_desc(q, i, REQUEST, PAGE, 0, 0);
		queue_avail(q, i);
	}
	driver_kick(&f->d, STATSQ);
	for (uint16_t i = 0; i < 9; i++)
		assert_int_equal(driver_used(&f->d, STATSQ).id, i);

	/* paused and resumed, it still has that one, and it is no other's */
	virtio_quiesce(f->d.dev);
	virtio_resume(f->d.dev);
	queue_desc(q, 0, REQUEST, 10, VRING_DESC_F_WRITE, 0);
	queue_avail(q, 0);
	driver_kick(&f->d, STATSQ);
	assert_int_equal(driver_used(&f->d, STATSQ).id, 9);
	assert_false(driver_read(&f->d, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET);
}

static void report(struct fixture *f, unsigned queue, unsigned page, uint32_t len)
{
	queue_desc(&f->d.queue[queue], 0, data_ipa(page * PAGE), len, VRING_DESC_F_WRITE, 0);
	queue_avail(&f->d.queue[queue], 0);
	driver_kick(&f->d, queue);
	assert_int_equal(driver_used(&f->d, queue).len, 0);
}

static void test_reporting(void **state)
{
	struct fixture *f = *state;

	report(f, REPORTSQ, 1, 2 * PAGE);
	expect_gone(f, ".xx...........");
	/* where the specification has it */
	report(f, 4, 5, PAGE);
	expect_gone(f, ".xx..x........");
	/* of what begins and ends in the middle of a page, whole ones */
	queue_desc(&f->d.queue[4], 0, data_ipa(8 * PAGE + 1), 3 * PAGE, VRING_DESC_F_WRITE, 0);
	queue_avail(&f->d.queue[4], 0);
	driver_kick(&f->d, 4);
	driver_used(&f->d, 4);
	expect_gone(f, ".xx..x...xx...");

	/* without statistics it is the third */
	driver_start(&f->d, FEATURES & ~(1ULL << VIRTIO_BALLOON_F_STATS_VQ));
	report(f, STATSQ, 13, PAGE);
	expect_gone(f, ".xx..x...xx..x");
}

static void write_config(struct fixture *f, unsigned at, uint32_t value)
{
	virtio_set_config(f->d.dev, at, value, sizeof(value));
}

static uint32_t read_config(struct fixture *f, unsigned at)
{
	return (uint32_t)virtio_read_config(f->d.dev, at, 4);
}

#define CONFIG_AT(member) offsetof(struct virtio_balloon_config, member)

/* A guest that fills its free memory with something else than zeroes finds it there (§5.5.6.5). */
static void test_poison(void **state)
{
	struct fixture *f = *state;

	write_config(f, CONFIG_AT(poison_val), 0xaaaaaaaa);
	assert_int_equal(read_config(f, CONFIG_AT(poison_val)), 0);
	driver_start(&f->d, FEATURES | POISON);
	report(f, REPORTSQ, 1, PAGE);
	expect_gone(f, ".x..");
	write_config(f, CONFIG_AT(poison_val), 0xaaaaaaaa);
	report(f, REPORTSQ, 2, PAGE);
	expect_gone(f, ".x..");
	write_config(f, CONFIG_AT(poison_val), 0);
	report(f, REPORTSQ, 2, PAGE);
	expect_gone(f, ".xx.");
}

static void test_actual(void **state)
{
	struct fixture *f = *state;

	write_config(f, CONFIG_AT(actual), 256);
	assert_int_equal(told(f).actual, DRIVER_RAM_SIZE - MIB);
	assert_int_equal(read_config(f, CONFIG_AT(actual)), 256);
	write_config(f, CONFIG_AT(actual), UINT32_MAX);
	assert_int_equal(told(f).actual, PAGE);

	/* the rest of config space is not the driver's */
	write_config(f, CONFIG_AT(num_pages), 7);
	assert_int_equal(read_config(f, CONFIG_AT(num_pages)), 0);
	virtio_set_config(f->d.dev, CONFIG_AT(actual), 1, 1);
	assert_int_equal(read_config(f, CONFIG_AT(actual)), UINT32_MAX);

	driver_reset(&f->d);
	assert_int_equal(read_config(f, CONFIG_AT(actual)), 0);
	assert_int_equal(told(f).actual, DRIVER_RAM_SIZE);
}

static void test_target(void **state)
{
	struct fixture *f = *state;
	static const struct {
		uint64_t target;
		uint32_t pages;
	} cases[] = {
		{ 3 * MIB, 256 }, { DRIVER_RAM_SIZE - 1, 0 }, { PAGE, 1023 }, { 0, 0 },
		{ 2 * DRIVER_RAM_SIZE, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint32_t before = f->d.dev->config_generation;

		f->args.target = cases[i].target;
		assert_int_equal(virtio_update(f->d.dev, &f->args, NULL), 0);
		assert_int_equal(read_config(f, CONFIG_AT(num_pages)), cases[i].pages);
		assert_true(f->d.dev->config_generation >= before);
	}
}

static void test_features(void **state)
{
	AUTO(virtio_dev_free) struct virtio_dev *dev = NULL;
	struct fixture *f = *state;

	assert_true(f->d.dev->host_features & 1ULL << VIRTIO_BALLOON_F_DEFLATE_ON_OOM);
	assert_true(f->d.dev->host_features & POISON);

	f->args.page_reporting = f->args.deflate_on_oom = false;
	f->args.target = DRIVER_RAM_SIZE / 2;
	assert_int_equal(virtio_balloon_new(&f->args, f->d.mem, f->d.io, &dev, NULL), 0);
	assert_int_equal(dev->n_queues, 3);
	assert_int_equal(dev->host_features & ~DRIVER_FEATURES, 1ULL << VIRTIO_BALLOON_F_STATS_VQ);
	assert_int_equal(virtio_read_config(dev, CONFIG_AT(num_pages), 4),
			 DRIVER_RAM_SIZE / 2 / PAGE);
}

static void test_broken_ring(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 5; i++) {
		queue_avail(&f->d.queue[i], 0xffff);
		driver_kick(&f->d, i);
		driver_wait_broken(&f->d);
		driver_start(&f->d, FEATURES);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_inflate),
		TEST(test_request_in_pieces),
		TEST(test_pages_that_are_not_ram),
		TEST(test_rings_are_given_away),
		TEST(test_statistics),
		TEST(test_many_buffers_of_statistics),
		TEST(test_reporting),
		TEST(test_poison),
		TEST(test_actual),
		TEST(test_target),
		TEST(test_features),
		TEST(test_broken_ring),
	};

	return DRIVER_RUN(tests);
}
