/* SPDX-License-Identifier: Apache-2.0 */
/* Registers of the PrimeCell devices: PL011 (Arm DDI 0183), PL031 (DDI 0224), PL061 (DDI 0190). */
#include "rt.h"

const char payload_name[] = "devices";

/* The four peripheral and four PrimeCell id bytes at the end of a 4 KiB frame. */
static uint64_t cell_id(uint64_t base)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < 8; i++)
		v |= (uint64_t)(read32(base + 0xfe0 + i * 4) & 0xff) << i * 8;
	return v;
}

/* Part number and designer, whatever the revision; and the PrimeCell's own id. */
static void check_id(uint64_t base, unsigned part, const char *what)
{
	uint64_t id = cell_id(base);

	check_eq(id & 0xfffff, 0x41000 | part, what);
	check_eq(id >> 32, 0xb105f00d, "PrimeCell id");
}

static void test_pl011(uint64_t base)
{
	uint32_t lcr = read32(base + 0x2c);

	check_id(base, 0x011, "PL011 peripheral id");
	check(read32(base + 0x18) & 1u << 4, "FR: receive FIFO empty");
	check(!(read32(base + 0x18) & 1u << 5), "FR: transmit FIFO not full");
	check(wait_for(read32(base + 0x18) & 1u << 7), "FR: transmit FIFO empty in the end");
	check(!(read32(base + 0x18) & 1u << 3), "FR: not busy in the end");

	write32(base + 0x24, 0x1234);
	check_eq(read32(base + 0x24), 0x1234, "IBRD keeps 16 bits");
	write32(base + 0x28, 0x2a);
	check_eq(read32(base + 0x28), 0x2a, "FBRD keeps 6 bits");
	write32(base + 0x2c, 0x70);
	check_eq(read32(base + 0x2c), 0x70, "LCR_H keeps word length and FIFO enable");
	write32(base + 0x2c, lcr);
	check_eq(read32(base + 0x30) & 0x301, 0x301, "CR: what was enabled");

	write32(base + 0x38, 0x50);
	check_eq(read32(base + 0x38), 0x50, "IMSC keeps its bits");
	write32(base + 0x38, 0);
	write32(base + 0x44, 0x7ff);
	check_eq(read32(base + 0x40), 0, "MIS is 0 when all is masked");
	check_eq(read32(base + 0x3c) & 0x50, 0, "RIS: nothing received");
	/* Narrow accesses are what an early console does. */
	check_eq(read16(base + 0x18), read32(base + 0x18), "FR read with 16 bits");
	write8(base + 0x00, '\r');
	check(true, "DR written with 8 bits");
}

static void test_pl031(uint64_t base)
{
	uint32_t now = read32(base), later;

	check_id(base, 0x031, "PL031 peripheral id");
	check(now > 1735000000, "DR is a time after 2024: %u", now);
	check(wait_for(read32(base) != now), "DR advances");
	later = read32(base);
	check(later > now && later - now < 60, "by seconds");
	check_eq(read32(base + 0x0c) & 1, 1, "CR: started");
	check_eq(read32(base + 0x10), 0, "IMSC: masked after reset");
	check_eq(read32(base + 0x18), 0, "MIS: nothing pending");
	write32(base + 0x04, 0x80000000);
	check_eq(read32(base + 0x04), 0x80000000, "MR keeps 32 bits");
}

static void test_pl061(uint64_t base)
{
	check_id(base, 0x061, "PL061 peripheral id");
	check_eq(read32(base + 0x400), 0, "DIR: all inputs after reset");
	check_eq(read32(base + 0x410), 0, "IE: masked after reset");
	check_eq(read32(base + 0x418), 0, "MIS: nothing pending");
	write32(base + 0x404, 0x08);
	check_eq(read32(base + 0x404), 0x08, "IS keeps its bits");
	write32(base + 0x404, 0);
	write32(base + 0x410, 0x08);
	check_eq(read32(base + 0x410), 0x08, "IE keeps its bits");
	write32(base + 0x410, 0);
	/* The address carries the mask of the data register. */
	check_eq(read32(base + 0x000), 0, "DATA under an empty mask");
}

void run(void)
{
	uint64_t ram, size;
	struct fdt_device dev;

	fdt_memory(&ram, &size);
	check(ram == 0x40000000 && size >= 0x4000000, "RAM at 0x%lx, 0x%lx bytes", ram, size);
	if (check(fdt_find("arm,pl011", 0, &dev), "the FDT has a PL011"))
		test_pl011(dev.base);
	if (check(fdt_find("arm,pl031", 0, &dev), "the FDT has a PL031"))
		test_pl031(dev.base);
	if (check(fdt_find("arm,pl061", 0, &dev), "the FDT has a PL061"))
		test_pl061(dev.base);
	check(fdt_find("arm,gic-v3", 0, &dev), "the FDT has a GICv3");
	check(fdt_find("arm,armv8-timer", 0, &dev), "the FDT has the timer");
	check(fdt_find("arm,psci-1.0", 0, &dev) || fdt_find("arm,psci-0.2", 0, &dev),
	      "the FDT has PSCI");
	check(fdt_find("virtio,mmio", 0, &dev), "the FDT has virtio-mmio");
}
