/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/virtio_driver.h"

#define SIZE 16
#define RAM_END (DRIVER_RAM_BASE + DRIVER_RAM_SIZE)

struct ring {
	struct guest_mem *mem;
	struct driver_queue q;
	struct virtqueue vq;
	struct vq_chain chain;
};

static void set_addresses(struct ring *ring)
{
	vq_reset(&ring->vq);
	ring->vq.size = ring->q.size;
	ring->vq.desc = ring->q.desc_ipa;
	ring->vq.avail = ring->q.avail_ipa;
	ring->vq.used = ring->q.used_ipa;
}

static void start_with(struct ring *ring, uint16_t size, uint64_t features)
{
	driver_queue_init(&ring->q, ring->mem, 0, size);
	set_addresses(ring);
	assert_int_equal(vq_activate(&ring->vq, ring->mem, features), 0);
}

static int set_up(void **state)
{
	static struct ring ring;

	ring = (struct ring){ 0 };
	assert_int_equal(guest_mem_new(DRIVER_RAM_BASE, DRIVER_RAM_SIZE, &ring.mem), 0);
	start_with(&ring, SIZE, DRIVER_FEATURES);
	*state = &ring;
	return 0;
}

static int tear_down(void **state)
{
	struct ring *ring = *state;

	guest_mem_free(ring->mem);
	return 0;
}

static void expect_broken(struct ring *ring, const char *why)
{
	assert_int_equal(vq_pop(&ring->vq, &ring->chain), -EBADMSG);
	assert_string_equal(ring->vq.broken, why);
	/* and it stays so, whatever comes */
	queue_desc(&ring->q, 9, data_ipa(0), 4, 0, 0);
	queue_avail(&ring->q, 9);
	assert_int_equal(vq_pop(&ring->vq, &ring->chain), -EBADMSG);
	assert_false(vq_enable_kick(&ring->vq));
}

static void test_empty(void **state)
{
	struct ring *ring = *state;

	assert_int_equal(vq_pop(&ring->vq, &ring->chain), 0);
	assert_false(vq_flush(&ring->vq));
}

static void test_not_active(void **state)
{
	struct ring *ring = *state;

	vq_reset(&ring->vq);
	assert_int_equal(vq_pop(&ring->vq, &ring->chain), 0);
	assert_false(vq_flush(&ring->vq));
	vq_disable_kick(&ring->vq);
	assert_false(vq_enable_kick(&ring->vq));
}

static void test_chain(void **state)
{
	struct ring *ring = *state;
	struct vq_chain *chain = &ring->chain;

	queue_desc(&ring->q, 3, data_ipa(0), 16, VRING_DESC_F_NEXT, 7);
	queue_desc(&ring->q, 7, data_ipa(100), 5, VRING_DESC_F_NEXT, 0);
	queue_desc(&ring->q, 0, data_ipa(512), 512, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 1);
	queue_desc(&ring->q, 1, data_ipa(4096), 1, VRING_DESC_F_WRITE, 0xffff);
	queue_avail(&ring->q, 3);

	assert_int_equal(vq_pop(&ring->vq, chain), 1);
	assert_int_equal(chain->head, 3);
	assert_int_equal(chain->n_out, 2);
	assert_int_equal(chain->n_in, 2);
	assert_int_equal(chain->out_len, 21);
	assert_int_equal(chain->in_len, 513);
	assert_ptr_equal(chain->iov[1].iov_base, guest_mem_ptr(ring->mem, data_ipa(100), 5));
	assert_ptr_equal(chain->iov[3].iov_base, guest_mem_ptr(ring->mem, data_ipa(4096), 1));
	assert_int_equal(vq_pop(&ring->vq, chain), 0);

	vq_push(&ring->vq, 3, 513);
	assert_int_equal(ring->q.used->idx, 0);
	assert_true(vq_flush(&ring->vq));
	assert_int_equal(ring->q.used->idx, 1);
	assert_int_equal(ring->q.used->ring[0].id, 3);
	assert_int_equal(ring->q.used->ring[0].len, 513);
}

