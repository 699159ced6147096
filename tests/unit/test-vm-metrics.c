/* SPDX-License-Identifier: Apache-2.0 */
/* Measuring VMs, with the test in the place of hvd-vmm; and the kernel's texts. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/vm_schema.h"
#include "daemon/kernel_text.h"
#include "daemon/metrics.h"
#include "daemon/vm_private.h"
#include "tests/unit/process.h"
#include "vmm/base/macro.h"

/* ---- texts ---- */

static void test_kernel_text(void **state)
{
	static const char stat[] = "usage_usec 12\nuser_usec 7\nsystem_usec 5\nnr_periods 0\n";
	static const char pressure[] = "some avg10=1.00 avg60=0.00 avg300=0.00 total=123\n"
				       "full avg10=0.00 avg60=0.00 avg300=0.00 total=45\n";
	static const char thread[] = "42 (vcpu 0) 7 (x)) S 1 2 3";

	assert_int_equal(kernel_text_value(stat, "user_usec"), 7);
	assert_int_equal(kernel_text_value(stat, "user"), 0);
	assert_int_equal(kernel_text_value(stat, "usec"), 0);
	assert_int_equal(kernel_text_value(stat, "nr_throttled"), 0);
	assert_int_equal(kernel_text_value("MemTotal:       16 kB\n", "MemTotal"), 16);
	assert_int_equal(kernel_text_value("a\nb 2\n", "a"), 0);
	assert_int_equal(kernel_text_value("", "a"), 0);
	assert_int_equal(kernel_text_pressure(pressure, "some"), 123);
	assert_int_equal(kernel_text_pressure(pressure, "full"), 45);
	assert_int_equal(kernel_text_pressure("some avg10=1.00\nfull total=45\n", "some"), 0);
	assert_int_equal(kernel_text_pressure("", "some"), 0);
	assert_int_equal(kernel_text_number("12 34 56\n", 0), 12);
	assert_int_equal(kernel_text_number("12 34 56\n", 2), 56);
	assert_int_equal(kernel_text_number("12 34 56\n78\n", 3), 0);
	assert_int_equal(kernel_text_number("max\n", 0), 0);
	assert_string_equal(kernel_text_stat(thread), "S 1 2 3");
	assert_string_equal(kernel_text_stat("no name"), "");
	assert_string_equal(kernel_text_stat("1 (a)"), "");
}

/* ---- VMs ---- */

struct seen {
	int calls, r;
	struct vm_metrics copy; /* of the first VM */
	size_t n;
};

static void on_measured(void *ctx, int r, const struct vm_metrics *vms, size_t n)
{
	struct seen *seen = ctx;

	seen->calls++;
	seen->r = r;
	seen->n = n;
	schema_clear(&vm_metrics_schema, &seen->copy);
	if (n)
		assert_int_equal(schema_copy(&vm_metrics_schema, &seen->copy, &vms[0]), 0);
}

static void seen_clear(struct seen *seen)
{
	schema_clear(&vm_metrics_schema, &seen->copy);
	*seen = (struct seen){ 0 };
}

static void send_part(struct process *p, uint32_t serial, const char *id,
		      const struct control_counters *counters)
{
	struct control_message msg = { .version = CONTROL_VERSION, .type = CONTROL_COUNTERS,
				       .serial = serial, .counters = *counters };

	snprintf(msg.field, sizeof(msg.field), "%s", id);
	assert_int_equal(control_send(p->conn, &msg, NULL, 0), 0);
}

static void take_count(struct process *p, struct control_message *msg)
{
	int fds[CONTROL_MAX_FDS];

	assert_int_equal(process_take(p, CONTROL_COUNT, msg, fds), 0);
}

static void test_measure(void **state)
{
	struct scene *scene = *state;
	struct process p;
	struct vm *vm;
	struct control_message msg;
	struct seen seen = { 0 };

	scene_define(scene, "demo");
	vm = process_adopt(scene, &p, VMM_RUNNING);
	vm->pid = (uint32_t)getpid();
	metrics_measure(scene->manager->metrics, vm, on_measured, &seen);
	take_count(&p, &msg);
	assert_int_equal(seen.calls, 0);
	send_part(&p, msg.serial, "", &(struct control_counters){ COUNTERS_VM, 0, 1, 1, { 3 } });
	/* of a newer hvd-vmm, which knows one more counter */
	send_part(&p, msg.serial, "",
		  &(struct control_counters){ COUNTERS_VCPU, 0, 1, _VCPU_COUNTER_MAX + 1,
					      { [VCPU_TID] = (uint64_t)getpid(), [VCPU_EXITS] = 8,
						[VCPU_HALT_WAIT_NS] = 5000 } });
	/* what the VM does not have, what is too much, what nobody has asked for */
	send_part(&p, msg.serial, "",
		  &(struct control_counters){ COUNTERS_VCPU, 400, 1, 2, { 1, 1 } });
	send_part(&p, msg.serial, "nothing", &(struct control_counters){ COUNTERS_DISK, 0, 1, 1, { 9 } });
	send_part(&p, msg.serial, "nothing", &(struct control_counters){ COUNTERS_NIC, 0, 1, 1, { 9 } });
	send_part(&p, msg.serial, "", &(struct control_counters){ COUNTERS_VM, 0, 50, 50, { 77 } });
	send_part(&p, msg.serial, "", &(struct control_counters){ COUNTERS_VM, 0, UINT32_MAX, UINT32_MAX, { 77 } });
	send_part(&p, msg.serial, "", &(struct control_counters){ 99, 0, 1, 1, { 77 } });
	send_part(&p, msg.serial + 1, "", &(struct control_counters){ COUNTERS_VM, 0, 1, 1, { 77 } });
	process_answer(&p, &msg, 0, "");
	scene_run(scene);

	assert_int_equal(seen.calls, 1);
	assert_int_equal(seen.r, 0);
	assert_int_equal(seen.n, 1);
	assert_string_equal(seen.copy.name, "demo");
	assert_true(seen.copy.up);
	assert_int_equal(seen.copy.resets, 3);
	assert_int_equal(seen.copy.n_vcpus, vm_running(vm)->vcpus);
	assert_int_equal(seen.copy.vcpus[0].exits, 8);
	assert_int_equal(seen.copy.vcpus[0].halt_wait_usec, 5);
	assert_true(seen.copy.vcpus[0].cpu_usec > 0); /* of this very thread */
	assert_int_equal(seen.copy.n_disks, 0);
	assert_int_equal(seen.copy.guest_memory.actual, vm_running(vm)->memory);
	seen_clear(&seen);
	vm->pid = 0;
}

