/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of a definition, of a VM that is off and of one that runs. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/json.h"
#include "daemon/vm_private.h"
#include "tests/unit/process.h"
#include "vmm/base/macro.h"

/* A merge patch, '/D/' in it being the scene's folder. */
static void patch_with(struct scene *scene, struct vm *vm, struct outcome *o, const char *text,
		       const struct update_options *options)
{
	AUTO(json_decref) json_t *json = NULL;
	struct hvd_error err = { 0 };
	struct vm_config config;
	char full[1024] = "";
	const char *at;

	for (; (at = strstr(text, "/D/")); text = at + 2) {
		strncat(full, text, (size_t)(at - text));
		strcat(full, scene->folder);
	}
	strcat(full, text);
	if (json_parse(full, strlen(full), &json, &err) < 0 ||
	    json_merge_obj(&vm_schema, vm_config(vm), json, &config, &err) < 0)
		fail_msg("%s: %s: %s", full, err.field, err.msg);
	*o = (struct outcome){ 0 };
	vm_update(vm, &config, options, outcome_set, o);
}

static void patch(struct scene *scene, struct vm *vm, struct outcome *o, const char *text)
{
	patch_with(scene, vm, o, text, &(struct update_options){ 0 });
}

static void patch_now(struct scene *scene, struct vm *vm, const char *text)
{
	struct outcome o;

	patch(scene, vm, &o, text);
	assert_int_equal(o.calls, 1);
	if (o.r < 0)
		fail_msg("%s: %s: %s", text, o.err.field, o.err.msg);
}

static int set_up(void **state)
{
	scene_set_up(state);
	for (const char *const *name = (const char *const[]){ "a", "b", "c", NULL }; *name; name++)
		scene_write(*state, *name, "a disk");
	return 0;
}

static void expect_disks(const struct vm_config *config, const char *ids)
{
	char have[128] = "";

	for (size_t i = 0; i < config->n_disks; i++) {
		strcat(have, i ? " " : "");
		strcat(have, config->disks[i].id);
	}
	assert_string_equal(have, ids);
}

/* --- off */

static void test_ids_are_chosen_and_kept(void **state)
{
	struct scene *scene = *state;
	struct vm *vm = scene_define(scene, "demo");

	patch_now(scene, vm, "{\"disks\":[{\"path\":\"/D/a\"},{\"path\":\"/D/b\",\"id\":\"data\"},"
			     "{\"path\":\"/D/c\"}]}");
	expect_disks(vm_config(vm), "vda data vdb");
	/* who they are does not depend on where they stand */
	patch_now(scene, vm, "{\"disks\":[{\"path\":\"/D/c\"},{\"path\":\"/D/b\"}]}");
	expect_disks(vm_config(vm), "vdb data");
	/* nobody has this one any more */
	patch_now(scene, vm, "{\"disks\":[{\"path\":\"/D/a\"},{\"path\":\"/D/c\"}]}");
	expect_disks(vm_config(vm), "vda vdb");

	scene_restart(scene);
	expect_disks(vm_config(manager_find_vm(scene->manager, "demo")), "vda vdb");
}

static void test_ids_and_macs_of_nics(void **state)
{
	struct scene *scene = *state;
	struct vm *vm = scene_define(scene, "demo");
	uint8_t mac[6];

	patch_now(scene, vm, "{\"nics\":[{\"tap\":\"lo\"}]}");
	assert_string_equal(vm_config(vm)->nics[0].id, "net0");
	memcpy(mac, vm_config(vm)->nics[0].mac, sizeof(mac));
	patch_now(scene, vm, "{\"nics\":[{\"tap\":\"lo\"}]}");
	assert_string_equal(vm_config(vm)->nics[0].id, "net0");
	assert_memory_equal(vm_config(vm)->nics[0].mac, mac, sizeof(mac));
	patch_now(scene, vm, "{\"nics\":[{\"id\":\"first\",\"tap\":\"lo\"}]}");
	assert_memory_not_equal(vm_config(vm)->nics[0].mac, mac, sizeof(mac));
}

/* --- running */

static struct vm *adopt(struct scene *scene, struct process *p)
{
	struct vm *vm = scene_define(scene, "demo");

	patch_now(scene, vm, "{\"disks\":[{\"path\":\"/D/a\"}]}");
	return process_adopt(scene, p, VMM_RUNNING);
}

