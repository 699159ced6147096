/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/terminal.h"
#include "vmm/base/macro.h"

static const struct {
	const char *in, *out;
	char action;
	bool escaped_before, escaped_after;
} cases[] = {
	{ "ls\r", "ls\r", 0, false, false },
	{ "a\001xb", "ab", 'x', false, false },
	{ "\001\001", "\001", 0, false, false }, /* ^A ^A sends one */
	{ "\001h", "", 'h', false, false },
	{ "\001q", "q", 0, false, false }, /* any other key is the guest's */
	{ "a\001", "a", 0, false, true },  /* the rest comes with the next read */
	{ "x", "", 'x', true, false },
	{ "\001", "\001", 0, true, false },
	{ "\001\001x", "\001x", 0, false, false },
};

static void test_filter(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		bool escaped = cases[i].escaped_before;
		char out[16], action;
		size_t n;

		n = terminal_filter(&escaped, cases[i].in, strlen(cases[i].in), out, &action);
		assert_int_equal(n, strlen(cases[i].out));
		assert_memory_equal(out, cases[i].out, n);
		assert_int_equal(action, cases[i].action);
		assert_int_equal(escaped, cases[i].escaped_after);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_filter) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
