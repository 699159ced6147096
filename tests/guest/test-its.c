/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interrupt translation service: events become LPIs, are masked, cleared, moved and taken away
 * again (Arm IHI 0069 §5). Events are sent by the ITS's own INT command; those of devices are in
 * the payload pci.
 */
#include "its.h"

const char payload_name[] = "its";

#define DEVICE 0x1234
#define OTHER  0x2000
#define LPI    (INTID_LPI + 40)

static volatile unsigned count[RT_MAX_CPUS], last[RT_MAX_CPUS];
static volatile bool ready[RT_MAX_CPUS], quit;

static void on_lpi(unsigned intid)
{
	unsigned cpu = cpu_self();

	last[cpu] = intid;
	barrier();
	count[cpu]++;
}

static void on_sgi(unsigned intid)
{
}

static bool comes(unsigned cpu, unsigned lpi, unsigned before)
{
	return wait_for(count[cpu] == before + 1) && last[cpu] == lpi;
}

/* Nothing comes, not later either. */
static bool quiet(unsigned cpu, unsigned before)
{
	uint64_t end = ticks() + ticks_per_second() / 100;

	while (ticks() < end)
		if (count[cpu] != before)
			return false;
	return true;
}

static void test_events(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < ITS_MAX_EVENTS; i++) {
		/* not in order, so that nobody takes one number for the other */
		unsigned event = i * 7 % ITS_MAX_EVENTS, lpi = LPI + i, before = count[0];

		if (!its_map(DEVICE, event, lpi) || !its_send(DEVICE, event)) {
			check(false, "event %u: the ITS takes the commands", event);
			break;
		}
		if (!comes(0, lpi, before)) {
			check(false, "event %u comes as LPI %u: %u came, the last was %u", event, lpi,
			      count[0] - before, last[0]);
			break;
		}
		n++;
	}
	check_eq(n, ITS_MAX_EVENTS, "every event gives its LPI, once");
}

static void test_masks(void)
{
	unsigned before = count[0];

	check(its_map(DEVICE, 0, LPI), "an event is mapped anew");
	check(its_enable(DEVICE, 0, LPI, false) && its_send(DEVICE, 0) && quiet(0, before),
	      "disabled: it does not come");
	check(its_enable(DEVICE, 0, LPI, true) && comes(0, LPI, before), "enabled: it does");

	before = count[0];
	check(its_enable(DEVICE, 0, LPI, false) && its_send(DEVICE, 0) && its_clear(DEVICE, 0) &&
		      its_enable(DEVICE, 0, LPI, true) && quiet(0, before),
	      "CLEAR: it is not pending any more");
	check(its_send(DEVICE, 0) && comes(0, LPI, before), "and can come again");

	/* two that come while it is masked are one */
	before = count[0];
	check(its_enable(DEVICE, 0, LPI, false) && its_send(DEVICE, 0) && its_send(DEVICE, 0) &&
		      its_enable(DEVICE, 0, LPI, true) && comes(0, LPI, before) && quiet(0, before + 1),
	      "pending is pending, however often");
}

static void test_removal(void)
{
	unsigned before = count[0];

	check(its_discard(DEVICE, 0) && its_send(DEVICE, 0) && quiet(0, before),
	      "DISCARD: the event gives nothing");
	check(its_map(DEVICE, 0, LPI + 1) && its_send(DEVICE, 0) && comes(0, LPI + 1, before),
	      "mapped again it gives another LPI");
	before = count[0];
	check(its_send(DEVICE, ITS_MAX_EVENTS) && its_send(OTHER, 0) && quiet(0, before),
	      "no event of that number, no such device: nothing");
	check(its_unmap(DEVICE) && its_send(DEVICE, 0) && quiet(0, before),
	      "a device that is unmapped: nothing");
	check(its_map(DEVICE, 0, LPI) && its_send(DEVICE, 0) && comes(0, LPI, before),
	      "and it can be mapped again");
}

static void on_cpu(unsigned cpu)
{
	gic_init_cpu(cpu);
	gic_enable(1, on_sgi, true, cpu);
	ready[cpu] = true;
	while (!quit)
		asm volatile("wfi");
	asm volatile("msr daifset, #2");
}

static void test_cpus(unsigned n)
{
	for (unsigned i = 1; i < n; i++) {
		unsigned before = count[i], here = count[0];

		if (!check(!cpu_start(i, on_cpu) && wait_for(ready[i]), "CPU %u is up", i))
			continue;
		check(its_add_cpu(i), "it has LPIs");
		check(its_move(DEVICE, 0, i) && its_send(DEVICE, 0) && comes(i, LPI, before),
		      "MOVI: the event comes to CPU %u", i);
		check(quiet(0, here), "and not to CPU 0");
		check(its_enable(DEVICE, 0, LPI, false) && its_send(DEVICE, 0) && quiet(i, before + 1),
		      "disabled: it does not come to CPU %u", i);
		check(its_move(DEVICE, 0, 0) && its_enable(DEVICE, 0, LPI, true) && comes(0, LPI, here),
		      "what is pending moves with it");
	}
	quit = true;
	barrier();
	for (unsigned i = 1; i < n; i++) {
		gic_send_sgi(1, i);
		check(wait_for(psci(PSCI_AFFINITY_INFO, cpu_mpidr(i), 0, 0) == 1), "CPU %u goes off", i);
	}
}

void run(void)
{
	if (!check(gic_init() && gic_init_cpu(0), "distributor and redistributor"))
		return;
	gic_set_lpi_handler(on_lpi);
	if (!check(its_init(), "the ITS is set up"))
		return;
	test_events();
	test_masks();
	test_removal();
	test_cpus(cpu_count());
}
