/* SPDX-License-Identifier: Apache-2.0 */
/* Registers of PrimeCell devices, PL031 (Arm DDI 0224) and PL061 (DDI 0190), and the alarm of the first. */
#include "gic.h"
#include "primecell.h"

const char payload_name[] = "devices";

static void test_pl031(uint64_t base)
{
	uint32_t now = read32(base), later;

	check_id(base, 0x031, "PL031 peripheral id");
	check(now > 1735000000, "DR is a time after 2024: %u", now);
	check(wait_for(read32(base) != now), "DR advances");
	later = read32(base);
	check(later > now && later - now < 600, "by seconds");
	check_eq(read32(base + 0x0c) & 1, 1, "CR: started");
	check_eq(read32(base + 0x10), 0, "IMSC: masked after reset");
	check_eq(read32(base + 0x18), 0, "MIS: nothing pending");
	write32(base + 0x04, 0x80000000);
	check_eq(read32(base + 0x04), 0x80000000, "MR keeps 32 bits");
}

static volatile unsigned n_alarms;

static void on_alarm(unsigned intid)
{
	struct fdt_device rtc;

	if (fdt_find("arm,pl031", 0, &rtc))
		write32(rtc.base + 0x1c, 1);
	barrier();
	n_alarms++;
}

/* An alarm when the next second begins; the second may be over before it is set. */
static void alarm_soon(uint64_t base)
{
	do {
		write32(base + 0x04, read32(base) + 1);
	} while (read32(base) > read32(base + 0x04) && !(read32(base + 0x14) & 1));
}

/* The match register, the load register, the mask, and the interrupt. */
static void test_alarm(const struct fdt_device *rtc)
{
	uint64_t base = rtc->base;

	write32(base + 0x10, 0);
	alarm_soon(base);
	check(wait_for(read32(base + 0x14) & 1), "RIS: the alarm");
	check_eq(read32(base + 0x18), 0, "MIS: masked");
	write32(base + 0x1c, 1);
	check_eq(read32(base + 0x14), 0, "RIS: cleared by ICR");

	gic_enable(rtc->intid, on_alarm, rtc->edge, 0);
	write32(base + 0x10, 1);
	check_eq(read32(base + 0x10), 1, "IMSC: unmasked");
	alarm_soon(base);
	check(wait_for(n_alarms), "the alarm's interrupt (INTID %u)", rtc->intid);
	gic_disable(rtc->intid, 0);
	write32(base + 0x10, 0);

	/* setting the clock moves it, and the alarm does not follow */
	write32(base + 0x08, 1000);
	write32(base + 0x1c, 1);
	check_eq(read32(base + 0x08), 1000, "LR keeps what was loaded");
	check(read32(base) - 1000 < 600, "DR goes on from there");
	alarm_soon(base);
	check(wait_for(read32(base + 0x14) & 1), "RIS: an alarm of the new time");
	check(read32(base) >= read32(base + 0x04), "and not early");
	write32(base + 0x1c, 1);
	for (unsigned at = 0x20; at < 0xfe0; at += 4)
		write32(base + at, ~0u);
	check_eq(read32(base + 0x0c) & 1, 1, "CR: still started");
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
	if (check(fdt_find("arm,pl031", 0, &dev), "the FDT has a PL031"))
		test_pl031(dev.base);
	if (check(gic_init() && gic_init_cpu(0), "GIC") && fdt_find("arm,pl031", 0, &dev))
		test_alarm(&dev);
	if (check(fdt_find("arm,pl061", 0, &dev), "the FDT has a PL061"))
		test_pl061(dev.base);
	check(fdt_find("arm,gic-v3", 0, &dev), "the FDT has a GICv3");
	check(fdt_find("arm,armv8-timer", 0, &dev), "the FDT has the timer");
	check(fdt_find("arm,psci-1.0", 0, &dev) || fdt_find("arm,psci-0.2", 0, &dev),
	      "the FDT has PSCI");
	check(fdt_find("virtio,mmio", 0, &dev), "the FDT has virtio-mmio");
}