/* Lay an indirect table out at the start of the data area. */
static struct vring_desc *indirect_at(struct ring *ring, uint64_t offset, uint16_t n)
{
	queue_desc(&ring->q, 0, data_ipa(offset), n * sizeof(struct vring_desc),
		   VRING_DESC_F_INDIRECT, 0);
	queue_avail(&ring->q, 0);
	return guest_mem_ptr(ring->mem, data_ipa(offset), n * sizeof(struct vring_desc));
}

static void test_indirect(void **state)
{
	struct ring *ring = *state;
	struct vring_desc *table = indirect_at(ring, 0, 3);

	table[0] = (struct vring_desc){ data_ipa(4096), 16, VRING_DESC_F_NEXT, 2 };
	table[2] = (struct vring_desc){ data_ipa(8192), 1, VRING_DESC_F_WRITE, 0 };
	assert_int_equal(vq_pop(&ring->vq, &ring->chain), 1);
	assert_int_equal(ring->chain.head, 0);
	assert_int_equal(ring->chain.n_out, 1);
	assert_int_equal(ring->chain.n_in, 1);
}

static void test_indirect_behind_direct(void **state)
{
	struct ring *ring = *state;
	struct vring_desc *table = indirect_at(ring, 0, 1);

	/* head 0 is the indirect one: put a direct one before it */
	queue_desc(&ring->q, 5, data_ipa(64), 8, VRING_DESC_F_NEXT, 0);
	ring->q.avail->ring[0] = 5;
	*table = (struct vring_desc){ data_ipa(4096), 16, 0, 0 };
	assert_int_equal(vq_pop(&ring->vq, &ring->chain), 1);
	assert_int_equal(ring->chain.out_len, 24);
}

static void test_indirect_unaligned(void **state)
{
	struct ring *ring = *state;
	struct vring_desc desc = { data_ipa(4096), 16, 0, 0 };

	memcpy(indirect_at(ring, 3, 1), &desc, sizeof(desc));
	assert_int_equal(vq_pop(&ring->vq, &ring->chain), 1);
	assert_int_equal(ring->chain.out_len, 16);
}

static void test_largest_chain(void **state)
{
	struct ring *ring = *state;
	struct vring_desc *table = indirect_at(ring, 0, VQ_MAX_SEGS);

	for (uint16_t i = 0; i < VQ_MAX_SEGS; i++)
		table[i] = (struct vring_desc){
			.addr = data_ipa(8192),
			.len = 1,
			.flags = i < VQ_MAX_SEGS - 1 ? VRING_DESC_F_NEXT : 0,
			.next = (uint16_t)(i + 1),
		};
	assert_int_equal(vq_pop(&ring->vq, &ring->chain), 1);
	assert_int_equal(ring->chain.n_out, VQ_MAX_SEGS);
}

static void test_indexes_wrap(void **state)
{
	struct ring *ring = *state;

	queue_desc(&ring->q, 2, data_ipa(0), 4, 0, 0);
	for (unsigned i = 0; i < 3 * 65536; i++) {
		queue_avail(&ring->q, 2);
		if (vq_pop(&ring->vq, &ring->chain) != 1)
			fail_msg("nothing at %u", i);
		vq_push(&ring->vq, 2, 0);
		vq_flush(&ring->vq);
	}
	assert_int_equal(ring->q.used->idx, (uint16_t)(3 * 65536));
}

static void test_unpop(void **state)
{
	struct ring *ring = *state;

	for (uint16_t i = 0; i < 3; i++) {
		queue_desc(&ring->q, i, data_ipa(i), 1, 0, 0);
		queue_avail(&ring->q, i);
		assert_int_equal(vq_pop(&ring->vq, &ring->chain), 1);
	}
	vq_unpop(&ring->vq, 2);
	vq_unpop(&ring->vq, 1);
	assert_int_equal(vq_pop(&ring->vq, &ring->chain), 1);
	assert_int_equal(ring->chain.head, 1);
	assert_int_equal(vq_pop(&ring->vq, &ring->chain), 1);
	assert_int_equal(ring->chain.head, 2);
}

