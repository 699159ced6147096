/* SPDX-License-Identifier: Apache-2.0 */
/* What the ACPI tables say; test-acpi-iasl tells whether they are well-formed. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/acpi_rig.h"
#include "vmm/arch/aml.h"
#include "vmm/base/cleanup.h"
#include "vmm/config.h"

struct fixture {
	const struct acpi_rig_machine *m;
	struct acpi_rig rig;
};

static void load(struct fixture *f, unsigned which)
{
	f->m = acpi_rig_machine(which);
	acpi_rig_load(&f->rig, &f->m->machine);
}

static const uint8_t *table(const struct fixture *f, const char *signature)
{
	const uint8_t *data = acpi_rig_find(&f->rig, signature, NULL);

	if (!data)
		fail_msg("%s: no %s", f->m->name, signature);
	return data;
}

static int set_up(void **state)
{
	static struct fixture f;

	load(&f, ACPI_RIG_STANDARD);
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	acpi_rig_free(&f->rig);
	return 0;
}

static void the_machine_is_hardware_reduced(void **state)
{
	const uint8_t *fadt = table(*state, "FACP");

	assert_int_equal(acpi_le(fadt + 4, 4), 276);
	assert_int_equal(fadt[8], 6);
	assert_int_equal(acpi_le(fadt + 40, 4), 0); /* the DSDT is at X_DSDT only */
	assert_int_equal(acpi_le(fadt + 112, 4), 1u << 20 | 1u << 5 | 1u << 4);
	assert_int_equal(acpi_le(fadt + 129, 2), 3); /* PSCI by HVC */
	for (unsigned i = 46; i < 109; i++)
		assert_int_equal(fadt[i], 0);
}

/* The n-th structure of a type in the MADT, or NULL. */
static const uint8_t *in_madt(const struct fixture *f, unsigned type, unsigned n)
{
	const uint8_t *madt = table(f, "APIC"), *p = madt + 44;
	const uint8_t *end = madt + acpi_le(madt + 4, 4);

	for (; p < end; p += p[1]) {
		assert_true(p[1] >= 2 && p + p[1] <= end);
		if (p[0] == type && n-- == 0)
			return p;
	}
	assert_ptr_equal(p, end);
	return NULL;
}

static void every_vcpu_has_its_interface(void **state)
{
	const struct fixture *f = *state;

	for (unsigned i = 0; i < f->m->machine.n_vcpus; i++) {
		const uint8_t *gicc = in_madt(f, 0x0b, i);

		assert_non_null(gicc);
		assert_int_equal(gicc[1], 80);
		assert_int_equal(acpi_le(gicc + 8, 4), i);
		assert_int_equal(acpi_le(gicc + 12, 4), 1);
		assert_int_equal(acpi_le(gicc + 20, 4), 23);
		assert_int_equal(acpi_le(gicc + 56, 4), 25);
		/* of an MPIDR, the affinity only */
		assert_int_equal(acpi_le(gicc + 68, 8), i);
	}
	assert_null(in_madt(f, 0x0b, f->m->machine.n_vcpus));
}

static void the_interrupt_controller_is_described(void **state)
{
	const struct fixture *f = *state;
	const uint8_t *gicd = in_madt(f, 0x0c, 0), *gicr = in_madt(f, 0x0e, 0);

	assert_int_equal(acpi_le(gicd + 8, 8), MEMMAP_GICD);
	assert_int_equal(gicd[20], 3);
	assert_int_equal(acpi_le(gicr + 4, 8), MEMMAP_GICR);
	assert_int_equal(acpi_le(gicr + 12, 4), 3 * MEMMAP_GICR_EACH);
	assert_null(in_madt(f, 0x0e, 1));
	assert_int_equal(acpi_le(in_madt(f, 0x0f, 0) + 8, 8), MEMMAP_ITS);
}

static void many_vcpus_have_a_second_region(void **state)
{
	struct fixture f;
	const uint8_t *gicr;

	load(&f, ACPI_RIG_LARGE);
	assert_non_null(in_madt(&f, 0x0b, VM_MAX_VCPUS - 1));
	assert_int_equal(acpi_le(in_madt(&f, 0x0b, 17) + 68, 8), 0x101);
	gicr = in_madt(&f, 0x0e, 1);
	assert_int_equal(acpi_le(gicr + 4, 8), f.m->map.gicr_high);
	assert_int_equal(acpi_le(gicr + 12, 4), f.m->map.n_gicr_high * MEMMAP_GICR_EACH);
	acpi_rig_free(&f.rig);
}

static void timers_have_the_ppis_of_the_device_tree(void **state)
{
	static const uint32_t intids[] = { 29, 30, 27, 26 };
	const uint8_t *gtdt = table(*state, "GTDT");

	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(acpi_le(gtdt + 48 + 8 * i, 4), intids[i]);
		assert_int_equal(acpi_le(gtdt + 52 + 8 * i, 4), 4); /* level, high, always on */
	}
	assert_int_equal(acpi_le(gtdt + 88, 4), 0);
}

