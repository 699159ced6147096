/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PCI Express through ECAM: what a small firmware does. The first use numbers the buses behind
 * bridges and places every memory BAR in the 32-bit window, with memory decoding still off.
 */
#pragma once

#include "rt.h"

struct pci_dev {
	uint64_t config;
	unsigned rid; /* bus, device, function: what the ITS knows it by */
	uint64_t bar[6], bar_size[6];
};

/* The index-th function, bridges among them; false past the last, or without PCI. */
bool pci_find(unsigned index, struct pci_dev *ret);

/* Memory decoding and bus mastering, of the function and of the bridge that it is behind. */
void pci_enable(const struct pci_dev *dev);

/* Offset of the index-th capability with this id, 0: none. */
unsigned pci_capability(const struct pci_dev *dev, unsigned id, unsigned index);

/* Move a BAR of 64 bits; the caller updates dev. */
void pci_place_bar(const struct pci_dev *dev, unsigned bar, uint64_t address);

static inline uint32_t pci_read32(const struct pci_dev *dev, unsigned at)
{
	return read32(dev->config + at);
}

static inline uint16_t pci_read16(const struct pci_dev *dev, unsigned at)
{
	return read16(dev->config + at);
}

static inline uint8_t pci_read8(const struct pci_dev *dev, unsigned at)
{
	return read8(dev->config + at);
}

static inline void pci_write32(const struct pci_dev *dev, unsigned at, uint32_t v)
{
	write32(dev->config + at, v);
}

static inline void pci_write16(const struct pci_dev *dev, unsigned at, uint16_t v)
{
	write16(dev->config + at, v);
}

#define PCI_VENDOR 0x00
#define PCI_COMMAND 0x04
#define PCI_COMMAND_MEMORY 2
#define PCI_COMMAND_MASTER 4
#define PCI_HEADER_TYPE 0x0e
#define PCI_BAR0 0x10
#define PCI_BUSES 0x18
#define PCI_MEMORY_WINDOW 0x20
#define PCI_PREFETCH_WINDOW 0x24
#define PCI_CAPABILITIES 0x34
#define PCI_BRIDGE_CONTROL 0x3e
#define PCI_CAP_MSIX 0x11
