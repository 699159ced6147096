/* SPDX-License-Identifier: Apache-2.0 */
/* Interrupts of every kind: SGI to each CPU, the virtual timer's PPI, the PL011's SPI, routing. */
#include "gic.h"

const char payload_name[] = "gic";

#define SGI 5
#define UART_IMSC 0x38
#define UART_MIS 0x40
#define UART_ICR 0x44
#define UART_TXI (1u << 5)

static volatile unsigned n_sgi[RT_MAX_CPUS], n_timer[RT_MAX_CPUS], n_uart, uart_cpu;
static volatile bool ready[RT_MAX_CPUS], quit;
static volatile uint64_t fired_at[RT_MAX_CPUS];

static void on_sgi(unsigned intid)
{
	n_sgi[cpu_self()]++;
}

static void on_timer(unsigned intid)
{
	fired_at[cpu_self()] = ticks();
	n_timer[cpu_self()]++;
	asm volatile("msr cntv_ctl_el0, %0; isb" : : "r"(0ull));
}

static void on_uart(unsigned intid)
{
	uart_cpu = cpu_self();
	/* A level that stays up would come again at once: mask it, as it is TX ready for good. */
	write32(uart_base + UART_IMSC, 0);
	write32(uart_base + UART_ICR, 0x7ff);
	barrier();
	n_uart++;
}

/* Arm the virtual timer of this CPU; returns the deadline. */
static uint64_t arm_timer(unsigned ms)
{
	uint64_t deadline = ticks() + ticks_per_second() * ms / 1000;

	asm volatile("msr cntv_cval_el0, %0; msr cntv_ctl_el0, %1; isb"
		     :
		     : "r"(deadline), "r"(1ull));
	return deadline;
}

static void on_cpu(unsigned cpu)
{
	gic_init_cpu(cpu);
	gic_enable(SGI, on_sgi, true, cpu);
	gic_enable(INTID_VTIMER, on_timer, false, cpu);
	ready[cpu] = true;
	arm_timer(5);
	/* WFI and not a loop: an interrupt has to wake the vCPU out of KVM's halt. */
	while (!quit)
		asm volatile("wfi");
	asm volatile("msr daifset, #2");
}

static void test_timer(void)
{
	uint64_t deadline;

	for (unsigned i = 1; i <= 3; i++) {
		deadline = arm_timer(2 * i);
		check(wait_for(n_timer[0] == i), "PPI: the virtual timer fires, time %u", i);
		check(fired_at[0] >= deadline, "and not early");
	}
	deadline = arm_timer(5);
	asm volatile("msr daifset, #2");
	while (n_timer[0] == 3) {
		asm volatile("wfi");
		asm volatile("msr daifclr, #2; isb; msr daifset, #2");
	}
	asm volatile("msr daifclr, #2");
	check(ticks() >= deadline, "it wakes a CPU in WFI");
}

static void test_spi(const struct fdt_device *uart, unsigned cpu)
{
	unsigned before = n_uart;

	gic_enable(uart->intid, on_uart, uart->edge, cpu);
	write32(uart_base + UART_IMSC, UART_TXI);
	/* TXI of a real PL011 comes with the FIFO draining: give it something to drain. */
	print(".\n");
	check(wait_for(n_uart != before), "SPI: PL011 TX interrupt (INTID %u)", uart->intid);
	check_eq(uart_cpu, cpu, "on the CPU it is routed to");
	check_eq(read32(uart_base + UART_MIS), 0, "masked again: MIS is 0");
	gic_disable(uart->intid, cpu);
}

void run(void)
{
	unsigned n = cpu_count();
	struct fdt_device uart;

	if (!check(gic_init(), "distributor at 0x%lx", gicd_base) ||
	    !check(gic_init_cpu(0), "redistributor of CPU 0"))
		return;
	gic_enable(SGI, on_sgi, true, 0);
	gic_send_sgi(SGI, 0);
	check(wait_for(n_sgi[0] == 1), "SGI to itself");
	gic_enable(INTID_VTIMER, on_timer, false, 0);
	test_timer();

	if (check(fdt_find("arm,pl011", 0, &uart) && uart.intid, "the FDT has the PL011's interrupt"))
		test_spi(&uart, 0);

	for (unsigned i = 1; i < n; i++) {
		if (!check(!cpu_start(i, on_cpu) && wait_for(ready[i]), "CPU %u is up", i))
			continue;
		check(wait_for(n_timer[i] == 1), "its virtual timer wakes it");
		for (unsigned k = 1; k <= 3; k++) {
			gic_send_sgi(SGI, i);
			check(wait_for(n_sgi[i] == k), "SGI %u to CPU %u", k, i);
		}
		if (uart.intid)
			test_spi(&uart, i);
	}
	quit = true;
	for (unsigned i = 1; i < n; i++) {
		gic_send_sgi(SGI, i);
		check(wait_for(psci(PSCI_AFFINITY_INFO, cpu_mpidr(i), 0, 0) == 1), "CPU %u goes off", i);
	}
}
