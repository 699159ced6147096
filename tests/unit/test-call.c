/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "api/json.h"
#include "daemon/call.h"
#include "daemon/handlers.h"
#include "tests/unit/scene.h"

struct outcome {
	struct call call;
	int calls, r;
	struct hvd_error err;
};

static void on_done(struct call *call, int r, const struct hvd_error *err)
{
	struct outcome *o = call->front_data;

	o->calls++;
	o->r = r;
	if (err)
		o->err = *err;
}

/* One call that must be done at once; the caller clears it. */
static void run(struct scene *scene, struct outcome *o, enum op_id op, const char *name, json_t *args,
		const char *text)
{
	*o = (struct outcome){ .call = { .op = &ops[op], .peer = { .front = "test", .pid = 1 },
					 .args = args, .text = text, .done = on_done } };
	o->call.front_data = o;
	strcpy(o->call.name, name);
	call_dispatch(scene->manager, &o->call);
	while (!o->calls)
		assert_true(sd_event_run(scene->event, UINT64_MAX) >= 0);
	assert_int_equal(o->calls, 1);
	assert_true((o->r < 0) == (o->err.code != 0));
	json_decref(args);
}

/* The answer, valid until it is cleared: the objects of a list, or the object. */
static json_t *result(struct outcome *o)
{
	json_t *tree;

	if (!o->call.json)
		return o->call.result;
	tree = json_loads(o->call.json, 0, NULL);
	assert_non_null(tree);
	json_decref(o->call.result);
	o->call.result = o->call.op->result == RESULT_LIST
				 ? json_incref(json_object_get(tree, "items"))
				 : json_incref(tree);
	json_decref(tree);
	return o->call.result;
}

static json_t *spec(const struct scene *scene, const char *name)
{
	return json_pack("{s:s, s:s, s:{s:s}}", "name", name, "memory", "64M", "boot", "kernel",
			 scene->kernel);
}

static void test_every_operation_has_a_handler(void **state)
{
	for (int i = 0; i < _OP_MAX; i++)
		assert_non_null(handlers[i]);
}

static void test_life(void **state)
{
	struct scene *scene = *state;
	char uuid[64];
	struct outcome o;

	run(scene, &o, OP_VM_CREATE, "", spec(scene, "demo"), NULL);
	assert_int_equal(o.r, 0);
	assert_string_equal(o.call.name, "demo");
	strcpy(uuid, json_string_value(json_object_get(result(&o), "uuid")));
	call_clear(&o.call);

	run(scene, &o, OP_VM_PATCH, "demo", json_pack("{s:i}", "vcpus", 3), NULL);
	assert_int_equal(o.r, 0);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(result(&o), "spec"),
							    "vcpus")),
			 3);
	call_clear(&o.call);

	/* by its UUID, too */
	run(scene, &o, OP_VM_GET, uuid, NULL, NULL);
	assert_int_equal(o.r, 0);
	assert_string_equal(o.call.name, "demo");
	assert_string_equal(json_string_value(json_object_get(
				    json_object_get(result(&o), "status"), "state")),
			    "shutoff");
	call_clear(&o.call);

	run(scene, &o, OP_VM_LIST, "", NULL, NULL);
	assert_int_equal(json_array_size(result(&o)), 1);
	call_clear(&o.call);

	run(scene, &o, OP_VM_DELETE, "demo", NULL, NULL);
	assert_int_equal(o.r, 0);
	run(scene, &o, OP_VM_GET, "demo", NULL, NULL);
	assert_int_equal(o.r, -ENOENT);
}

static void test_states(void **state)
{
	static const enum op_id not_when_off[] = { OP_VM_STOP, OP_VM_SHUTDOWN, OP_VM_PAUSE, OP_VM_RESUME,
						   OP_VM_REBOOT, OP_VM_RESET, OP_VM_CONSOLE };
	struct scene *scene = *state;
	struct outcome o;

	scene_define(scene, "demo");
	for (size_t i = 0; i < sizeof(not_when_off) / sizeof(not_when_off[0]); i++) {
		run(scene, &o, not_when_off[i], "demo", NULL, NULL);
		assert_int_equal(o.r, -EBUSY);
		assert_non_null(strstr(o.err.msg, "hvcli vm start demo"));
	}
}

