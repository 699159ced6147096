/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The MMIO bus: which device owns a guest address.
 *
 * Regions are added while no vCPU runs; after that the bus is immutable, so that vCPU threads look
 * up without a lock. Each device protects its own state.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "vmm/base/err.h"

#define MMIO_MAX_REGIONS 64
#define MMIO_DATA_SIZE   8

/* Embedded in a device, which gets itself back with container_of(). */
struct mmio_region {
	const char *name;
	uint64_t base, size;
	/* offset is within the region; len is 1, 2, 4 or 8 and does not cross its end. */
	uint64_t (*read)(struct mmio_region *region, uint64_t offset, unsigned len);
	void (*write)(struct mmio_region *region, uint64_t offset, uint64_t value, unsigned len);
};

struct mmio_bus {
	struct mmio_region *regions[MMIO_MAX_REGIONS]; /* sorted by base */
	unsigned n_regions;
};

/* The region stays the caller's. -EEXIST: overlaps another, -ENOSPC: the bus is full. */
int mmio_bus_add(struct mmio_bus *bus, struct mmio_region *region, struct hvd_error *err);

/* The region that holds all of [addr, addr + len), or NULL. */
struct mmio_region *mmio_bus_find(const struct mmio_bus *bus, uint64_t addr, unsigned len);

/*
 * One access by a vCPU as KVM_EXIT_MMIO hands it over: data is little-endian, len 1 … 8 bytes of it
 * count; a read fills all eight. An access that no device owns reads as zero and writes nothing, as
 * on a bus without an abort.
 */
void mmio_bus_read(const struct mmio_bus *bus, uint64_t addr, uint8_t data[static MMIO_DATA_SIZE],
		   unsigned len);
void mmio_bus_write(const struct mmio_bus *bus, uint64_t addr,
		    const uint8_t data[static MMIO_DATA_SIZE], unsigned len);
