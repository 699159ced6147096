/* SPDX-License-Identifier: Apache-2.0 */
/* The front end of vhost-user, and the block device on it, with a backend of the test's own. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>
#include <linux/virtio_blk.h>

#include "tests/unit/vhost_backend.h"
#include "tests/unit/virtio_driver.h"
#include "vmm/block/vhost_user.h"

#define FEATURES (DRIVER_FEATURES | 1ULL << VIRTIO_BLK_F_FLUSH | 1ULL << VIRTIO_BLK_F_CONFIG_WCE)

static struct {
	struct driver d;
	struct vhost_backend backend;
	uint8_t disk[BACKEND_DISK_SIZE];
	_Atomic unsigned lost;
} t;

static void on_lost(void *ctx, struct virtio_dev *dev)
{
	t.lost++;
}

static bool forgets;

static int make_device(int sock, struct hvd_error *err)
{
	const struct virtio_vhost_user_blk_args args = { .sock = sock, .name = "disk", .n_queues = 2,
							 .forgets = forgets, .main = t.d.io,
							 .lost = on_lost };
	struct virtio_dev *dev;
	int r = virtio_vhost_user_blk_new(&args, t.d.mem, t.d.io, &dev, err);

	if (r == 0)
		driver_set_device(&t.d, dev);
	return r;
}

static int set_up_nothing(void **state)
{
	driver_open(&t.d);
	guest_mem_free(t.d.mem);
	assert_int_equal(guest_mem_new_shared(DRIVER_RAM_BASE, DRIVER_RAM_SIZE, &t.d.mem), 0);
	memset(t.disk, 0, sizeof(t.disk));
	backend_init(&t.backend, t.disk);
	t.lost = 0;
	forgets = false;
	return 0;
}

static int set_up(void **state)
{
	set_up_nothing(state);
	assert_int_equal(make_device(backend_start(&t.backend), NULL), 0);
	return 0;
}

static int tear_down(void **state)
{
	driver_close(&t.d);
	backend_kill(&t.backend);
	return 0;
}

/* Request i of a queue has descriptors 3 i … 3 i + 2, and its bytes in the data area. */
static uint64_t place(unsigned q, unsigned i)
{
	return q * 0x10000 + i * 0x1000;
}

static uint8_t *data(unsigned q, unsigned i)
{
	return (uint8_t *)data_ptr(&t.d, place(q, i) + 512);
}

static uint8_t *status_of(unsigned q, unsigned i)
{
	return (uint8_t *)data_ptr(&t.d, place(q, i) + 256);
}

static void offer(unsigned q, unsigned i, uint32_t type, uint64_t sector)
{
	struct driver_queue *queue = &t.d.queue[q];
	uint16_t first = (uint16_t)(3 * i), in = type == VIRTIO_BLK_T_IN ? VRING_DESC_F_WRITE : 0;

	*(struct virtio_blk_outhdr *)data_ptr(&t.d, place(q, i)) =
		(struct virtio_blk_outhdr){ .type = type, .sector = sector };
	*status_of(q, i) = 0xff;
	queue_desc(queue, first, data_ipa(place(q, i)), sizeof(struct virtio_blk_outhdr),
		   VRING_DESC_F_NEXT, first + 1);
	queue_desc(queue, first + 1, data_ipa(place(q, i) + 512), 512, VRING_DESC_F_NEXT | in, first + 2);
	queue_desc(queue, first + 2, data_ipa(place(q, i) + 256), 1, VRING_DESC_F_WRITE, 0);
	queue_avail(queue, first);
}

static void request(unsigned q, uint32_t type, uint64_t sector)
{
	offer(q, 0, type, sector);
	driver_kick(&t.d, q);
	assert_int_equal(driver_used(&t.d, q).id, 0);
	assert_int_equal(*status_of(q, 0), VIRTIO_BLK_S_OK);
}

static void write_and_read(unsigned q, uint64_t sector, uint8_t byte)
{
	memset(data(q, 0), byte, 512);
	request(q, VIRTIO_BLK_T_OUT, sector);
	assert_int_equal(t.disk[sector * 512 + 511], byte);
	memset(data(q, 0), 0, 512);
	request(q, VIRTIO_BLK_T_IN, sector);
	assert_int_equal(data(q, 0)[511], byte);
}

/* The I/O loop has done what was to be done. */
static void nothing(void *arg)
{
}

static void settle(void)
{
	loop_call(t.d.io, nothing, NULL);
}

static void wait_lost_times(unsigned n)
{
	while (t.lost < n)
		settle();
}

static void wait_lost(void)
{
	wait_lost_times(1);
}

static void wait_held(void)
{
	while (!t.backend.seen_held)
		poll(NULL, 0, 1);
}

