/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-id128.h>

#include <cmocka.h>

#include "daemon/network.h"
#include "tests/unit/scene.h"
#include "vmm/base/macro.h"

static void names(const struct manager *manager, char *buf)
{
	*buf = '\0';
	for (struct vm *vm = vm_next(manager, NULL); vm; vm = vm_next(manager, vm))
		sprintf(buf + strlen(buf), "%s ", vm_config(vm)->name);
}

static void test_order_and_lookup(void **state)
{
	struct scene *scene = *state;
	char list[128], uuid[SD_ID128_UUID_STRING_MAX];
	struct vm *vm;
	sd_id128_t id;

	scene_define(scene, "m");
	scene_define(scene, "z");
	scene_define(scene, "a");
	vm = scene_define(scene, "b");
	names(scene->manager, list);
	assert_string_equal(list, "a b m z ");

	assert_ptr_equal(manager_find_vm(scene->manager, "b"), vm);
	memcpy(id.bytes, vm_config(vm)->uuid, 16);
	assert_ptr_equal(manager_find_vm(scene->manager, sd_id128_to_uuid_string(id, uuid)), vm);
	assert_null(manager_find_vm(scene->manager, "c"));
	assert_null(manager_find_vm(scene->manager, ""));
}

static void test_definitions_last(void **state)
{
	struct scene *scene = *state;
	uint8_t uuid[16], mac[6];
	struct hvd_error err = { 0 };
	struct vm_config config;
	struct vm *vm;
	char list[64];

	scene_spec(scene, "nic", &config);
	config.nics = calloc(1, sizeof(*config.nics));
	config.n_nics = 1;
	assert_int_equal(schema_init(&nic_schema, &config.nics[0]), 0);
	free(config.nics[0].network);
	config.nics[0].network = strdup("default");
	assert_int_equal(vm_define(scene->manager, &config, &vm, &err), 0);
	scene_define(scene, "other");
	memcpy(uuid, vm_config(vm)->uuid, sizeof(uuid));
	memcpy(mac, vm_config(vm)->nics[0].mac, sizeof(mac));
	assert_int_equal(mac[0] & 3, 2); /* unicast, locally administered */
	assert_int_equal(uuid[6] >> 4, 4);

	scene_restart(scene);
	names(scene->manager, list);
	assert_string_equal(list, "nic other ");
	vm = manager_find_vm(scene->manager, "nic");
	assert_memory_equal(vm_config(vm)->uuid, uuid, sizeof(uuid));
	assert_memory_equal(vm_config(vm)->nics[0].mac, mac, sizeof(mac));
	assert_int_equal(vm_state(vm), VM_SHUTOFF);
}

/* A definition that cannot be read is left alone, and so is everything else. */
static void test_broken_definition(void **state)
{
	struct scene *scene = *state;
	char list[64];

	scene_define(scene, "a");
	scene_define(scene, "c");
	scene_stop(scene);
	scene_write(scene, "state/vms/b.xml", "<domain type='kvm'><name>b</name>");
	scene_write(scene, "state/vms/d.xml", "<domain type='kvm'><name>other</name></domain>");
	scene_restart(scene);
	names(scene->manager, list);
	assert_string_equal(list, "a c ");
	assert_true(scene_exists(scene, "state/vms/b.xml"));
	assert_true(scene_exists(scene, "state/vms/d.xml"));
}

static void test_default_network(void **state)
{
	struct scene *scene = *state;
	struct network *network = manager_find_network(scene->manager, "default");

	assert_non_null(network);
	assert_string_equal(network_config(network)->bridge, "hvdbr0");
	assert_true(network_config(network)->dhcp);
	assert_int_equal(network_config(network)->mode, NETWORK_NAT);
	assert_int_equal(strncmp(network_config(network)->address, "192.168.", 8), 0);
	assert_true(scene_exists(scene, "state/networks/default.xml"));
	assert_null(manager_find_network(scene->manager, "none"));

	/* who has removed it does not get it back */
	scene_stop(scene);
	char path[256];
	scene_path(scene, "state/networks/default.xml", path);
	assert_int_equal(unlink(path), 0);
	scene_restart(scene);
	assert_null(manager_find_network(scene->manager, "default"));
}

/* A folder of a process that is no more. */
static void test_stale_runtime(void **state)
{
	struct scene *scene = *state;
	char path[256];

	scene_define(scene, "demo");
	scene_stop(scene);
	scene_path(scene, "run/vms/demo", path);
	assert_int_equal(mkdir(path, 0700), 0);
	scene_write(scene, "run/vms/demo/control", "no socket");
	scene_restart(scene);
	assert_int_equal(vm_state(manager_find_vm(scene->manager, "demo")), VM_SHUTOFF);
	assert_false(scene_exists(scene, "run/vms/demo"));
}

static void move(struct scene *scene, const char *from, const char *to)
{
	char a[256], b[256];

	scene_path(scene, from, a);
	scene_path(scene, to, b);
	assert_int_equal(rename(a, b), 0);
}

/* The definition is gone, but what the process was started with is still there. */
static void test_restored_definition(void **state)
{
	struct scene *scene = *state;
	char path[256];

	scene_define(scene, "demo");
	scene_stop(scene);
	scene_path(scene, "run/vms/demo", path);
	assert_int_equal(mkdir(path, 0700), 0);
	move(scene, "state/vms/demo.xml", "run/vms/demo/spec.xml");
	scene_restart(scene);
	assert_non_null(manager_find_vm(scene->manager, "demo"));
	assert_true(scene_exists(scene, "state/vms/demo.xml"));
}

struct counter {
	struct manager_listener listener;
	unsigned events[MANAGER_VM_SPEC + 1];
};

static void count(struct manager_listener *listener, enum manager_event event, struct vm *vm)
{
	container_of(listener, struct counter, listener)->events[event]++;
	assert_non_null(vm_config(vm)->name);
}

static void on_done(void *ctx, int r, const struct hvd_error *err)
{
	*(int *)ctx = r;
}

static void test_listeners(void **state)
{
	struct scene *scene = *state;
	struct counter counter = { .listener.fn = count };
	struct hvd_error err = { 0 };
	struct vm_config config;
	struct vm *vm;
	int r = 1;

	list_append(&scene->manager->listeners, &counter.listener.node);
	vm = scene_define(scene, "demo");
	assert_int_equal(counter.events[MANAGER_VM_ADDED], 1);

	assert_int_equal(schema_copy(&vm_schema, &config, vm_config(vm)), 0);
	config.vcpus = 2;
	vm_update(vm, &config, &(struct update_options){ 0 }, on_done, &r);
	assert_int_equal(r, 0);
	assert_int_equal(counter.events[MANAGER_VM_SPEC], 1);

	assert_int_equal(vm_undefine(vm, &(struct delete_options){ 0 }, &err), 0);
	assert_int_equal(counter.events[MANAGER_VM_REMOVED], 1);
	list_remove(&counter.listener.node);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, scene_set_up, scene_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_order_and_lookup), TEST(test_definitions_last), TEST(test_broken_definition),
		TEST(test_default_network), TEST(test_stale_runtime), TEST(test_restored_definition),
		TEST(test_listeners),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
