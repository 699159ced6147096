/* SPDX-License-Identifier: Apache-2.0 */
/* Operations over a restart of hvd: what becomes of those that were under way, and how many are kept. */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/operation.h"
#include "daemon/vm.h"
#include "tests/unit/scene.h"

/* A file as a hvd that was killed leaves it. */
static void leave(struct scene *scene, const char *id, const char *kind, const struct vm *vm,
		  uint64_t generation, unsigned long long created)
{
	char name[64], text[512], uuid[UUID_TEXT_SIZE] = "00000000-0000-0000-0000-000000000001";

	if (vm)
		uuid_format(vm_config(vm)->uuid, uuid);
	snprintf(name, sizeof(name), "state/operations/%s.json", id);
	snprintf(text, sizeof(text),
		 "{\"id\":\"%s\",\"kind\":\"%s\",\"resource\":\"/v1/vms/demo\",\"vm\":\"demo\","
		 "\"vm_uuid\":\"%s\",\"generation\":%" PRIu64 ",\"state\":\"running\","
		 "\"cancellable\":true,\"created_usec\":%llu,"
		 "\"progress\":{\"done\":1,\"total\":4,\"unit\":\"steps\"},"
		 "\"by\":{\"front\":\"rest\",\"uid\":7,\"pid\":8}}",
		 id, kind, uuid, generation, created);
	scene_write(scene, name, text);
}

static const struct operation_info *find(struct scene *scene, const char *id)
{
	struct operation *operation = operation_find(scene->manager->operations, id);

	assert_non_null(operation);
	return operation_info(operation);
}

static void expect(struct scene *scene, const char *id, enum event_outcome state, const char *why)
{
	const struct operation_info *info = find(scene, id);

	assert_int_equal(info->state, state);
	assert_false(info->cancellable);
	assert_true(info->finished_usec > 0);
	if (why)
		assert_non_null(strstr(info->error.detail, why));
	else
		assert_null(info->error.code);
}

static void test_effects(void **state)
{
	struct scene *scene = *state;
	const struct vm *vm = scene_define(scene, "demo");

	leave(scene, "00000000000a", "vm.start", vm, 1, 10);
	leave(scene, "00000000000b", "vm.stop", vm, 1, 20);
	leave(scene, "00000000000c", "vm.patch", vm, 1, 30);
	leave(scene, "00000000000d", "disk.attach", vm, 0, 40);
	leave(scene, "00000000000e", "vm.start", NULL, 1, 50);
	leave(scene, "00000000000f", "no.such", vm, 1, 60);
	scene_restart(scene);
	expect(scene, "00000000000a", OUTCOME_FAILED, "VM demo is shutoff");
	expect(scene, "00000000000b", OUTCOME_SUCCEEDED, NULL);
	expect(scene, "00000000000c", OUTCOME_FAILED, "the spec has not changed");
	expect(scene, "00000000000d", OUTCOME_SUCCEEDED, NULL);
	/* another VM of that name, and what this hvd does not know */
	expect(scene, "00000000000e", OUTCOME_FAILED, "hvd has ended");
	expect(scene, "00000000000f", OUTCOME_FAILED, "hvd has ended");

	/* in the order in which they began, with all that there was */
	assert_string_equal(
		operation_info(operation_next(scene->manager->operations, NULL))->id,
		"00000000000a");
	assert_string_equal(find(scene, "00000000000a")->by.front, "rest");
	assert_int_equal(find(scene, "00000000000a")->by.uid, 7);
	assert_int_equal(find(scene, "00000000000a")->progress.done, 1);
	assert_string_equal(find(scene, "00000000000a")->error.code, "internal");

	/* and that is how it stays */
	scene_restart(scene);
	expect(scene, "00000000000a", OUTCOME_FAILED, "VM demo is shutoff");
	expect(scene, "00000000000b", OUTCOME_SUCCEEDED, NULL);
}

static void test_history(void **state)
{
	struct scene *scene = *state;
	const struct event_filter all = { 0 };
	const struct event_entry *entry;
	uint64_t before;

	leave(scene, "00000000000a", "vm.start", scene_define(scene, "demo"), 1, 10);
	before = event_log_newest(scene->manager->events);
	scene_restart(scene);
	entry = event_log_next(scene->manager->events, before + 1, &all);
	assert_non_null(entry);
	assert_non_null(strstr(entry->json, "\"operation_id\":\"00000000000a\""));
	assert_non_null(strstr(entry->json, "\"outcome\":\"failed\""));
	assert_non_null(strstr(entry->json, "\"uid\":7"));
}

static void test_garbage(void **state)
{
	static const char *const texts[] = { "", "{", "[]", "{}", "{\"id\":7,\"kind\":\"vm.start\"}",
					     "{\"id\":\"x\",\"kind\":\"vm.start\",\"state\":\"odd\"}",
					     "{\"id\":\"0123456789abcdef\",\"kind\":\"vm.start\"}" };
	struct scene *scene = *state;
	char name[64];

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		snprintf(name, sizeof(name), "state/operations/%zu.json", i);
		scene_write(scene, name, texts[i]);
	}
	scene_write(scene, "state/operations/00000000000a.json.new", "{}");
	scene_restart(scene);
	assert_null(operation_next(scene->manager->operations, NULL));
	assert_false(scene_exists(scene, "state/operations/0.json"));
	assert_false(scene_exists(scene, "state/operations/00000000000a.json.new"));
}

/* The last ones are kept. */
static void test_retention(void **state)
{
	struct scene *scene = *state;
	const struct vm *vm = scene_define(scene, "demo");
	unsigned n = 0;
	char id[16];

	for (unsigned i = 0; i < OPERATIONS_KEPT + 10; i++) {
		snprintf(id, sizeof(id), "%012x", i);
		leave(scene, id, "vm.stop", vm, 1, 1 + i);
	}
	scene_restart(scene);
	for (struct operation *o = operation_next(scene->manager->operations, NULL); o;
	     o = operation_next(scene->manager->operations, o))
		n++;
	assert_int_equal(n, OPERATIONS_KEPT);
	assert_null(operation_find(scene->manager->operations, "000000000009"));
	assert_false(scene_exists(scene, "state/operations/000000000009.json"));
	find(scene, "00000000000a");
	assert_true(scene_exists(scene, "state/operations/00000000000a.json"));
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, scene_set_up, scene_tear_down)
	const struct CMUnitTest tests[] = {
		T(test_effects),
		T(test_history),
		T(test_garbage),
		T(test_retention),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
