/* SPDX-License-Identifier: Apache-2.0 */
/* The block device with several queues on several I/O loops. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/blk_rig.h"

#define QUEUES 4
#define LOOPS 3

static struct {
	struct blk_rig rig;
	struct loop *loops[LOOPS];
	pthread_t threads[LOOPS];
} f;

static struct virtio_blk_args several(bool direct)
{
	static struct virtio_loops loops = { f.loops, LOOPS, 1 };

	return (struct virtio_blk_args){
		.fd = -1,
		.direct = direct,
		.n_queues = QUEUES,
		.loops = &loops,
	};
}

static int open_several(void **state, bool direct)
{
	driver_open(&f.rig.d);
	/* the device's own is one of them, as in a VM */
	f.loops[0] = f.rig.d.io;
	for (unsigned i = 1; i < LOOPS; i++)
		driver_start_loop(&f.loops[i], &f.threads[i]);
	*state = &f.rig;
	return blk_open(&f.rig, several(direct));
}

static int set_up(void **state)
{
	return open_several(state, false);
}

static int set_up_direct(void **state)
{
	return open_several(state, true);
}

static int tear_down(void **state)
{
	blk_close(*state);
	for (unsigned i = 1; i < LOOPS; i++)
		driver_stop_loop(f.loops[i], f.threads[i]);
	return 0;
}

static void queue_all(struct blk_rig *rig)
{
	for (unsigned q = 0; q < QUEUES; q++)
		blk_queue_many(rig, q);
	for (unsigned q = 0; q < QUEUES; q++)
		driver_kick(&rig->d, q);
}

static void finish_all(struct blk_rig *rig)
{
	for (unsigned q = 0; q < QUEUES; q++)
		for (unsigned i = 0; i < DRIVER_QUEUE_SIZE; i++)
			assert_int_equal(driver_used(&rig->d, q).len, 4097);
}

static void test_config(void **state)
{
	struct blk_rig *rig = *state;
	const struct virtio_blk_config *config = (void *)rig->d.dev->config;

	assert_true(rig->d.dev->host_features & 1ULL << VIRTIO_BLK_F_MQ);
	assert_int_equal(config->num_queues, QUEUES);
	assert_int_equal(rig->d.dev->n_queues, QUEUES);
}

static void test_all_queues(void **state)
{
	struct blk_rig *rig = *state;

	for (unsigned round = 0; round < 20; round++) {
		queue_all(rig);
		finish_all(rig);
	}
	for (unsigned q = 0; q < QUEUES; q++)
		for (unsigned i = 0; i < DRIVER_QUEUE_SIZE; i++)
			blk_expect_pattern(blk_many_data(rig, q, i), i * 4096, 4096);
}

static void test_quiesce(void **state)
{
	struct blk_rig *rig = *state;

	for (unsigned round = 0; round < 20; round++) {
		uint16_t used[QUEUES];

		queue_all(rig);
		virtio_quiesce(rig->d.dev);
		for (unsigned q = 0; q < QUEUES; q++) {
			used[q] = rig->d.queue[q].used->idx;
			assert_int_equal(rig->d.dev->queue[q].last_avail, used[q]);
			driver_kick(&rig->d, q);
		}
		for (unsigned q = 0; q < QUEUES; q++)
			assert_int_equal(rig->d.queue[q].used->idx, used[q]);
		virtio_resume(rig->d.dev);
		finish_all(rig);
	}
}

static void test_reset_with_io_in_flight_cve_2026_45782(void **state)
{
	static const uint8_t zeroes[4096];
	struct blk_rig *rig = *state;

	for (unsigned round = 0; round < 20; round++) {
		queue_all(rig);
		driver_reset(&rig->d);
		memset(data_ptr(&rig->d, 0), 0, 0x10000 + QUEUES * DRIVER_QUEUE_SIZE * 0x4000);
		driver_start(&rig->d, DRIVER_FEATURES | rig->d.dev->host_features);
		assert_int_equal(blk_request(rig, VIRTIO_BLK_T_IN, 0, 512, true), VIRTIO_BLK_S_OK);
		for (unsigned q = 0; q < QUEUES; q++)
			for (unsigned i = 0; i < DRIVER_QUEUE_SIZE; i++)
				assert_memory_equal(blk_many_data(rig, q, i), zeroes, 4096);
	}
}

