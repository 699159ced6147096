/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/cpuset.h"
#include "vmm/base/macro.h"

static void test_lists(void **state)
{
	uint8_t mask[CPUSET_BYTES];
	size_t len;

	assert_int_equal(cpuset_parse("0-3,8", mask, &len), 0);
	assert_int_equal(len, 2);
	assert_int_equal(mask[0], 0x0f);
	assert_int_equal(mask[1], 0x01);

	assert_int_equal(cpuset_parse("7", mask, &len), 0);
	assert_int_equal(len, 1);
	assert_int_equal(mask[0], 0x80);

	/* order and overlap do not matter */
	assert_int_equal(cpuset_parse("9,1-2,2-3", mask, &len), 0);
	assert_int_equal(mask[0], 0x0e);
	assert_int_equal(mask[1], 0x02);

	assert_int_equal(cpuset_parse("4095", mask, &len), 0);
	assert_int_equal(len, CPUSET_BYTES);
}

static void test_refused(void **state)
{
	static const char *const texts[] = { "", ",", "1,", "1-", "-1", "3-1", "a", "1 2", "0x1", "4096",
					     "0-4096", "99999999999999999999", "1;2", "+1" };
	uint8_t mask[CPUSET_BYTES];
	size_t len;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (cpuset_parse(texts[i], mask, &len) >= 0)
			fail_msg("\"%s\" was accepted", texts[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_lists), cmocka_unit_test(test_refused) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