static void test_xml(void **state)
{
	struct scene *scene = *state;
	struct outcome out, in;

	scene_define(scene, "demo");
	run(scene, &out, OP_VM_XML, "demo", NULL, NULL);
	assert_int_equal(out.r, 0);
	run(scene, &in, OP_VM_DELETE, "demo", NULL, NULL);
	assert_int_equal(in.r, 0);

	run(scene, &in, OP_VM_DEFINE_XML, "", NULL, out.call.document);
	assert_int_equal(in.r, 0);
	assert_string_equal(in.call.name, "demo");
	call_clear(&in.call);
	run(scene, &in, OP_VM_DEFINE_XML, "", NULL, out.call.document);
	assert_int_equal(in.r, -EEXIST);
	run(scene, &in, OP_VM_DEFINE_XML, "", NULL, "<domain");
	assert_int_equal(in.r, -EBADMSG);
	run(scene, &in, OP_VM_DEFINE_XML, "", NULL, NULL);
	assert_true(in.r < 0);
	call_clear(&out.call);
}

static json_t *item(const char *member, const char *text)
{
	return json_pack("{s:s}", member, text);
}

/* Each kind of item, by the same handlers. */
static void test_items(void **state)
{
	struct scene *scene = *state;
	struct outcome o;

	scene_define(scene, "demo");
	run(scene, &o, OP_DISK_ATTACH, "demo", item("path", scene->kernel), NULL);
	assert_int_equal(o.r, 0);
	assert_string_equal(o.call.item, "vda");
	assert_int_equal(o.call.generation, 2);
	call_clear(&o.call);
	run(scene, &o, OP_NIC_ATTACH, "demo", item("tap", "lo"), NULL);
	assert_int_equal(o.r, 0);
	assert_string_equal(o.call.item, "net0");
	call_clear(&o.call);
	run(scene, &o, OP_NIC_LIST, "demo", NULL, NULL);
	assert_int_equal(json_array_size(result(&o)), 1);
	call_clear(&o.call);

	run(scene, &o, OP_NIC_ATTACH, "demo", item("tap", "no-such-tap"), NULL);
	assert_int_equal(o.r, -EINVAL);
	assert_string_equal(o.err.field, "tap"); /* not nics[1].tap */
	run(scene, &o, OP_NIC_ATTACH, "demo", item("path", "/x"), NULL);
	assert_int_equal(o.r, -EINVAL);
	for (size_t i = 1; i < VM_MAX_NICS; i++) {
		run(scene, &o, OP_NIC_ATTACH, "demo", item("network", "default"), NULL);
		assert_int_equal(o.r, 0);
		call_clear(&o.call);
	}
	run(scene, &o, OP_NIC_ATTACH, "demo", item("network", "default"), NULL);
	assert_int_equal(o.r, -ERANGE);
}

static void test_bad_arguments(void **state)
{
	struct scene *scene = *state;
	struct outcome o;

	run(scene, &o, OP_VM_CREATE, "", json_pack("{s:s, s:i}", "name", "a", "nmae", 1), NULL);
	assert_int_equal(o.r, -EINVAL);
	run(scene, &o, OP_VM_CREATE, "", json_array(), NULL);
	assert_true(o.r < 0);
	run(scene, &o, OP_VM_CREATE, "", NULL, NULL);
	assert_true(o.r < 0);

	scene_define(scene, "demo");
	run(scene, &o, OP_VM_PATCH, "demo", json_pack("{s:i}", "vcpus", 0), NULL);
	assert_int_equal(o.r, -ERANGE);
	run(scene, &o, OP_VM_PATCH, "demo", json_pack("{s:s}", "name", "other"), NULL);
	assert_int_equal(o.r, -EINVAL);
	run(scene, &o, OP_VM_PATCH, "demo", NULL, NULL);
	assert_true(o.r < 0);
}

static void test_others(void **state)
{
	struct scene *scene = *state;
	struct outcome o;

	scene_define(scene, "demo");
	run(scene, &o, OP_HOST_GET, "", NULL, NULL);
	assert_int_equal(json_integer_value(json_object_get(result(&o), "vms_defined")), 1);
	assert_int_equal(json_integer_value(json_object_get(result(&o), "vms_running")), 0);
	call_clear(&o.call);

	run(scene, &o, OP_NETWORK_LIST, "", NULL, NULL);
	assert_int_equal(json_array_size(result(&o)), 1);
	call_clear(&o.call);
	run(scene, &o, OP_NETWORK_GET, "default", NULL, NULL);
	assert_int_equal(o.r, 0);
	call_clear(&o.call);
	run(scene, &o, OP_NETWORK_GET, "none", NULL, NULL);
	assert_int_equal(o.r, -ENOENT);

	run(scene, &o, OP_OPENAPI, "", NULL, NULL);
	assert_non_null(strstr(o.call.document, "openapi"));
	call_clear(&o.call);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, scene_set_up, scene_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_every_operation_has_a_handler), TEST(test_life), TEST(test_states),
		TEST(test_xml), TEST(test_items), TEST(test_bad_arguments), TEST(test_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
