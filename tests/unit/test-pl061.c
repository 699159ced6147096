/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/irq_probe.h"
#include "vmm/hw/power_button.h"

#define DATA(mask) ((uint64_t)(mask) << 2)
#define DIR   0x400
#define IS    0x404
#define IBE   0x408
#define IEV   0x40c
#define IE    0x410
#define RIS   0x414
#define MIS   0x418
#define IC    0x41c
#define AFSEL 0x420

#define LINE 3
#define BIT  (1u << LINE)

struct rig {
	struct irq_probe irq;
	struct pl061 gpio;
};

static int set_up(void **state)
{
	static struct rig rig;

	rig = (struct rig){ .irq = IRQ_PROBE_INIT };
	pl061_init(&rig.gpio, 0x09030000, &rig.irq.line);
	*state = &rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;

	pl061_destroy(&rig->gpio);
	return 0;
}

static uint32_t get(struct rig *rig, uint64_t offset)
{
	return reg_read(&rig->gpio.region, offset);
}

static void set(struct rig *rig, uint64_t offset, uint32_t value)
{
	reg_write(&rig->gpio.region, offset, value);
}

static void inputs_are_read_through_the_address_mask(void **state)
{
	struct rig *rig = *state;

	pl061_set_input(&rig->gpio, LINE, true);
	pl061_set_input(&rig->gpio, 0, true);
	assert_int_equal(get(rig, DATA(0xff)), BIT | 1);
	assert_int_equal(get(rig, DATA(BIT)), BIT);
	assert_int_equal(get(rig, DATA(0)), 0);
	pl061_set_input(&rig->gpio, 0, false);
	assert_int_equal(get(rig, DATA(0xff)), BIT);
}

static void outputs_are_written_through_the_address_mask(void **state)
{
	struct rig *rig = *state;

	set(rig, DIR, 0xf0);
	set(rig, DATA(0xff), 0xff);
	assert_int_equal(get(rig, DATA(0xff)), 0xf0); /* inputs cannot be driven */
	set(rig, DATA(0x10), 0);
	assert_int_equal(get(rig, DATA(0xff)), 0xe0);
}

static void rising_edge_interrupts(void **state)
{
	struct rig *rig = *state;

	set(rig, IEV, BIT);
	set(rig, IE, BIT);
	pl061_set_input(&rig->gpio, LINE, true);
	assert_true(rig->irq.level);
	assert_int_equal(get(rig, MIS), BIT);
	set(rig, IC, BIT);
	assert_false(rig->irq.level);
	pl061_set_input(&rig->gpio, LINE, true);  /* no edge */
	pl061_set_input(&rig->gpio, LINE, false); /* the wrong one */
	assert_int_equal(get(rig, RIS), 0);
}

static void falling_edge_interrupts(void **state)
{
	struct rig *rig = *state;

	set(rig, IE, BIT);
	pl061_set_input(&rig->gpio, LINE, true);
	assert_false(rig->irq.level);
	pl061_set_input(&rig->gpio, LINE, false);
	assert_true(rig->irq.level);
}

static void both_edges_interrupt(void **state)
{
	struct rig *rig = *state;

	set(rig, IBE, BIT);
	set(rig, IE, BIT);
	pl061_set_input(&rig->gpio, LINE, true);
	assert_true(rig->irq.level);
	set(rig, IC, BIT);
	pl061_set_input(&rig->gpio, LINE, false);
	assert_true(rig->irq.level);
}

static void levels_interrupt_as_long_as_they_last(void **state)
{
	struct rig *rig = *state;

	set(rig, IS, BIT);
	set(rig, IEV, BIT);
	set(rig, IE, BIT);
	assert_false(rig->irq.level);
	pl061_set_input(&rig->gpio, LINE, true);
	assert_true(rig->irq.level);
	set(rig, IC, BIT); /* does nothing to a level */
	assert_true(rig->irq.level);
	pl061_set_input(&rig->gpio, LINE, false);
	assert_false(rig->irq.level);

	set(rig, IEV, 0); /* active low now */
	assert_true(rig->irq.level);
}

static void a_disabled_interrupt_is_only_raw(void **state)
{
	struct rig *rig = *state;

	set(rig, IEV, BIT);
	pl061_set_input(&rig->gpio, LINE, true);
	assert_int_equal(get(rig, RIS), BIT);
	assert_int_equal(get(rig, MIS), 0);
	assert_false(rig->irq.level);
	set(rig, IE, BIT);
	assert_true(rig->irq.level);
}

static void identifies_itself(void **state)
{
	static const uint8_t id[] = { 0x61, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1 };
	struct rig *rig = *state;

	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(get(rig, 0xfe0 + 4 * i), id[i]);
	assert_int_equal(PL061_PERIPHID, id[0] | id[1] << 8 | id[2] << 16);
	set(rig, AFSEL, 0x5a);
	assert_int_equal(get(rig, AFSEL), 0x5a);
	assert_int_equal(get(rig, 0x800), 0);
}

/* The main loop of the next test ends with the second edge. */
struct button_rig {
	struct irq_line line;
	struct loop *main;
	struct pl061 gpio;
	unsigned edges;
};

static void count_edges(struct irq_line *line, bool level)
{
	struct button_rig *rig = container_of(line, struct button_rig, line);

	if (level && ++rig->edges == 2)
		loop_quit(rig->main);
}

static void a_press_is_down_and_up(void **state)
{
	struct button_rig rig = { .line = { count_edges } };
	struct irq_probe pulse = IRQ_PROBE_INIT;
	struct power_button button;

	assert_int_equal(loop_new(&rig.main), 0);
	pl061_init(&rig.gpio, 0x09030000, &rig.line);
	assert_int_equal(power_button_init(&button, &rig.gpio, LINE, &pulse.line, rig.main), 0);
	reg_write(&rig.gpio.region, IBE, BIT);
	reg_write(&rig.gpio.region, IE, BIT);

	power_button_press(&button);
	assert_int_equal(rig.edges, 1);
	assert_int_equal(pulse.changes, 2);
	assert_false(pulse.level);
	assert_int_equal(reg_read(&rig.gpio.region, DATA(BIT)), BIT);
	reg_write(&rig.gpio.region, IC, BIT);
	assert_int_equal(loop_run(rig.main), 0);
	assert_int_equal(reg_read(&rig.gpio.region, DATA(BIT)), 0);
	assert_int_equal(pulse.changes, 2);

	power_button_destroy(&button);
	pl061_destroy(&rig.gpio);
	loop_free(rig.main);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(inputs_are_read_through_the_address_mask),
		TEST(outputs_are_written_through_the_address_mask),
		TEST(rising_edge_interrupts),
		TEST(falling_edge_interrupts),
		TEST(both_edges_interrupt),
		TEST(levels_interrupt_as_long_as_they_last),
		TEST(a_disabled_interrupt_is_only_raw),
		TEST(identifies_itself),
		cmocka_unit_test(a_press_is_down_and_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
