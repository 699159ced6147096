/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding a VM's process again, after a restart of hvd or a lost connection, and learning how it
 * ended.
 *
 * A process that accepts a connection at its control socket is alive and is asked for its state.
 * Where none does, systemd knows what became of the unit. Between the death of a process and systemd's
 * note of it pass milliseconds, so a unit that is still there is asked about again.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/snapshot.h"
#include "daemon/store.h"
#include "daemon/vm_private.h"
#include "vmm/base/log.h"

#define POLL_FIRST_USEC 20000ULL
#define POLL_MAX_USEC 2000000ULL
#define POLLS_UNTIL_LOST 8

static void query_unit(struct vm *vm);
static void wait_and_query(struct vm *vm);

/* It is known now whether there is a process. */
static void adopted(struct vm *vm)
{
	if (!vm->adopting)
		return;
	vm->adopting = false;
	vm->manager->adopting--;
}

void vm_apply_info(struct vm *vm, const struct unit_info *info)
{
	vm->pid = info->pid;
	vm->started_usec = info->started_usec;
	vm_set_text(&vm->cgroup, info->cgroup);
}

static void on_restarted(void *ctx, int r, const struct hvd_error *err)
{
	/* The state tells. */
}

static void forget_process(struct vm *vm)
{
	vm->control = control_client_free(vm->control);
	vm->kill_timer = sd_event_source_disable_unref(vm->kill_timer);
	vm->poll = sd_event_source_disable_unref(vm->poll);
	vm->query = unit_query_free(vm->query);
	vm->pid = 0;
	vm_set_text(&vm->cgroup, NULL);
	vm->started_usec = 0;
	vm->memory = (struct balloon_info){ 0 };
}

bool vm_end_is_failure(enum vmm_reason end)
{
	return end == VMM_REASON_ERROR || end == VMM_REASON_PANIC || end == VMM_REASON_WATCHDOG;
}

/* The storage daemons of a VM that has ended have ended too. */
static void on_storages_gone(struct vm *vm)
{
	query_unit(vm);
}

/* There is no process any more. info: what systemd says, or NULL. */
static void process_ended(struct vm *vm, const struct unit_info *info)
{
	bool restart = vm->restart_wanted && vm->end == VMM_REASON_GUEST_SHUTDOWN;
	bool failed = info && info->state == UNIT_FAILED && !vm->stop_wanted;
	bool unsettled = vm->unsettled;
	char reason[VM_REASON_MAX] = "";

	/* images are closed when it counts as ended; systemd is asked again then */
	if (vm_storages_await_end(vm, on_storages_gone))
		return;
	if (vm->manager->bus && vm_has_process(vm))
		unit_stop_slice(vm->manager->bus, &vm->running);
	if (vm_end_is_failure(vm->end) || (!failed && vm->end != VMM_REASON_NONE))
		snprintf(reason, sizeof(reason), "%s", vm->end_text ? vm->end_text : "");
	else if (failed)
		unit_describe_failure(info, &vm->running, reason, sizeof(reason));
	else if (vm_has_process(vm))
		snprintf(reason, sizeof(reason), "stopped");
	failed = failed || vm_end_is_failure(vm->end);

	forget_process(vm);
	if (info && info->state == UNIT_FAILED)
		unit_reset_failed(vm->manager->bus, vm->config.name);
	vm_remove_runtime(vm);
	adopted(vm);
	if (vm->start) {
		vm_start_ended(vm, info);
	} else {
		vm->stop_wanted = vm->restart_wanted = false;
		vm->end = VMM_REASON_NONE;
		vm_set_state(vm, failed ? VM_FAILED : VM_SHUTOFF, reason[0] ? reason : NULL);
	}
	vm_stop_finish(vm);
	snapshot_vm_ended(vm);
	if (unsettled)
		vm_operations_recover(vm);
	if (restart)
		vm_start(vm, NULL, on_restarted, NULL);
}

static void on_unit(void *ctx, int r, const struct unit_info *info, const struct hvd_error *err)
{
	struct vm *vm = ctx;
	bool found;

	vm->query = unit_query_free(vm->query);
	if (r < 0) {
		log_warning("VM %s: %s", vm->config.name, err->msg);
		wait_and_query(vm);
		return;
	}
	if (info->state != UNIT_ALIVE) {
		process_ended(vm, info);
		return;
	}
	found = vm->pid != info->pid;
	vm_apply_info(vm, info);
	if (!vm->control)
		wait_and_query(vm);
	if (found)
		manager_notify(vm->manager, MANAGER_VM_STATE, vm);
}

