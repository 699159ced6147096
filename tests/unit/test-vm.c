/* SPDX-License-Identifier: Apache-2.0 */
/* A VM's life as hvd sees it. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/process.h"
#include "vmm/base/macro.h"

/* --- definitions */

static int define_with(struct scene *scene, void (*change)(struct vm_config *), struct hvd_error *err)
{
	struct vm_config config;
	struct vm *vm;
	int r;

	scene_spec(scene, "demo", &config);
	change(&config);
	r = vm_define(scene->manager, &config, &vm, err);
	schema_clear(&vm_schema, &config);
	return r;
}

static void no_such_kernel(struct vm_config *config)
{
	strcpy(config->boot.kernel, "/no");
}

static void relative_kernel(struct vm_config *config)
{
	strcpy(config->boot.kernel, "k");
}

static void folder_as_initrd(struct vm_config *config)
{
	config->boot.initrd = strdup("/tmp");
}

static void too_much_memory(struct vm_config *config)
{
	config->memory = 1ULL << 50;
}

static void no_such_network(struct vm_config *config)
{
	config->nics = calloc(1, sizeof(*config->nics));
	config->n_nics = 1;
	assert_int_equal(schema_init(&nic_schema, config->nics), 0);
	config->nics[0].network = strdup("nowhere");
}

static void device_as_disk(struct vm_config *config)
{
	config->disks = calloc(1, sizeof(*config->disks));
	config->n_disks = 1;
	assert_int_equal(schema_init(&disk_schema, config->disks), 0);
	config->disks[0].path = strdup("/dev/null");
}

static void target_without_balloon(struct vm_config *config)
{
	config->memory_target = config->memory / 2;
}

static void target_beyond_memory(struct vm_config *config)
{
	config->balloon = true;
	config->memory_target = config->memory * 2;
}

static void limit_without_rng(struct vm_config *config)
{
	config->rng = false;
	config->rng_bytes_per_second = 1000;
}

static void bad_cpuset(struct vm_config *config)
{
	config->resources.cpuset = strdup("3-1");
}

static void test_refused_definitions(void **state)
{
	static const struct {
		void (*change)(struct vm_config *);
		int r;
		const char *field;
	} bad[] = {
		{ no_such_kernel, -EINVAL, "boot.kernel" },
		{ relative_kernel, -EINVAL, "boot.kernel" },
		{ folder_as_initrd, -EINVAL, "boot.initrd" },
		{ too_much_memory, -ERANGE, "memory" },
		{ no_such_network, -EINVAL, "nics[0].network" },
		{ device_as_disk, -EINVAL, "disks[0].path" },
		{ target_without_balloon, -EINVAL, "memory_target" },
		{ target_beyond_memory, -EINVAL, "memory_target" },
		{ limit_without_rng, -EINVAL, "rng_bytes_per_second" },
		{ bad_cpuset, -EINVAL, "resources.cpuset" },
	};
	struct scene *scene = *state;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct hvd_error err = { 0 };

		assert_int_equal(define_with(scene, bad[i].change, &err), bad[i].r);
		assert_string_equal(err.field, bad[i].field);
	}
	assert_null(vm_next(scene->manager, NULL));
	assert_false(scene_exists(scene, "state/vms/demo.xml"));
}

static void no_change(struct vm_config *config)
{
}

static uint32_t define_vsock(struct scene *scene, const char *name, uint32_t cid,
			     struct hvd_error *err)
{
	struct vm_config config;
	struct vm *vm;

	scene_spec(scene, name, &config);
	config.vsock = true;
	config.vsock_cid = cid;
	if (vm_define(scene->manager, &config, &vm, err) < 0) {
		schema_clear(&vm_schema, &config);
		return 0;
	}
	return vm_config(vm)->vsock_cid;
}

static void test_cids(void **state)
{
	struct scene *scene = *state;
	struct hvd_error err = { 0 };

	assert_int_equal(define_vsock(scene, "a", 0, NULL), 3);
	assert_int_equal(define_vsock(scene, "b", 5, NULL), 5);
	assert_int_equal(define_vsock(scene, "c", 0, NULL), 4);
	assert_int_equal(define_vsock(scene, "d", 0xfffffffe, NULL), 0xfffffffe);
	assert_int_equal(define_vsock(scene, "e", 0, NULL), 6);
	assert_int_equal(define_vsock(scene, "f", 5, &err), 0);
	assert_string_equal(err.field, "vsock_cid");
	assert_string_equal(err.msg, "5 is that of VM b");
}