static void a_watchdog_is_a_timer_of_the_platform(void **state)
{
	struct fixture f;
	const uint8_t *gtdt, *watchdog;

	load(&f, ACPI_RIG_LARGE);
	gtdt = table(&f, "GTDT");
	assert_int_equal(acpi_le(gtdt + 4, 4), 96 + 28);
	assert_int_equal(acpi_le(gtdt + 88, 4), 1);
	assert_int_equal(acpi_le(gtdt + 92, 4), 96);
	watchdog = gtdt + 96;
	assert_int_equal(watchdog[0], 1);
	assert_int_equal(acpi_le(watchdog + 1, 2), 28);
	assert_int_equal(acpi_le(watchdog + 4, 8), MEMMAP_WATCHDOG_REFRESH);
	assert_int_equal(acpi_le(watchdog + 12, 8), MEMMAP_WATCHDOG_CONTROL);
	assert_int_equal(acpi_le(watchdog + 20, 4), 32 + SPI_WATCHDOG);
	assert_int_equal(acpi_le(watchdog + 24, 4), 0); /* level, active high, not secure */
	acpi_rig_free(&f.rig);
}

static void the_configuration_space_is_where_the_map_has_it(void **state)
{
	const struct fixture *f = *state;
	const uint8_t *mcfg = table(f, "MCFG");

	assert_int_equal(acpi_le(mcfg + 44, 8), f->m->map.ecam.base);
	assert_int_equal(mcfg[54], 0);
	assert_int_equal(mcfg[55], 255);
}

static void the_console_is_the_pl011(void **state)
{
	const uint8_t *spcr = table(*state, "SPCR"), *dbg2 = table(*state, "DBG2");

	assert_int_equal(spcr[36], 3);
	assert_int_equal(acpi_le(spcr + 44, 8), MEMMAP_PL011);
	assert_int_equal(acpi_le(spcr + 54, 4), 33);
	assert_int_equal(acpi_le(dbg2 + 36, 4), 44);
	assert_int_equal(acpi_le(dbg2 + 44 + 12, 2), 0x8000);
	assert_string_equal(dbg2 + 44 + acpi_le(dbg2 + 44 + 6, 2), "\\_SB.COM0");
}

/* Requester id n is device n of the ITS, as the device tree's msi-map says. */
static void requesters_are_the_its_devices(void **state)
{
	const uint8_t *iort = table(*state, "IORT"), *its = iort + 48, *root, *map;

	assert_int_equal(acpi_le(iort + 36, 4), 2);
	assert_int_equal(acpi_le(iort + 40, 4), 48);
	assert_int_equal(its[0], 0);
	assert_int_equal(acpi_le(its + 20, 4), 0);
	root = its + acpi_le(its + 1, 2);
	assert_int_equal(root[0], 2);
	map = root + acpi_le(root + 12, 4);
	assert_int_equal(acpi_le(map, 4), 0);
	assert_int_equal(acpi_le(map + 4, 4), 0xffff);
	assert_int_equal(acpi_le(map + 8, 4), 0);
	assert_ptr_equal(iort + acpi_le(map + 12, 4), its);
	assert_ptr_equal(map + 20, iort + acpi_le(iort + 4, 4));
}

static void vcpus_are_cores_of_one_package(void **state)
{
	const struct fixture *f = *state;
	const uint8_t *pptt = table(f, "PPTT");

	assert_int_equal(acpi_le(pptt + 4, 4), 36 + 20 * (1 + f->m->machine.n_vcpus));
	assert_true(pptt[40] & 1);
	for (unsigned i = 0; i < f->m->machine.n_vcpus; i++) {
		const uint8_t *core = pptt + 56 + 20 * i;

		assert_int_equal(acpi_le(core + 8, 4), 36);
		assert_int_equal(acpi_le(core + 12, 4), i);
	}
}

static bool dsdt_has(const struct fixture *f, const void *bytes, size_t len)
{
	size_t dsdt_len;
	const uint8_t *dsdt = acpi_rig_find(&f->rig, "DSDT", &dsdt_len);

	return memmem(dsdt, dsdt_len, bytes, len) != NULL;
}

static void devices_are_named(void **state)
{
	static const uint8_t power_button_interrupt[] = { 0x89, 6, 0, 3, 1, 41, 0, 0, 0 };
	const struct fixture *f = *state;

	assert_true(dsdt_has(f, "ACPI0007", 9));
	assert_true(dsdt_has(f, "ARMH0011", 9));
	assert_true(dsdt_has(f, "QEMU0002", 9));
	assert_true(dsdt_has(f, "\x0c\x41\xd0\x0a\x08", 5)); /* PNP0A08 */
	assert_true(dsdt_has(f, "\x0c\x41\xd0\x0c\x0c", 5)); /* PNP0C0C */
	assert_true(dsdt_has(f, "ACPI0013", 9));
	assert_true(dsdt_has(f, power_button_interrupt, sizeof(power_button_interrupt)));
	assert_true(dsdt_has(f, "C002", 4));
	assert_false(dsdt_has(f, "C003", 4));
	assert_false(dsdt_has(f, "LNRO0005", 9));
}

