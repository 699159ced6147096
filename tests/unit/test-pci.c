/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/pci_rig.h"
#include "vmm/base/macro.h"
#include "vmm/bus/pci_port.h"

#define KIB64 0x10000

/* Two BARs: 32 bits of 4 KiB, 64 bits of 64 KiB; reads give what was written last, + offset. */
struct subject {
	struct pci_function f;
	uint64_t value, offset;
	unsigned bar, len, reads, writes, resets, renames;
	uint64_t at[PCI_N_BARS]; /* as it was told */
};

static struct subject *to_subject(struct pci_function *f)
{
	return container_of(f, struct subject, f);
}

static uint64_t subject_read(struct pci_function *f, unsigned bar, uint64_t offset, unsigned len)
{
	struct subject *s = to_subject(f);

	s->reads++;
	s->bar = bar;
	return s->value + offset;
}

static void subject_write(struct pci_function *f, unsigned bar, uint64_t offset, uint64_t value,
			  unsigned len)
{
	struct subject *s = to_subject(f);

	s->writes++;
	s->bar = bar;
	s->offset = offset;
	s->value = value;
	s->len = len;
}

static void subject_moved(struct pci_function *f, unsigned bar, uint64_t base)
{
	struct subject *s = to_subject(f);

	/* leaves before it arrives */
	assert_true((s->at[bar] == PCI_UNMAPPED) != (base == PCI_UNMAPPED));
	s->at[bar] = base;
}

static void subject_renamed(struct pci_function *f)
{
	to_subject(f)->renames++;
}

static void subject_reset(struct pci_function *f)
{
	to_subject(f)->resets++;
}

static const struct pci_ops ops = {
	.read = subject_read,
	.write = subject_write,
	.moved = subject_moved,
	.renamed = subject_renamed,
	.reset = subject_reset,
};

static void make(struct subject *s, uint64_t value)
{
	static const struct pci_ident ident = {
		.vendor = 0x1234,
		.device = 0x5678,
		.subsystem_vendor = 0x9abc,
		.subsystem = 0xdef0,
		.revision = 7,
		.class = 0x010203,
	};

	*s = (struct subject){ .value = value };
	pci_function_init(&s->f, &ops, &ident);
	pci_add_bar(&s->f, 0, 0x1000, false, false);
	pci_add_bar(&s->f, 2, KIB64, true, true);
	pci_add_express(&s->f, PCI_EXP_TYPE_ENDPOINT, 0);
	for (unsigned i = 0; i < PCI_N_BARS; i++)
		s->at[i] = PCI_UNMAPPED;
}

struct scene {
	struct pci_rig rig;
	struct subject a, b, behind;
	struct pci_port port;
};

#define A    PCI_DEVFN(1, 0)
#define B    PCI_DEVFN(2, 0)
#define PORT PCI_DEVFN(16, 0)
#define BUS(n) ((unsigned)(n) << 8)

static int set_up(void **state)
{
	static struct scene s;

	memset(&s, 0, sizeof(s));
	pci_rig_open(&s.rig);
	make(&s.a, 0xa000);
	make(&s.b, 0xb000);
	make(&s.behind, 0xc000);
	assert_int_equal(pci_plug(&s.rig.pci, &s.b.f, B, NULL), 0);
	assert_int_equal(pci_plug(&s.rig.pci, &s.a.f, A, NULL), 0);
	assert_int_equal(pci_port_init(&s.port, &s.rig.pci, PORT, 1, &s.rig.events, NULL, NULL),
			 0);
	assert_int_equal(pci_port_insert(&s.port, &s.behind.f, false, NULL), 0);
	*state = &s;
	return 0;
}

static int tear_down(void **state)
{
	struct scene *s = *state;

	pci_unplug(&s->behind.f);
	pci_port_destroy(&s->port);
	pci_unplug(&s->a.f);
	pci_unplug(&s->b.f);
	assert_int_equal(s->a.at[0], PCI_UNMAPPED);
	assert_int_equal(s->behind.at[2], PCI_UNMAPPED);
	pci_rig_close(&s->rig);
	return 0;
}

static uint32_t get(struct scene *s, unsigned bdf, unsigned at, unsigned len)
{
	return rig_read(&s->rig, bdf, at, len);
}

static void put(struct scene *s, unsigned bdf, unsigned at, uint32_t value, unsigned len)
{
	rig_write(&s->rig, bdf, at, value, len);
}