/* The spec in the message, and the descriptors behind it closed. */
static void take_update(struct process *p, struct control_message *msg, struct vm_config *config,
			size_t n_files)
{
	AUTO(json_decref) json_t *json = NULL;
	struct hvd_error err = { 0 };
	int fds[CONTROL_MAX_FDS];
	char text[4096];
	ssize_t len;
	size_t n;

	n = process_take(p, CONTROL_UPDATE, msg, fds);
	assert_int_equal(n, 1 + n_files);
	len = read(fds[0], text, sizeof(text));
	assert_true(len > 0);
	assert_int_equal(json_parse(text, (size_t)len, &json, &err), 0);
	assert_int_equal(json_to_obj(&vm_schema, json, config, &err), 0);
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
}

static void test_later(void **state)
{
	struct scene *scene = *state;
	struct process p;
	struct vm *vm = adopt(scene, &p);

	/* neither reaches the process: one cannot, one does not concern it */
	patch_now(scene, vm, "{\"vcpus\":4,\"description\":\"x\"}");
	process_expect_nothing(&p);
	assert_int_equal(vm_config(vm)->vcpus, 4);
	assert_int_equal(vm->running.vcpus, 1);
	assert_string_equal(vm->running.description, "x");
	process_die(&p);
	scene_run(scene);
	assert_null(vm->running.name);
}

static void test_at_once(void **state)
{
	struct scene *scene = *state;
	struct control_message msg;
	struct vm_config config;
	struct outcome o, other;
	struct process p;
	struct vm *vm = adopt(scene, &p);
	uint64_t generation = vm_generation(vm);

	patch(scene, vm, &o,
	      "{\"vcpus\":4,\"disks\":[{\"id\":\"vda\",\"path\":\"/D/a\",\"cache\":\"none\"},"
	      "{\"path\":\"/D/b\"}]}");
	assert_int_equal(o.calls, 0);
	take_update(&p, &msg, &config, 1);
	expect_disks(&config, "vda vdb");
	assert_int_equal(config.vcpus, 1);
	assert_int_equal(config.disks[0].cache, DISK_CACHE_WRITEBACK);
	schema_clear(&vm_schema, &config);

	/* one at a time */
	patch(scene, vm, &other, "{\"vcpus\":2}");
	assert_int_equal(other.r, -EBUSY);
	assert_int_equal(vm_generation(vm), generation);

	process_answer(&p, &msg, 0, "");
	scene_run(scene);
	assert_int_equal(o.calls, 1);
	assert_int_equal(o.r, 0);
	assert_int_equal(vm_generation(vm), generation + 1);
	expect_disks(vm_config(vm), "vda vdb");
	assert_int_equal(vm_config(vm)->vcpus, 4);
	expect_disks(&vm->running, "vda vdb");

	/* what it has is known to the next hvd too */
	scene_restart(scene);
	vm = manager_find_vm(scene->manager, "demo");
	expect_disks(&vm->running, "vda vdb");
	assert_int_equal(vm->running.vcpus, 1);
	assert_int_equal(vm_config(vm)->vcpus, 4);
	process_die(&p);
}

static void test_refused(void **state)
{
	struct scene *scene = *state;
	struct control_message msg;
	struct vm_config config;
	struct outcome o;
	struct process p;
	struct vm *vm = adopt(scene, &p);
	uint64_t generation = vm_generation(vm);

	patch(scene, vm, &o, "{\"disks\":[],\"vcpus\":4}");
	take_update(&p, &msg, &config, 0);
	expect_disks(&config, "");
	schema_clear(&vm_schema, &config);
	process_answer(&p, &msg, -EOPNOTSUPP, "not now");
	scene_run(scene);
	assert_int_equal(o.r, -EOPNOTSUPP);
	assert_string_equal(o.err.msg, "not now");
	assert_int_equal(vm_generation(vm), generation);
	expect_disks(vm_config(vm), "vda");
	expect_disks(&vm->running, "vda");
	assert_int_equal(vm_config(vm)->vcpus, 1);

	/* and it dies before it has answered */
	patch(scene, vm, &o, "{\"disks\":[]}");
	process_die(&p);
	scene_run(scene);
	assert_int_equal(o.calls, 1);
	assert_int_equal(o.r, -EPIPE);
	expect_disks(vm_config(vm), "vda");
	assert_int_equal(vm_state(vm), VM_SHUTOFF);
}

