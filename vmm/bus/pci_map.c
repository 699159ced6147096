/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/bus/pci_map.h"

#include <string.h>

/* Index of the first entry whose base is above addr. */
static unsigned upper_bound(const struct pci_map *map, uint64_t addr)
{
	unsigned low = 0, high = map->n;

	while (low < high) {
		unsigned mid = (low + high) / 2;

		if (map->entries[mid].base <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

bool pci_map_add(struct pci_map *map, const struct pci_mapping *mapping)
{
	unsigned at = upper_bound(map, mapping->base);
	struct pci_mapping *next = &map->entries[at];

	if (map->n == PCI_MAP_MAX)
		return false;
	if (at && mapping->base - next[-1].base < next[-1].size)
		return false;
	if (at < map->n && next->base - mapping->base < mapping->size)
		return false;

	memmove(next + 1, next, (map->n - at) * sizeof(*next));
	*next = *mapping;
	map->n++;
	return true;
}

const struct pci_mapping *pci_map_find(const struct pci_map *map, uint64_t addr, unsigned len)
{
	unsigned at = upper_bound(map, addr);
	const struct pci_mapping *m;
	uint64_t offset;

	if (!at)
		return NULL;
	m = &map->entries[at - 1];
	offset = addr - m->base;
	if (offset >= m->size || len > m->size - offset)
		return NULL;
	return m;
}
