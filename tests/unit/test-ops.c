/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/ops.h"
#include "vmm/base/macro.h"

#define LOWER "abcdefghijklmnopqrstuvwxyz"

/* Every operation has everything that a front end needs. */
static void test_complete(void **state)
{
	for (const struct op *op = ops; op < ops + _OP_MAX; op++) {
		assert_non_null(op->name);
		assert_int_equal(strspn(op->name, LOWER ".-"), strlen(op->name));
		assert_int_equal(strncmp(op->path, "/v1/", 4), 0);
		assert_true(op->member && op->member[0] >= 'A' && op->member[0] <= 'Z');
		assert_int_equal(strspn(op->verb, LOWER " -"), strlen(op->verb));
		assert_true(op->method < _HTTP_METHOD_MAX);
		assert_true(op->access < _ACCESS_MAX && polkit_actions[op->access]);
		assert_true(op->help && op->help[0] && op->help[strlen(op->help) - 1] != '.');
		assert_int_equal(op_id(op), op - ops);

		assert_int_equal(op->result == RESULT_OBJECT || op->result == RESULT_LIST,
				 op->result_schema != NULL);
		assert_int_equal(op->result == RESULT_DOCUMENT, op->result_type != NULL);
		assert_false(op->args && op->body_type);
		assert_true(!op->args_partial || op->args);
		/* a list has the items that the operation takes or gives */
		assert_true(!op->list || schema_field(&vm_schema, op->list)->sub->key);
		assert_true(!op_is_update(op) || strstr(op->path, "{vm}"));
		/* what only reads must be GET, and GET must be safe to repeat */
		assert_true((op->method == HTTP_GET) ==
			    (op->access == ACCESS_READ || op->result == RESULT_STREAM ||
			     op->result == RESULT_LIST));
		/* states are those of a VM, so that the path must name one */
		assert_true(!op->states || strstr(op->path, "{vm}"));
		assert_true(op->states < OP_STATE(_VM_STATE_MAX));
	}
}

/* Methods are of objects: those of VMs, of networks, or the manager. */
static bool of_same_object(const struct op *a, const struct op *b)
{
	char of_a[16], of_b[16];

	op_parameter(a, 0, of_a);
	op_parameter(b, 0, of_b);
	return !strcmp(of_a, of_b);
}

static void test_unique(void **state)
{
	for (const struct op *a = ops; a < ops + _OP_MAX; a++) {
		for (const struct op *b = ops; b < a; b++) {
			assert_string_not_equal(a->name, b->name);
			assert_string_not_equal(a->verb, b->verb);
			assert_true(strcmp(a->path, b->path) != 0 || a->method != b->method);
			assert_true(strcmp(a->member, b->member) != 0 || !of_same_object(a, b));
		}
	}
}

/* The path with "name-0", "name-1" for its parameters; returns how many there are. */
static unsigned fill_path(const struct op *op, char path[static 128])
{
	const char *p = op->path, *open;
	unsigned n = 0;

	path[0] = '\0';
	for (; (open = strchr(p, '{')); p = strchr(open, '}') + 1)
		sprintf(path + strlen(path), "%.*sname-%u", (int)(open - p), p, n++);
	strcat(path, p);
	return n;
}

/* Each operation is found again by its own path and by its verb. */
static void test_found(void **state)
{
	for (const struct op *op = ops; op < ops + _OP_MAX; op++) {
		struct op_names names = { "x", "y" };
		char path[128], noun[32], parameter[16];
		const struct op *found = NULL;
		const char *space = strchr(op->verb, ' ');
		unsigned allow = 0, n = fill_path(op, path);

		assert_true(n <= OP_MAX_PARAMETERS);
		for (unsigned i = 0; i < OP_MAX_PARAMETERS; i++) {
			op_parameter(op, i, parameter);
			assert_int_equal(parameter[0] != '\0', i < n);
		}
		assert_int_equal(
			op_route(http_method_names[op->method], path, &found, &names, &allow), 0);
		assert_ptr_equal(found, op);
		assert_string_equal(names.name, n > 0 ? "name-0" : "");
		assert_string_equal(names.item, n > 1 ? "name-1" : "");

		snprintf(noun, sizeof(noun), "%.*s", (int)strcspn(op->verb, " "), op->verb);
		assert_ptr_equal(op_by_verb(noun, space ? space + 1 : NULL), op);
	}
	assert_null(op_by_verb("vm", "explode"));
	assert_null(op_by_verb("vm", NULL));
	assert_null(
		op_by_verb("a-noun-that-is-much-longer-than-any-that-there-is-in-the-table", "x"));
}

