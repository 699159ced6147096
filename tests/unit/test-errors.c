/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/errors.h"
#include "api/json.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/macro.h"

static void test_table(void **state)
{
	for (size_t i = 0; i < n_error_classes; i++) {
		const struct error_class *c = &error_classes[i];

		assert_true(c->status >= 400 && c->status < 600);
		assert_int_equal(strncmp(c->dbus, "org.hvd1.Error.", 15), 0);
		assert_true(c->exit_status == 1 || (c->exit_status >= 3 && c->exit_status <= 5));
		assert_true(c->title[0]);
		assert_ptr_equal(error_class_of(-c->code), c);
		assert_ptr_equal(error_class_by_name(c->name), c);
		for (size_t j = 0; j < i; j++) {
			assert_int_not_equal(c->code, error_classes[j].code);
			assert_string_not_equal(c->name, error_classes[j].name);
			assert_string_not_equal(c->dbus, error_classes[j].dbus);
		}
	}
	assert_int_equal(error_class_of(-EXDEV)->status, 500);
	assert_int_equal(error_class_of(-ENOENT)->exit_status, 3);
	assert_int_equal(error_class_of(-EBUSY)->exit_status, 4);
	assert_int_equal(error_class_of(-ENOTCONN)->exit_status, 5);
	assert_null(error_class_by_name("no such name"));
}

static void test_field_is_no_404(void **state)
{
	struct hvd_error err = { 0 };

	hvd_err(&err, ENOENT, "no VM 'x'");
	assert_int_equal(error_class_of_error(&err)->status, 404);
	hvd_err_field(&err, ENOENT, "boot.kernel", "/k: no such file");
	assert_int_equal(error_class_of_error(&err)->status, 422);
	hvd_err_field(&err, EACCES, "disks[0].path", "/d: permission denied");
	assert_int_equal(error_class_of_error(&err)->status, 422);
	hvd_err_field(&err, EISDIR, "disks[0].path", "/d: is a directory");
	assert_int_equal(error_class_of_error(&err)->status, 422);
	hvd_err_field(&err, EBUSY, "disks[0].path", "/d: in use");
	assert_int_equal(error_class_of_error(&err)->status, 409);
	hvd_err_field(&err, ENOSPC, "memory", "does not fit");
	assert_int_equal(error_class_of_error(&err)->status, 507);
}

/* What a client gets back of what a server has said. */
static void test_problem(void **state)
{
	AUTO(json_decref) json_t *problem = NULL;
	struct hvd_error err = { 0 }, back = { 0 };
	char text[ERROR_TEXT_SIZE];

	hvd_err_field(&err, ERANGE, "vcpus", "must be between 1 and 512");
	error_text(&err, text);
	assert_string_equal(text, "vcpus: must be between 1 and 512");

	problem = problem_to_json(&err);
	assert_non_null(problem);
	assert_int_equal(json_integer_value(json_object_get(problem, "status")), 422);
	assert_string_equal(json_string_value(json_object_get(problem, "code")), "out-of-range");
	assert_string_equal(json_string_value(json_object_get(problem, "detail")), text);
	problem_from_json(problem, &back);
	assert_int_equal(back.code, -ERANGE);
	assert_string_equal(back.field, err.field);
	assert_string_equal(back.msg, err.msg);
}

static void test_every_class(void **state)
{
	for (size_t i = 0; i < n_error_classes; i++) {
		AUTO(json_decref) json_t *problem = NULL;
		struct hvd_error err = { 0 }, back = { 0 };

		hvd_err(&err, error_classes[i].code, "why");
		problem = problem_to_json(&err);
		assert_null(json_object_get(problem, "fields"));
		problem_from_json(problem, &back);
		assert_int_equal(back.code, err.code);
		assert_string_equal(back.msg, "why");
	}
}

/* A message quotes what a client sent; the answer must be JSON all the same. */
static void test_bad_utf8(void **state)
{
	AUTO(json_decref) json_t *problem = NULL;
	struct hvd_error err = { 0 };

	hvd_err_field(&err, EINVAL, "a\xff", "'\xc3' \x01");
	problem = problem_to_json(&err);
	assert_non_null(problem);
	assert_string_equal(json_string_value(json_object_get(problem, "detail")), "a?: '?' ?");
}

static void test_strange_problems(void **state)
{
	static const char *const texts[] = { "{}", "[]", "{\"code\": 3, \"fields\": {}}",
					     "{\"code\": \"unheard-of\", \"fields\": [7]}",
					     "{\"fields\": [], \"detail\": null}" };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		AUTO(json_decref) json_t *problem = json_loads(texts[i], 0, NULL);
		struct hvd_error err = { 0 };

		assert_non_null(problem);
		problem_from_json(problem, &err);
		assert_int_equal(err.code, -EIO);
		assert_true(err.msg[0]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),    cmocka_unit_test(test_field_is_no_404),
		cmocka_unit_test(test_problem),  cmocka_unit_test(test_every_class),
		cmocka_unit_test(test_bad_utf8), cmocka_unit_test(test_strange_problems),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