static void query_unit(struct vm *vm)
{
	struct hvd_error err = { 0 };

	if (!vm->manager->bus) {
		/* Nobody to ask: a process that takes no connection is taken for dead. */
		process_ended(vm, NULL);
		return;
	}
	vm->query = unit_query_free(vm->query);
	if (unit_query(vm->manager->bus, vm->config.name, on_unit, vm, &vm->query, &err) < 0) {
		log_warning("VM %s: %s", vm->config.name, err.msg);
		wait_and_query(vm);
	}
}

static int on_poll(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct vm *vm = userdata;

	vm->poll = sd_event_source_disable_unref(vm->poll);
	if (vm->start || vm->stop_wanted)
		query_unit(vm);
	else
		vm_find_process(vm);
	return 0;
}

static void wait_and_query(struct vm *vm)
{
	uint64_t delay = POLL_FIRST_USEC << MIN(vm->polls, 10u);

	if (++vm->polls == POLLS_UNTIL_LOST && !vm->start && !vm->stop_wanted) {
		adopted(vm);
		vm_set_state(vm, VM_RUNNING, "its control socket is lost; it can only be stopped");
	}
	vm->poll = sd_event_source_disable_unref(vm->poll);
	if (sd_event_add_time_relative(vm->manager->event, &vm->poll, CLOCK_MONOTONIC,
				       MIN(delay, POLL_MAX_USEC), 0, on_poll, vm) < 0)
		log_err("VM %s: out of memory, its process is not watched", vm->config.name);
}

static void on_status(void *ctx, int r, const struct control_message *reply,
		      const struct hvd_error *err)
{
	struct vm *vm = ctx;

	if (r == -EPIPE || r == -ECANCELED)
		return; /* its end is dealt with elsewhere */
	if (r < 0)
		vm_set_state(vm, VM_RUNNING, "hvd-vmm does not answer");
	else {
		if (!reply->changing)
			vm_update_recover(vm, reply->arg);
		vm_apply_message(vm, reply);
	}
	adopted(vm);
}

void vm_find_process(struct vm *vm)
{
	char path[PATH_MAX];
	int r, sock;

	r = vm_runtime_path(vm->manager, vm->config.name, "control", path);
	sock = r < 0 ? r : control_connect(path);
	if (sock >= 0)
		r = control_client_new(vm->manager->event, sock, &vm_control_ops, vm, &vm->control);
	if (sock < 0 || r < 0) {
		query_unit(vm);
		return;
	}
	r = control_client_request(vm->control, CONTROL_STATUS, 0, NULL, 0, on_status, vm, NULL);
	if (r < 0)
		vm->control = control_client_free(vm->control);
	else
		vm->polls = 0;
	/* For the pid and the cgroup; or, without a connection, for how it ended. */
	if (vm->manager->bus || r < 0)
		query_unit(vm);
}

void vm_await_end(struct vm *vm)
{
	vm->control = control_client_free(vm->control);
	vm->polls = 0;
	query_unit(vm);
}

/* Without the copy, which is a file like any other, the definition is the best guess. */
static int load_running(struct vm *vm, const char *folder)
{
	struct hvd_error err = { 0 };
	uint64_t generation;
	int r;

	r = store_load(vm->manager->xml, folder, VM_SPEC_FILE, &vm_schema, &vm->running, &generation, &err);
	if (r >= 0)
		return vm_complete(vm->manager, &vm->running, vm, &err);
	log_warning("VM %s: %s", vm->config.name, err.msg);
	return schema_copy(&vm_schema, &vm->running, &vm->config);
}

void vm_adopt(struct vm *vm)
{
	char path[PATH_MAX];

	if (vm_runtime_path(vm->manager, vm->config.name, NULL, path) < 0 || access(path, F_OK) < 0)
		return;
	if (load_running(vm, path) < 0)
		log_err("VM %s: out of memory, what it runs with is not known", vm->config.name);
	for (size_t i = 0; i < vm->running.n_nics; i++)
		vm->has_links = vm->has_links || vm->running.nics[i].interface;
	vm->unsettled = vm_runtime_path(vm->manager, vm->config.name, VM_NEXT_FILE ".xml", path) >=
				0 &&
			access(path, F_OK) == 0;
	vm_storages_adopt(vm);
	vm->adopting = true;
	vm->manager->adopting++;
	/* Nobody else runs yet; the state becomes visible when it is known. */
	vm->state = VM_STARTING;
	vm_find_process(vm);
}
