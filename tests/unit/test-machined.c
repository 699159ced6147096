/* SPDX-License-Identifier: Apache-2.0 */
/* Registration with systemd-machined, with the test in its place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/machined.h"
#include "daemon/vm_private.h"
#include "tests/unit/peers.h"
#include "tests/unit/scene.h"
#include "vmm/base/log.h"

#define MACHINED "org.freedesktop.machine1"

struct fixture {
	struct scene *scene;
	struct peers peers;
	struct vm *vm;
	struct machined *machined;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	void *scene;

	assert_non_null(f);
	log_open(LOG_CRIT);
	assert_int_equal(scene_set_up(&scene), 0);
	f->scene = scene;
	f->vm = scene_define(f->scene, "demo");
	assert_int_equal(peers_open(&f->peers), 0);
	f->scene->manager->bus = sd_bus_ref(f->peers.client);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	void *scene = f->scene;

	machined_free(f->machined);
	f->vm->pid = 0;
	f->scene->manager->bus = sd_bus_unref(f->scene->manager->bus);
	peers_close(&f->peers);
	scene_tear_down(&scene);
	free(f);
	return 0;
}

/* What hvd has sent; NULL: nothing. */
static sd_bus_message *take(struct fixture *f)
{
	sd_bus_message *m = NULL;

	sd_bus_flush(f->peers.client);
	for (int r = 1; r > 0 && !m;)
		r = sd_bus_process(f->peers.server, &m);
	return m;
}

static void expect_registration(struct fixture *f, uint32_t pid, const char *error)
{
	AUTO(sd_bus_message_unref) sd_bus_message *m = take(f);
	const char *name, *service, *class, *root;
	const void *id, *interfaces;
	uint32_t leader;
	size_t n;

	assert_non_null(m);
	assert_true(sd_bus_message_is_method_call(m, MACHINED ".Manager", "RegisterMachineWithNetwork"));
	assert_string_equal(sd_bus_message_get_signature(m, true), "sayssusai");
	assert_true(sd_bus_message_read(m, "s", &name) > 0);
	assert_true(sd_bus_message_read_array(m, 'y', &id, &n) > 0);
	assert_int_equal(n, 16);
	assert_memory_equal(id, vm_config(f->vm)->uuid, 16);
	assert_true(sd_bus_message_read(m, "ssus", &service, &class, &leader, &root) > 0);
	assert_string_equal(name, "demo");
	assert_string_equal(service, "hvd");
	assert_string_equal(class, "vm");
	assert_string_equal(root, "");
	assert_int_equal(leader, pid);
	assert_true(sd_bus_message_read_array(m, 'i', &interfaces, &n) >= 0);
	assert_int_equal(n, 0);
	if (error)
		assert_true(sd_bus_reply_method_errorf(m, error, "no") >= 0);
	else
		assert_true(sd_bus_reply_method_return(m, "o", "/org/freedesktop/machine1/machine/demo") >= 0);
	sd_bus_flush(f->peers.server);
	while (sd_bus_process(f->peers.client, NULL) > 0)
		;
}

static void expect_nothing(struct fixture *f)
{
	assert_null(take(f));
}

static void change(struct fixture *f, uint32_t pid)
{
	f->vm->pid = pid;
	manager_notify(f->scene->manager, MANAGER_VM_STATE, f->vm);
}

/* Once for each process that the VM has. */
static void test_follows(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(machined_new(f->scene->manager, &f->machined), 0);
	expect_nothing(f);
	change(f, 4711);
	expect_registration(f, 4711, NULL);
	change(f, 4711);
	expect_nothing(f);
	change(f, 0);
	expect_nothing(f);
	change(f, 4712);
	expect_registration(f, 4712, NULL);
}

/* A VM that runs when hvd starts, whose registration machined still has. */
static void test_adopted(void **state)
{
	struct fixture *f = *state;

	f->vm->pid = 99;
	assert_int_equal(machined_new(f->scene->manager, &f->machined), 0);
	expect_registration(f, 99, MACHINED ".MachineExists");
	change(f, 99);
	expect_nothing(f);
}

/* Without machined, and when hvd ends before it has answered, nothing else is different. */
static void test_absent(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(machined_new(f->scene->manager, &f->machined), 0);
	change(f, 1);
	expect_registration(f, 1, SD_BUS_ERROR_SERVICE_UNKNOWN);
	change(f, 2);
	expect_registration(f, 2, SD_BUS_ERROR_SERVICE_UNKNOWN);
	change(f, 3);
	f->machined = machined_free(f->machined);
	change(f, 4);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = { TEST(test_follows), TEST(test_adopted), TEST(test_absent) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
