/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/pci_rig.h"
#include "vmm/base/macro.h"
#include "vmm/hw/pvpanic.h"

#define BASE  0x090d0000ULL
#define DEVFN PCI_DEVFN(0x0f, 0)
#define BAR   (RIG_MMIO32 + 0x100000)

struct rig {
	struct pvpanic panic;
	unsigned calls, events;
};

static void happened(struct pvpanic *panic, unsigned events)
{
	struct rig *rig = container_of(panic, struct rig, panic);

	rig->calls++;
	rig->events = events;
}

static void expect(struct rig *rig, unsigned events)
{
	assert_int_equal(rig->calls, events ? 1 : 0);
	assert_int_equal(rig->events, events);
	rig->calls = rig->events = 0;
}

typedef uint64_t (*load_fn)(void *ctx, uint64_t offset, unsigned len);
typedef void (*store_fn)(void *ctx, uint64_t offset, uint64_t value, unsigned len);

/* The same register wherever it is. */
static void check_register(struct rig *rig, load_fn load, store_fn store, void *ctx)
{
	for (unsigned len = 1; len <= 8; len *= 2) {
		assert_int_equal(load(ctx, 0, len), 3);
		assert_int_equal(load(ctx, 8, len), 0);
		assert_int_equal(load(ctx, 0x1000 - len, len), 0);

		store(ctx, 0, 1, len);
		expect(rig, PVPANIC_PANICKED);
		store(ctx, 0, 2, len);
		expect(rig, PVPANIC_CRASH_LOADED);
		store(ctx, 0, 0xff, len);
		expect(rig, PVPANIC_PANICKED | PVPANIC_CRASH_LOADED);

		/* what it does not offer, what is not the register's, and what is elsewhere */
		store(ctx, 0, 0, len);
		store(ctx, 0, 4, len);
		store(ctx, 0, 0xfc, len);
		if (len > 1)
			store(ctx, 0, 0x100, len);
		store(ctx, 8, 1, len);
		store(ctx, 0x1000 - len, 1, len);
		expect(rig, 0);
	}
	store(ctx, 1, 1, 1);
	expect(rig, 0);
}

static uint64_t mmio_load(void *ctx, uint64_t offset, unsigned len)
{
	struct rig *rig = ctx;

	return rig->panic.region.read(&rig->panic.region, offset, len);
}

static void mmio_store(void *ctx, uint64_t offset, uint64_t value, unsigned len)
{
	struct rig *rig = ctx;

	rig->panic.region.write(&rig->panic.region, offset, value, len);
}

static void on_mmio(void **state)
{
	struct rig rig = { 0 };

	pvpanic_init_mmio(&rig.panic, BASE, happened);
	assert_int_equal(rig.panic.region.base, BASE);
	assert_int_equal(rig.panic.region.size, 0x1000);
	check_register(&rig, mmio_load, mmio_store, &rig);
}

static uint64_t pci_load(void *ctx, uint64_t offset, unsigned len)
{
	return rig_load(ctx, BAR + offset, len);
}

static void pci_store(void *ctx, uint64_t offset, uint64_t value, unsigned len)
{
	rig_store(ctx, BAR + offset, value, len);
}

static void on_pci(void **state)
{
	struct rig rig = { 0 };
	struct pci_rig pci;

	pci_rig_open(&pci);
	pvpanic_init_pci(&rig.panic, happened);
	assert_int_equal(pci_plug(&pci.pci, &rig.panic.function, DEVFN, NULL), 0);

	assert_int_equal(rig_read(&pci, DEVFN, PCI_VENDOR_ID, 4), 0x00111b36);
	assert_int_equal(rig_read(&pci, DEVFN, PCI_CLASS_REVISION, 4), 0x08800001);
	rig_write(&pci, DEVFN, PCI_BASE_ADDRESS_0, UINT32_MAX, 4);
	assert_int_equal(rig_read(&pci, DEVFN, PCI_BASE_ADDRESS_0, 4), 0xfffff000);

	rig_write(&pci, DEVFN, PCI_BASE_ADDRESS_0, BAR, 4);
	rig_store(&pci, BAR, 1, 1);
	expect(&rig, 0); /* memory is not enabled yet */
	rig_write(&pci, DEVFN, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	check_register(&rig, pci_load, pci_store, &pci);

	pci_unplug(&rig.panic.function);
	pci_rig_close(&pci);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(on_mmio),
		cmocka_unit_test(on_pci),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
