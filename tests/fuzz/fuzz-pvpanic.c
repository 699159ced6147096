/* SPDX-License-Identifier: Apache-2.0 */
/* The register of pvpanic, on MMIO and behind a BAR. */
#include <stdlib.h>

#include "tests/fuzz/regs.h"
#include "vmm/hw/pvpanic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct panic_target {
	struct fuzz_target base;
	struct pvpanic mmio, pci;
};

static void happened(struct pvpanic *panic, unsigned events)
{
	if (!events || events & ~(PVPANIC_PANICKED | PVPANIC_CRASH_LOADED))
		abort();
}

static void access_bar(struct fuzz_target *target, uint8_t what, uint32_t value)
{
	struct panic_target *t = container_of(target, struct panic_target, base);
	struct pci_function *f = &t->pci.function;
	unsigned len = 1U << (what & 3);
	uint64_t offset = value % (f->bar[0].size - len + 1);

	if (what & 4)
		f->ops->write(f, 0, offset, value, len);
	else
		f->ops->read(f, 0, offset, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_irq irq = { 0 };
	struct panic_target t = {
		/* no interrupt, and nothing at the end of the page */
		.base = { .irq = &irq, .masked_status = 0xffc, .outside = access_bar },
	};

	pvpanic_init_mmio(&t.mmio, 0x090d0000, happened);
	pvpanic_init_pci(&t.pci, happened);
	t.base.region = &t.mmio.region;
	fuzz_regs(&t.base, data, size);
	return 0;
}