/* Disks that are attached between the question and the answer have no room in that. */
static void test_disks_come_meanwhile(void **state)
{
	const struct field *disks = schema_field(&vm_schema, "disks");
	struct scene *scene = *state;
	struct process p;
	struct vm *vm;
	struct control_message msg;
	struct seen seen = { 0 };

	scene_define(scene, "demo");
	vm = process_adopt(scene, &p, VMM_RUNNING);
	metrics_measure(scene->manager->metrics, vm, on_measured, &seen);
	take_count(&p, &msg);
	for (unsigned i = 0; i < 4; i++) {
		struct disk_config *disk = field_list_append(disks, &vm->running);

		assert_non_null(disk);
		disk->id = strdup((char[]){ (char)('a' + i), '\0' });
		send_part(&p, msg.serial, disk->id, &(struct control_counters){ COUNTERS_DISK, 0, 1, 1, { 9 } });
	}
	process_answer(&p, &msg, 0, "");
	scene_run(scene);
	assert_int_equal(seen.calls, 1);
	assert_int_equal(seen.copy.n_disks, 0);
	seen_clear(&seen);
}

/* One round at a time, however many ask; those that come late get the next one. */
static void test_rounds(void **state)
{
	struct scene *scene = *state;
	struct process p;
	struct control_message first, second;
	struct seen seen[3] = { 0 };

	scene_define(scene, "demo");
	process_adopt(scene, &p, VMM_RUNNING);
	scene_define(scene, "off");
	for (size_t i = 0; i < 3; i++)
		metrics_measure(scene->manager->metrics, NULL, on_measured, &seen[i]);
	take_count(&p, &first);
	process_expect_nothing(&p);
	process_answer(&p, &first, 0, "");
	scene_run(scene);
	assert_int_equal(seen[0].calls, 1);
	assert_int_equal(seen[0].n, 2);
	assert_int_equal(seen[1].calls + seen[2].calls, 0);
	take_count(&p, &second);
	process_expect_nothing(&p);
	/* one that does not know how */
	process_answer(&p, &second, -EOPNOTSUPP, "what?");
	scene_run(scene);
	for (size_t i = 1; i < 3; i++) {
		assert_int_equal(seen[i].calls, 1);
		assert_int_equal(seen[i].r, 0);
		assert_int_equal(seen[i].n, 2);
		assert_false(seen[i].copy.up);
		assert_int_equal(seen[i].copy.n_vcpus, 0);
	}
	for (size_t i = 0; i < 3; i++)
		seen_clear(&seen[i]);
}

/* hvd ends, the process dies: whoever has asked is told. */
static void test_ends(void **state)
{
	struct scene *scene = *state;
	struct process p;
	struct control_message msg;
	struct seen one = { 0 }, all = { 0 }, late = { 0 };

	scene_define(scene, "demo");
	process_adopt(scene, &p, VMM_RUNNING);
	metrics_measure(scene->manager->metrics, NULL, on_measured, &all);
	metrics_measure(scene->manager->metrics, manager_find_vm(scene->manager, "demo"), on_measured,
			&one);
	metrics_measure(scene->manager->metrics, NULL, on_measured, &late);
	take_count(&p, &msg);
	scene_stop(scene);
	assert_int_equal(one.calls, 1);
	assert_int_equal(all.calls, 1);
	assert_false(all.copy.up);
	assert_int_equal(late.calls, 1);
	assert_int_equal(late.r, -EAGAIN);
	seen_clear(&one);
	seen_clear(&all);
}

static void test_host(void **state)
{
	struct scene *scene = *state;
	struct host_metrics host = { 0 };

	scene_define(scene, "a");
	scene_define(scene, "b");
	scene->manager->traffic.answers[200] = 5;
	assert_int_equal(metrics_host(scene->manager, &host), 0);
	assert_string_equal(host.version, PACKAGE_VERSION);
	assert_int_equal(host.states[VM_SHUTOFF].vms, 2);
	assert_int_equal(host.n_codes, 1);
	assert_int_equal(host.codes[0].code, 200);
	assert_int_equal(host.codes[0].requests, 5);
	assert_true(host.resident > MIB && host.memory_available > MIB);
	assert_true(host.open_fds > 2 && host.events > 0 && host.cpus > 0);
	schema_clear(&host_metrics_schema, &host);
}

#define WITH_SCENE(f) cmocka_unit_test_setup_teardown(f, scene_set_up, scene_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kernel_text),
		WITH_SCENE(test_measure),
		WITH_SCENE(test_disks_come_meanwhile),
		WITH_SCENE(test_rounds),
		WITH_SCENE(test_ends),
		WITH_SCENE(test_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
