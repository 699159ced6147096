/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The states of an interrupt (Arm IHI 0069 §4.1) and what decides whether a CPU sees it: enables,
 * priorities, masks, routing. IRQs stay masked at the CPU: the payload acknowledges by hand and
 * looks at each step.
 *
 * KVM's PPIs are levels for good, and what software has made pending of a level stays so until the end of
 * the interrupt. An interrupt that becomes pending while nobody can get it is looked at again only when
 * it is made pending once more: by then(), below. "qemu" on the command line leaves out what QEMU's
 * emulation never delivers: an interrupt that was pending when it was routed to no CPU.
 */
#include "gic.h"

const char payload_name[] = "gic-state";

#define GICD_CTLR       0x0000
#define GICD_TYPER      0x0004
#define GICD_IROUTER    0x6000
#define GICR_SGI        0x10000
#define GIC_IGROUPR     0x0080
#define GIC_ISENABLER   0x0100
#define GIC_ICENABLER   0x0180
#define GIC_ISPENDR     0x0200
#define GIC_ICPENDR     0x0280
#define GIC_ISACTIVER   0x0300
#define GIC_ICACTIVER   0x0380
#define GIC_IPRIORITYR  0x0400
#define GIC_ICFGR       0x0c00
#define GICD_GRP1       2u
#define IROUTER_ALL     (1ull << 31)
#define CTLR_EOIMODE    2ull

#define SPURIOUS 1023

/* Wired to nothing: software makes them pending. */
#define PPI 20
#define SPI 100
#define LEVEL_SPI 101
#define OTHER_SPI 102

#define UART_IMSC 0x38
#define UART_ICR  0x44
#define UART_TXI  (1u << 5)

#define SYSREG(name, reg)                                                                          \
	static uint64_t get_##name(void)                                                           \
	{                                                                                          \
		uint64_t v;                                                                        \
		asm volatile("mrs %0, " reg : "=r"(v) : : "memory");                               \
		return v;                                                                          \
	}
#define SYSREG_SET(name, reg)                                                                      \
	static void set_##name(uint64_t v)                                                         \
	{                                                                                          \
		asm volatile("msr " reg ", %0; isb" : : "r"(v) : "memory");                        \
	}
SYSREG(iar, "s3_0_c12_c12_0")
SYSREG(hppir, "s3_0_c12_c12_2")
SYSREG(rpr, "s3_0_c12_c11_3")
SYSREG(ctlr, "s3_0_c12_c12_4")
SYSREG(pmr, "s3_0_c4_c6_0")
SYSREG_SET(eoir, "s3_0_c12_c12_1")
SYSREG_SET(dir, "s3_0_c12_c11_1")
SYSREG_SET(ctlr, "s3_0_c12_c12_4")
SYSREG_SET(pmr, "s3_0_c4_c6_0")
SYSREG_SET(bpr, "s3_0_c12_c12_3")
SYSREG_SET(grpen, "s3_0_c12_c12_7")
SYSREG_SET(sgi1r, "s3_0_c12_c11_5")

static uint64_t place(unsigned intid, unsigned reg)
{
	uint64_t base = intid < 32 ? gic_redistributor(0) + GICR_SGI : gicd_base;

	return base + reg + intid / 32 * 4;
}

static bool get(unsigned intid, unsigned reg)
{
	return read32(place(intid, reg)) & 1u << intid % 32;
}

static void set(unsigned intid, unsigned reg)
{
	write32(place(intid, reg), 1u << intid % 32);
	barrier();
}

static void set_priority(unsigned intid, uint8_t priority)
{
	uint64_t base = intid < 32 ? gic_redistributor(0) + GICR_SGI : gicd_base;

	write8(base + GIC_IPRIORITYR + intid, priority);
	barrier();
}

/* The next one to be acknowledged; some time may pass until the CPU sees it. */
static bool signalled(unsigned intid)
{
	return wait_for(get_hppir() == intid);
}

/* What is pending and not for this CPU to see does not show up later either. */
static bool nothing(void)
{
	uint64_t end = ticks() + ticks_per_second() / 100;

	while (ticks() < end)
		if (get_iar() != SPURIOUS)
			return false;
	return true;
}

/* What KVM has not looked at, see above. */
static void then(unsigned intid)
{
	set(intid, GIC_ISPENDR);
}

static bool is_edge(unsigned intid)
{
	uint64_t base = intid < 32 ? gic_redistributor(0) + GICR_SGI : gicd_base;

	return read32(base + GIC_ICFGR + intid / 16 * 4) & 2u << intid % 16 * 2;
}