/* The next update has these disks, and n_files new ones; it is granted. */
static void grant(struct scene *scene, struct process *p, const char *ids, size_t n_files)
{
	struct control_message msg;
	struct vm_config config;

	take_update(p, &msg, &config, n_files);
	expect_disks(&config, ids);
	schema_clear(&vm_schema, &config);
	process_answer(p, &msg, 0, "");
	scene_run(scene);
}

static void refuse(struct scene *scene, struct process *p, const char *ids, int r)
{
	struct control_message msg;
	struct vm_config config;

	take_update(p, &msg, &config, 0);
	expect_disks(&config, ids);
	schema_clear(&vm_schema, &config);
	process_answer(p, &msg, r, "no");
	scene_run(scene);
}

static struct vm *adopt_three(struct scene *scene, struct process *p)
{
	struct vm *vm = scene_define(scene, "demo");

	patch_now(scene, vm, "{\"disks\":[{\"path\":\"/D/a\"},{\"path\":\"/D/b\"},{\"path\":\"/D/c\"}]}");
	return process_adopt(scene, p, VMM_RUNNING);
}

/* What goes goes last, one after the other; when one stays, the spec says what is true. */
static void test_steps(void **state)
{
	struct scene *scene = *state;
	struct outcome o;
	struct process p;
	struct vm *vm = adopt_three(scene, &p);
	uint64_t generation = vm_generation(vm);

	scene_write(scene, "d", "one more");
	patch(scene, vm, &o, "{\"vcpus\":2,\"disks\":[{\"path\":\"/D/d\"},{\"path\":\"/D/c\"}]}");
	grant(scene, &p, "vda vdb vdc vdd", 1);
	assert_int_equal(o.calls, 0);
	assert_int_equal(vm_generation(vm), generation + 1);
	assert_int_equal(vm_config(vm)->vcpus, 2);
	grant(scene, &p, "vdb vdc vdd", 0);
	refuse(scene, &p, "vdc vdd", -ETIMEDOUT);
	assert_int_equal(o.calls, 1);
	assert_int_equal(o.r, -ETIMEDOUT);
	assert_int_equal(vm_generation(vm), generation + 2);
	expect_disks(&vm->running, "vdb vdc vdd");
	assert_int_equal(vm_config(vm)->n_disks, 3);
	assert_true(vm_config_find_disk(vm_config(vm), "vdb") >= 0);

	/* asked again, it lets go; then the spec is as it was wanted, in its order */
	patch(scene, vm, &o, "{\"disks\":[{\"path\":\"/D/d\"},{\"path\":\"/D/c\"}]}");
	grant(scene, &p, "vdc vdd", 0);
	assert_int_equal(o.r, 0);
	expect_disks(vm_config(vm), "vdd vdc");
	process_die(&p);
}

/* What is wanted later waits, also when another change is made at once. */
static void test_next_boot(void **state)
{
	const struct update_options later = { .next_boot = true };
	struct scene *scene = *state;
	struct vm_status status;
	struct outcome o;
	struct process p;
	struct vm *vm = adopt_three(scene, &p);

	patch_with(scene, vm, &o, "{\"disks\":[{\"path\":\"/D/a\"}]}", &later);
	assert_int_equal(o.r, 0);
	process_expect_nothing(&p);
	expect_disks(vm_config(vm), "vda");
	expect_disks(&vm->running, "vda vdb vdc");
	assert_int_equal(vm_get_status(vm, &status), 0);
	assert_int_equal(status.n_pending, 2);
	assert_string_equal(status.pending[0].field, "disks[vdb]");
	schema_clear(&vm_status_schema, &status);

	/* an id that the process still has is not for another disk */
	patch(scene, vm, &o, "{\"disks\":[{\"path\":\"/D/a\"},{\"path\":\"/D/c\",\"id\":\"vdb\"}]}");
	assert_int_equal(o.r, -EBUSY);
	assert_string_equal(o.err.field, "disks[1].id");

	scene_write(scene, "d", "one more");
	patch(scene, vm, &o, "{\"disks\":[{\"path\":\"/D/a\"},{\"path\":\"/D/d\"}]}");
	grant(scene, &p, "vda vdb vdc vdd", 1);
	assert_int_equal(o.r, 0);
	/* taken back, it waits no more */
	patch_now(scene, vm, "{\"disks\":[{\"id\":\"vda\",\"path\":\"/D/a\"},{\"id\":\"vdd\",\"path\":\"/D/d\"},"
			     "{\"id\":\"vdb\",\"path\":\"/D/b\"},{\"id\":\"vdc\",\"path\":\"/D/c\"}]}");
	assert_int_equal(vm_get_status(vm, &status), 0);
	assert_int_equal(status.n_pending, 0);
	schema_clear(&vm_status_schema, &status);
	process_die(&p);
	scene_run(scene);

	/* without a process nothing waits */
	patch_now(scene, vm, "{\"vcpus\":3}");
	assert_int_equal(vm_get_status(vm, &status), 0);
	assert_int_equal(status.n_pending, 0);
	schema_clear(&vm_status_schema, &status);
}

