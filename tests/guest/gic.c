/* SPDX-License-Identifier: Apache-2.0 */
#include "gic.h"

#define GICD_CTLR 0x0000
#define GICD_IROUTER 0x6000
#define GICR_STRIDE 0x20000
#define GICR_TYPER 0x0008
#define GICR_WAKER 0x0014
#define GICR_SGI 0x10000 /* the SGI and PPI frame */

/* The same layout in the distributor and in the redistributors' SGI frame. */
#define GIC_IGROUPR 0x0080
#define GIC_ISENABLER 0x0100
#define GIC_ICENABLER 0x0180
#define GIC_ISPENDR 0x0200
#define GIC_IPRIORITYR 0x0400
#define GIC_ICFGR 0x0c00

#define CTLR_RWP (1u << 31)

uint64_t gicd_base, gicr_base;
static gic_fn volatile handlers[GIC_MAX_INTID];
static gic_fn volatile lpi_handler;
static uint64_t redist[RT_MAX_CPUS];

void gic_irq(void);

bool gic_init(void)
{
	struct fdt_device dev;

	if (!fdt_find("arm,gic-v3", 0, &dev))
		return false;
	gicd_base = dev.base;
	gicr_base = dev.base2;
	/* EnableGrp1A | ARE_NS, as seen with one security state and from non-secure alike. */
	write32(gicd_base + GICD_CTLR, 0x12);
	return wait_for(!(read32(gicd_base + GICD_CTLR) & CTLR_RWP));
}

bool gic_init_cpu(unsigned cpu)
{
	uint64_t r = gicr_base, affinity = cpu_mpidr(cpu), v;

	/* The frame of this CPU: GICR_TYPER's affinity; bit 4 marks the last one. */
	while (read64(r + GICR_TYPER) >> 32 != affinity) {
		if (read64(r + GICR_TYPER) & 1u << 4)
			return false;
		r += GICR_STRIDE;
	}
	redist[cpu] = r;
	write32(r + GICR_WAKER, 0);
	if (!wait_for(!(read32(r + GICR_WAKER) & 4)))
		return false;
	write32(r + GICR_SGI + GIC_IGROUPR, ~0u);

	asm volatile("mrs %0, s3_0_c12_c12_5" : "=r"(v)); /* ICC_SRE_EL1 */
	asm volatile("msr s3_0_c12_c12_5, %0; isb" : : "r"(v | 1));
	asm volatile("msr s3_0_c4_c6_0, %0" : : "r"(0xffull));	/* ICC_PMR_EL1 */
	asm volatile("msr s3_0_c12_c12_7, %0; isb" : : "r"(1ull)); /* ICC_IGRPEN1_EL1 */
	asm volatile("msr daifclr, #2" : : : "memory");
	return true;
}

/* Where the registers of an INTID are. */
static uint64_t frame(unsigned intid, unsigned cpu)
{
	return intid < 32 ? redist[cpu] + GICR_SGI : gicd_base;
}

static uint64_t bit_reg(unsigned intid, unsigned cpu, unsigned reg)
{
	return frame(intid, cpu) + reg + intid / 32 * 4;
}

void gic_enable(unsigned intid, gic_fn fn, bool edge, unsigned cpu)
{
	uint64_t base = frame(intid, cpu), cfg = base + GIC_ICFGR + intid / 16 * 4;
	unsigned shift = intid % 16 * 2;

	handlers[intid] = fn;
	write32(bit_reg(intid, cpu, GIC_ICENABLER), 1u << intid % 32);
	write8(base + GIC_IPRIORITYR + intid, 0x80);
	if (intid >= 32) {
		uint64_t group = bit_reg(intid, cpu, GIC_IGROUPR);

		write32(group, read32(group) | 1u << intid % 32);
		write64(gicd_base + GICD_IROUTER + intid * 8ull, cpu_mpidr(cpu));
	}
	if (intid >= 16)
		write32(cfg, (read32(cfg) & ~(3u << shift)) | (edge ? 2u : 0u) << shift);
	write32(bit_reg(intid, cpu, GIC_ISENABLER), 1u << intid % 32);
	barrier();
}

void gic_disable(unsigned intid, unsigned cpu)
{
	write32(bit_reg(intid, cpu, GIC_ICENABLER), 1u << intid % 32);
	barrier();
}

void gic_set_lpi_handler(gic_fn fn)
{
	lpi_handler = fn;
}

uint64_t gic_redistributor(unsigned cpu)
{
	return redist[cpu];
}

bool gic_pending(unsigned intid, unsigned cpu)
{
	return read32(bit_reg(intid, cpu, GIC_ISPENDR)) & 1u << intid % 32;
}

void gic_send_sgi(unsigned intid, unsigned cpu)
{
	uint64_t affinity = cpu_mpidr(cpu);
	uint64_t v = (uint64_t)intid << 24 | (affinity >> 8 & 0xff) << 16 | 1ull << (affinity & 0xf);

	barrier();
	asm volatile("msr s3_0_c12_c11_5, %0; isb" : : "r"(v) : "memory"); /* ICC_SGI1R_EL1 */
}

void gic_irq(void)
{
	uint64_t iar;

	asm volatile("mrs %0, s3_0_c12_c12_0" : "=r"(iar)); /* ICC_IAR1_EL1 */
	barrier();
	if (iar >= GIC_MAX_INTID && iar < INTID_LPI)
		return; /* 1023: spurious */
	if (iar >= INTID_LPI) {
		if (lpi_handler)
			lpi_handler((unsigned)iar);
	} else if (handlers[iar]) {
		handlers[iar]((unsigned)iar);
	}
	asm volatile("msr s3_0_c12_c12_1, %0; isb" : : "r"(iar) : "memory"); /* ICC_EOIR1_EL1 */
}