/* Idle, and enabled, as an edge where that can be chosen. */
static void make_ready(unsigned intid)
{
	gic_enable(intid, NULL, true, 0);
	set(intid, GIC_ICPENDR);
	set(intid, GIC_ICACTIVER);
}

static void test_life(unsigned intid, const char *kind)
{
	make_ready(intid);
	check(!get(intid, GIC_ISPENDR) && !get(intid, GIC_ISACTIVER), "%s: inactive", kind);
	check(get(intid, GIC_ISENABLER) && get(intid, GIC_ICENABLER), "%s: enabled, as both registers say",
	      kind);
	check(nothing(), "%s: nothing to acknowledge", kind);

	set(intid, GIC_ISPENDR);
	check(get(intid, GIC_ISPENDR) && get(intid, GIC_ICPENDR), "%s: pending, as both registers say", kind);
	check(signalled(intid), "%s: signalled", kind);
	set(intid, GIC_ICPENDR);
	check(wait_for(get_hppir() == SPURIOUS) && !get(intid, GIC_ISPENDR), "%s: not pending any more", kind);
	check(nothing(), "%s: and not signalled", kind);

	set(intid, GIC_ISPENDR);
	check(signalled(intid), "%s: pending again", kind);
	check_eq(get_iar(), intid, "acknowledged");
	check(get(intid, GIC_ISACTIVER) && get(intid, GIC_ICACTIVER), "%s: active", kind);
	if (is_edge(intid))
		check(!get(intid, GIC_ISPENDR), "%s: and not pending", kind);
	check_eq(get_rpr(), 0x80, "its priority is the running one");
	set(intid, GIC_ISPENDR);
	check(get(intid, GIC_ISACTIVER) && get(intid, GIC_ISPENDR), "%s: active and pending", kind);
	check(nothing(), "%s: which is not signalled", kind);
	set_eoir(intid);
	check(!get(intid, GIC_ISACTIVER), "%s: inactive after its end", kind);
	check_eq(get_rpr(), 0xff, "no running priority");
	if (is_edge(intid)) {
		check(signalled(intid), "%s: then what was pending comes", kind);
		check_eq(get_iar(), intid, "acknowledged once more");
		set_eoir(intid);
	}
	check(nothing(), "%s: and that is all", kind);
}

/* By software, without an acknowledgement. */
static void test_active(unsigned intid)
{
	make_ready(intid);
	set(intid, GIC_ISACTIVER);
	check(get(intid, GIC_ISACTIVER), "set active");
	set(intid, GIC_ISPENDR);
	check(nothing(), "active: not signalled though pending");
	set(intid, GIC_ICACTIVER);
	check(!get(intid, GIC_ISACTIVER) && signalled(intid), "cleared: signalled");
	check_eq(get_iar(), intid, "acknowledged");
	set_eoir(intid);
}

static void test_enable(unsigned intid)
{
	make_ready(intid);
	set(intid, GIC_ICENABLER);
	set(intid, GIC_ISPENDR);
	check(!get(intid, GIC_ISENABLER) && get(intid, GIC_ISPENDR), "disabled, and pending");
	check(nothing(), "which is not signalled");
	set(intid, GIC_ISENABLER);
	check(signalled(intid), "enabled: signalled");

	set_grpen(0);
	check(nothing(), "ICC_IGRPEN1_EL1 masks the group");
	set_grpen(1);
	check(signalled(intid), "and lets it through");
	write32(gicd_base + GICD_CTLR, read32(gicd_base + GICD_CTLR) & ~GICD_GRP1);
	check(nothing(), "GICD_CTLR masks the group");
	write32(gicd_base + GICD_CTLR, read32(gicd_base + GICD_CTLR) | GICD_GRP1);
	then(intid);
	check(signalled(intid), "and lets it through");
	check_eq(get_iar(), intid, "acknowledged");
	set_eoir(intid);
}

static void test_priority_mask(unsigned intid)
{
	make_ready(intid);
	set_priority(intid, 0x60);
	check_eq(read8(gicd_base + GIC_IPRIORITYR + intid), 0x60, "a priority is kept");
	set(intid, GIC_ISPENDR);
	set_pmr(0x60);
	check_eq(get_pmr() & 0xf0, 0x60, "ICC_PMR_EL1 is kept");
	check(nothing(), "a priority equal to the mask is masked");
	set_pmr(0x40);
	check(nothing(), "a lower one too");
	set_pmr(0x80);
	check(signalled(intid), "a higher one is not");
	check_eq(get_iar(), intid, "acknowledged");
	set_eoir(intid);
	set_pmr(0xff);
}

