/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The architected timers (Arm DDI 0487 §D12): the virtual and the physical one of each CPU, by every
 * register, and their interrupts as levels.
 *
 * With "ask" on the command line it arms both and waits to be paused: what comes on the console says
 * that it goes on.
 */
#include "gic.h"

const char payload_name[] = "timer";

#define INTID_PTIMER 30

#define ENABLE  1u
#define IMASK   2u
#define ISTATUS 4u

struct timer {
	const char *name;
	unsigned intid;
	uint64_t (*count)(void), (*get_ctl)(void), (*get_cval)(void), (*get_tval)(void);
	void (*set_ctl)(uint64_t), (*set_cval)(uint64_t), (*set_tval)(uint64_t);
};

#define REG(name, reg)                                                                             \
	static uint64_t get_##name(void)                                                           \
	{                                                                                          \
		uint64_t v;                                                                        \
		asm volatile("isb; mrs %0, " reg : "=r"(v) : : "memory");                          \
		return v;                                                                          \
	}                                                                                          \
	static void set_##name(uint64_t v)                                                         \
	{                                                                                          \
		asm volatile("msr " reg ", %0; isb" : : "r"(v) : "memory");                        \
	}
REG(v_ctl, "cntv_ctl_el0")
REG(v_cval, "cntv_cval_el0")
REG(v_tval, "cntv_tval_el0")
REG(p_ctl, "cntp_ctl_el0")
REG(p_cval, "cntp_cval_el0")
REG(p_tval, "cntp_tval_el0")

static uint64_t physical_ticks(void)
{
	uint64_t v;

	asm volatile("isb; mrs %0, cntpct_el0" : "=r"(v) : : "memory");
	return v;
}

static const struct timer timers[] = {
	{ "virtual", INTID_VTIMER, ticks, get_v_ctl, get_v_cval, get_v_tval, set_v_ctl, set_v_cval,
	  set_v_tval },
	{ "physical", INTID_PTIMER, physical_ticks, get_p_ctl, get_p_cval, get_p_tval, set_p_ctl,
	  set_p_cval, set_p_tval },
};
#define N_TIMERS 2

static volatile unsigned fired[RT_MAX_CPUS][N_TIMERS];
static volatile bool done[RT_MAX_CPUS], good[RT_MAX_CPUS];

static void on_timer(unsigned intid)
{
	unsigned t = intid == INTID_PTIMER;

	timers[t].set_ctl(ENABLE | IMASK);
	fired[cpu_self()][t]++;
}

static uint64_t ms(unsigned n)
{
	return ticks_per_second() * n / 1000;
}

static void test_registers(const struct timer *t)
{
	uint64_t before, after;
	uint32_t tval;

	t->set_ctl(IMASK);
	t->set_cval(0x123456789abcdef0);
	check_eq(t->get_cval(), 0x123456789abcdef0, "CVAL keeps 64 bits");
	check_eq(t->get_ctl() & (ENABLE | IMASK), IMASK, "CTL keeps ENABLE and IMASK");

	/* TVAL is another view of CVAL: 32 bits, signed, from now on */
	before = t->count();
	t->set_tval(1000000);
	after = t->count();
	check(t->get_cval() - before >= 1000000 && t->get_cval() - after <= 1000000,
	      "%s: TVAL sets CVAL from now on", t->name);
	t->set_tval(0xffffffff);
	check(t->get_cval() < t->count(), "%s: a TVAL of -1 is in the past", t->name);
	before = t->count();
	t->set_tval(1u << 31);
	after = t->count();
	check(t->get_cval() - before + (1ull << 31) <= after - before, "%s: and so is the lowest", t->name);
	t->set_cval(t->count() + ms(10000));
	before = t->count();
	tval = (uint32_t)t->get_tval();
	after = t->count();
	check((uint32_t)(t->get_cval() - before) - tval <= after - before, "%s: TVAL counts down to CVAL",
	      t->name);
	check(wait_for((uint32_t)t->get_tval() != tval), "%s: and it moves", t->name);
}

static void test_status(const struct timer *t)
{
	t->set_cval(t->count() + ms(100000));
	t->set_ctl(ENABLE | IMASK);
	check_eq(t->get_ctl(), ENABLE | IMASK, "ISTATUS is 0 before the time");
	t->set_cval(t->count() + ms(2));
	check(wait_for(t->get_ctl() == (ENABLE | IMASK | ISTATUS)), "%s: ISTATUS is 1 after it", t->name);
	check(t->count() >= t->get_cval(), "%s: and not early", t->name);
	t->set_cval(t->count() + ms(100000));
	check_eq(t->get_ctl(), ENABLE | IMASK, "ISTATUS goes with the condition");
	t->set_cval(0);
	check_eq(t->get_ctl(), ENABLE | IMASK | ISTATUS, "a time in the past is met at once");
	t->set_ctl(0);
}