static void test_duplicates(void **state)
{
	struct scene *scene = *state;
	struct hvd_error err = { 0 };
	struct vm_config config;
	struct vm *vm = scene_define(scene, "demo"), *other;

	assert_int_equal(define_with(scene, no_change, &err), -EEXIST);
	assert_string_equal(err.field, "name");

	scene_spec(scene, "other", &config);
	memcpy(config.uuid, vm_config(vm)->uuid, sizeof(config.uuid));
	assert_int_equal(vm_define(scene->manager, &config, &other, &err), -EEXIST);
	assert_string_equal(err.field, "uuid");
	schema_clear(&vm_schema, &config);
}

static void update(struct vm *vm, struct outcome *o, uint32_t vcpus, const char *name)
{
	struct vm_config config;

	assert_int_equal(schema_copy(&vm_schema, &config, vm_config(vm)), 0);
	config.vcpus = vcpus;
	if (name) {
		free(config.name);
		config.name = strdup(name);
	}
	*o = (struct outcome){ 0 };
	vm_update(vm, &config, &(struct update_options){ 0 }, outcome_set, o);
	assert_int_equal(o->calls, 1);
	assert_null(config.name); /* taken in either outcome */
}

static void test_update(void **state)
{
	struct scene *scene = *state;
	struct vm *vm = scene_define(scene, "demo");
	struct outcome o;

	update(vm, &o, 4, NULL);
	assert_int_equal(o.r, 0);
	assert_int_equal(vm_generation(vm), 2);
	update(vm, &o, 4, NULL); /* nothing changes */
	assert_int_equal(vm_generation(vm), 2);
	update(vm, &o, 4, "renamed");
	assert_int_equal(o.r, -EINVAL);
	assert_string_equal(o.err.field, "name");
	assert_int_equal(vm_generation(vm), 2);

	scene_restart(scene);
	vm = manager_find_vm(scene->manager, "demo");
	assert_int_equal(vm_config(vm)->vcpus, 4);
	assert_int_equal(vm_generation(vm), 2);
}

/* A file that has gone since must not stand in the way of another change. */
static void test_update_without_kernel(void **state)
{
	struct scene *scene = *state;
	struct vm *vm = scene_define(scene, "demo");
	struct outcome o;

	assert_int_equal(unlink(scene->kernel), 0);
	update(vm, &o, 4, NULL);
	assert_int_equal(o.r, 0);
}

static void test_start_without_bus(void **state)
{
	struct scene *scene = *state;
	struct vm *vm = scene_define(scene, "demo");
	struct outcome o = { 0 };

	vm_start(vm, NULL, outcome_set, &o);
	assert_int_equal(o.calls, 1);
	assert_true(o.r == -EOPNOTSUPP || o.r == -ENOTCONN); /* no arm64, or no bus */
	assert_int_equal(vm_state(vm), VM_SHUTOFF);
	assert_false(scene_exists(scene, "run/vms/demo"));
}

/* --- a process that was there before hvd */

static struct vm *adopt(struct scene *scene, struct process *p, enum vmm_state vmm_state)
{
	scene_define(scene, "demo");
	return process_adopt(scene, p, vmm_state);
}

static void test_adopt(void **state)
{
	struct scene *scene = *state;
	struct process p;
	struct vm *vm = adopt(scene, &p, VMM_PAUSED);

	assert_int_equal(vm_state(vm), VM_PAUSED);
	assert_true(vm_has_process(vm));
	process_die(&p);
	scene_run(scene);
	assert_int_equal(vm_state(vm), VM_SHUTOFF);
	assert_false(scene_exists(scene, "run/vms/demo"));
}

static void test_requests(void **state)
{
	struct scene *scene = *state;
	struct outcome o = { 0 };
	struct process p;
	struct vm *vm = adopt(scene, &p, VMM_RUNNING);

	assert_int_equal(vm_state(vm), VM_RUNNING);
	vm_pause(vm, outcome_set, &o);
	process_expect(&p, CONTROL_PAUSE);
	scene_run(scene);
	assert_int_equal(o.calls, 1);
	assert_int_equal(vm_state(vm), VM_PAUSED);

	vm_resume(vm, outcome_set, &o);
	process_expect(&p, CONTROL_RESUME);
	scene_run(scene);
	assert_int_equal(vm_state(vm), VM_RUNNING);

	vm_shutdown(vm, outcome_set, &o);
	process_expect(&p, CONTROL_POWER_BUTTON);
	scene_run(scene);
	assert_int_equal(o.calls, 3);
	assert_int_equal(vm_state(vm), VM_STOPPING);
	process_die(&p);
	scene_run(scene);
}