static void enable(struct scene *s, unsigned bdf)
{
	put(s, bdf, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
}

static void functions_are_found(void **state)
{
	struct scene *s = *state;
	unsigned found = 0;

	for (unsigned devfn = 0; devfn < 256; devfn++)
		found += get(s, devfn, PCI_VENDOR_ID, 4) != UINT32_MAX;
	assert_int_equal(found, 4);
	assert_int_equal(get(s, 0, PCI_CLASS_DEVICE, 2), 0x0600);
	assert_int_equal(get(s, A, PCI_VENDOR_ID, 4), 0x56781234);
	assert_int_equal(get(s, A, PCI_CLASS_REVISION, 4), 0x01020307);
	assert_int_equal(get(s, A, PCI_SUBSYSTEM_VENDOR_ID, 4), 0xdef09abc);
	assert_int_equal(get(s, A, PCI_HEADER_TYPE, 1), 0);
	assert_int_equal(get(s, A, PCI_INTERRUPT_PIN, 1), 0);
	assert_int_equal(get(s, PORT, PCI_HEADER_TYPE, 1), 1);
}

static void absent_functions_are_ones(void **state)
{
	struct scene *s = *state;

	assert_int_equal(get(s, PCI_DEVFN(3, 0), 0, 4), UINT32_MAX);
	assert_int_equal(get(s, PCI_DEVFN(3, 0), 0, 1), 0xff);
	assert_int_equal(get(s, PCI_DEVFN(1, 1), 0, 4), UINT32_MAX);
	assert_int_equal(get(s, BUS(1), 0, 4), UINT32_MAX);
	put(s, BUS(255) + 255, 0x10, 1, 4);
	/* the last byte of ECAM, and what is behind the conventional config space */
	assert_int_equal(get(s, BUS(255) + 255, 4095, 1), 0xff);
	assert_int_equal(get(s, A, 256, 4), 0);
	assert_int_equal(get(s, A, 4092, 4), 0);
}

static void accesses_of_any_width(void **state)
{
	struct scene *s = *state;

	assert_int_equal(get(s, A, 0, 1), 0x34);
	assert_int_equal(get(s, A, 1, 2), 0x7812);
	assert_int_equal(rig_load(&s->rig, RIG_ECAM + A * 4096, 8) & UINT32_MAX, 0x56781234);
	assert_int_equal(get(s, A, 3, 4), 0x10000056);
	/* across the end of config space, and of the function */
	assert_int_equal(get(s, A, 254, 4), 0);
	assert_int_equal(get(s, A, 4094, 4), UINT32_MAX);
	put(s, A, 4094, 0, 4);
	rig_store(&s->rig, RIG_ECAM + A * 4096 + 252, UINT64_MAX, 8);

	put(s, A, 0x11, 0x123456, 4);
	assert_int_equal(get(s, A, 0x10, 4), 0x12345000);
	put(s, A, 0x13, 0xaa, 1);
	assert_int_equal(get(s, A, 0x10, 4), 0xaa345000);
}

static void read_only_bits_stay(void **state)
{
	struct scene *s = *state;

	for (unsigned at = 0; at < PCI_CONFIG_SIZE; at += 4)
		put(s, A, at, UINT32_MAX, 4);
	assert_int_equal(get(s, A, PCI_VENDOR_ID, 4), 0x56781234);
	assert_int_equal(get(s, A, PCI_CLASS_REVISION, 4), 0x01020307);
	assert_int_equal(get(s, A, PCI_HEADER_TYPE, 1), 0);
	assert_int_equal(get(s, A, PCI_STATUS, 2), PCI_STATUS_CAP_LIST);
	assert_int_equal(get(s, A, PCI_INTERRUPT_PIN, 1), 0);
	assert_int_equal(rig_capability(&s->rig, A, PCI_CAP_ID_EXP, 0), s->a.f.express);
	/* asking for a reset of the function was among it */
	assert_int_equal(s->a.resets, 1);
}

static void bars_tell_their_size(void **state)
{
	struct scene *s = *state;

	assert_int_equal(get(s, A, PCI_BASE_ADDRESS_0, 4), 0);
	assert_int_equal(get(s, A, PCI_BASE_ADDRESS_2, 4), 0xc); /* 64 bits, prefetchable */
	for (unsigned i = 0; i < PCI_N_BARS; i++)
		put(s, A, PCI_BASE_ADDRESS_0 + 4 * i, UINT32_MAX, 4);
	assert_int_equal(get(s, A, PCI_BASE_ADDRESS_0, 4), 0xfffff000);
	assert_int_equal(get(s, A, PCI_BASE_ADDRESS_1, 4), 0);
	assert_int_equal(get(s, A, PCI_BASE_ADDRESS_2, 4), 0xffff000c);
	assert_int_equal(get(s, A, PCI_BASE_ADDRESS_3, 4), 0xffffffff);
	assert_int_equal(get(s, A, PCI_BASE_ADDRESS_4, 4), 0);
	put(s, A, PCI_ROM_ADDRESS, UINT32_MAX, 4);
	assert_int_equal(get(s, A, PCI_ROM_ADDRESS, 4), 0);
}

static void bars_answer_where_they_are_put(void **state)
{
	struct scene *s = *state;
	uint64_t wide = RIG_MMIO64 + 0x1230000;

	put(s, A, PCI_BASE_ADDRESS_0, 0x10002000, 4);
	put(s, A, PCI_BASE_ADDRESS_2, (uint32_t)wide, 4);
	put(s, A, PCI_BASE_ADDRESS_3, (uint32_t)(wide >> 32), 4);
	assert_int_equal(rig_load(&s->rig, 0x10002000, 4), 0); /* not enabled */
	assert_int_equal(s->a.at[0], PCI_UNMAPPED);

	enable(s, A);
	assert_int_equal(s->a.at[0], 0x10002000);
	assert_int_equal(s->a.at[2], wide);
	assert_int_equal(rig_load(&s->rig, 0x10002010, 4), 0xa010);
	assert_int_equal(s->a.bar, 0);
	rig_store(&s->rig, wide + KIB64 - 8, 0x1122334455667788, 8);
	assert_int_equal(s->a.bar, 2);
	assert_int_equal(s->a.offset, KIB64 - 8);
	assert_int_equal(s->a.value, 0x1122334455667788);

	/* beside it, and across its end */
	assert_int_equal(rig_load(&s->rig, 0x10001fff, 1), 0);
	assert_int_equal(rig_load(&s->rig, 0x10002ffe, 4), 0);
	assert_int_equal(rig_load(&s->rig, wide + KIB64, 8), 0);

	put(s, A, PCI_COMMAND, 0, 2);
	assert_int_equal(s->a.at[2], PCI_UNMAPPED);
	assert_int_equal(rig_load(&s->rig, wide, 8), 0);
}

static void bars_move(void **state)
{
	struct scene *s = *state;

	put(s, A, PCI_BASE_ADDRESS_0, 0x10000000, 4);
	enable(s, A);
	put(s, A, PCI_BASE_ADDRESS_0, 0x20000000, 4);
	assert_int_equal(s->a.at[0], 0x20000000);
	assert_int_equal(rig_load(&s->rig, 0x10000000, 4), 0);
	assert_int_equal(rig_load(&s->rig, 0x20000000, 4), 0xa000);
	/* sized while enabled: gone, and back */
	put(s, A, PCI_BASE_ADDRESS_0, UINT32_MAX, 4);
	assert_int_equal(s->a.at[0], PCI_UNMAPPED);
	put(s, A, PCI_BASE_ADDRESS_0, 0x20000000, 4);
	assert_int_equal(s->a.at[0], 0x20000000);
}

/* No BAR hides RAM, an interrupt controller, another device, or config space. */
static void bars_stay_in_their_windows(void **state)
{
	static const uint64_t bad[] = {
		0, 0x08000000, 0x09000000, 0x40000000, 0xffff0000, RIG_MMIO32 - KIB64,
		RIG_MMIO32 + RIG_MMIO32_SIZE, RIG_ECAM, RIG_MMIO64 - KIB64, RIG_MMIO64 + RIG_MMIO64_SIZE,
		0xffffffffffff0000,
	};
	struct scene *s = *state;

	enable(s, A);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		put(s, A, PCI_BASE_ADDRESS_2, (uint32_t)bad[i], 4);
		put(s, A, PCI_BASE_ADDRESS_3, (uint32_t)(bad[i] >> 32), 4);
		assert_int_equal(s->a.at[2], PCI_UNMAPPED);
	}
	/* 64-bit BARs may be in the 32-bit window, up to its end */
	put(s, A, PCI_BASE_ADDRESS_2, RIG_MMIO32 + RIG_MMIO32_SIZE - KIB64, 4);
	put(s, A, PCI_BASE_ADDRESS_3, 0, 4);
	assert_int_equal(s->a.at[2], 0x3efe0000);
}