static void test_no_route(void **state)
{
	static const char long_name[] =
		"/v1/vms/a123456789b123456789c123456789d123456789e123456789f123456789g123";
	static const char *const paths[] = {
		"",
		"/",
		"/v1",
		"/v1/",
		"/v1/vms/",
		"/v1/vms//xml",
		"/v1/vms/a/",
		"/v1/vms/a/b",
		"/v1/vms/a/disks/",
		"/v1/vms/a/disks//",
		"/v1/vms/a/disks/b/",
		"/v1/vms//disks/b",
		"/v1/vms/a/disks/b/c",
		"/v1/vms/%61",
		"/v1/vms/a%2fxml",
		"/v1/vms/a b",
		"/v2/vms",
		"v1/vms",
		"/v1/vms?x",
		"/v1/vms/a/actions/",
		"/v1/vms/a/actions/explode",
		"/v1/vms/\xc3\xa9",
		"/V1/vms",
		long_name,
	};
	const struct op *op = NULL;
	unsigned allow = 77;
	struct op_names names = { "untouched", "too" };

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		assert_int_equal(op_route("GET", paths[i], &op, &names, &allow), -ENOENT);
		assert_null(op);
		assert_int_equal(allow, 77);
		assert_string_equal(names.name, "untouched");
		assert_string_equal(names.item, "too");
	}
}

static void test_names(void **state)
{
	const struct op *op;
	struct op_names names;
	unsigned allow;

	/* the longest that there is */
	assert_int_equal(op_route("GET",
				  "/v1/vms/a12345678901234567890123456789012345678901234567890"
				  "123456789012",
				  &op, &names, &allow),
			 0);
	assert_int_equal(strlen(names.name), 63);
	assert_int_equal(op_route("GET", "/v1/vms/4dea22b3-1d52-d8f3-2516-782e98ab3fa0/xml", &op,
				  &names, &allow),
			 0);
	assert_string_equal(names.name, "4dea22b3-1d52-d8f3-2516-782e98ab3fa0");
	assert_int_equal(op_id(op), OP_VM_XML);

	/* a VM may have the name of a literal path */
	assert_int_equal(op_route("GET", "/v1/vms/import", &op, &names, &allow), 0);
	assert_int_equal(op_id(op), OP_VM_GET);
	assert_int_equal(op_route("POST", "/v1/vms/import", &op, &names, &allow), 0);
	assert_int_equal(op_id(op), OP_VM_DEFINE_XML);
	assert_string_equal(names.name, "");
}

static void test_allow(void **state)
{
	const struct op *op = NULL;
	struct op_names names;
	unsigned allow = 0;

	assert_int_equal(op_route("POST", "/v1/vms/a", &op, &names, &allow), -ENOTSUP);
	assert_int_equal(allow, 1u << HTTP_GET | 1u << HTTP_PATCH | 1u << HTTP_DELETE);
	assert_int_equal(op_route("GET", "/v1/vms/a/actions/start", &op, &names, &allow), -ENOTSUP);
	assert_int_equal(allow, 1u << HTTP_POST);
	assert_int_equal(op_route("get", "/v1/vms", &op, &names, &allow), -ENOTSUP);
	assert_int_equal(op_route("", "/v1/vms", &op, &names, &allow), -ENOTSUP);
	assert_int_equal(allow, 1u << HTTP_GET | 1u << HTTP_POST);
	assert_null(op);
}

static void test_success_status(void **state)
{
	assert_int_equal(op_success_status(&ops[OP_VM_CREATE]), 201);
	assert_int_equal(op_success_status(&ops[OP_VM_DEFINE_XML]), 201);
	assert_int_equal(op_success_status(&ops[OP_VM_PATCH]), 200);
	assert_int_equal(op_success_status(&ops[OP_VM_XML]), 200);
	assert_int_equal(op_success_status(&ops[OP_VM_START]), 204);
	assert_int_equal(op_success_status(&ops[OP_VM_DELETE]), 204);
	assert_int_equal(op_success_status(&ops[OP_VM_CONSOLE]), 101);
	assert_int_equal(op_success_status(&ops[OP_DISK_ATTACH]), 201);
	assert_int_equal(op_success_status(&ops[OP_DISK_DETACH]), 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_complete),       cmocka_unit_test(test_unique),
		cmocka_unit_test(test_found),          cmocka_unit_test(test_no_route),
		cmocka_unit_test(test_names),          cmocka_unit_test(test_allow),
		cmocka_unit_test(test_success_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