static void pop_and_push(struct ring *ring, uint16_t head)
{
	queue_desc(&ring->q, head, data_ipa(0), 4, 0, 0);
	queue_avail(&ring->q, head);
	assert_int_equal(vq_pop(&ring->vq, &ring->chain), 1);
	vq_push(&ring->vq, head, 0);
}

/* The test serves the ring while it is lent. */
static void test_lent_and_taken_back(void **state)
{
	struct ring *ring = *state;
	struct vq_ring lent;

	for (uint16_t i = 0; i < 6; i++) {
		queue_desc(&ring->q, i, data_ipa(0), 16, 0, 0);
		queue_avail(&ring->q, i);
	}
	assert_int_equal(vq_pop(&ring->vq, &ring->chain), 1);
	vq_push(&ring->vq, ring->chain.head, 0);
	vq_flush(&ring->vq);
	vq_lend(&ring->vq, &lent);
	assert_ptr_equal(lent.desc, ring->q.desc);
	assert_ptr_equal(lent.avail, ring->q.avail);
	assert_ptr_equal(lent.used, ring->q.used);
	assert_int_equal(lent.size, SIZE);
	assert_int_equal(lent.next_avail, 1);

	ring->q.used->ring[1].id = 1;
	ring->q.used->ring[2].id = 2;
	ring->q.used->idx = 3;
	vq_take_back(&ring->vq, 3);
	assert_int_equal(vq_pop(&ring->vq, &ring->chain), 1);
	assert_int_equal(ring->chain.head, 3);
	vq_push(&ring->vq, ring->chain.head, 5);
	vq_flush(&ring->vq);
	assert_int_equal(ring->q.used->idx, 4);
	assert_int_equal(ring->q.used->ring[3].id, 3);
}

static void test_interrupts_with_event_idx(void **state)
{
	struct ring *ring = *state;
	uint16_t *used_event = &ring->q.avail->ring[SIZE];

	*used_event = 2;
	pop_and_push(ring, 0);
	assert_false(vq_flush(&ring->vq));
	pop_and_push(ring, 0);
	assert_false(vq_flush(&ring->vq));
	pop_and_push(ring, 0);
	assert_true(vq_flush(&ring->vq)); /* the third has index 2 */
	pop_and_push(ring, 0);
	assert_false(vq_flush(&ring->vq));

	/* one interrupt for a batch that crosses the event */
	*used_event = 5;
	pop_and_push(ring, 0);
	pop_and_push(ring, 0);
	pop_and_push(ring, 0);
	assert_true(vq_flush(&ring->vq));
}

static void test_interrupts_with_flags(void **state)
{
	struct ring *ring = *state;

	start_with(ring, SIZE, 1ULL << VIRTIO_F_VERSION_1);
	pop_and_push(ring, 0);
	assert_true(vq_flush(&ring->vq));
	ring->q.avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	pop_and_push(ring, 0);
	assert_false(vq_flush(&ring->vq));
}

static void test_kicks_with_event_idx(void **state)
{
	struct ring *ring = *state;
	uint16_t *avail_event = (uint16_t *)&ring->q.used->ring[SIZE];

	pop_and_push(ring, 0);
	pop_and_push(ring, 1);
	vq_disable_kick(&ring->vq);
	assert_int_equal(*avail_event, 0);
	assert_false(vq_enable_kick(&ring->vq));
	assert_int_equal(*avail_event, 2);

	/* what came before the device said so is seen */
	queue_avail(&ring->q, 1);
	assert_true(vq_enable_kick(&ring->vq));
}

static void test_kicks_with_flags(void **state)
{
	struct ring *ring = *state;

	start_with(ring, SIZE, 1ULL << VIRTIO_F_VERSION_1);
	vq_disable_kick(&ring->vq);
	assert_int_equal(ring->q.used->flags, VRING_USED_F_NO_NOTIFY);
	assert_false(vq_enable_kick(&ring->vq));
	assert_int_equal(ring->q.used->flags, 0);
	queue_avail(&ring->q, 1);
	assert_true(vq_enable_kick(&ring->vq));
}