static void expect_plan(struct vm *vm, const struct vm_config *change, bool next_boot,
			const char *want)
{
	const struct update_options options = { .next_boot = next_boot };
	struct hvd_error err = { 0 };
	struct vm_config config;
	char have[512] = "";
	struct plan plan;

	assert_int_equal(schema_copy(&vm_schema, &config, change), 0);
	if (vm_plan(vm, &config, &options, &plan, &err) < 0)
		fail_msg("%s: %s", err.field, err.msg);
	for (size_t i = 0; i < plan.n_changes; i++) {
		size_t len = strlen(have);

		snprintf(have + len, sizeof(have) - len, "%s%s %s", i ? ", " : "",
			 plan.changes[i].field, field_applies_names[plan.changes[i].applies]);
	}
	assert_string_equal(have, want);
	schema_clear(&plan_schema, &plan);
	schema_clear(&vm_schema, &config);
}

static void test_plan(void **state)
{
	struct scene *scene = *state;
	struct vm_config change;
	struct process p;
	struct vm *vm = adopt_three(scene, &p);

	assert_int_equal(schema_copy(&vm_schema, &change, vm_config(vm)), 0);
	expect_plan(vm, &change, false, "");
	change.vcpus++;
	change.disks[0].cache = DISK_CACHE_UNSAFE;
	strcpy(change.disks[1].id, "new");
	change.resources.cpu_weight = 5;
	expect_plan(vm, &change, false,
		    "vcpus next-boot, disks[vda].cache next-boot, disks[vdb] live, disks[new] live, "
		    "resources.cpu_weight live");
	expect_plan(vm, &change, true,
		    "vcpus next-boot, disks[vda].cache next-boot, disks[vdb] next-boot, "
		    "disks[new] next-boot, resources.cpu_weight next-boot");
	strcpy(change.name, "xxxx");
	change.disks[0].cache = DISK_CACHE_WRITEBACK;
	change.resources.cpu_weight = 0;
	expect_plan(vm, &change, false,
		    "name immutable, vcpus next-boot, disks[vdb] live, disks[new] live");
	process_expect_nothing(&p);
	process_die(&p);
	scene_run(scene);
	expect_plan(vm, &change, false,
		    "name immutable, vcpus next-boot, disks[vdb] next-boot, disks[new] next-boot");
	schema_clear(&vm_schema, &change);
}

static void test_generation(void **state)
{
	struct update_options options = { .generation = 1 };
	struct scene *scene = *state;
	struct vm *vm = scene_define(scene, "demo");
	struct outcome o;

	patch_with(scene, vm, &o, "{\"vcpus\":2}", &options);
	assert_int_equal(o.r, 0);
	patch_with(scene, vm, &o, "{\"vcpus\":3}", &options);
	assert_int_equal(o.r, -ESTALE);
	assert_int_equal(vm_config(vm)->vcpus, 2);
}

/* What cannot be written is not asked for. */
static void test_no_space(void **state)
{
	struct scene *scene = *state;
	struct outcome o;
	struct process p;
	struct vm *vm = adopt(scene, &p);
	char path[256];

	/* a folder in the place of the file: root may write anything else */
	scene_path(scene, "state/vms/demo.xml.new", path);
	assert_int_equal(mkdir(path, 0700), 0);
	patch(scene, vm, &o, "{\"disks\":[]}");
	assert_int_equal(o.r, -EISDIR);
	process_expect_nothing(&p);
	assert_false(scene_exists(scene, "run/vms/demo/next.xml"));
	assert_false(scene_exists(scene, "run/vms/demo/next-definition.xml"));
	assert_int_equal(rmdir(path), 0);
	process_die(&p);
}

