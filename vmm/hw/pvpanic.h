/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pvpanic: one register by which a guest tells that it has panicked (docs/specs/pvpanic.rst in QEMU's
 * source). A machine with PCI has it as function 1b36:0011, another one at a place of its own
 * ("qemu,pvpanic-mmio").
 *
 *	read	the events that the host takes
 *	write	what has happened: bits of these, others are ignored
 */
#pragma once

#include "vmm/bus/mmio.h"
#include "vmm/bus/pci.h"

#define PVPANIC_PANICKED     0x01U /* the guest is dead, and goes on with its panic routine */
#define PVPANIC_CRASH_LOADED 0x02U /* it has panicked, and a kernel that it had ready for that takes over */

struct pvpanic {
	/* One of these, as it was initialised. */
	struct mmio_region region;
	struct pci_function function; /* to be plugged in by the owner */

	/* On the vCPU's thread, while its write is going on; events is not 0. */
	void (*happened)(struct pvpanic *panic, unsigned events);
};

void pvpanic_init_mmio(struct pvpanic *panic, uint64_t base,
		       void (*happened)(struct pvpanic *panic, unsigned events));
void pvpanic_init_pci(struct pvpanic *panic,
		      void (*happened)(struct pvpanic *panic, unsigned events));