static struct balloon_info memory_of(const struct vm *vm)
{
	struct balloon_info memory;
	struct vm_status status;

	assert_int_equal(vm_get_status(vm, &status), 0);
	memory = status.memory;
	schema_clear(&vm_status_schema, &status);
	return memory;
}

static void test_memory_of_the_guest(void **state)
{
	struct scene *scene = *state;
	struct control_message msg = {
		.version = CONTROL_VERSION, .type = CONTROL_BALLOON,
		.balloon = { .actual = 64 * MIB, .stats_usec = 7, .stats.available = 9 * MIB },
	};
	struct process p;
	struct vm *vm = adopt(scene, &p, VMM_RUNNING);

	assert_int_equal(memory_of(vm).actual, vm_config(vm)->memory);
	assert_int_equal(control_send(p.conn, &msg, NULL, 0), 0);
	scene_run(scene);
	assert_int_equal(vm_state(vm), VM_RUNNING);
	assert_int_equal(memory_of(vm).actual, 64 * MIB);
	assert_int_equal(memory_of(vm).stats.available, 9 * MIB);
	assert_int_equal(memory_of(vm).stats_usec, 7);

	process_die(&p);
	scene_run(scene);
	assert_int_equal(memory_of(vm).actual, 0);
}

static void check_end(struct scene *scene, enum vmm_reason reason, const char *text,
		      enum vm_state want, const char *want_reason)
{
	struct vm_status status;
	struct process p;
	struct vm *vm = adopt(scene, &p, VMM_RUNNING);

	process_tell(&p, VMM_STOPPED, reason, text);
	process_die(&p);
	scene_run(scene);
	assert_int_equal(vm_state(vm), want);
	assert_int_equal(vm_get_status(vm, &status), 0);
	assert_string_equal(status.reason, want_reason);
	assert_int_equal(status.pid, 0);
	schema_clear(&vm_status_schema, &status);
}

static void test_guest_shuts_down(void **state)
{
	check_end(*state, VMM_REASON_GUEST_SHUTDOWN, "", VM_SHUTOFF, "guest shut down");
}

static void test_guest_panics(void **state)
{
	check_end(*state, VMM_REASON_PANIC, "the guest panicked", VM_FAILED, "the guest panicked");
}

static void test_watchdog_fires(void **state)
{
	check_end(*state, VMM_REASON_WATCHDOG, "not quiet", VM_FAILED, "not quiet");
}

static void expect_state(const struct vm *vm, enum vm_state want, const char *want_reason)
{
	struct vm_status status;

	assert_int_equal(vm_get_status(vm, &status), 0);
	assert_int_equal(status.state, want);
	assert_string_equal(status.reason ? status.reason : "", want_reason);
	schema_clear(&vm_status_schema, &status);
}

/* What has happened to a VM that goes on: told until its next change, and not a change of its state. */
static void test_remarks(void **state)
{
	struct scene *scene = *state;
	struct outcome outcome = { 0 };
	struct process p;
	struct vm *vm = adopt(scene, &p, VMM_RUNNING);

	process_tell(&p, VMM_RUNNING, VMM_REASON_WATCHDOG, "was reset");
	scene_run(scene);
	expect_state(vm, VM_RUNNING, "was reset");
	process_tell(&p, VMM_RUNNING, VMM_REASON_NONE, "");
	scene_run(scene);
	expect_state(vm, VM_RUNNING, "");

	vm_shutdown(vm, outcome_set, &outcome);
	process_expect(&p, CONTROL_POWER_BUTTON);
	scene_run(scene);
	assert_int_equal(vm_state(vm), VM_STOPPING);
	process_tell(&p, VMM_RUNNING, VMM_REASON_WATCHDOG, "not quiet");
	scene_run(scene);
	assert_int_equal(vm_state(vm), VM_STOPPING);
	process_tell(&p, VMM_PAUSED, VMM_REASON_PANIC, "the guest panicked");
	scene_run(scene);
	expect_state(vm, VM_PAUSED, "the guest panicked");
}