/* --- hvd ends in the middle */

/* The process has this number when the next hvd asks it. */
static struct vm *find_again(struct scene *scene, struct process *p, uint32_t number)
{
	scene_stop(scene);
	process_die(p);
	return process_adopt_numbered(scene, p, VMM_RUNNING, number);
}

static void test_hvd_ends_before(void **state)
{
	struct scene *scene = *state;
	struct outcome o;
	struct process p;
	struct vm *vm = adopt(scene, &p);
	uint64_t generation = vm_generation(vm);

	patch(scene, vm, &o, "{\"disks\":[],\"vcpus\":3}");
	vm = find_again(scene, &p, (uint32_t)generation);
	assert_int_equal(o.calls, 1);
	assert_int_equal(o.r, -ECANCELED);
	assert_int_equal(vm_generation(vm), generation);
	expect_disks(vm_config(vm), "vda");
	expect_disks(&vm->running, "vda");
	assert_false(scene_exists(scene, "run/vms/demo/next-definition.xml"));
	patch(scene, vm, &o, "{\"disks\":[]}");
	grant(scene, &p, "", 0);
	assert_int_equal(o.r, 0);
	process_die(&p);
}

static void test_hvd_ends_after(void **state)
{
	struct scene *scene = *state;
	struct outcome o;
	struct process p;
	struct vm *vm = adopt(scene, &p);
	uint64_t generation = vm_generation(vm);

	patch(scene, vm, &o, "{\"disks\":[],\"vcpus\":3}");
	vm = find_again(scene, &p, (uint32_t)generation + 1);
	assert_int_equal(vm_generation(vm), generation + 1);
	expect_disks(vm_config(vm), "");
	assert_int_equal(vm_config(vm)->vcpus, 3);
	expect_disks(&vm->running, "");
	assert_int_equal(vm->running.vcpus, 1);
	assert_false(scene_exists(scene, "run/vms/demo/next.xml"));

	/* and it is stored */
	vm = find_again(scene, &p, (uint32_t)generation + 1);
	assert_int_equal(vm_generation(vm), generation + 1);
	expect_disks(vm_config(vm), "");
	expect_disks(&vm->running, "");
	process_die(&p);
}

/* The guest has not let go of the disk when the next hvd comes; then it does, or does not. */
static void test_hvd_ends_meanwhile(void **state)
{
	for (unsigned agrees = 0; agrees < 2; agrees++) {
		struct scene *scene = *state;
		struct outcome o;
		struct process p;
		struct vm *vm = agrees ? process_adopt(scene, &p, VMM_RUNNING) : adopt(scene, &p);
		uint32_t generation = (uint32_t)vm_generation(vm);

		patch(scene, vm, &o, "{\"disks\":[]}");
		scene_stop(scene);
		process_die(&p);
		vm = process_adopt_changing(scene, &p, generation);
		assert_int_equal(vm_state(vm), VM_RUNNING);
		assert_true(vm_is_unsettled(vm));
		expect_disks(vm_config(vm), "vda");
		patch(scene, vm, &o, "{\"vcpus\":4}");
		assert_int_equal(o.r, -EBUSY);

		process_settle(&p, generation + agrees);
		scene_run(scene);
		assert_false(vm_is_unsettled(vm));
		assert_int_equal(vm_generation(vm), generation + agrees);
		expect_disks(vm_config(vm), agrees ? "" : "vda");
		expect_disks(&vm->running, agrees ? "" : "vda");
		assert_false(scene_exists(scene, "run/vms/demo/next.xml"));
		assert_false(scene_exists(scene, "run/vms/demo/next-definition.xml"));
		patch(scene, vm, &o, "{\"vcpus\":4}");
		assert_int_equal(o.r, 0);
		scene_stop(scene);
		process_die(&p);
	}
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, scene_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_ids_are_chosen_and_kept), TEST(test_ids_and_macs_of_nics),
		TEST(test_later), TEST(test_at_once), TEST(test_refused), TEST(test_steps),
		TEST(test_next_boot), TEST(test_plan), TEST(test_generation), TEST(test_no_space),
		TEST(test_hvd_ends_before), TEST(test_hvd_ends_meanwhile), TEST(test_hvd_ends_after),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
