/* SPDX-License-Identifier: Apache-2.0 */
#include "pci.h"

#define MAX_DEVS 64
#define WINDOW 0x10000000u /* of 32 bits, the same on QEMU's virt */
#define MIB 0x100000u

static struct pci_dev devs[MAX_DEVS];
static unsigned n_devs;
static uint64_t ecam;
static uint32_t next_address;
static unsigned next_bus;

static uint32_t align(uint32_t x, uint32_t size)
{
	return (x + size - 1) & ~(size - 1);
}

static bool is_bridge(const struct pci_dev *dev)
{
	return (pci_read8(dev, PCI_HEADER_TYPE) & 0x7f) == 1;
}

/* Size the BARs and place them; returns nothing where there is none. */
static void place_bars(struct pci_dev *dev)
{
	unsigned n = is_bridge(dev) ? 2 : 6;

	for (unsigned i = 0; i < n; i++) {
		uint32_t old = pci_read32(dev, PCI_BAR0 + 4 * i), mask, size;
		bool wide = (old & 7) == 4;

		if (old & 1) /* I/O: left alone */
			continue;
		pci_write32(dev, PCI_BAR0 + 4 * i, ~0u);
		mask = pci_read32(dev, PCI_BAR0 + 4 * i) & ~0xfu;
		if (mask) {
			size = ~mask + 1;
			next_address = align(next_address, size);
			dev->bar[i] = next_address;
			dev->bar_size[i] = size;
			next_address += size;
		}
		pci_write32(dev, PCI_BAR0 + 4 * i, (uint32_t)dev->bar[i]);
		if (wide)
			pci_write32(dev, PCI_BAR0 + 4 * ++i, 0);
	}
}

static void scan(unsigned bus);

/* A bus number, and the 1 MiB units that what is behind takes. */
static void open_bridge(struct pci_dev *dev)
{
	unsigned bus = next_bus++;
	uint32_t base = align(next_address, MIB), end;

	next_address = base;
	pci_write32(dev, PCI_BUSES, bus << 8 | 0xffu << 16);
	scan(bus);
	pci_write32(dev, PCI_BUSES, bus << 8 | (next_bus - 1) << 16);
	end = align(next_address, MIB);
	/* base and limit; a limit below its base is a closed window */
	pci_write32(dev, PCI_MEMORY_WINDOW,
		    end > base ? base >> 16 | ((end - MIB) & 0xfff00000u) : 0xfff0u);
	pci_write32(dev, PCI_PREFETCH_WINDOW, 0xfff0u);
	next_address = end;
}

static void scan(unsigned bus)
{
	for (unsigned devfn = 0; devfn < 256; devfn++) {
		struct pci_dev dev = { .config = ecam + ((uint64_t)bus << 20) + ((uint64_t)devfn << 12),
				       .rid = bus << 8 | devfn };

		if (pci_read32(&dev, PCI_VENDOR) == ~0u) {
			/* no function 0: no others either */
			if (!(devfn & 7))
				devfn += 7;
			continue;
		}
		pci_write16(&dev, PCI_COMMAND, 0);
		place_bars(&dev);
		if (n_devs < MAX_DEVS)
			devs[n_devs++] = dev;
		if (is_bridge(&dev))
			open_bridge(&dev);
		if (!(devfn & 7) && !(pci_read8(&dev, PCI_HEADER_TYPE) & 0x80))
			devfn += 7;
	}
}

bool pci_find(unsigned index, struct pci_dev *ret)
{
	struct fdt_device host;

	if (!ecam) {
		if (!fdt_find("pci-host-ecam-generic", 0, &host))
			return false;
		ecam = host.base;
		next_address = WINDOW;
		next_bus = 1;
		scan(0);
	}
	if (index >= n_devs)
		return false;
	*ret = devs[index];
	return true;
}

void pci_enable(const struct pci_dev *dev)
{
	const uint16_t on = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;

	for (unsigned i = 0; i < n_devs; i++)
		if (is_bridge(&devs[i]) && dev->rid >> 8 &&
		    (pci_read32(&devs[i], PCI_BUSES) >> 8 & 0xff) == dev->rid >> 8)
			pci_write16(&devs[i], PCI_COMMAND, on);
	pci_write16(dev, PCI_COMMAND, on);
}

unsigned pci_capability(const struct pci_dev *dev, unsigned id, unsigned index)
{
	unsigned at = pci_read8(dev, PCI_CAPABILITIES);

	for (unsigned steps = 0; at && steps < 48; steps++) {
		if (pci_read8(dev, at) == id && !index--)
			return at;
		at = pci_read8(dev, at + 1);
	}
	return 0;
}

void pci_place_bar(const struct pci_dev *dev, unsigned bar, uint64_t address)
{
	pci_write32(dev, PCI_BAR0 + 4 * bar, (uint32_t)address);
	pci_write32(dev, PCI_BAR0 + 4 * bar + 4, (uint32_t)(address >> 32));
}