static void test_vmm_fails(void **state)
{
	struct scene *scene = *state;
	struct vm_status status;
	struct vm *vm;

	check_end(scene, VMM_REASON_ERROR, "KVM_RUN: Bad address", VM_FAILED, "KVM_RUN: Bad address");

	/* A restart of hvd does not forget it, */
	scene_restart(scene);
	vm = manager_find_vm(scene->manager, "demo");
	assert_int_equal(vm_state(vm), VM_FAILED);
	assert_int_equal(vm_get_status(vm, &status), 0);
	assert_string_equal(status.reason, "KVM_RUN: Bad address");
	schema_clear(&vm_status_schema, &status);

	/* the end of the definition does. */
	assert_true(scene_exists(scene, "run/failed/demo"));
	assert_int_equal(vm_undefine(vm, &(struct delete_options){ 0 }, NULL), 0);
	assert_false(scene_exists(scene, "run/failed/demo"));
}

static void test_stop(void **state)
{
	struct scene *scene = *state;
	struct outcome first = { 0 }, second = { 0 };
	struct hvd_error err = { 0 };
	struct process p;
	struct vm *vm = adopt(scene, &p, VMM_RUNNING);

	assert_int_equal(vm_undefine(vm, &(struct delete_options){ 0 }, &err), -EBUSY);
	vm_stop(vm, outcome_set, &first);
	vm_stop(vm, outcome_set, &second);
	process_expect(&p, CONTROL_STOP);
	scene_run(scene);
	assert_int_equal(vm_state(vm), VM_STOPPING);
	assert_int_equal(first.calls, 0); /* not before the process is gone */

	process_die(&p);
	scene_run(scene);
	assert_int_equal(vm_state(vm), VM_SHUTOFF);
	assert_int_equal(first.calls, 1);
	assert_int_equal(second.calls, 1);
	assert_int_equal(first.r, 0);
	assert_int_equal(vm_undefine(vm, &(struct delete_options){ 0 }, &err), 0);
}

static int on_accept(sd_event_source *s, int fd, uint32_t events, void *userdata)
{
	struct process *p = userdata;

	p->conn = accept4(fd, NULL, NULL, SOCK_NONBLOCK);
	assert_true(p->conn >= 0);
	return 0;
}

static int on_request(sd_event_source *s, int fd, uint32_t events, void *userdata)
{
	struct process *p = userdata;

	process_expect(p, CONTROL_STATUS);
	return 0;
}

/* The connection breaks, the process lives: hvd comes back to it. */
static void test_reconnect(void **state)
{
	struct scene *scene = *state;
	struct process p;
	struct vm *vm = adopt(scene, &p, VMM_RUNNING);

	close(p.conn);
	p.conn = -1;
	assert_int_equal(sd_event_add_io(scene->event, NULL, p.listener, EPOLLIN, on_accept, &p), 0);
	while (p.conn < 0)
		assert_true(sd_event_run(scene->event, UINT64_MAX) >= 0);
	assert_int_equal(sd_event_add_io(scene->event, NULL, p.conn, EPOLLIN, on_request, &p), 0);
	p.vmm_state = VMM_PAUSED;
	while (vm_state(vm) != VM_PAUSED)
		assert_true(sd_event_run(scene->event, UINT64_MAX) >= 0);
}

static void test_console(void **state)
{
	struct scene *scene = *state;
	struct outcome o = { 0 };
	struct process p;
	int fd = -1;
	struct vm *vm = adopt(scene, &p, VMM_RUNNING);

	vm_console(vm, true, &fd, outcome_set, &o);
	process_expect(&p, CONTROL_CONSOLE);
	scene_run(scene);
	assert_int_equal(o.calls, 1);
	assert_int_equal(o.r, 0);
	assert_true(fd >= 0);
	close(fd);

	/* hvd ends with a request under way */
	vm_console(vm, true, &fd, outcome_set, &o);
	scene_stop(scene);
	assert_int_equal(o.calls, 2);
	assert_int_equal(o.r, -ECANCELED);
	process_die(&p);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, scene_set_up, scene_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_refused_definitions), TEST(test_cids), TEST(test_duplicates), TEST(test_update),
		TEST(test_update_without_kernel), TEST(test_start_without_bus), TEST(test_adopt),
		TEST(test_requests), TEST(test_memory_of_the_guest), TEST(test_guest_shuts_down),
		TEST(test_guest_panics), TEST(test_watchdog_fires), TEST(test_remarks),
		TEST(test_vmm_fails),
		TEST(test_stop), TEST(test_reconnect), TEST(test_console),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
