/* SPDX-License-Identifier: Apache-2.0 */
/* What VMs count: lists over resets, KVM's statistics from a file of the kernel's layout. */
#include <errno.h>
#include <linux/kvm.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "vmm/base/counter.h"
#include "vmm/base/macro.h"
#include "vmm/counters.h"
#include "vmm/kvm/stats.h"

static void test_counter(void **state)
{
	struct counter c = { 0 };

	counter_add(&c, 3);
	counter_add(&c, UINT32_MAX);
	assert_int_equal(counter_get(&c), UINT32_MAX + 3ULL);
}

/* A machine after a reset: what it has is added to what the one before has counted. */
static void test_lists(void **state)
{
	AUTO(counters_clear) struct counters_list before = { 0 }, now = { 0 };

	for (uint32_t i = 0; i < 40; i++) {
		struct counters *c = counters_append(&before, COUNTERS_VCPU, i, NULL);

		c->values[VCPU_TID] = 1000 + i;
		c->values[VCPU_EXITS] = i;
	}
	counters_append(&before, COUNTERS_DISK, 0, "gone")->values[DISK_READS] = 99;
	counters_append(&before, COUNTERS_DISK, 0, "vda")->values[DISK_READS] = 5;
	counters_append(&before, COUNTERS_NIC, 0, "vda")->values[NIC_RX_DROPPED] = 7;

	for (uint32_t i = 0; i < 40; i++) {
		struct counters *c = counters_append(&now, COUNTERS_VCPU, i, NULL);

		c->values[VCPU_TID] = 2000 + i;
		c->values[VCPU_EXITS] = 1;
	}
	counters_append(&now, COUNTERS_DISK, 0, "new")->values[DISK_READS] = 1;
	counters_append(&now, COUNTERS_DISK, 0, "vda")->values[DISK_READS] = 2;

	counters_add(&now, &before);
	assert_int_equal(now.n, 42);
	for (uint32_t i = 0; i < 40; i++) {
		assert_int_equal(now.items[i].values[VCPU_TID], 2000 + i);
		assert_int_equal(now.items[i].values[VCPU_EXITS], i + 1);
	}
	assert_int_equal(now.items[40].values[DISK_READS], 1);
	assert_int_equal(now.items[41].values[DISK_READS], 7);
}

/* ---- KVM's ---- */

#define NAME_LEN 48
#define N_STATS  4

/* struct kvm_stats_desc with its name. */
struct entry {
	uint32_t flags;
	int16_t exponent;
	uint16_t size;
	uint32_t offset, bucket_size;
	char name[NAME_LEN];
};
_Static_assert(offsetof(struct entry, name) == sizeof(struct kvm_stats_desc), "the kernel's layout");

struct file {
	struct kvm_stats_header header;
	char id[NAME_LEN];
	struct entry entries[N_STATS];
	uint64_t data[N_STATS];
};

static int make_file(const struct file *file, size_t size)
{
	int fd = memfd_create("stats", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, file, size), (ssize_t)size);
	return fd;
}

static struct file a_file(void)
{
	static const char *const names[N_STATS] = { "halt_wait_ns", "exits", "other", "wfi_exit_stat" };
	struct file file = {
		.header = { .name_size = NAME_LEN, .num_desc = N_STATS,
			    .id_offset = offsetof(struct file, id),
			    .desc_offset = offsetof(struct file, entries),
			    .data_offset = offsetof(struct file, data) },
	};

	for (uint32_t i = 0; i < N_STATS; i++) {
		file.entries[i].offset = i * (uint32_t)sizeof(uint64_t);
		file.entries[i].size = 1;
		strcpy(file.entries[i].name, names[i]);
		file.data[i] = 100 + i;
	}
	return file;
}

static const struct kvm_stats_name wanted[] = {
	{ "exits", 1 }, { "wfi_exit_stat", 2 }, { "halt_wait_ns", 2 }, { "not_there", 3 },
};

static void test_stats(void **state)
{
	struct file file = a_file();
	int fd = make_file(&file, sizeof(file));
	struct kvm_stats_layout layout;
	uint64_t values[4] = { 1, 1, 1, 1 };

	assert_int_equal(kvm_stats_find(fd, wanted, ARRAY_SIZE(wanted), &layout), 0);
	assert_int_equal(kvm_stats_add(fd, &layout, values), 0);
	assert_int_equal(values[0], 1);
	assert_int_equal(values[1], 1 + 101);
	assert_int_equal(values[2], 1 + 103 + 100);
	assert_int_equal(values[3], 1);
	close(fd);
}

/* Nothing that a file says makes us read or write where we should not. */
static void test_odd_stats(void **state)
{
	struct kvm_stats_layout layout = { 0 };
	uint64_t values[4] = { 0 };
	struct file file = a_file();
	int fd;

	file.header.name_size = 4096;
	fd = make_file(&file, sizeof(file));
	assert_int_equal(kvm_stats_find(fd, wanted, ARRAY_SIZE(wanted), &layout), -EPROTO);
	close(fd);

	file = a_file();
	file.header.num_desc = UINT32_MAX; /* and ends before that */
	fd = make_file(&file, sizeof(file));
	assert_int_equal(kvm_stats_find(fd, wanted, ARRAY_SIZE(wanted), &layout), -EPROTO);
	close(fd);

	file = a_file();
	file.entries[1].offset = UINT32_MAX - 3;
	fd = make_file(&file, sizeof(file));
	assert_int_equal(kvm_stats_find(fd, wanted, ARRAY_SIZE(wanted), &layout), 0);
	assert_int_equal(kvm_stats_add(fd, &layout, values), 0);
	assert_int_equal(values[1], 0);
	assert_int_equal(values[2], 203);
	close(fd);

	file = a_file();
	fd = make_file(&file, sizeof(file) - sizeof(uint64_t));
	assert_int_equal(kvm_stats_find(fd, wanted, ARRAY_SIZE(wanted), &layout), 0);
	assert_int_equal(kvm_stats_add(fd, &layout, values), -EPROTO);
	assert_int_equal(values[2], 203);
	close(fd);

	/* a kernel without statistics */
	layout = (struct kvm_stats_layout){ 0 };
	assert_int_equal(kvm_stats_add(-1, &layout, values), 0);
	assert_true(kvm_stats_open(-1) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counter),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_stats),
		cmocka_unit_test(test_odd_stats),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