static void of_overlapping_bars_the_first_answers(void **state)
{
	struct scene *s = *state;

	put(s, B, PCI_BASE_ADDRESS_0, 0x10001000, 4);
	enable(s, B);
	assert_int_equal(rig_load(&s->rig, 0x10001000, 4), 0xb000);

	/* A comes first on the bus, wherever it was written first */
	put(s, A, PCI_BASE_ADDRESS_2, 0x10000000, 4);
	enable(s, A);
	assert_int_equal(s->b.at[0], PCI_UNMAPPED);
	assert_int_equal(rig_load(&s->rig, 0x10001000, 4), 0xb000); /* A's 0xa000 + 0x1000 */
	assert_int_equal(s->a.reads, 1);

	put(s, A, PCI_COMMAND, 0, 2);
	assert_int_equal(s->b.at[0], 0x10001000);

	/* both BARs of one function in one place */
	put(s, A, PCI_BASE_ADDRESS_0, 0x30000000, 4);
	put(s, A, PCI_BASE_ADDRESS_2, 0x30000000, 4);
	enable(s, A);
	assert_int_equal(s->a.at[0], 0x30000000);
	assert_int_equal(s->a.at[2], PCI_UNMAPPED);
}

static void places_are_exchanged(void **state)
{
	struct scene *s = *state;

	put(s, A, PCI_BASE_ADDRESS_2, 0x10000000, 4);
	put(s, B, PCI_BASE_ADDRESS_0, 0x10000000, 4);
	enable(s, A);
	enable(s, B);
	assert_int_equal(s->b.at[0], PCI_UNMAPPED);
	/* one write: A leaves and B takes its place */
	put(s, A, PCI_BASE_ADDRESS_2, 0x20000000, 4);
	assert_int_equal(s->a.at[2], 0x20000000);
	assert_int_equal(s->b.at[0], 0x10000000);
}