static void reconnect(void)
{
	assert_int_equal(virtio_vhost_user_blk_reconnect(t.d.dev, backend_start(&t.backend), NULL), 0);
}

static uint64_t capacity(void)
{
	return virtio_read_config(t.d.dev, offsetof(struct virtio_blk_config, capacity), 8);
}

static void serves_its_queues(void **state)
{
	driver_start(&t.d, FEATURES);
	assert_int_equal(capacity(), BACKEND_DISK_SIZE / 512);
	for (unsigned i = 0; i < 40; i++)
		write_and_read(i % 2, i, (uint8_t)(i + 1));
	assert_int_equal(t.backend.starts, 2);
	assert_int_equal(t.backend.accepted & ~(1ULL << 30), FEATURES);
}

static void offers_what_both_know(void **state)
{
	uint64_t offered = t.d.dev->host_features;

	assert_true(offered & 1ULL << VIRTIO_BLK_F_MQ);
	assert_true(offered & 1ULL << VIRTIO_BLK_F_FLUSH);
	assert_false(offered & 1ULL << VIRTIO_BLK_F_DISCARD);
	assert_false(offered & 1ULL << 30);
	assert_int_equal(t.d.dev->n_queues, 2);
}

static void write_cache(void **state)
{
	uint64_t at = offsetof(struct virtio_blk_config, wce);

	driver_start(&t.d, FEATURES);
	assert_int_equal(t.backend.wce, 1);
	virtio_set_config(t.d.dev, at, 0, 1);
	assert_int_equal(t.backend.wce, 0);
	assert_int_equal(virtio_read_config(t.d.dev, at, 1), 0);
	/* a driver that cannot flush has a disk that writes through */
	driver_start(&t.d, DRIVER_FEATURES);
	assert_int_equal(t.backend.wce, 0);
	driver_start(&t.d, FEATURES);
	assert_int_equal(t.backend.wce, 1);
}

static void pause_and_resume(void **state)
{
	driver_start(&t.d, FEATURES);
	for (unsigned i = 0; i < 5; i++) {
		write_and_read(0, i, (uint8_t)(i + 1));
		virtio_quiesce(t.d.dev);
		assert_int_equal(t.backend.stops, 2 * (i + 1));
		/* offered while it rests: served when it goes on */
		offer(1, 0, VIRTIO_BLK_T_IN, i);
		driver_kick(&t.d, 1);
		assert_int_equal(t.d.queue[1].used->idx, i);
		virtio_resume(t.d.dev);
		driver_used(&t.d, 1);
		assert_int_equal(data(1, 0)[0], i + 1);
	}
}

static void reset_and_start_again(void **state)
{
	for (unsigned i = 0; i < 5; i++) {
		driver_start(&t.d, FEATURES);
		write_and_read(0, i, (uint8_t)(i + 1));
		driver_reset(&t.d);
	}
	assert_int_equal(t.backend.stops, t.backend.starts);
	assert_int_equal(t.lost, 0);
}

static void queues_that_are_not_set_up_are_left_alone(void **state)
{
	driver_negotiate(&t.d, FEATURES);
	driver_set_up_queue(&t.d, 1, DRIVER_QUEUE_SIZE);
	driver_write(&t.d, VIRTIO_MMIO_STATUS,
		     driver_read(&t.d, VIRTIO_MMIO_STATUS) | VIRTIO_CONFIG_S_DRIVER_OK);
	write_and_read(1, 3, 7);
	assert_int_equal(t.backend.starts, 1);
}

static void grows(void **state)
{
	const struct virtio_vhost_user_blk_args args = { .sock = -1, .size = 8 * BACKEND_DISK_SIZE };

	driver_start(&t.d, FEATURES);
	assert_int_equal(virtio_update(t.d.dev, &args, NULL), 0);
	assert_int_equal(capacity(), 8 * BACKEND_DISK_SIZE / 512);
	driver_wait_interrupt(&t.d, VIRTIO_MMIO_INT_CONFIG);
	/* it never shrinks */
	assert_int_equal(virtio_update(t.d.dev, &(struct virtio_vhost_user_blk_args){ .size = 512 }, NULL),
			 0);
	assert_int_equal(capacity(), 8 * BACKEND_DISK_SIZE / 512);
}

/* --- a backend that ends */

