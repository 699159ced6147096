/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PSCI (Arm DEN0022): versions, CPUs on and off, and the end of the machine.
 *
 * With "ask" on the command line it then asks on the console how to end: 'r' is SYSTEM_RESET, which
 * shows as a second banner, 'o' is SYSTEM_OFF.
 */
#include "rt.h"

const char payload_name[] = "psci";

#define AFF_ON 0
#define AFF_OFF 1

static volatile unsigned arrived[RT_MAX_CPUS];
static volatile uint64_t mpidr[RT_MAX_CPUS];
static volatile bool go;

static void on_cpu(unsigned cpu)
{
	uint64_t v;

	asm volatile("mrs %0, mpidr_el1" : "=r"(v));
	mpidr[cpu] = v & 0xff00ffffffull;
	barrier();
	arrived[cpu]++;
	while (!go)
		barrier();
}

static int64_t affinity_info(unsigned cpu)
{
	return psci(PSCI_AFFINITY_INFO, cpu_mpidr(cpu), 0, 0);
}

static bool supported(uint64_t fn)
{
	return psci(PSCI_FEATURES, fn, 0, 0) != PSCI_NOT_SUPPORTED;
}

static void test_calls(void)
{
	int64_t version = psci(PSCI_VERSION, 0, 0, 0);

	check(version >= 0x10000, "VERSION is 1.x: %u.%u", (unsigned)(version >> 16),
	      (unsigned)version & 0xffff);
	check(supported(PSCI_CPU_ON), "FEATURES: CPU_ON");
	check(supported(PSCI_CPU_OFF), "FEATURES: CPU_OFF");
	check(supported(PSCI_AFFINITY_INFO), "FEATURES: AFFINITY_INFO");
	check(supported(PSCI_SYSTEM_OFF), "FEATURES: SYSTEM_OFF");
	check(supported(PSCI_SYSTEM_RESET), "FEATURES: SYSTEM_RESET");
	check(!supported(0x8400ffff), "FEATURES: an unknown function is not supported");
	check_eq((uint64_t)psci(0x8400ffff, 0, 0, 0), (uint64_t)PSCI_NOT_SUPPORTED,
		 "an unknown call answers NOT_SUPPORTED");
}

static void test_cpus(unsigned n)
{
	check_eq((uint64_t)psci(PSCI_CPU_ON, cpu_mpidr(0), (uint64_t)secondary_entry, 0),
		 (uint64_t)PSCI_ALREADY_ON, "CPU_ON of the running CPU: ALREADY_ON");
	check_eq((uint64_t)psci(PSCI_CPU_ON, 0x00ffff00, (uint64_t)secondary_entry, 0),
		 (uint64_t)PSCI_INVALID_PARAMETERS, "CPU_ON of no CPU: INVALID_PARAMETERS");
	check_eq((uint64_t)affinity_info(0), AFF_ON, "AFFINITY_INFO of CPU 0: on");

	/* Twice: a CPU that went off can be turned on again. */
	for (unsigned life = 1; life <= 2; life++) {
		go = false;
		for (unsigned i = 1; i < n; i++) {
			check_eq((uint64_t)affinity_info(i), AFF_OFF, "AFFINITY_INFO before CPU_ON: off");
			check_eq((uint64_t)cpu_start(i, on_cpu), 0, "CPU_ON succeeds");
		}
		for (unsigned i = 1; i < n; i++) {
			check(wait_for(arrived[i] == life), "CPU %u runs, life %u", i, life);
			check_eq(mpidr[i], cpu_mpidr(i), "its MPIDR is the one asked for");
			check_eq((uint64_t)cpu_start(i, on_cpu), (uint64_t)PSCI_ALREADY_ON,
				 "CPU_ON again: ALREADY_ON");
		}
		go = true;
		barrier();
		for (unsigned i = 1; i < n; i++)
			check(wait_for(affinity_info(i) == AFF_OFF), "CPU %u is off, life %u", i, life);
	}
}

static void ask_for_end(void)
{
	print("READY\n");
	for (;;) {
		switch (uart_getc()) {
		case 'r':
			print("RESETTING\n");
			psci(PSCI_SYSTEM_RESET, 0, 0, 0);
			check(false, "SYSTEM_RESET does not return");
			return;
		case 'o':
			return;
		}
	}
}

void run(void)
{
	unsigned n = cpu_count();

	check(n >= 1, "the FDT has CPUs: %u", n);
	test_calls();
	test_cpus(n);
	if (cmdline_has("ask"))
		ask_for_end();
}
