/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/arch/memmap.h"

static struct memmap place(uint64_t memory, unsigned vcpus, unsigned bits, bool pci)
{
	struct memmap_args args = { memory, vcpus, bits, pci };
	struct memmap map;

	assert_int_equal(memmap_init(&map, &args, NULL), 0);
	return map;
}

/* The figures are those of QEMU's virt: what guests and firmware have seen for years. */
static void typical_machine(void **state)
{
	struct memmap map = place(4 * GIB, 4, 48, true);

	assert_int_equal(map.ipa_bits, 40);
	assert_int_equal(map.n_gicr_low, 4);
	assert_int_equal(map.n_gicr_high, 0);
	assert_int_equal(map.gicr_high, 0x4000000000);
	assert_int_equal(map.ecam.base, 0x4010000000);
	assert_int_equal(map.ecam.size, 0x10000000);
	assert_int_equal(map.mmio64.base, 0x8000000000);
	assert_int_equal(map.mmio64.size, 0x8000000000);
}

static void vcpus_and_memory_move_nothing(void **state)
{
	struct memmap few = place(128 * MIB, 1, 48, true), many = place(255 * GIB, 512, 48, true);

	assert_int_equal(many.n_gicr_low, 123);
	assert_int_equal(many.n_gicr_high, 389);
	assert_memory_equal(&few.ecam, &many.ecam, sizeof(few.ecam));
	assert_memory_equal(&few.mmio64, &many.mmio64, sizeof(few.mmio64));
	assert_int_equal(few.gicr_high, many.gicr_high);
}

static void much_memory(void **state)
{
	struct memmap map = place(300 * GIB, 1, 48, true);

	assert_int_equal(map.ecam.base, 301 * GIB + 256 * MIB);
	assert_int_equal(map.mmio64.base, 512 * GIB);
	assert_int_equal(map.ipa_bits, 40);

	map = place(2048 * GIB, 1, 48, true);
	assert_int_equal(map.ecam.base, 2049 * GIB + 256 * MIB);
	assert_int_equal(map.mmio64.base, 2560 * GIB);
	assert_int_equal(map.mmio64.size, 512 * GIB);
	assert_int_equal(map.ipa_bits, 42);
}

static void a_smaller_window_where_bits_are_few(void **state)
{
	struct memmap map = place(600 * GIB, 1, 40, true);

	assert_int_equal(map.mmio64.base, 768 * GIB);
	assert_int_equal(map.mmio64.size, 256 * GIB);
	assert_int_equal(map.ipa_bits, 40);

	map = place(1 * GIB, 1, 39, true);
	assert_int_equal(map.ecam.base, 0x4010000000);
	assert_int_equal(map.mmio64.base, 384 * GIB);
	assert_int_equal(map.mmio64.size, 128 * GIB);
	assert_int_equal(map.ipa_bits, 39);
}

static void without_room_above_ram(void **state)
{
	struct memmap map = place(4 * GIB, 8, 36, true);

	assert_int_equal(map.ecam.base, 0x3f000000);
	assert_int_equal(map.ecam.size, 16 * MIB);
	assert_int_equal(map.mmio64.size, 0);
	assert_int_equal(map.ipa_bits, 36);

	/* up to the last GiB: the redistributors' place would still fit, the ECAM does not */
	map = place(1022 * GIB, 200, 40, true);
	assert_int_equal(map.gicr_high, 1023 * GIB);
	assert_int_equal(map.ecam.base, 1023 * GIB + 256 * MIB);
	map = place(1023 * GIB, 1, 40, true);
	assert_int_equal(map.ecam.base, 0x3f000000);
	assert_int_equal(map.mmio64.size, 0);
}

static void without_pci(void **state)
{
	struct memmap map = place(4 * GIB, 4, 48, false);

	assert_int_equal(map.ecam.size, 0);
	assert_int_equal(map.mmio64.size, 0);
	assert_int_equal(map.ipa_bits, 40);
	assert_int_equal(place(4 * GIB, 4, 36, false).ipa_bits, 36);
	assert_int_equal(place(1024 * GIB, 4, 48, false).ipa_bits, 41);
}

/* Whatever the sizes: nothing overlaps, everything is aligned and within the address space. */
static void invariants(void **state)
{
	for (unsigned bits = 32; bits <= 52; bits++) {
		for (uint64_t memory = 32 * MIB; memory < 1ULL << 51; memory = memory * 3 / 2 & ~(2 * MIB - 1)) {
			struct memmap_args args = { memory, 512, bits, true };
			struct memmap map;
			uint64_t ram_end = MEMMAP_RAM + memory;

			if (memmap_init(&map, &args, NULL) < 0) {
				args.vcpus = 1;
				if (memmap_init(&map, &args, NULL) < 0) {
					assert_true(ram_end > 1ULL << bits);
					break;
				}
			}
			assert_true(map.ipa_bits <= bits);
			assert_true(IS_ALIGNED(map.ecam.base, map.ecam.size));
			assert_true(map.ecam.base + map.ecam.size <= 1ULL << map.ipa_bits);
			if (map.n_gicr_high)
				assert_true(map.gicr_high >= ram_end &&
					    map.gicr_high + 64 * MIB <= 1ULL << map.ipa_bits);
			if (!map.mmio64.size)
				continue;
			assert_true(map.ecam.base >= map.gicr_high + 64 * MIB);
			assert_true(IS_ALIGNED(map.mmio64.base, map.mmio64.size));
			assert_true(map.mmio64.base >= map.ecam.base + map.ecam.size);
			assert_true(map.mmio64.base + map.mmio64.size <= 1ULL << map.ipa_bits);
		}
	}
}

static void refuses_what_does_not_fit(void **state)
{
	struct memmap_args memory = { 1024 * GIB, 1, 40, true };
	struct memmap_args vcpus = { 4 * GIB, 124, 36, true };
	struct memmap_args too_many = { 4 * GIB, 123 + 512 + 1, 48, false };
	struct hvd_error err = { 0 };
	struct memmap map;

	assert_int_equal(memmap_init(&map, &memory, &err), -ERANGE);
	assert_string_equal(err.field, "memory");
	assert_non_null(strstr(err.msg, "40 bits"));
	assert_int_equal(memmap_init(&map, &vcpus, &err), -ERANGE);
	assert_string_equal(err.field, "vcpus");
	assert_int_equal(memmap_init(&map, &too_many, &err), -ERANGE);
	assert_int_equal(memmap_max_vcpus(36), 123);
	assert_int_equal(memmap_max_vcpus(40), 123 + 512);
	vcpus.vcpus = 123;
	assert_int_equal(memmap_init(&map, &vcpus, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(typical_machine),
		cmocka_unit_test(vcpus_and_memory_move_nothing),
		cmocka_unit_test(much_memory),
		cmocka_unit_test(a_smaller_window_where_bits_are_few),
		cmocka_unit_test(without_room_above_ram),
		cmocka_unit_test(without_pci),
		cmocka_unit_test(invariants),
		cmocka_unit_test(refuses_what_does_not_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
