/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/base/macro.h"
#include "vmm/bus/mmio.h"

/* Remembers the last access; reads give what `value` says. */
struct probe {
	struct mmio_region region;
	uint64_t offset, value;
	unsigned len, reads, writes;
};

static uint64_t probe_read(struct mmio_region *region, uint64_t offset, unsigned len)
{
	struct probe *p = container_of(region, struct probe, region);

	p->offset = offset;
	p->len = len;
	p->reads++;
	return p->value;
}

static void probe_write(struct mmio_region *region, uint64_t offset, uint64_t value, unsigned len)
{
	struct probe *p = container_of(region, struct probe, region);

	p->offset = offset;
	p->len = len;
	p->value = value;
	p->writes++;
}

static struct probe probe(const char *name, uint64_t base, uint64_t size)
{
	return (struct probe){ .region = { name, base, size, probe_read, probe_write } };
}

static void finds_regions_added_in_any_order(void **state)
{
	struct probe a = probe("a", 0x1000, 0x100), b = probe("b", 0x3000, 0x1000),
		     c = probe("c", 0x2000, 0x200);
	struct mmio_bus bus = { 0 };

	assert_null(mmio_bus_find(&bus, 0x1000, 1));
	assert_int_equal(mmio_bus_add(&bus, &b.region, NULL), 0);
	assert_int_equal(mmio_bus_add(&bus, &a.region, NULL), 0);
	assert_int_equal(mmio_bus_add(&bus, &c.region, NULL), 0);

	assert_ptr_equal(mmio_bus_find(&bus, 0x1000, 4), &a.region);
	assert_ptr_equal(mmio_bus_find(&bus, 0x10fc, 4), &a.region);
	assert_ptr_equal(mmio_bus_find(&bus, 0x21ff, 1), &c.region);
	assert_ptr_equal(mmio_bus_find(&bus, 0x3ff8, 8), &b.region);

	assert_null(mmio_bus_find(&bus, 0xfff, 1));
	assert_null(mmio_bus_find(&bus, 0xfff, 4));
	assert_null(mmio_bus_find(&bus, 0x1100, 1));
	assert_null(mmio_bus_find(&bus, 0x10fd, 4)); /* crosses the end */
	assert_null(mmio_bus_find(&bus, 0x4000, 1));
	assert_null(mmio_bus_find(&bus, UINT64_MAX, 8));
}

static void refuses_overlap(void **state)
{
	struct probe a = probe("a", 0x1000, 0x100);
	struct probe bad[] = {
		probe("same", 0x1000, 0x100), probe("inside", 0x1080, 1),
		probe("across", 0xfff, 2),    probe("around", 0, 0x10000),
		probe("end", 0x10ff, 0x100),
	};
	struct probe below = probe("below", 0xf00, 0x100), above = probe("above", 0x1100, 1);
	struct mmio_bus bus = { 0 };
	struct hvd_error err;

	assert_int_equal(mmio_bus_add(&bus, &a.region, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(mmio_bus_add(&bus, &bad[i].region, &err), -EEXIST);
		assert_non_null(strstr(err.msg, "overlaps a"));
	}
	assert_int_equal(mmio_bus_add(&bus, &below.region, NULL), 0);
	assert_int_equal(mmio_bus_add(&bus, &above.region, NULL), 0);
	assert_int_equal(bus.n_regions, 3);
}

static void is_full_at_its_limit(void **state)
{
	static struct probe probes[MMIO_MAX_REGIONS + 1];
	struct mmio_bus bus = { 0 };

	for (unsigned i = 0; i <= MMIO_MAX_REGIONS; i++) {
		probes[i] = probe("p", i * 16, 16);
		assert_int_equal(mmio_bus_add(&bus, &probes[i].region, NULL),
				 i < MMIO_MAX_REGIONS ? 0 : -ENOSPC);
	}
	for (unsigned i = 0; i < MMIO_MAX_REGIONS; i++)
		assert_ptr_equal(mmio_bus_find(&bus, i * 16 + 8, 8), &probes[i].region);
}

static void hands_over_values_little_endian(void **state)
{
	struct probe p = probe("p", 0x1000, 0x100);
	uint8_t data[MMIO_DATA_SIZE] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	struct mmio_bus bus = { 0 };

	mmio_bus_add(&bus, &p.region, NULL);
	mmio_bus_write(&bus, 0x1010, data, 8);
	assert_int_equal(p.value, 0x0807060504030201);
	mmio_bus_write(&bus, 0x1010, data, 4);
	assert_int_equal(p.value, 0x04030201);
	mmio_bus_write(&bus, 0x1012, data, 2);
	assert_int_equal(p.value, 0x0201);
	assert_int_equal(p.offset, 0x12);
	assert_int_equal(p.len, 2);
	mmio_bus_write(&bus, 0x1013, data, 1);
	assert_int_equal(p.value, 0x01);

	p.value = 0x1122334455667788;
	mmio_bus_read(&bus, 0x1020, data, 4);
	assert_int_equal(data[0], 0x88);
	assert_int_equal(data[3], 0x55);
	assert_int_equal(p.offset, 0x20);
}

static void what_no_one_owns_reads_as_zero(void **state)
{
	struct probe p = probe("p", 0x1000, 0x100);
	uint8_t data[MMIO_DATA_SIZE];
	struct mmio_bus bus = { 0 };

	mmio_bus_add(&bus, &p.region, NULL);
	memset(data, 0xff, sizeof(data));
	mmio_bus_read(&bus, 0x2000, data, 4);
	for (size_t i = 0; i < sizeof(data); i++)
		assert_int_equal(data[i], 0);
	mmio_bus_write(&bus, 0x2000, data, 4);
	assert_int_equal(p.reads + p.writes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_regions_added_in_any_order),
		cmocka_unit_test(refuses_overlap),
		cmocka_unit_test(is_full_at_its_limit),
		cmocka_unit_test(hands_over_values_little_endian),
		cmocka_unit_test(what_no_one_owns_reads_as_zero),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
