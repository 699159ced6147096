/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest physical memory map and interrupts of machine type hvd-1.0.
 *
 * The places are those of QEMU's `virt`, so that stock AAVMF firmware and existing guests run
 * unchanged. What a guest sees of hvd-1.0 never changes once released: new things get new places.
 * Interrupts are SPI numbers; the GIC's INTID is 32 more (Arm IHI 0069 §2.2).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "vmm/base/err.h"
#include "vmm/base/macro.h"

/* Two banks of flash: firmware, and its variables. */
#define MEMMAP_FLASH_CODE 0x00000000ULL
#define MEMMAP_FLASH_VARS 0x04000000ULL
#define MEMMAP_FLASH_EACH 0x04000000ULL

#define MEMMAP_GICD      0x08000000ULL
#define MEMMAP_GICD_SIZE 0x00010000ULL
#define MEMMAP_ITS       0x08080000ULL
#define MEMMAP_ITS_SIZE  0x00020000ULL
#define MEMMAP_GICR      0x080a0000ULL /* redistributors, up to the PL011; see struct memmap */
#define MEMMAP_GICR_EACH 0x00020000ULL

#define MEMMAP_PL011       0x09000000ULL
#define MEMMAP_PL031       0x09010000ULL
#define MEMMAP_FW_CFG      0x09020000ULL /* FW_CFG_SIZE */
#define MEMMAP_PL061       0x09030000ULL
#define MEMMAP_PERIPH_SIZE 0x00001000ULL

/* Steal time: 64 bytes for each vCPU (Arm DEN0057A), which the guest finds by a hypercall. */
#define MEMMAP_STEAL_TIME      0x090a0000ULL
#define MEMMAP_STEAL_TIME_SIZE 0x00010000ULL
#define MEMMAP_STEAL_TIME_EACH 64

/* Not of QEMU's, and where it has nothing. */
#define MEMMAP_PVPANIC          0x090d0000ULL
#define MEMMAP_WATCHDOG_REFRESH 0x090e0000ULL
#define MEMMAP_WATCHDOG_CONTROL 0x090f0000ULL

#define MEMMAP_VIRTIO      0x0a000000ULL
#define MEMMAP_VIRTIO_EACH 0x00000200ULL
#define MEMMAP_MAX_VIRTIO  32

/* PCIe below RAM: the 32-bit window, the I/O port window, and the small ECAM. */
#define MEMMAP_PCI_MMIO32      0x10000000ULL
#define MEMMAP_PCI_MMIO32_SIZE 0x2eff0000ULL
#define MEMMAP_PCI_PIO         0x3eff0000ULL
#define MEMMAP_PCI_PIO_SIZE    0x00010000ULL
#define MEMMAP_PCI_ECAM        0x3f000000ULL
#define MEMMAP_PCI_BUS_SIZE    0x00100000ULL /* of ECAM, for each bus */

#define MEMMAP_RAM 0x40000000ULL

#define SPI_PL011        1
#define SPI_PL031        2
#define SPI_PL061        7
#define SPI_POWER_BUTTON 9  /* a pulse for a press: for guests with ACPI */
#define SPI_WATCHDOG     12
#define SPI_VIRTIO       16 /* + index of the device */

/* SPIs that the GIC has: 32 … 287, with room for devices to come. */
#define SPI_COUNT 96

/* Private interrupts of each vCPU, as PPI numbers; the INTID is 16 more (Arm BSA §B_PPI). */
#define PPI_GIC_MAINTENANCE 9
#define PPI_TIMER_HYP       10
#define PPI_TIMER_VIRT      11
#define PPI_TIMER_SECURE    13
#define PPI_TIMER_PHYS      14
#define PPI_PMU             7
#define PPI_TO_INTID(ppi)   ((ppi) + 16)
#define SPI_TO_INTID(spi)   ((spi) + 32)

/* What else the power button is wired to: line of the PL061. */
#define GPIO_POWER_BUTTON 3

struct memmap_range {
	uint64_t base, size; /* size 0: there is none */
};

/* What depends on the VM and on the host's guest address space. */
struct memmap {
	unsigned ipa_bits; /* width that the VM is created with */
	/* One redistributor for each vCPU: as many as fit at MEMMAP_GICR, the rest above RAM. */
	unsigned n_gicr_low, n_gicr_high;
	uint64_t gicr_high;
	struct memmap_range ecam; /* one MEMMAP_PCI_BUS_SIZE for each bus from 0 on */
	struct memmap_range mmio64;
};

struct memmap_args {
	uint64_t memory; /* bytes of RAM */
	unsigned vcpus;
	unsigned host_ipa_bits;
	bool pci;
};

/* vCPUs that a VM of ordinary size can have where addresses have this many bits. */
unsigned memmap_max_vcpus(unsigned host_ipa_bits);

/*
 * Lay out what stands above RAM: from 256 GiB on, or from the end of more RAM than that, first the
 * high redistributors, then the ECAM of 256 buses, then the 64-bit PCIe window of 512 GiB, each
 * aligned to its size. Where the host's address space ends earlier, the window is halved until it
 * fits; without room for as much as the ECAM, that is the small one below RAM and there is no
 * 64-bit window. -ERANGE: RAM or redistributors do not fit.
 */
int memmap_init(struct memmap *map, const struct memmap_args *args, struct hvd_error *err);