static void requests_wait_for_the_next_backend(void **state)
{
	driver_start(&t.d, FEATURES);
	write_and_read(0, 1, 1);
	backend_kill(&t.backend);
	wait_lost();
	memset(data(0, 0), 0x55, 512);
	offer(0, 0, VIRTIO_BLK_T_OUT, 2);
	driver_kick(&t.d, 0);
	settle();
	assert_false(driver_read(&t.d, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET);

	backend_init(&t.backend, t.disk);
	reconnect();
	driver_used(&t.d, 0);
	assert_int_equal(t.disk[1024], 0x55);
	write_and_read(1, 9, 9);
	assert_int_equal(t.lost, 1);
}

static void requests_in_flight_are_done_by_the_next_backend(void **state)
{
	driver_start(&t.d, FEATURES);
	write_and_read(0, 1, 1);
	t.backend.hold = true;
	for (unsigned i = 0; i < 3; i++) {
		memset(data(0, i), (int)(0x10 + i), 512);
		offer(0, i, VIRTIO_BLK_T_OUT, 10 + i);
	}
	driver_kick(&t.d, 0);
	wait_held();
	backend_kill(&t.backend);
	wait_lost();
	assert_int_equal(t.disk[10 * 512], 0);

	backend_init(&t.backend, t.disk);
	reconnect();
	driver_wait_used(&t.d, 0, 3);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(t.disk[(10 + i) * 512], 0x10 + i);
	assert_int_equal(t.d.queue[0].used->idx, 2 + 3);
	t.d.queue[0].last_used = 5;
	write_and_read(0, 20, 20);
}

/* It cannot tell which requests are done: to do one again could overwrite what came after it. */
static void without_a_record_requests_in_flight_need_a_reset(void **state)
{
	t.backend.protocol &= ~(1ULL << 12);
	assert_int_equal(make_device(backend_start(&t.backend), NULL), 0);
	driver_start(&t.d, FEATURES);
	backend_kill(&t.backend);
	wait_lost();
	backend_init(&t.backend, t.disk);
	t.backend.protocol &= ~(1ULL << 12);
	/* idle rings can go on */
	reconnect();
	write_and_read(0, 1, 1);

	t.backend.hold = true;
	offer(0, 0, VIRTIO_BLK_T_IN, 0);
	driver_kick(&t.d, 0);
	wait_held();
	backend_kill(&t.backend);
	wait_lost_times(2);
	backend_init(&t.backend, t.disk);
	reconnect();
	driver_wait_broken(&t.d);
	driver_start(&t.d, FEATURES);
	write_and_read(0, 2, 2);
}

/* Like a power cut to the disk alone: whoever relies on its cache must know. */
static void lost_writes_need_a_reset(void **state)
{
	forgets = true;
	assert_int_equal(make_device(backend_start(&t.backend), NULL), 0);
	driver_start(&t.d, DRIVER_FEATURES); /* each write is durable */
	write_and_read(0, 1, 1);
	backend_kill(&t.backend);
	wait_lost();
	backend_init(&t.backend, t.disk);
	reconnect();
	write_and_read(0, 2, 2);

	driver_start(&t.d, FEATURES);
	backend_kill(&t.backend);
	wait_lost_times(2);
	backend_init(&t.backend, t.disk);
	reconnect();
	driver_wait_broken(&t.d);
	driver_start(&t.d, FEATURES);
	write_and_read(0, 3, 3);
}

static void it_may_end_while_the_vm_is_paused(void **state)
{
	driver_start(&t.d, FEATURES);
	virtio_quiesce(t.d.dev);
	backend_kill(&t.backend);
	wait_lost();
	backend_init(&t.backend, t.disk);
	reconnect();
	assert_int_equal(t.backend.starts, 0);
	virtio_resume(t.d.dev);
	write_and_read(0, 1, 1);

	/* nor does it matter that there is none when the VM goes on */
	virtio_quiesce(t.d.dev);
	backend_kill(&t.backend);
	wait_lost_times(2);
	virtio_resume(t.d.dev);
	backend_init(&t.backend, t.disk);
	reconnect();
	write_and_read(1, 2, 2);
}

static void a_driver_starts_and_resets_without_a_backend(void **state)
{
	driver_start(&t.d, FEATURES);
	backend_kill(&t.backend);
	wait_lost();
	driver_reset(&t.d);
	driver_start(&t.d, FEATURES);
	offer(0, 0, VIRTIO_BLK_T_IN, 0);
	driver_kick(&t.d, 0);
	driver_reset(&t.d);
	driver_start(&t.d, FEATURES);
	backend_init(&t.backend, t.disk);
	reconnect();
	write_and_read(0, 1, 1);
}

static void one_that_offers_less_is_refused(void **state)
{
	struct hvd_error err = { 0 };

	backend_kill(&t.backend);
	wait_lost();
	backend_init(&t.backend, t.disk);
	t.backend.features &= ~(1ULL << VIRTIO_BLK_F_FLUSH);
	assert_int_equal(virtio_vhost_user_blk_reconnect(t.d.dev, backend_start(&t.backend), &err),
			 -EINVAL);
	assert_non_null(strstr(err.msg, "offers less"));
}

/* --- answers that are none */

static void lies_are_the_end_of_the_connection(void **state)
{
	static const struct {
		uint32_t about, header[3];
		uint8_t payload[80];
		uint32_t len;
	} lies[] = {
		{ 1, { 2, 5, 8 }, { 0 }, 20 },            /* another request's answer */
		{ 1, { 1, 5, 4 }, { 0 }, 16 },            /* too short */
		{ 1, { 1, 5, 16 }, { 0 }, 28 },           /* too long */
		{ 1, { 1, 5, UINT32_MAX }, { 0 }, 90 },
		{ 1, { 1, 1, 8 }, { 0 }, 20 },            /* no answer */
		{ 1, { 1, 6, 8 }, { 0 }, 20 },            /* another version */
		{ 1, { 1, 5, 8 }, { 0 }, 20 },            /* no protocol features */
		{ 15, { 15, 5, 8 }, { 0 }, 20 },          /* no configuration */
		{ 24, { 24, 5, 0 }, { 0 }, 12 },          /* not so much configuration */
		{ 24, { 24, 5, 13 }, { 0 }, 25 },
		{ 24, { 24, 5, 2000 }, { 0 }, 92 },
		{ 24, { 24, 5, 72 }, { 1, 0, 0, 0, 60 }, 84 },
		{ 17, { 17, 5, 8 }, { 0 }, 20 },          /* no queue at all */
	};

	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		uint8_t bytes[92];
		struct hvd_error err = { 0 };
		int r;

		memcpy(bytes, lies[i].header, 12);
		memcpy(bytes + 12, lies[i].payload, 80);
		backend_init(&t.backend, t.disk);
		t.backend.lie_about = lies[i].about;
		t.backend.lie = bytes;
		t.backend.lie_len = lies[i].len;
		r = make_device(backend_start(&t.backend), &err);
		assert_true(r < 0);
		assert_true(err.msg[0]);
		backend_kill(&t.backend);
	}
}