static void test_bad_size(void **state)
{
	static const uint16_t sizes[] = { 0, 3, 24, 257, 512, 32768, 65535 };
	struct ring *ring = *state;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		set_addresses(ring);
		ring->vq.size = sizes[i];
		assert_int_equal(vq_activate(&ring->vq, ring->mem, DRIVER_FEATURES), -EBADMSG);
		assert_int_equal(vq_pop(&ring->vq, &ring->chain), -EBADMSG);
	}
}

static void expect_no_activation(struct ring *ring, uint64_t desc, uint64_t avail, uint64_t used)
{
	set_addresses(ring);
	ring->vq.desc = desc;
	ring->vq.avail = avail;
	ring->vq.used = used;
	assert_int_equal(vq_activate(&ring->vq, ring->mem, DRIVER_FEATURES), -EBADMSG);
	assert_false(vq_flush(&ring->vq));
}

static void test_bad_ring_addresses(void **state)
{
	struct ring *ring = *state;
	uint64_t d = ring->q.desc_ipa, a = ring->q.avail_ipa, u = ring->q.used_ipa;

	expect_no_activation(ring, d + 8, a, u);
	expect_no_activation(ring, d, a + 1, u);
	expect_no_activation(ring, d, a, u + 2);
	expect_no_activation(ring, 0x09000000, a, u); /* a device, not RAM */
	expect_no_activation(ring, d, 0, u);
	expect_no_activation(ring, d, a, UINT64_MAX - 3);
	/* their last bytes: the event indexes are part of the rings */
	expect_no_activation(ring, RAM_END - SIZE * 16 + 16, a, u);
	expect_no_activation(ring, d, RAM_END - 4 - 2 * SIZE, u);
	expect_no_activation(ring, d, a, RAM_END - 4 - 8 * SIZE);
}

static void test_descriptor_loop_cve_2016_6490(void **state)
{
	struct ring *ring = *state;

	queue_desc(&ring->q, 0, data_ipa(0), 4, VRING_DESC_F_NEXT, 1);
	queue_desc(&ring->q, 1, data_ipa(0), 4, VRING_DESC_F_NEXT, 0);
	queue_avail(&ring->q, 0);
	expect_broken(ring, "a chain loops or has too many descriptors");
}

static void test_indirect_loop(void **state)
{
	struct ring *ring = *state;

	indirect_at(ring, 0, 1)[0] = (struct vring_desc){ data_ipa(64), 1, VRING_DESC_F_NEXT, 0 };
	expect_broken(ring, "a chain loops or has too many descriptors");
}

static void test_zero_length_cve_2016_7422(void **state)
{
	struct ring *ring = *state;

	queue_desc(&ring->q, 0, data_ipa(0), 0, VRING_DESC_F_WRITE, 0);
	queue_avail(&ring->q, 0);
	expect_broken(ring, "a descriptor of zero length");
}

static void test_buffer_out_of_ram(void **state)
{
	static const struct {
		uint64_t ipa;
		uint32_t len;
	} bad[] = {
		{ DRIVER_RAM_BASE - 1, 2 },
		{ RAM_END, 1 },
		{ RAM_END - 1, 2 },
		{ DRIVER_RAM_BASE, UINT32_MAX },
		{ UINT64_MAX, 1 },
		{ UINT64_MAX - 3, 8 },
		{ 0, 4096 },
	};
	struct ring *ring = *state;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		start_with(ring, SIZE, DRIVER_FEATURES);
		queue_desc(&ring->q, 0, bad[i].ipa, bad[i].len, 0, 0);
		queue_avail(&ring->q, 0);
		expect_broken(ring, "a buffer that is not in guest RAM");
	}
}

