/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/bus/mmio.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

/* Index of the first region whose base is above addr. */
static unsigned upper_bound(const struct mmio_bus *bus, uint64_t addr)
{
	unsigned low = 0, high = bus->n_regions;

	while (low < high) {
		unsigned mid = (low + high) / 2;

		if (bus->regions[mid]->base <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

int mmio_bus_add(struct mmio_bus *bus, struct mmio_region *region, struct hvd_error *err)
{
	unsigned at = upper_bound(bus, region->base);
	const struct mmio_region *before = at ? bus->regions[at - 1] : NULL;
	const struct mmio_region *after = at < bus->n_regions ? bus->regions[at] : NULL;

	if (bus->n_regions == MMIO_MAX_REGIONS)
		return hvd_err(err, ENOSPC, "%s: more than %u devices on the MMIO bus",
			       region->name, MMIO_MAX_REGIONS);
	if (before && region->base - before->base < before->size)
		return hvd_err(err, EEXIST, "%s overlaps %s", region->name, before->name);
	if (after && after->base - region->base < region->size)
		return hvd_err(err, EEXIST, "%s overlaps %s", region->name, after->name);

	memmove(&bus->regions[at + 1], &bus->regions[at],
		(bus->n_regions - at) * sizeof(bus->regions[0]));
	bus->regions[at] = region;
	bus->n_regions++;
	return 0;
}

struct mmio_region *mmio_bus_find(const struct mmio_bus *bus, uint64_t addr, unsigned len)
{
	unsigned at = upper_bound(bus, addr);
	struct mmio_region *region;
	uint64_t offset;

	if (!at)
		return NULL;
	region = bus->regions[at - 1];
	offset = addr - region->base;
	if (offset >= region->size || len > region->size - offset)
		return NULL;
	return region;
}

void mmio_bus_read(const struct mmio_bus *bus, uint64_t addr, uint8_t data[static MMIO_DATA_SIZE],
		   unsigned len)
{
	struct mmio_region *region = mmio_bus_find(bus, addr, len);
	uint64_t value = region ? region->read(region, addr - region->base, len) : 0;

	value = htole64(value);
	memcpy(data, &value, sizeof(value));
}

void mmio_bus_write(const struct mmio_bus *bus, uint64_t addr,
		    const uint8_t data[static MMIO_DATA_SIZE], unsigned len)
{
	struct mmio_region *region = mmio_bus_find(bus, addr, len);
	uint64_t value;

	if (!region)
		return;

	memcpy(&value, data, sizeof(value));
	value = le64toh(value);
	if (len < sizeof(value))
		value &= (1ULL << (8 * len)) - 1;
	region->write(region, addr - region->base, value, len);
}