/* Sends what nobody asked for, refuses, or names another ring, while it is at work. */
static void lies_at_work_lose_the_backend(void **state)
{
	static const uint32_t refusal[] = { 8, 5, 8, 1, 0 }, other[] = { 11, 5, 8, 7, 0 },
			      index[] = { 11, 5, 8, 0, 0x10000 };
	static const struct {
		uint32_t about;
		const void *lie;
	} lies[] = { { 8, refusal }, { 11, other }, { 11, index } };

	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		t.backend.lie_about = lies[i].about;
		t.backend.lie = lies[i].lie;
		t.backend.lie_len = 20;
		driver_start(&t.d, FEATURES);
		driver_reset(&t.d);
		wait_lost_times((unsigned)i + 1);
		backend_kill(&t.backend);
		backend_init(&t.backend, t.disk);
		reconnect();
	}
	assert_int_equal(write(t.backend.sock, "x", 1), 1);
	wait_lost_times(ARRAY_SIZE(lies) + 1);
}

/* Or it would go on to serve a connection of which nothing comes any more. */
static void one_that_is_given_up_sees_it_though_its_socket_has_copies(void **state)
{
	int sock = backend_start(&t.backend);
	struct pollfd copy = { .fd = dup(sock), .events = POLLRDHUP };

	assert_int_equal(make_device(sock, NULL), 0);
	assert_int_equal(poll(&copy, 1, 0), 0);
	assert_int_equal(write(t.backend.sock, "x", 1), 1);
	wait_lost();
	assert_int_equal(poll(&copy, 1, 0), 1);
	backend_kill(&t.backend);

	backend_init(&t.backend, t.disk);
	reconnect();
	driver_start(&t.d, FEATURES);
	write_and_read(0, 1, 1);
	assert_int_equal(t.lost, 1);
	close(copy.fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define TEST_BARE(name) cmocka_unit_test_setup_teardown(name, set_up_nothing, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(serves_its_queues),
		TEST(offers_what_both_know),
		TEST(write_cache),
		TEST(pause_and_resume),
		TEST(reset_and_start_again),
		TEST(queues_that_are_not_set_up_are_left_alone),
		TEST(grows),
		TEST(requests_wait_for_the_next_backend),
		TEST(requests_in_flight_are_done_by_the_next_backend),
		TEST_BARE(without_a_record_requests_in_flight_need_a_reset),
		TEST_BARE(lost_writes_need_a_reset),
		TEST(it_may_end_while_the_vm_is_paused),
		TEST(a_driver_starts_and_resets_without_a_backend),
		TEST(one_that_offers_less_is_refused),
		TEST_BARE(lies_are_the_end_of_the_connection),
		TEST(lies_at_work_lose_the_backend),
		TEST_BARE(one_that_is_given_up_sees_it_though_its_socket_has_copies),
	};

	return DRIVER_RUN(tests);
}
