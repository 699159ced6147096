/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/dbus.h"
#include "api/json.h"
#include "api/vm_schema.h"
#include "tests/unit/fill.h"
#include "tests/unit/peers.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/macro.h"

static struct peers peers;

static int setup(void **state)
{
	return peers_open(&peers);
}

static int teardown(void **state)
{
	peers_close(&peers);
	return 0;
}

static sd_bus_message *begin(void)
{
	sd_bus_message *m = NULL;

	assert_int_equal(peers_message(&peers, &m), 0);
	return m;
}

/* Consumes m. */
static sd_bus_message *pass(sd_bus_message *m)
{
	sd_bus_message *got = NULL;

	assert_int_equal(peers_pass(&peers, m, &got), 0);
	sd_bus_message_unref(m);
	return got;
}

/* struct -> message -> JSON -> struct, over a real connection. */
static void test_round_trip(void **state)
{
	AUTO(sd_bus_message_unref) sd_bus_message *m = begin();
	AUTO(json_decref) json_t *json = NULL;
	struct vm_config vm, back;
	struct hvd_error err = { 0 };

	fill_obj(&vm_schema, &vm, 1);
	assert_true(dbus_append_obj(m, &vm_schema, &vm) >= 0);
	m = pass(m);
	if (dbus_read_json(m, &json, &err) < 0)
		fail_msg("%s: %s", err.field, err.msg);
	if (json_to_obj(&vm_schema, json, &back, &err) < 0)
		fail_msg("%s: %s", err.field, err.msg);
	assert_true(schema_equal(&vm_schema, &vm, &back));
	schema_clear(&vm_schema, &vm);
	schema_clear(&vm_schema, &back);
}

/* What is read back of a struct is the same as its JSON, for what only answers have too. */
static void same_as_json(const struct schema *schema, const void *obj)
{
	AUTO(sd_bus_message_unref) sd_bus_message *m = begin();
	AUTO(json_decref) json_t *want = json_from_obj(schema, obj);
	AUTO(json_decref) json_t *got = NULL;

	assert_true(dbus_append_obj(m, schema, obj) >= 0);
	m = pass(m);
	assert_int_equal(dbus_read_json(m, &got, NULL), 0);
	assert_true(json_equal(want, got));
}

static void test_answers(void **state)
{
	struct vm_status status;
	struct host_info host;

	fill_obj(&vm_status_schema, &status, 3);
	same_as_json(&vm_status_schema, &status);
	schema_clear(&vm_status_schema, &status);
	same_as_json(&vm_status_schema, &status);

	fill_obj(&host_schema, &host, 3);
	same_as_json(&host_schema, &host);
	schema_clear(&host_schema, &host);
	same_as_json(&host_schema, &host);
}

/* As a property each field has the type that it is announced with. */
static void check_properties(const struct schema *schema, const void *obj)
{
	for (size_t i = 0; i < schema->n_fields; i++) {
		const struct field *field = &schema->fields[i];
		AUTO(sd_bus_message_unref) sd_bus_message *m = begin();

		assert_true(dbus_append_field(m, field, obj) >= 0);
		m = pass(m);
		assert_string_equal(sd_bus_message_get_signature(m, true),
				    dbus_field_signature(field));
	}
}

static void test_properties(void **state)
{
	static const struct vm_status empty;
	struct vm_status status;
	struct vm_config vm;

	fill_obj(&vm_schema, &vm, 1);
	check_properties(&vm_schema, &vm);
	schema_clear(&vm_schema, &vm);
	fill_obj(&vm_status_schema, &status, 1);
	check_properties(&vm_status_schema, &status);
	schema_clear(&vm_status_schema, &status);
	check_properties(&vm_status_schema, &empty);
}

static void test_json(void **state)
{
	static const char text[] =
		"{\"a\": [1, -2, 2.5, true, false, \"é\", [], {}, [[{\"b\": {\"c\": 9}}]]], "
		"\"big\": 9223372036854775807, \"small\": -9223372036854775808, \"\": \"\"}";
	AUTO(sd_bus_message_unref) sd_bus_message *m = begin();
	AUTO(json_decref) json_t *json = json_loads(text, 0, NULL);
	AUTO(json_decref) json_t *got = NULL;

	assert_true(dbus_append_json_object(m, json) >= 0);
	m = pass(m);
	assert_int_equal(dbus_read_json(m, &got, NULL), 0);
	assert_true(json_equal(json, got));
}