/* §5.2.5: a driver may use fewer queues than there are. */
static void test_one_queue_set_up(void **state)
{
	struct blk_rig *rig = *state;

	driver_negotiate(&rig->d, DRIVER_FEATURES | rig->d.dev->host_features);
	driver_set_up_queue(&rig->d, 0, DRIVER_QUEUE_SIZE);
	driver_write(&rig->d, VIRTIO_MMIO_STATUS, 0xf);
	for (unsigned q = 1; q < QUEUES; q++)
		driver_kick(&rig->d, q);
	assert_int_equal(blk_request(rig, VIRTIO_BLK_T_IN, 0, 512, true), VIRTIO_BLK_S_OK);
	virtio_quiesce(rig->d.dev);
	virtio_resume(rig->d.dev);
	assert_int_equal(blk_request(rig, VIRTIO_BLK_T_IN, 0, 512, true), VIRTIO_BLK_S_OK);
	driver_start(&rig->d, DRIVER_FEATURES | rig->d.dev->host_features);
	queue_all(rig);
	finish_all(rig);
}

/* A ring that one loop finds broken stops the queues of the others, whatever they are about. */
static void test_broken_ring(void **state)
{
	struct blk_rig *rig = *state;

	for (unsigned q = 0; q < QUEUES; q++) {
		queue_all(rig);
		queue_avail(&rig->d.queue[q], DRIVER_QUEUE_SIZE);
		driver_kick(&rig->d, q);
		driver_wait_broken(&rig->d);

		/* a pause in this state brings nothing back to life */
		virtio_quiesce(rig->d.dev);
		virtio_resume(rig->d.dev);
		for (unsigned i = 0; i < QUEUES; i++) {
			uint16_t used = rig->d.queue[i].used->idx;

			queue_avail(&rig->d.queue[i], 0);
			driver_kick(&rig->d, i);
			virtio_quiesce(rig->d.dev);
			assert_int_equal(rig->d.queue[i].used->idx, used);
			virtio_resume(rig->d.dev);
		}
		driver_start(&rig->d, DRIVER_FEATURES | rig->d.dev->host_features);
	}
	queue_all(rig);
	finish_all(rig);
}

/* One limit for all of them. */
static void test_limit(void **state)
{
	static const struct virtio_blk_args slow = { .bytes_limit = { .per_second = 1, .burst = 1 } };
	static const struct virtio_blk_args unlimited;
	struct blk_rig *rig = *state;
	unsigned used = 0;

	assert_int_equal(virtio_update(rig->d.dev, &slow, NULL), 0);
	queue_all(rig);
	virtio_quiesce(rig->d.dev);
	for (unsigned q = 0; q < QUEUES; q++)
		used += rig->d.queue[q].used->idx;
	/* each loop may take one before it sees that another has */
	assert_in_range(used, 0, LOOPS);
	virtio_resume(rig->d.dev);
	assert_int_equal(virtio_update(rig->d.dev, &unlimited, NULL), 0);
	finish_all(rig);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define TEST_DIRECT(name) cmocka_unit_test_setup_teardown(name, set_up_direct, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_config),
		TEST(test_all_queues),
		TEST_DIRECT(test_all_queues),
		TEST_DIRECT(test_quiesce),
		TEST_DIRECT(test_reset_with_io_in_flight_cve_2026_45782),
		TEST(test_one_queue_set_up),
		TEST(test_broken_ring),
		TEST_DIRECT(test_broken_ring),
		TEST(test_limit),
	};
	void *state;
	int r = set_up(&state);

	if (r == -EPERM || r == -ENOSYS)
		return 77;
	tear_down(&state);
	return DRIVER_RUN(tests);
}