/* Of several the highest first; while one is active, only those that preempt it. */
static void test_priorities(void)
{
	make_ready(SPI);
	make_ready(OTHER_SPI);
	make_ready(PPI);
	set_bpr(0);
	set_priority(SPI, 0x90);
	set_priority(OTHER_SPI, 0x20);
	set_priority(PPI, 0x50);
	set(SPI, GIC_ISPENDR);
	set(OTHER_SPI, GIC_ISPENDR);
	set(PPI, GIC_ISPENDR);
	check(signalled(OTHER_SPI), "of three the highest priority is the first");
	check_eq(get_iar(), OTHER_SPI, "acknowledged");
	check_eq(get_rpr() & 0xf0, 0x20, "running at its priority");
	check(nothing(), "the others do not preempt it");
	set_eoir(OTHER_SPI);
	check(signalled(PPI), "the second");
	check_eq(get_iar(), PPI, "acknowledged");
	set(OTHER_SPI, GIC_ISPENDR);
	check(signalled(OTHER_SPI), "a higher one preempts it");
	check_eq(get_iar(), OTHER_SPI, "acknowledged while the other is active");
	check(get(PPI, GIC_ISACTIVER) && get(OTHER_SPI, GIC_ISACTIVER), "both are active");
	set_eoir(OTHER_SPI);
	check_eq(get_rpr() & 0xf0, 0x50, "back to the priority of the first");
	set_eoir(PPI);
	check(signalled(SPI), "the third");
	check_eq(get_iar(), SPI, "acknowledged");
	set_eoir(SPI);
	check_eq(get_rpr(), 0xff, "no running priority in the end");
}

static void test_split_eoi(unsigned intid)
{
	make_ready(intid);
	set_ctlr(get_ctlr() | CTLR_EOIMODE);
	set(intid, GIC_ISPENDR);
	check(signalled(intid), "EOImode 1: signalled");
	check_eq(get_iar(), intid, "acknowledged");
	set_eoir(intid);
	check_eq(get_rpr(), 0xff, "EOIR drops the priority");
	check(get(intid, GIC_ISACTIVER), "and leaves it active");
	set_dir(intid);
	check(!get(intid, GIC_ISACTIVER), "DIR deactivates it");
	set_ctlr(get_ctlr() & ~CTLR_EOIMODE);
}

/* A level is pending as long as it is there, and what software adds ends with the interrupt. */
static void test_level(const struct fdt_device *uart)
{
	unsigned intid = uart->intid;

	gic_enable(intid, NULL, false, 0);
	write32(uart_base + UART_IMSC, UART_TXI);
	print(".\n");
	check(signalled(intid), "level: the PL011 raises its line");
	set(intid, GIC_ICPENDR);
	check(get(intid, GIC_ISPENDR), "level: clearing pending changes nothing while it is up");
	check_eq(get_iar(), intid, "acknowledged");
	check(get(intid, GIC_ISPENDR), "level: pending and active while it is up");
	write32(uart_base + UART_IMSC, 0);
	write32(uart_base + UART_ICR, 0x7ff);
	barrier();
	check(wait_for(!get(intid, GIC_ISPENDR)), "level: not pending when it is down");
	set_eoir(intid);
	check(nothing(), "level: it does not come again");
	gic_disable(intid, 0);

	gic_enable(LEVEL_SPI, NULL, false, 0);
	set(LEVEL_SPI, GIC_ISPENDR);
	check(signalled(LEVEL_SPI), "level: made pending by software");
	check_eq(get_iar(), LEVEL_SPI, "acknowledged");
	set_eoir(LEVEL_SPI);
	check(!get(LEVEL_SPI, GIC_ISPENDR), "level: which ends with that");
	check(nothing(), "level: it does not come again");
}

static void test_sgis(void)
{
	for (unsigned intid = 0; intid < 16; intid++) {
		make_ready(intid);
		gic_send_sgi(intid, 0);
		check(signalled(intid), "SGI %u to itself", intid);
		check_eq(get_iar(), intid, "acknowledged");
		set_eoir(intid);
	}
	/* without a target it goes to nobody */
	set_sgi1r(3ull << 24);
	check(nothing(), "an SGI to an empty list of targets");
}

static volatile unsigned arrived[RT_MAX_CPUS], last[RT_MAX_CPUS];
static volatile bool ready[RT_MAX_CPUS], quit;

static void on_irq(unsigned intid)
{
	unsigned cpu = cpu_self();

	last[cpu] = intid;
	barrier();
	arrived[cpu]++;
}

static void on_cpu(unsigned cpu)
{
	gic_init_cpu(cpu);
	for (unsigned intid = 0; intid < 16; intid++)
		gic_enable(intid, on_irq, true, cpu);
	ready[cpu] = true;
	while (!quit)
		asm volatile("wfi");
	asm volatile("msr daifset, #2");
}

