/* SPDX-License-Identifier: Apache-2.0 */
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "vmm/arch/balloon_report.h"

struct fixture {
	struct loop *loop;
	struct balloon_report report;
	struct balloon_info last;
	unsigned deliveries;
	uint64_t until; /* end the loop when this has been delivered */
};

static void on_report(void *ctx, const struct balloon_info *info)
{
	struct fixture *f = ctx;

	f->last = *info;
	f->deliveries++;
	if (info->actual == f->until)
		loop_quit(f->loop);
}

static int set_up(void **state)
{
	static struct fixture f;

	f = (struct fixture){ 0 };
	assert_int_equal(loop_new(&f.loop), 0);
	assert_int_equal(balloon_report_init(&f.report, f.loop, on_report, &f), 0);
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	balloon_report_destroy(&f->report);
	loop_free(f->loop);
	return 0;
}

static void put(struct fixture *f, uint64_t actual)
{
	balloon_report_put(&f->report, &(struct balloon_info){ .actual = actual });
}

static void run_until(struct fixture *f, uint64_t actual)
{
	f->until = actual;
	loop_run(f->loop);
}

/* The first at once; of the many that come then, the last. */
static void test_the_last_is_delivered(void **state)
{
	struct fixture *f = *state;

	put(f, 1);
	run_until(f, 1);
	for (uint64_t i = 2; i <= 10000; i++)
		put(f, i);
	run_until(f, 10000);
	assert_int_equal(f->deliveries, 2);
	put(f, 3);
	run_until(f, 3);
	assert_int_equal(f->deliveries, 3);
}

static void test_nothing_is_delivered_when_destroyed(void **state)
{
	struct fixture *f = *state;

	put(f, 1);
	run_until(f, 1);
	put(f, 2);
	balloon_report_destroy(&f->report);
	loop_quit(f->loop);
	loop_run(f->loop);
	assert_int_equal(f->deliveries, 1);
	assert_int_equal(balloon_report_init(&f->report, f->loop, on_report, f), 0);
}

static void test_destroy_what_was_never_used(void **state)
{
	struct balloon_report none = { 0 };

	balloon_report_destroy(&none);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_the_last_is_delivered),
		TEST(test_nothing_is_delivered_when_destroyed),
		TEST(test_destroy_what_was_never_used),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