static void a_machine_without_pci_has_virtio_mmio(void **state)
{
	static const uint8_t interrupt[] = { 0x89, 6, 0, 3, 1, 48 + 2, 0, 0, 0 };
	struct fixture f;

	load(&f, ACPI_RIG_MICRO);
	assert_null(acpi_rig_find(&f.rig, "MCFG", NULL));
	assert_null(acpi_rig_find(&f.rig, "IORT", NULL));
	assert_null(in_madt(&f, 0x0f, 0));
	assert_int_equal(acpi_le(in_madt(&f, 0x0b, 0) + 20, 4), 0); /* no PMU */
	assert_true(dsdt_has(&f, "LNRO0005", 9));
	assert_true(dsdt_has(&f, "QEMU0001", 9));
	assert_true(dsdt_has(&f, "VR02", 4));
	assert_true(dsdt_has(&f, interrupt, sizeof(interrupt)));
	assert_false(dsdt_has(&f, "VR03", 4));
	assert_false(dsdt_has(&f, "PCI0", 4));
	acpi_rig_free(&f.rig);
}

static void encodes_numbers_names_and_lengths(void **state)
{
	static const uint8_t want[] = {
		0x10, 0x21,                               /* Scope, 33 bytes */
		'\\', 0x2e, '_', 'S', 'B', '_', 'A', '_', '_', '_',
		0x08, 'N', 'U', 'M', '_', 0x0a, 0x12,     /* Name (NUM, 0x12) */
		0x00, 0x01,
		0x0b, 0x34, 0x12,
		0x0c, 0x78, 0x56, 0x34, 0x12,
		0x0e, 1, 0, 0, 0, 1, 0, 0, 0,
	};
	AUTO(blob_clear) struct blob b = { 0 };
	struct aml a = { .out = &b };

	aml_begin_scope(&a, "\\_SB.A");
	aml_name(&a, "NUM");
	aml_int(&a, 0x12);
	aml_int(&a, 0);
	aml_int(&a, 1);
	aml_int(&a, 0x1234);
	aml_int(&a, 0x12345678);
	aml_int(&a, 0x100000001);
	aml_end(&a);
	assert_int_equal(b.error, 0);
	assert_int_equal(b.len, 2 + sizeof(want) - 2);
	assert_memory_equal(b.data + 2, want + 2, sizeof(want) - 2);
	assert_int_equal(b.data[0], 0x10);
	assert_int_equal(b.data[1], b.len - 1);
}

/* The length of a package is in one to three bytes, and counts them. */
static void lengths_grow(void **state)
{
	static const struct {
		size_t body, total;
		uint8_t bytes[3];
	} cases[] = {
		{ 62, 63, { 0x3f } },
		{ 63, 65, { 0x41, 0x04 } },
		{ 0xffd, 0xfff, { 0x4f, 0xff } },
		{ 0xffe, 0x1001, { 0x81, 0x00, 0x01 } },
	};

	for (unsigned i = 0; i < 4; i++) {
		AUTO(blob_clear) struct blob b = { 0 };
		struct aml a = { .out = &b };

		aml_begin_if(&a);
		blob_put_zeros(&b, cases[i].body);
		aml_end(&a);
		assert_int_equal(b.len, 1 + cases[i].total);
		assert_memory_equal(b.data + 1, cases[i].bytes, cases[i].total - cases[i].body);
	}
}

static void misuse_is_an_error(void **state)
{
	for (unsigned i = 0; i < 5; i++) {
		AUTO(blob_clear) struct blob b = { 0 };
		struct aml a = { .out = &b };

		switch (i) {
		case 0:
			aml_end(&a);
			break;
		case 1:
			for (unsigned n = 0; n <= AML_MAX_DEPTH; n++)
				aml_begin_if(&a);
			break;
		case 2:
			aml_ref(&a, "TOOLONG");
			break;
		case 3:
			aml_ref(&a, "A.B.C.D.E");
			break;
		case 4:
			aml_memory32_fixed(&a, 0xfffff000, 0x2000);
			break;
		}
		assert_int_equal(b.error, -EINVAL);
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(the_machine_is_hardware_reduced),
		TEST(every_vcpu_has_its_interface),
		TEST(the_interrupt_controller_is_described),
		cmocka_unit_test(many_vcpus_have_a_second_region),
		TEST(timers_have_the_ppis_of_the_device_tree),
		TEST(a_watchdog_is_a_timer_of_the_platform),
		TEST(the_configuration_space_is_where_the_map_has_it),
		TEST(the_console_is_the_pl011),
		TEST(requesters_are_the_its_devices),
		TEST(vcpus_are_cores_of_one_package),
		TEST(devices_are_named),
		cmocka_unit_test(a_machine_without_pci_has_virtio_mmio),
		cmocka_unit_test(encodes_numbers_names_and_lengths),
		cmocka_unit_test(lengths_grow),
		cmocka_unit_test(misuse_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