static void number(struct scene *s, unsigned secondary, unsigned subordinate)
{
	put(s, PORT, PCI_PRIMARY_BUS, secondary << 8 | subordinate << 16, 4);
}

static void a_port_has_a_bus_behind_it(void **state)
{
	struct scene *s = *state;

	assert_int_equal(get(s, BUS(5), 0, 4), UINT32_MAX);
	number(s, 5, 6);
	assert_int_equal(get(s, BUS(5), 0, 4), 0x56781234);
	assert_int_equal(s->behind.renames, 1);
	assert_int_equal(pci_requester_id(&s->behind.f), 0x500);
	assert_int_equal(pci_requester_id(&s->a.f), A);
	/* device 0 is all there is, and no bus below it */
	assert_int_equal(get(s, BUS(5) + 1, 0, 4), UINT32_MAX);
	assert_int_equal(get(s, BUS(5) + 8, 0, 4), UINT32_MAX);
	assert_int_equal(get(s, BUS(6), 0, 4), UINT32_MAX);

	number(s, 9, 8); /* senseless */
	assert_int_equal(get(s, BUS(9), 0, 4), UINT32_MAX);
	number(s, 0, 255); /* bus 0 is the root's */
	assert_int_equal(get(s, 0, PCI_CLASS_DEVICE, 2), 0x0600);
	number(s, 255, 255);
	assert_int_equal(get(s, BUS(255), 0, 4), 0x56781234);
}

