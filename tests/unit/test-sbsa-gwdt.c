/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/irq_probe.h"
#include "vmm/hw/sbsa_gwdt.h"

#define WRR     0x000
#define WCS     0x000
#define WOR     0x008
#define WOR_TOP 0x00c
#define WCV     0x010
#define WCV_TOP 0x014
#define WIIDR   0xfcc

#define ENABLED 1
#define WS0     2
#define WS1     4

#define LONG 1000000 /* ticks: a quarter of an hour */

/* A clock that goes when the test says so: a thousand ticks a second. */
struct rig {
	struct sbsa_gwdt_clock clock;
	uint64_t ticks;
	struct loop *main;
	struct irq_probe irq;
	struct sbsa_gwdt dog;
	unsigned fired;
};

static uint64_t ticks(const struct sbsa_gwdt_clock *clock)
{
	return container_of(clock, const struct rig, clock)->ticks;
}

static void fired(void *ctx)
{
	struct rig *rig = ctx;

	rig->fired++;
}

static int set_up(void **state)
{
	static struct rig rig;

	rig = (struct rig){ { ticks, 1000 }, .ticks = 5000000000, .irq = IRQ_PROBE_INIT };
	assert_int_equal(loop_new(&rig.main), 0);
	assert_int_equal(sbsa_gwdt_init(&rig.dog, 0x090e0000, 0x090f0000, &rig.clock, &rig.irq.line,
					rig.main, fired, &rig),
			 0);
	*state = &rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;

	sbsa_gwdt_destroy(&rig->dog);
	sbsa_gwdt_destroy(&(struct sbsa_gwdt){ 0 });
	loop_free(rig->main);
	return 0;
}

static uint32_t get(struct rig *rig, uint64_t offset)
{
	return reg_read(&rig->dog.control, offset);
}

static void set(struct rig *rig, uint64_t offset, uint32_t value)
{
	reg_write(&rig->dog.control, offset, value);
}

static uint64_t end_of_period(struct rig *rig)
{
	return rig->dog.control.read(&rig->dog.control, WCV, 8);
}

static void refresh(struct rig *rig)
{
	reg_write(&rig->dog.refresh, WRR, 0);
}

static void start(struct rig *rig, uint64_t period)
{
	rig->dog.control.write(&rig->dog.control, WOR, period, 8);
	set(rig, WCS, ENABLED);
}

static void on_turn(struct loop_source *src, uint32_t events)
{
	loop_quit(container_of(src, struct rig, dog.timer)->main);
}

/* Run the main loop until the timer has come; the device does not know yet. */
static void await_timer(struct rig *rig)
{
	void (*fn)(struct loop_source *, uint32_t) = rig->dog.timer.fn;

	rig->dog.timer.fn = on_turn;
	loop_run(rig->main);
	rig->dog.timer.fn = fn;
}

static void let_timer_run(struct rig *rig)
{
	await_timer(rig);
	rig->dog.timer.fn(&rig->dog.timer, 0);
}

/* The end is behind us: the timer is due at once. */
static void let_period_end(struct rig *rig)
{
	rig->dog.control.write(&rig->dog.control, WCV, rig->ticks - 1, 8);
	let_timer_run(rig);
}

static void is_off_at_first(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(get(rig, WCS), 0);
	assert_int_equal(get(rig, WOR), 0);
	assert_int_equal(get(rig, WIIDR), 0x00010000);
	assert_int_equal(reg_read(&rig->dog.refresh, WIIDR), 0x00010000);
	assert_int_equal(reg_read(&rig->dog.refresh, WRR), 0);
}

static void registers_keep_what_they_have(void **state)
{
	struct rig *rig = *state;

	set(rig, WOR, 0x89abcdef);
	set(rig, WOR_TOP, 0xffff0123);
	assert_int_equal(get(rig, WOR), 0x89abcdef);
	assert_int_equal(get(rig, WOR_TOP), 0x0123);
	assert_int_equal(rig->dog.control.read(&rig->dog.control, WOR, 8), 0x012389abcdef);
	set(rig, WCV, 0x11111111);
	set(rig, WCV_TOP, 0x22222222);
	assert_int_equal(end_of_period(rig), 0x2222222211111111);
	assert_int_equal(get(rig, WCV_TOP), 0x22222222);

	/* a part of a word can be read and not written */
	assert_int_equal(rig->dog.control.read(&rig->dog.control, WOR + 2, 2) & 0xffff, 0x89ab);
	rig->dog.control.write(&rig->dog.control, WOR, 0, 1);
	rig->dog.control.write(&rig->dog.control, WOR, 0, 2);
	rig->dog.control.write(&rig->dog.control, WOR + 2, 0, 4);
	assert_int_equal(get(rig, WOR), 0x89abcdef);
	assert_int_equal(end_of_period(rig), 0x2222222211111111); /* nor has it started anew */

	set(rig, 0x20, 1);
	set(rig, WIIDR, 1);
	assert_int_equal(get(rig, 0x20), 0);
	assert_int_equal(get(rig, WIIDR), 0x00010000);
	assert_int_equal(get(rig, SBSA_GWDT_FRAME_SIZE - 4), 0);
}

