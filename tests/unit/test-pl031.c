/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "tests/unit/irq_probe.h"
#include "vmm/hw/pl031.h"

#define DR   0x00
#define MR   0x04
#define LR   0x08
#define CR   0x0c
#define IMSC 0x10
#define RIS  0x14
#define MIS  0x18
#define ICR  0x1c

struct rig {
	struct loop *main;
	struct irq_probe irq;
	struct pl031 rtc;
};

static int set_up(void **state)
{
	static struct rig rig;

	rig = (struct rig){ .irq = IRQ_PROBE_INIT };
	assert_int_equal(loop_new(&rig.main), 0);
	assert_int_equal(pl031_init(&rig.rtc, 0x09010000, &rig.irq.line, rig.main), 0);
	*state = &rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;

	pl031_destroy(&rig->rtc);
	loop_free(rig->main);
	return 0;
}

static uint32_t get(struct rig *rig, uint64_t offset)
{
	return reg_read(&rig->rtc.region, offset);
}

static void set(struct rig *rig, uint64_t offset, uint32_t value)
{
	reg_write(&rig->rtc.region, offset, value);
}

/* Not that of time(2), which lags behind by up to a tick. */
static uint32_t host_time(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint32_t)ts.tv_sec;
}

static void tells_the_hosts_time(void **state)
{
	struct rig *rig = *state;
	uint32_t before = host_time(), told = get(rig, DR), after = host_time();

	assert_in_range(told, before, after);
	assert_int_equal(get(rig, CR), 1);
}

static void can_be_set(void **state)
{
	struct rig *rig = *state;
	uint32_t before = host_time(), told;

	set(rig, LR, 1000);
	told = get(rig, DR);
	assert_in_range(told, 1000, 1000 + (host_time() - before));
	assert_int_equal(get(rig, LR), 1000);
}

static void quit_on_irq(struct irq_line *line, bool level)
{
	struct irq_probe *irq = container_of(line, struct irq_probe, line);
	struct rig *rig = container_of(irq, struct rig, irq);

	irq->level = level;
	if (level)
		loop_quit(rig->main);
}

static void alarm_rings_at_its_time(void **state)
{
	struct rig *rig = *state;
	uint32_t at;

	rig->irq.line.set = quit_on_irq;
	set(rig, IMSC, 1);
	do {
		at = get(rig, DR) + 1;
		set(rig, MR, at);
	} while (get(rig, DR) > at); /* set too late it rings in 136 years */
	assert_int_equal(get(rig, RIS), 0);
	assert_int_equal(loop_run(rig->main), 0);

	assert_true(get(rig, DR) >= at);
	assert_int_equal(get(rig, MIS), 1);
	assert_true(rig->irq.level);
	set(rig, ICR, 1);
	assert_int_equal(get(rig, RIS), 0);
	assert_false(rig->irq.level);
}

static void a_masked_alarm_is_only_raw(void **state)
{
	struct rig *rig = *state;

	/* as the alarm leaves it */
	rig->rtc.raised = true;
	assert_int_equal(get(rig, RIS), 1);
	assert_int_equal(get(rig, MIS), 0);
	set(rig, IMSC, 1);
	assert_true(rig->irq.level);
	set(rig, IMSC, 0);
	assert_false(rig->irq.level);
}

static void identifies_itself(void **state)
{
	static const uint8_t id[] = { 0x31, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1 };
	struct rig *rig = *state;

	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(get(rig, 0xfe0 + 4 * i), id[i]);
	assert_int_equal(PL031_PERIPHID, id[0] | id[1] << 8 | id[2] << 16);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(tells_the_hosts_time),
		TEST(can_be_set),
		TEST(alarm_rings_at_its_time),
		TEST(a_masked_alarm_is_only_raw),
		TEST(identifies_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