/* A device's registers are no RAM, so a descriptor cannot make a device write to a device. */
static void test_dma_to_mmio_cve_2021_3929(void **state)
{
	struct ring *ring = *state;

	queue_desc(&ring->q, 0, 0x0a000000 + VIRTIO_MMIO_STATUS, 4, VRING_DESC_F_WRITE, 0);
	queue_avail(&ring->q, 0);
	expect_broken(ring, "a buffer that is not in guest RAM");
}

static void test_length_overflow_cve_2023_3180(void **state)
{
	struct ring *ring = *state;
	struct guest_mem *mem;
	uint64_t half = 2 * GIB;

	/* enough (unused) RAM that each descriptor by itself is valid */
	assert_int_equal(guest_mem_new(DRIVER_RAM_BASE, 3 * GIB, &mem), 0);
	guest_mem_free(ring->mem);
	ring->mem = mem;
	start_with(ring, SIZE, DRIVER_FEATURES);
	queue_desc(&ring->q, 0, DRIVER_RAM_BASE, (uint32_t)half, VRING_DESC_F_NEXT, 1);
	queue_desc(&ring->q, 1, DRIVER_RAM_BASE, (uint32_t)half, VRING_DESC_F_WRITE, 0);
	queue_avail(&ring->q, 0);
	expect_broken(ring, "a chain of 4 GiB or more");
}

static void test_head_out_of_range(void **state)
{
	struct ring *ring = *state;

	queue_avail(&ring->q, SIZE);
	expect_broken(ring, "a head out of range");
}

static void test_next_out_of_range_cve_2019_14835(void **state)
{
	struct ring *ring = *state;

	queue_desc(&ring->q, 0, data_ipa(0), 4, VRING_DESC_F_NEXT, SIZE);
	queue_avail(&ring->q, 0);
	expect_broken(ring, "a next field out of range");
}

static void test_indirect_next_out_of_range(void **state)
{
	struct ring *ring = *state;

	indirect_at(ring, 0, 2)[0] = (struct vring_desc){ data_ipa(64), 1, VRING_DESC_F_NEXT, 2 };
	expect_broken(ring, "a next field out of range");
}

static void test_avail_index_jumps(void **state)
{
	struct ring *ring = *state;

	ring->q.avail->idx = SIZE + 1;
	expect_broken(ring, "the available index jumps by more than the size");
}

static void test_avail_index_goes_back(void **state)
{
	struct ring *ring = *state;

	pop_and_push(ring, 0);
	ring->q.avail->idx = 0;
	expect_broken(ring, "the available index jumps by more than the size");
}

static void test_duplicate_head_cve_2021_3748(void **state)
{
	struct ring *ring = *state;

	queue_desc(&ring->q, 4, data_ipa(0), 4, 0, 0);
	queue_avail(&ring->q, 4);
	queue_avail(&ring->q, 4);
	assert_int_equal(vq_pop(&ring->vq, &ring->chain), 1);
	expect_broken(ring, "a head that is still in use");
}

static void test_readable_behind_writable(void **state)
{
	struct ring *ring = *state;

	queue_desc(&ring->q, 0, data_ipa(0), 4, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, 1);
	queue_desc(&ring->q, 1, data_ipa(0), 4, 0, 0);
	queue_avail(&ring->q, 0);
	expect_broken(ring, "a readable descriptor behind a writable one");
}

static void test_indirect_in_indirect(void **state)
{
	struct ring *ring = *state;

	indirect_at(ring, 0, 1)[0] =
		(struct vring_desc){ data_ipa(64), 16, VRING_DESC_F_INDIRECT, 0 };
	expect_broken(ring, "an indirect descriptor in an indirect table");
}

static void test_indirect_odd_length(void **state)
{
	static const uint32_t lengths[] = { 0, 15, 17, 4095 };
	struct ring *ring = *state;

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		start_with(ring, SIZE, DRIVER_FEATURES);
		queue_desc(&ring->q, 0, data_ipa(0), lengths[i], VRING_DESC_F_INDIRECT, 0);
		queue_avail(&ring->q, 0);
		expect_broken(ring, "an indirect table of odd length");
	}
}