/* Any of these writes does (BSA, "explicit watchdog refresh"). */
static void starts_anew(void **state)
{
	struct rig *rig = *state;

	start(rig, LONG);
	assert_int_equal(get(rig, WCS), ENABLED);
	assert_int_equal(end_of_period(rig), rig->ticks + LONG);
	rig->ticks += 100;
	assert_int_equal(end_of_period(rig), rig->ticks - 100 + LONG);
	refresh(rig);
	assert_int_equal(end_of_period(rig), rig->ticks + LONG);
	rig->ticks += 100;
	set(rig, WOR, 2 * LONG);
	assert_int_equal(end_of_period(rig), rig->ticks + 2 * LONG);
	rig->ticks += 100;
	set(rig, WCS, ENABLED);
	assert_int_equal(end_of_period(rig), rig->ticks + 2 * LONG);

	reg_write(&rig->dog.refresh, 4, 0);
	rig->ticks += 100;
	assert_int_equal(end_of_period(rig), rig->ticks - 100 + 2 * LONG);
	assert_int_equal(rig->irq.changes, 0);
}

static void raises_one_signal_after_the_other(void **state)
{
	struct rig *rig = *state;

	start(rig, LONG);
	let_period_end(rig);
	assert_int_equal(get(rig, WCS), ENABLED | WS0);
	assert_true(rig->irq.level);
	assert_int_equal(rig->fired, 0);
	assert_int_equal(end_of_period(rig), rig->ticks + LONG);

	let_period_end(rig);
	assert_int_equal(get(rig, WCS), ENABLED | WS0 | WS1);
	assert_true(rig->irq.level);
	assert_int_equal(rig->fired, 1);

	/* once, until it is started anew */
	set(rig, WCV, 0);
	rig->dog.timer.fn(&rig->dog.timer, 0);
	assert_int_equal(rig->fired, 1);
	refresh(rig);
	assert_int_equal(get(rig, WCS), ENABLED);
	assert_false(rig->irq.level);
	let_period_end(rig);
	let_period_end(rig);
	assert_int_equal(rig->fired, 2);
}

static void is_quiet_when_kept_so(void **state)
{
	struct rig *rig = *state;

	start(rig, LONG);
	let_period_end(rig);
	refresh(rig);
	assert_int_equal(get(rig, WCS), ENABLED);
	assert_false(rig->irq.level);
	let_period_end(rig);
	assert_int_equal(get(rig, WCS), ENABLED | WS0);
	set(rig, WCS, 0);
	assert_int_equal(get(rig, WCS), 0);
	assert_false(rig->irq.level);
	assert_int_equal(rig->fired, 0);
}

/* The host's clock is ahead of the guest's: the timer comes, and it is not time yet. */
static void goes_by_the_guests_clock(void **state)
{
	struct rig *rig = *state;

	start(rig, 1);
	let_timer_run(rig);
	assert_int_equal(get(rig, WCS), ENABLED);
	rig->ticks++;
	let_timer_run(rig);
	assert_int_equal(get(rig, WCS), ENABLED);
	rig->ticks++;
	let_timer_run(rig);
	assert_int_equal(get(rig, WCS), ENABLED | WS0);
}

/* The timer had come, and the guest was first. */
static void a_race_is_the_guests(void **state)
{
	struct rig *rig = *state;

	start(rig, LONG);
	rig->dog.control.write(&rig->dog.control, WCV, 0, 8);
	await_timer(rig);
	refresh(rig);
	rig->dog.timer.fn(&rig->dog.timer, 0);
	assert_int_equal(get(rig, WCS), ENABLED);
}

static void time_stands_still_while_held(void **state)
{
	struct rig *rig = *state;

	sbsa_gwdt_let_go(&rig->dog); /* it is not held */
	start(rig, LONG);
	rig->ticks += 1000;
	sbsa_gwdt_hold(&rig->dog);
	sbsa_gwdt_hold(&rig->dog);
	rig->ticks += 10ULL * LONG;
	rig->dog.timer.fn(&rig->dog.timer, 0);
	assert_int_equal(get(rig, WCS), ENABLED);
	sbsa_gwdt_let_go(&rig->dog);
	assert_int_equal(end_of_period(rig), rig->ticks + LONG - 1000);
	assert_int_equal(get(rig, WCS), ENABLED);

	/* what had ended by then ends at once */
	rig->ticks += 2 * LONG;
	sbsa_gwdt_hold(&rig->dog);
	sbsa_gwdt_let_go(&rig->dog);
	rig->ticks++;
	let_timer_run(rig);
	assert_int_equal(get(rig, WCS), ENABLED | WS0);
}

static void any_period_is_possible(void **state)
{
	static const uint64_t periods[] = { 0, 1, 999, UINT32_MAX, 0xffffffffffff };
	struct rig *rig = *state;

	for (size_t i = 0; i < ARRAY_SIZE(periods); i++) {
		start(rig, periods[i]);
		assert_int_equal(end_of_period(rig), rig->ticks + periods[i]);
	}
	rig->dog.control.write(&rig->dog.control, WCV, UINT64_MAX, 8);
	assert_int_equal(get(rig, WCS), ENABLED);
	rig->ticks = UINT64_MAX - 5;
	refresh(rig);
	let_period_end(rig);
	let_period_end(rig);
	assert_int_equal(rig->fired, 1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(is_off_at_first),
		TEST(registers_keep_what_they_have),
		TEST(starts_anew),
		TEST(raises_one_signal_after_the_other),
		TEST(is_quiet_when_kept_so),
		TEST(goes_by_the_guests_clock),
		TEST(a_race_is_the_guests),
		TEST(time_stands_still_while_held),
		TEST(any_period_is_possible),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