static void a_port_forwards_its_windows(void **state)
{
	struct scene *s = *state;
	uint64_t wide = RIG_MMIO64 + 0x12300000;

	number(s, 1, 1);
	put(s, BUS(1), PCI_BASE_ADDRESS_0, 0x10100000, 4);
	put(s, BUS(1), PCI_BASE_ADDRESS_2, (uint32_t)wide, 4);
	put(s, BUS(1), PCI_BASE_ADDRESS_3, (uint32_t)(wide >> 32), 4);
	enable(s, BUS(1));
	assert_int_equal(s->behind.at[0], PCI_UNMAPPED);

	/* 0x10100000 to 0x102fffff; prefetchable 1 MiB at wide */
	put(s, PORT, PCI_MEMORY_BASE, 0x10201010, 4);
	put(s, PORT, PCI_PREF_MEMORY_BASE, 0x12301230, 4);
	put(s, PORT, PCI_PREF_BASE_UPPER32, (uint32_t)(wide >> 32), 4);
	put(s, PORT, PCI_PREF_LIMIT_UPPER32, (uint32_t)(wide >> 32), 4);
	assert_int_equal(s->behind.at[0], PCI_UNMAPPED);
	enable(s, PORT);
	assert_int_equal(s->behind.at[0], 0x10100000);
	assert_int_equal(s->behind.at[2], wide);
	assert_int_equal(get(s, PORT, PCI_PREF_MEMORY_BASE, 4), 0x12311231);

	/* the last page of the window, and the first behind it */
	put(s, BUS(1), PCI_BASE_ADDRESS_0, 0x102ff000, 4);
	assert_int_equal(s->behind.at[0], 0x102ff000);
	put(s, BUS(1), PCI_BASE_ADDRESS_0, 0x10300000, 4);
	assert_int_equal(s->behind.at[0], PCI_UNMAPPED);
	put(s, BUS(1), PCI_BASE_ADDRESS_0, 0x100ff000, 4);
	assert_int_equal(s->behind.at[0], PCI_UNMAPPED);

	/* a limit below its base closes the window */
	put(s, PORT, PCI_PREF_MEMORY_LIMIT, 0x1220, 2);
	assert_int_equal(s->behind.at[2], PCI_UNMAPPED);
	put(s, PORT, PCI_PREF_MEMORY_LIMIT, 0x1230, 2);
	assert_int_equal(s->behind.at[2], wide);
	put(s, PORT, PCI_COMMAND, 0, 2);
	assert_int_equal(s->behind.at[2], PCI_UNMAPPED);

	/* I/O windows are not implemented */
	put(s, PORT, PCI_IO_BASE, 0xffff, 2);
	assert_int_equal(get(s, PORT, PCI_IO_BASE, 2), 0);
}

static void resets_from_outside(void **state)
{
	struct scene *s = *state;
	unsigned devctl;

	number(s, 1, 1);
	put(s, BUS(1), PCI_BASE_ADDRESS_0, 0x10100000, 4);
	put(s, BUS(1), PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	put(s, PORT, PCI_BRIDGE_CONTROL, PCI_BRIDGE_CTL_BUS_RESET, 2);
	assert_int_equal(s->behind.resets, 1);
	assert_int_equal(get(s, BUS(1), PCI_COMMAND, 2), 0);
	assert_int_equal(get(s, BUS(1), PCI_BASE_ADDRESS_0, 4), 0);
	assert_int_equal(get(s, BUS(1), PCI_VENDOR_ID, 4), 0x56781234);
	put(s, PORT, PCI_BRIDGE_CONTROL, 0, 2);
	assert_int_equal(s->behind.resets, 1);

	put(s, A, PCI_BASE_ADDRESS_0, 0x10100000, 4);
	enable(s, A);
	devctl = s->a.f.express + PCI_EXP_DEVCTL;
	assert_true(get(s, A, s->a.f.express + PCI_EXP_DEVCAP, 4) & PCI_EXP_DEVCAP_FLR);
	put(s, A, devctl, PCI_EXP_DEVCTL_BCR_FLR | PCI_EXP_DEVCTL_CERE, 2);
	assert_int_equal(s->a.resets, 1);
	assert_int_equal(s->a.at[0], PCI_UNMAPPED);
	assert_int_equal(get(s, A, devctl, 2), 0);
	assert_int_equal(get(s, A, PCI_COMMAND, 2), 0);
}

static void places_are_taken(void **state)
{
	struct scene *s = *state;
	struct subject other;
	struct hvd_error err = { 0 };

	make(&other, 0);
	assert_int_equal(pci_plug(&s->rig.pci, &other.f, A, &err), -EEXIST);
	assert_non_null(strstr(err.msg, "01.0"));
	make(&other, 0);
	assert_int_equal(pci_port_insert(&s->port, &other.f, false, &err), -EEXIST);

	/* what is unplugged leaves room */
	number(s, 1, 1);
	put(s, BUS(1), PCI_BASE_ADDRESS_0, 0x10100000, 4);
	put(s, PORT, PCI_MEMORY_BASE, 0x10101010, 4);
	enable(s, PORT);
	enable(s, BUS(1));
	assert_int_equal(s->behind.at[0], 0x10100000);
	pci_unplug(&s->behind.f);
	assert_int_equal(s->behind.at[0], PCI_UNMAPPED);
	assert_int_equal(get(s, BUS(1), 0, 4), UINT32_MAX);
	assert_int_equal(rig_load(&s->rig, 0x10100000, 4), 0);
	make(&other, 0x77);
	assert_int_equal(pci_plug_behind(&s->port.function, &other.f, NULL), 0);
	assert_int_equal(get(s, BUS(1), PCI_BASE_ADDRESS_0, 4), 0);
	pci_unplug(&other.f);
	pci_unplug(&other.f);
}

static void the_bus_may_be_full(void **state)
{
	static struct subject many[PCI_MAX_FUNCTIONS];
	struct scene *s = *state;
	unsigned n = 0;

	for (unsigned devfn = PORT + 1; n < PCI_MAX_FUNCTIONS - 5; devfn++) {
		make(&many[n], 0);
		assert_int_equal(pci_plug(&s->rig.pci, &many[n].f, (uint8_t)devfn, NULL), 0);
		n++;
	}
	make(&many[n], 0);
	assert_int_equal(pci_plug(&s->rig.pci, &many[n].f, PCI_DEVFN(3, 0), NULL), -ENOSPC);

	/* all of them in one place, and each in its own */
	for (unsigned i = 0; i < n; i++)
		enable(s, many[i].f.devfn);
	for (unsigned i = 0; i < n; i++) {
		put(s, many[i].f.devfn, PCI_BASE_ADDRESS_0, 0x10000000 + i * 0x1000, 4);
		put(s, many[i].f.devfn, PCI_BASE_ADDRESS_2, 0x20000000 + i * KIB64, 4);
	}
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(many[i].at[0], 0x10000000 + i * 0x1000);
		assert_int_equal(many[i].at[2], 0x20000000 + i * KIB64);
		rig_load(&s->rig, 0x20000000 + i * KIB64, 4);
		assert_int_equal(many[i].reads, 1);
	}
	while (n)
		pci_unplug(&many[--n].f);
}

