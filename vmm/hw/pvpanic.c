/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/hw/pvpanic.h"

#include "vmm/base/macro.h"

#define EVENTS (PVPANIC_PANICKED | PVPANIC_CRASH_LOADED)

/* A page: what is mapped with the register is nothing else's. */
#define SIZE 0x1000

static const struct pci_ident ident = {
	.vendor = 0x1b36, /* Red Hat */
	.device = 0x0011,
	.subsystem_vendor = 0x1af4,
	.subsystem = 0x1100,
	.revision = 1,
	.class = 0x088000, /* another system peripheral */
};

/* The register is one byte, which a wider access has lowest. */
static uint64_t get(uint64_t offset)
{
	return offset ? 0 : EVENTS;
}

static void set(struct pvpanic *panic, uint64_t offset, uint64_t value)
{
	unsigned events = offset ? 0 : (unsigned)value & EVENTS;

	if (events)
		panic->happened(panic, events);
}

static uint64_t mmio_read(struct mmio_region *region, uint64_t offset, unsigned len)
{
	return get(offset);
}

static void mmio_write(struct mmio_region *region, uint64_t offset, uint64_t value, unsigned len)
{
	set(container_of(region, struct pvpanic, region), offset, value);
}

void pvpanic_init_mmio(struct pvpanic *panic, uint64_t base,
		       void (*happened)(struct pvpanic *panic, unsigned events))
{
	*panic = (struct pvpanic){
		.region = { "pvpanic", base, SIZE, mmio_read, mmio_write },
		.happened = happened,
	};
}

static uint64_t bar_read(struct pci_function *f, unsigned bar, uint64_t offset, unsigned len)
{
	return get(offset);
}

static void bar_write(struct pci_function *f, unsigned bar, uint64_t offset, uint64_t value,
		      unsigned len)
{
	set(container_of(f, struct pvpanic, function), offset, value);
}

static const struct pci_ops pci_ops = { .read = bar_read, .write = bar_write };

void pvpanic_init_pci(struct pvpanic *panic,
		      void (*happened)(struct pvpanic *panic, unsigned events))
{
	*panic = (struct pvpanic){ .happened = happened };
	pci_function_init(&panic->function, &pci_ops, &ident);
	pci_add_bar(&panic->function, 0, SIZE, false, false);
}
