/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest physical memory map and interrupts of machine type hvd-1.0.
 *
 * The places are those of QEMU's `virt`, so that stock AAVMF firmware and existing guests run
 * unchanged. What a guest sees of hvd-1.0 never changes once released: new things get new places.
 * Interrupts are SPI numbers; the GIC's INTID is 32 more (Arm IHI 0069 §2.2).
 */
#pragma once

#include <stdint.h>

#include "vmm/base/macro.h"

#define MEMMAP_GICD      0x08000000ULL
#define MEMMAP_GICD_SIZE 0x00010000ULL
#define MEMMAP_ITS       0x08080000ULL
#define MEMMAP_ITS_SIZE  0x00020000ULL
#define MEMMAP_GICR      0x080a0000ULL /* redistributors, up to the PL011 */
#define MEMMAP_GICR_EACH 0x00020000ULL

#define MEMMAP_PL011       0x09000000ULL
#define MEMMAP_PL031       0x09010000ULL
#define MEMMAP_PL061       0x09030000ULL
#define MEMMAP_PERIPH_SIZE 0x00001000ULL

#define MEMMAP_VIRTIO      0x0a000000ULL
#define MEMMAP_VIRTIO_EACH 0x00000200ULL
#define MEMMAP_MAX_VIRTIO  32

#define MEMMAP_RAM 0x40000000ULL

/* One redistributor for each vCPU in the low window. */
#define MEMMAP_MAX_VCPUS ((unsigned)((MEMMAP_PL011 - MEMMAP_GICR) / MEMMAP_GICR_EACH))

#define SPI_PL011  1
#define SPI_PL031  2
#define SPI_PL061  7
#define SPI_VIRTIO 16 /* + index of the device */

/* SPIs that the GIC has: 32 … 287, with room for devices to come. */
#define SPI_COUNT 256

/* Private interrupts of each vCPU, as PPI numbers; the INTID is 16 more (Arm BSA §B_PPI). */
#define PPI_GIC_MAINTENANCE 9
#define PPI_TIMER_HYP       10
#define PPI_TIMER_VIRT      11
#define PPI_TIMER_SECURE    13
#define PPI_TIMER_PHYS      14
#define PPI_PMU             7
#define PPI_TO_INTID(ppi)   ((ppi) + 16)

/* What the power button is wired to: line of the PL061. */
#define GPIO_POWER_BUTTON 3

/*
 * Width of the guest physical address space that holds `memory` bytes of RAM. At least 40 bits,
 * KVM's default, where the host has them: fewer bits are fewer levels of stage-2 tables.
 */
static inline unsigned memmap_ipa_bits(uint64_t memory, unsigned host_bits)
{
	uint64_t last = MEMMAP_RAM + memory - 1;
	unsigned bits = MIN(40U, host_bits);

	while (bits < 64 && last >> bits)
		bits++;
	return bits;
}