static void test_indirect_out_of_ram(void **state)
{
	struct ring *ring = *state;

	queue_desc(&ring->q, 0, RAM_END - 16, 32, VRING_DESC_F_INDIRECT, 0);
	queue_avail(&ring->q, 0);
	expect_broken(ring, "an indirect table that is not in guest RAM");
}

static void test_indirect_with_next(void **state)
{
	struct ring *ring = *state;

	queue_desc(&ring->q, 0, data_ipa(0), 16, VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT, 1);
	queue_avail(&ring->q, 0);
	expect_broken(ring, "a descriptor behind an indirect one");
}

static void test_indirect_not_negotiated(void **state)
{
	struct ring *ring = *state;

	start_with(ring, SIZE, 1ULL << VIRTIO_F_VERSION_1);
	queue_desc(&ring->q, 0, data_ipa(0), 16, VRING_DESC_F_INDIRECT, 0);
	queue_avail(&ring->q, 0);
	expect_broken(ring, "an indirect descriptor that was not negotiated");
}

struct flipper {
	struct vring_desc *desc;
	bool stop;
};

static void *flip(void *arg)
{
	struct flipper *f = arg;

	while (!__atomic_load_n(&f->stop, __ATOMIC_RELAXED)) {
		__atomic_store_n(&f->desc->addr, RAM_END - 8, __ATOMIC_RELAXED);
		__atomic_store_n(&f->desc->addr, RAM_END + 4096, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* The guest changes a descriptor while it is looked at: what is checked is what is used. */
static void test_double_fetch_cve_2015_8550(void **state)
{
	struct ring *ring = *state;
	struct flipper f = { .desc = &ring->q.desc[0] };
	uint8_t *end = (uint8_t *)guest_mem_ptr(ring->mem, RAM_END - 8, 8) + 8;
	pthread_t thread;

	queue_desc(&ring->q, 0, RAM_END - 8, 8, 0, 0);
	assert_int_equal(pthread_create(&thread, NULL, flip, &f), 0);
	for (unsigned i = 0; i < 200000; i++) {
		ring->vq.broken = NULL;
		queue_avail(&ring->q, 0);
		if (vq_pop(&ring->vq, &ring->chain) == 1) {
			assert_ptr_equal(ring->chain.iov[0].iov_base, end - 8);
			assert_int_equal(ring->chain.iov[0].iov_len, 8);
			vq_push(&ring->vq, 0, 0);
		} else {
			ring->q.avail->idx--;
			ring->vq.seen_avail--;
		}
	}
	__atomic_store_n(&f.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_empty),
		TEST(test_not_active),
		TEST(test_chain),
		TEST(test_indirect),
		TEST(test_indirect_behind_direct),
		TEST(test_indirect_unaligned),
		TEST(test_largest_chain),
		TEST(test_indexes_wrap),
		TEST(test_unpop),
		TEST(test_lent_and_taken_back),
		TEST(test_interrupts_with_event_idx),
		TEST(test_interrupts_with_flags),
		TEST(test_kicks_with_event_idx),
		TEST(test_kicks_with_flags),
		TEST(test_bad_size),
		TEST(test_bad_ring_addresses),
		TEST(test_descriptor_loop_cve_2016_6490),
		TEST(test_indirect_loop),
		TEST(test_zero_length_cve_2016_7422),
		TEST(test_buffer_out_of_ram),
		TEST(test_dma_to_mmio_cve_2021_3929),
		TEST(test_length_overflow_cve_2023_3180),
		TEST(test_head_out_of_range),
		TEST(test_next_out_of_range_cve_2019_14835),
		TEST(test_indirect_next_out_of_range),
		TEST(test_avail_index_jumps),
		TEST(test_avail_index_goes_back),
		TEST(test_duplicate_head_cve_2021_3748),
		TEST(test_readable_behind_writable),
		TEST(test_indirect_in_indirect),
		TEST(test_indirect_odd_length),
		TEST(test_indirect_out_of_ram),
		TEST(test_indirect_with_next),
		TEST(test_indirect_not_negotiated),
		TEST(test_double_fetch_cve_2015_8550),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