static unsigned total(unsigned n)
{
	unsigned sum = 0;

	for (unsigned i = 1; i < n; i++)
		sum += arrived[i];
	return sum;
}

static void route(unsigned intid, uint64_t where)
{
	write64(gicd_base + GICD_IROUTER + intid * 8ull, where);
	barrier();
}

static void test_routing(unsigned n)
{
	uint64_t nobody = 0xff0000;
	unsigned before;

	make_ready(SPI);
	gic_enable(SPI, on_irq, true, 0);
	for (unsigned i = 1; i < n; i++) {
		route(SPI, cpu_mpidr(i));
		check_eq(read64(gicd_base + GICD_IROUTER + SPI * 8), cpu_mpidr(i), "IROUTER is kept");
		before = arrived[i];
		set(SPI, GIC_ISPENDR);
		check(wait_for(arrived[i] == before + 1) && last[i] == SPI, "SPI: to CPU %u", i);
	}
	route(SPI, nobody);
	before = total(n);
	set(SPI, GIC_ISPENDR);
	check(nothing() && total(n) == before, "SPI: to no CPU there is");
	check(get(SPI, GIC_ISPENDR), "SPI: it stays pending");
	route(SPI, cpu_mpidr(1));
	then(SPI);
	if (!cmdline_has("qemu"))
		check(wait_for(total(n) == before + 1) && last[1] == SPI,
		      "SPI: and comes where it is routed then");

	/* waiting at one CPU, it goes on to another */
	route(SPI, cpu_mpidr(0));
	set(SPI, GIC_ISPENDR);
	check(signalled(SPI), "SPI: waits at CPU 0");
	before = arrived[1];
	route(SPI, cpu_mpidr(1));
	check(wait_for(arrived[1] == before + 1), "SPI: routed away while it waits");
	check(nothing(), "SPI: and CPU 0 does not see it any more");
}

static void test_many_targets(unsigned n)
{
	unsigned before = total(n);
	uint64_t list = 0;

	for (unsigned i = 1; i < n; i++)
		list |= 1ull << i;
	barrier();
	set_sgi1r(7ull << 24 | list);
	check(wait_for(total(n) == before + n - 1), "SGI: to a list of %u CPUs", n - 1);
	for (unsigned i = 1; i < n; i++)
		check_eq(last[i], 7, "it is the one that was sent");
	check(nothing(), "SGI: not to the CPU that is not on it");

	before = total(n);
	barrier();
	set_sgi1r(9ull << 24 | 1ull << 40);
	check(wait_for(total(n) == before + n - 1), "SGI: to all but itself");
	for (unsigned i = 1; i < n; i++)
		check_eq(last[i], 9, "it is the one that was sent");
	check(nothing(), "SGI: and not to itself");
	/* a CPU that does not exist, beside one that does */
	before = total(n);
	barrier();
	set_sgi1r(4ull << 24 | 2 | 1ull << 15);
	check(wait_for(total(n) == before + 1) && last[1] == 4, "SGI: to a CPU that is there and one that is not");
}

static void test_cpus(unsigned n)
{
	for (unsigned i = 1; i < n; i++)
		check(!cpu_start(i, on_cpu) && wait_for(ready[i]), "CPU %u is up", i);
	test_routing(n);
	test_many_targets(n);
	quit = true;
	barrier();
	set_sgi1r(1ull << 24 | 1ull << 40);
	for (unsigned i = 1; i < n; i++)
		check(wait_for(psci(PSCI_AFFINITY_INFO, cpu_mpidr(i), 0, 0) == 1), "CPU %u goes off", i);
}

void run(void)
{
	unsigned n = cpu_count();
	struct fdt_device uart;

	if (!check(gic_init(), "distributor at 0x%lx", gicd_base) ||
	    !check(gic_init_cpu(0), "redistributor of CPU 0"))
		return;
	asm volatile("msr daifset, #2" : : : "memory");
	check((read32(gicd_base + GICD_TYPER) & 31) * 32 + 31 >= OTHER_SPI, "the distributor has %u INTIDs",
	      ((read32(gicd_base + GICD_TYPER) & 31) + 1) * 32);

	test_life(PPI, "PPI");
	test_life(SPI, "SPI");
	test_active(SPI);
	test_active(PPI);
	test_enable(SPI);
	test_priority_mask(SPI);
	test_priorities();
	test_split_eoi(SPI);
	test_split_eoi(PPI);
	if (check(fdt_find("arm,pl011", 0, &uart) && uart.intid, "the FDT has the PL011's interrupt"))
		test_level(&uart);
	test_sgis();
	if (n > 1)
		test_cpus(n);
}