static void functions_of_one_device(void **state)
{
	struct scene *s = *state;
	struct subject second;

	make(&second, 0);
	assert_int_equal(get(s, A, PCI_HEADER_TYPE, 1), 0);
	assert_int_equal(pci_plug(&s->rig.pci, &second.f, A + 3, NULL), 0);
	assert_int_equal(get(s, A, PCI_HEADER_TYPE, 1), 0x80);
	assert_int_equal(get(s, A + 3, PCI_HEADER_TYPE, 1), 0x80);
	assert_int_equal(get(s, B, PCI_HEADER_TYPE, 1), 0);
	pci_unplug(&second.f);
}

/* One vCPU moves a BAR about while another accesses it. */
struct mover {
	struct scene *s;
	_Atomic bool stop;
};

static void *move_about(void *arg)
{
	struct mover *m = arg;

	for (unsigned i = 0; i < 3000; i++) {
		put(m->s, A, PCI_BASE_ADDRESS_0, i % 2 ? 0x10000000 : 0x10001000, 4);
		if (i % 7 == 0)
			put(m->s, A, PCI_COMMAND, i % 2 ? PCI_COMMAND_MEMORY : 0, 2);
	}
	m->stop = true;
	return NULL;
}

static void moved_under_access(void **state)
{
	struct mover m = { .s = *state };
	pthread_t other;

	assert_int_equal(pthread_create(&other, NULL, move_about, &m), 0);
	while (!m.stop) {
		uint32_t low = (uint32_t)rig_load(&m.s->rig, 0x10000000, 4);
		uint32_t high = (uint32_t)rig_load(&m.s->rig, 0x10001004, 4);

		assert_true(low == 0 || low == 0xa000);
		assert_true(high == 0 || high == 0xa004);
	}
	pthread_join(other, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(functions_are_found),
		TEST(absent_functions_are_ones),
		TEST(accesses_of_any_width),
		TEST(read_only_bits_stay),
		TEST(bars_tell_their_size),
		TEST(bars_answer_where_they_are_put),
		TEST(bars_move),
		TEST(bars_stay_in_their_windows),
		TEST(of_overlapping_bars_the_first_answers),
		TEST(places_are_exchanged),
		TEST(a_port_has_a_bus_behind_it),
		TEST(a_port_forwards_its_windows),
		TEST(resets_from_outside),
		TEST(places_are_taken),
		TEST(the_bus_may_be_full),
		TEST(functions_of_one_device),
		TEST(moved_under_access),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
