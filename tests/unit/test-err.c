/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/base/err.h"

static void fills_in_code_and_message(void **state)
{
	struct hvd_error err = { 0 };

	assert_int_equal(hvd_err(&err, ENOENT, "no file %s", "x"), -ENOENT);
	assert_int_equal(err.code, -ENOENT);
	assert_string_equal(err.msg, "no file x");
	assert_string_equal(err.field, "");
}

static void works_without_an_object(void **state)
{
	assert_int_equal(hvd_err(NULL, EIO, "x"), -EIO);
	assert_int_equal(hvd_err_field(NULL, EIO, "f", "x"), -EIO);
	assert_int_equal(hvd_err_prefix(NULL, -EIO, "p"), -EIO);
	assert_int_equal(hvd_err_in(NULL, -EIO, "p"), -EIO);
}

static void prefixes_are_put_before(void **state)
{
	struct hvd_error err = { 0 };

	hvd_err(&err, EBUSY, "in use");
	assert_int_equal(hvd_err_prefix(&err, -EBUSY, "disk %d", 1), -EBUSY);
	hvd_err_prefix(&err, -EBUSY, "start");
	assert_string_equal(err.msg, "start: disk 1: in use");
}

static void a_prefix_explains_an_error_that_is_not_set(void **state)
{
	struct hvd_error err = { 0 };

	hvd_err_prefix(&err, -ENOMEM, "ring");
	assert_int_equal(err.code, -ENOMEM);
	assert_string_equal(err.msg, "ring: Cannot allocate memory");
}

static void fields_grow_to_paths(void **state)
{
	struct hvd_error err = { 0 };

	hvd_err_field(&err, EINVAL, "path", "bad");
	hvd_err_in(&err, -EINVAL, "disks[%d]", 3);
	assert_string_equal(err.field, "disks[3].path");
	assert_string_equal(err.msg, "bad");

	hvd_err_field(&err, EINVAL, "[0]", "bad");
	hvd_err_in(&err, -EINVAL, "nics");
	assert_string_equal(err.field, "nics[0]");

	hvd_err(&err, EINVAL, "bad");
	hvd_err_in(&err, -EINVAL, "boot");
	assert_string_equal(err.field, "boot");
}

static void long_texts_are_cut(void **state)
{
	struct hvd_error err = { 0 };
	char text[1000];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	hvd_err_field(&err, EINVAL, text, "%s", text);
	assert_int_equal(strlen(err.field), sizeof(err.field) - 1);
	assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);

	hvd_err_prefix(&err, -EINVAL, "%s", text);
	hvd_err_in(&err, -EINVAL, "front");
	assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
	assert_int_equal(strlen(err.field), sizeof(err.field) - 1);
	assert_int_equal(strncmp(err.field, "front.", 6), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fills_in_code_and_message),
		cmocka_unit_test(works_without_an_object),
		cmocka_unit_test(prefixes_are_put_before),
		cmocka_unit_test(a_prefix_explains_an_error_that_is_not_set),
		cmocka_unit_test(fields_grow_to_paths),
		cmocka_unit_test(long_texts_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