static void test_null(void **state)
{
	AUTO(sd_bus_message_unref) sd_bus_message *m = begin();
	AUTO(sd_bus_message_unref) sd_bus_message *other = begin();
	AUTO(json_decref) json_t *json = json_loads("{\"a\": null, \"b\": 1}", 0, NULL);
	AUTO(json_decref) json_t *bad = json_loads("{\"a\": [null]}", 0, NULL);
	AUTO(json_decref) json_t *got = NULL;

	assert_true(dbus_append_json_object(m, json) >= 0);
	m = pass(m);
	assert_int_equal(dbus_read_json(m, &got, NULL), 0);
	assert_int_equal(json_object_size(got), 1);
	assert_int_equal(dbus_append_json_object(other, bad), -EINVAL);
}

/* The forms that busctl and other clients send, which dbus_append_*() does not make. */
static void test_foreign_forms(void **state)
{
	AUTO(sd_bus_message_unref) sd_bus_message *m = begin();
	AUTO(json_decref)
	json_t *want = json_loads(
		"{\"y\": 1, \"n\": -2, \"q\": 3, \"i\": -4, \"u\": 5, \"o\": \"/x\", \"g\": \"a{sv}\", "
		"\"as\": [\"a\", \"b\"], \"map\": {\"k\": \"v\"}, \"vv\": 6, \"maps\": [{\"a\": 1}]}",
		0, NULL);
	AUTO(json_decref) json_t *got = NULL;

	assert_true(sd_bus_message_append(m, "a{sv}", 11, "y", "y", 1, "n", "n", -2, "q", "q", 3,
					  "i", "i", -4, "u", "u", 5, "o", "o", "/x", "g", "g",
					  "a{sv}", "as", "as", 2, "a", "b", "map", "a{ss}", 1, "k",
					  "v", "vv", "v", "i", 6, "maps", "aa{sv}", 1, 1, "a", "i",
					  1) >= 0);
	m = pass(m);
	assert_int_equal(dbus_read_json(m, &got, NULL), 0);
	assert_true(json_equal(want, got));
}

static void refuse(sd_bus_message *m, int r, const char *field)
{
	AUTO(sd_bus_message_unref) sd_bus_message *got = pass(m);
	struct hvd_error err = { 0 };
	json_t *json = NULL;

	assert_int_equal(dbus_read_json(got, &json, &err), r);
	assert_int_equal(err.code, r);
	assert_string_equal(err.field, field);
	assert_null(json);
}

static void test_refused(void **state)
{
	sd_bus_message *m;

	m = begin();
	sd_bus_message_append(m, "a{sv}", 2, "a", "i", 1, "a", "i", 2);
	refuse(m, -EINVAL, "a");

	m = begin();
	sd_bus_message_append(m, "a{sv}", 1, "a", "t", UINT64_MAX);
	refuse(m, -ERANGE, "a");

	m = begin();
	sd_bus_message_append(m, "a{sv}", 1, "a", "d", __builtin_inf());
	refuse(m, -ERANGE, "a");

	m = begin();
	sd_bus_message_append(m, "a{sv}", 1, "a", "(ii)", 1, 2);
	refuse(m, -EINVAL, "a");

	m = begin();
	sd_bus_message_append(m, "a{sv}", 1, "a", "a{is}", 1, 1, "x");
	refuse(m, -EINVAL, "a");

	m = begin();
	sd_bus_message_append(m, "a{sv}", 1, "a", "av", 2, "i", 1, "(s)", "x");
	refuse(m, -EINVAL, "a[1]");

	m = begin();
	sd_bus_message_append(m, "a{ss}", 1, "a", "b");
	refuse(m, -EBADMSG, "");
	refuse(begin(), -EBADMSG, "");
}

static void test_depth(void **state)
{
	sd_bus_message *m = begin();

	assert_true(sd_bus_message_open_container(m, 'a', "{sv}") >= 0);
	assert_true(sd_bus_message_open_container(m, 'e', "sv") >= 0);
	assert_true(sd_bus_message_append(m, "s", "deep") >= 0);
	for (unsigned i = 0; i < 40; i++)
		assert_true(sd_bus_message_open_container(m, 'v', "v") >= 0);
	assert_true(sd_bus_message_append(m, "v", "i", 1) >= 0);
	for (unsigned i = 0; i < 42; i++)
		assert_true(sd_bus_message_close_container(m) >= 0);
	refuse(m, -EBADMSG, "deep");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip), cmocka_unit_test(test_answers),
		cmocka_unit_test(test_properties), cmocka_unit_test(test_json),
		cmocka_unit_test(test_null),       cmocka_unit_test(test_foreign_forms),
		cmocka_unit_test(test_refused),    cmocka_unit_test(test_depth),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