static void test_interrupt(unsigned index)
{
	const struct timer *t = &timers[index];
	volatile unsigned *n = &fired[0][index];
	unsigned before = *n;

	gic_enable(t->intid, on_timer, false, 0);
	t->set_cval(0);
	t->set_ctl(ENABLE | IMASK);
	t->set_tval(0);
	check(!gic_pending(t->intid, 0) && *n == before, "%s: masked by IMASK", t->name);
	t->set_ctl(ENABLE);
	check(wait_for(*n == before + 1), "%s: unmasked, it comes", t->name);

	before = *n;
	t->set_tval(ms(3));
	t->set_ctl(ENABLE);
	check(wait_for(*n == before + 1), "%s: after some time", t->name);

	/* a level: pending at the GIC for as long as the condition is there, and no longer */
	asm volatile("msr daifset, #2" : : : "memory");
	before = *n;
	t->set_tval(0);
	t->set_ctl(ENABLE);
	check(wait_for(gic_pending(t->intid, 0)), "%s: pending", t->name);
	t->set_cval(t->count() + ms(100000));
	check(wait_for(!gic_pending(t->intid, 0)), "%s: not pending with a later time", t->name);
	t->set_tval(0);
	check(wait_for(gic_pending(t->intid, 0)), "%s: pending again", t->name);
	t->set_ctl(0);
	check(wait_for(!gic_pending(t->intid, 0)), "%s: not pending when disabled", t->name);
	asm volatile("msr daifclr, #2" : : : "memory");
	check_eq(*n, before, "and none has come");
	gic_disable(t->intid, 0);
}

/* What the physical counter is ahead of the virtual one, which cannot be read at the same time. */
struct offset {
	uint64_t low, high;
};

static struct offset read_offset(void)
{
	uint64_t before = ticks(), physical = physical_ticks();

	return (struct offset){ .low = physical - ticks(), .high = physical - before };
}

static void test_counters(void)
{
	struct offset first = read_offset(), then;
	uint64_t last = ticks(), now;
	bool steady = true;

	check(ticks_per_second() >= 1000000, "CNTFRQ: %u kHz", (unsigned)(ticks_per_second() / 1000));
	for (unsigned i = 0; i < 10000; i++) {
		now = ticks();
		steady = steady && now >= last;
		last = now;
	}
	check(steady, "the counter never goes back");
	then = read_offset();
	check((int64_t)(first.high - then.low) >= 0 && (int64_t)(then.high - first.low) >= 0,
	      "both counters at one pace");
}

/* Its own timers, and a counter that is everyone's. */
static void on_cpu(unsigned cpu)
{
	bool ok = gic_init_cpu(cpu);

	for (unsigned i = 0; i < N_TIMERS; i++) {
		const struct timer *t = &timers[i];

		gic_enable(t->intid, on_timer, false, cpu);
		t->set_tval(ms(2));
		t->set_ctl(ENABLE);
		ok = ok && wait_for(fired[cpu][i] == 1) && t->count() >= t->get_cval();
	}
	good[cpu] = ok;
	barrier();
	done[cpu] = true;
	asm volatile("msr daifset, #2");
}

static volatile uint64_t theirs;

static void read_counter(unsigned cpu)
{
	theirs = ticks();
}

static void test_cpus(unsigned n)
{
	for (unsigned i = 1; i < n; i++) {
		uint64_t before;

		check(!cpu_start(i, on_cpu) && wait_for(done[i]) && good[i], "CPU %u has both timers", i);
		check(wait_for(psci(PSCI_AFFINITY_INFO, cpu_mpidr(i), 0, 0) == 1), "CPU %u goes off", i);
		theirs = 0;
		before = ticks();
		check(!cpu_start(i, read_counter) && wait_for(theirs) && theirs >= before && theirs <= ticks(),
		      "CPU %u has the same counter", i);
		check(wait_for(psci(PSCI_AFFINITY_INFO, cpu_mpidr(i), 0, 0) == 1), "CPU %u goes off", i);
	}
}

/* Paused and gone on: timers that were armed come, not early, and are as good as new. */
static void test_pause(void)
{
	uint64_t armed = ticks();
	unsigned before[N_TIMERS];

	for (unsigned i = 0; i < N_TIMERS; i++) {
		gic_enable(timers[i].intid, on_timer, false, 0);
		before[i] = fired[0][i];
		timers[i].set_tval(ms(1000));
		timers[i].set_ctl(ENABLE);
	}
	uart_ask();
	for (unsigned i = 0; i < N_TIMERS; i++) {
		check(wait_for(fired[0][i] == before[i] + 1), "%s: armed before the pause, it comes",
		      timers[i].name);
		check(timers[i].count() >= timers[i].get_cval(), "%s: and not early", timers[i].name);
		test_interrupt(i);
	}
	check(ticks() > armed, "the counter has not gone back");
}

void run(void)
{
	if (!check(gic_init() && gic_init_cpu(0), "distributor and redistributor"))
		return;
	test_counters();
	for (unsigned i = 0; i < N_TIMERS; i++) {
		test_registers(&timers[i]);
		test_status(&timers[i]);
		test_interrupt(i);
	}
	test_cpus(cpu_count());
	if (cmdline_has("ask"))
		test_pause();
}
