/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PSCI (Arm DEN0022): versions, CPUs on and off, and the end of the machine.
 *
 * With "ask" on the command line it then asks on the console how to end: 'r' is SYSTEM_RESET, which
 * shows as a second banner, 's' is SYSTEM_RESET2, 'o' is SYSTEM_OFF. With "qemu", what QEMU's own
 * PSCI does not have is left out: newer calls, and that of two CPU_ONs only one succeeds.
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
	check(supported(PSCI_VERSION), "FEATURES: VERSION");
	check(supported(PSCI_FEATURES), "FEATURES: FEATURES");
	check(supported(PSCI_MIGRATE_INFO_TYPE), "FEATURES: MIGRATE_INFO_TYPE");
	/* bit 0: it can be made OS-initiated; bit 1: the extended parameter format. Neither is there. */
	check_eq((uint64_t)psci(PSCI_FEATURES, PSCI_CPU_SUSPEND, 0, 0), 0, "FEATURES: CPU_SUSPEND, plain");
	check_eq((uint64_t)psci(PSCI_MIGRATE_INFO_TYPE, 0, 0, 0), 2,
		 "MIGRATE_INFO_TYPE: no trusted OS that would have to migrate");
	check(!supported(0x8400ffff), "FEATURES: an unknown function is not supported");
	check_eq((uint64_t)psci(0x8400ffff, 0, 0, 0), (uint64_t)PSCI_NOT_SUPPORTED,
		 "an unknown call answers NOT_SUPPORTED");
}

/* PSCI 1.1, and the calling convention that it is found by. */
static void test_newer_calls(void)
{
	check(supported(SMCCC_VERSION), "FEATURES: SMCCC_VERSION");
	check(psci(SMCCC_VERSION, 0, 0, 0) >= 0x10001, "the SMC calling convention is 1.1 or later");
	check(supported(PSCI_SYSTEM_RESET2), "FEATURES: SYSTEM_RESET2");
	check_eq((uint64_t)psci(PSCI_SYSTEM_RESET2, 1, 0, 0), (uint64_t)PSCI_INVALID_PARAMETERS,
		 "SYSTEM_RESET2 of a reserved type: INVALID_PARAMETERS");
	check_eq((uint64_t)psci(PSCI_AFFINITY_INFO, cpu_mpidr(0), 4, 0), (uint64_t)PSCI_INVALID_PARAMETERS,
		 "AFFINITY_INFO of level 4: INVALID_PARAMETERS");
	for (unsigned level = 1; level <= 3; level++)
		check_eq((uint64_t)psci(PSCI_AFFINITY_INFO, 0, level, 0), AFF_ON,
			 "AFFINITY_INFO of a cluster with a CPU that is on: on");
}

static void test_cpus(unsigned n)
{
	check_eq((uint64_t)psci(PSCI_CPU_ON, cpu_mpidr(0), (uint64_t)secondary_entry, 0),
		 (uint64_t)PSCI_ALREADY_ON, "CPU_ON of the running CPU: ALREADY_ON");
	check_eq((uint64_t)psci(PSCI_CPU_ON, 0x00ffff00, (uint64_t)secondary_entry, 0),
		 (uint64_t)PSCI_INVALID_PARAMETERS, "CPU_ON of no CPU: INVALID_PARAMETERS");
	check_eq((uint64_t)psci(PSCI_CPU_ON, cpu_mpidr(n), (uint64_t)secondary_entry, 0),
		 (uint64_t)PSCI_INVALID_PARAMETERS, "CPU_ON of the CPU behind the last: INVALID_PARAMETERS");
	check_eq((uint64_t)psci(PSCI_CPU_ON, cpu_mpidr(0) | 1ull << 32, (uint64_t)secondary_entry, 0),
		 (uint64_t)PSCI_INVALID_PARAMETERS, "CPU_ON with an Aff3: INVALID_PARAMETERS");
	check_eq((uint64_t)psci(PSCI_AFFINITY_INFO, 0x00ffff00, 0, 0), (uint64_t)PSCI_INVALID_PARAMETERS,
		 "AFFINITY_INFO of no CPU: INVALID_PARAMETERS");
	check_eq((uint64_t)psci(PSCI_CPU_ON_32, cpu_mpidr(0), (uint64_t)secondary_entry, 0),
		 (uint64_t)PSCI_ALREADY_ON, "CPU_ON, 32 bits: ALREADY_ON");
	check_eq((uint64_t)psci(PSCI_AFFINITY_INFO_32, cpu_mpidr(0), 0, 0), AFF_ON,
		 "AFFINITY_INFO, 32 bits: on");
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

/*
 * Every CPU turns on the next, at the same time as CPU 0 does: of two who ask, one is told that the other
 * was first.
 */
static volatile unsigned lives[RT_MAX_CPUS], turned_on[RT_MAX_CPUS], refused;
static unsigned n_cpus;

static void count_answer(unsigned cpu, int64_t r)
{
	if (r == 0)
		__atomic_fetch_add(&turned_on[cpu], 1, __ATOMIC_SEQ_CST);
	else if (r == PSCI_ALREADY_ON || r == PSCI_ON_PENDING)
		__atomic_fetch_add(&refused, 1, __ATOMIC_SEQ_CST);
}

static void on_chain(unsigned cpu)
{
	lives[cpu]++;
	if (cpu + 1 < n_cpus)
		count_answer(cpu + 1, cpu_start(cpu + 1, on_chain));
	while (!go)
		barrier();
}

static void test_races(unsigned n)
{
	n_cpus = n;
	go = false;
	for (unsigned i = 1; i < n; i++)
		count_answer(i, cpu_start(i, on_chain));
	for (unsigned i = 1; i < n; i++)
		check(wait_for(lives[i]), "CPU %u is up", i);
	check(wait_for(refused == n - 2), "who came second was refused, %u times", refused);
	go = true;
	barrier();
	for (unsigned i = 1; i < n; i++) {
		check(wait_for(affinity_info(i) == AFF_OFF), "CPU %u is off", i);
		check(lives[i] == 1 && turned_on[i] == 1, "it was turned on once and lived once");
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
		case 's':
			print("RESETTING\n");
			psci(PSCI_SYSTEM_RESET2, 0, 0, 0);
			check(false, "SYSTEM_RESET2 does not return");
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
	if (!cmdline_has("qemu")) {
		test_newer_calls();
		if (n > 2)
			test_races(n);
	}
	if (cmdline_has("ask"))
		ask_for_end();
}
