/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which BAR answers at an address: a sorted table without overlaps, built whole and never changed
 * after that. pci.c swaps one for the next.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define PCI_MAP_MAX 256

struct pci_function;

struct pci_mapping {
	uint64_t base, size;
	struct pci_function *function;
	unsigned bar;
};

struct pci_map {
	unsigned n;
	struct pci_mapping entries[PCI_MAP_MAX];
};

/* False: it would overlap what is there already, which stays, or the table is full. */
bool pci_map_add(struct pci_map *map, const struct pci_mapping *mapping);

/* The mapping that holds all of [addr, addr + len), or NULL. */
const struct pci_mapping *pci_map_find(const struct pci_map *map, uint64_t addr, unsigned len);
