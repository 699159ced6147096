/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Completing what was left of the work on snapshots, by this hvd or by a former one. Tries become rarer; after some
 * the snapshot is shown to clients as it is, until the next hvd, or the end of the VM.
 */
#include <errno.h>
#include <time.h>

#include "daemon/operation.h"
#include "daemon/snapshot_private.h"
#include "vmm/base/log.h"

#define RETRY_FIRST_USEC 500000ULL
#define RETRY_MAX_USEC   (60 * 1000000ULL)
#define TRIES            5

static struct vm_snapshot *first_left(const struct vm *vm)
{
	struct vm_snapshot *snapshot;

	list_for_each(snapshot, &vm->snapshots, node)
		if (snapshot->info.state != SNAPSHOT_READY && !snapshot->unresolved)
			return snapshot;
	return NULL;
}

bool snapshot_is_left(const struct vm *vm)
{
	return first_left(vm);
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct vm *vm = userdata;

	vm->snapshot_retry = sd_event_source_disable_unref(vm->snapshot_retry);
	snapshot_recover(vm);
	return 0;
}

void snapshot_recover_later(struct vm *vm)
{
	uint64_t delay = RETRY_FIRST_USEC << MIN(vm->snapshot_tries, 10u);

	vm->snapshot_tries++;
	vm->snapshot_retry = sd_event_source_disable_unref(vm->snapshot_retry);
	if (sd_event_add_time_relative(vm->manager->event, &vm->snapshot_retry, CLOCK_MONOTONIC,
				       MIN(delay, RETRY_MAX_USEC), 0, on_retry, vm) < 0)
		log_err("VM %s: out of memory, what is left of a snapshot stays", vm->config.name);
}

static void on_recovered(void *ctx, int r, const struct hvd_error *err)
{
	struct vm *vm = ctx;
	struct vm_snapshot *snapshot = first_left(vm);

	if (vm->manager->stopping)
		return;
	if (r < 0 && snapshot && vm->snapshot_tries < TRIES) {
		snapshot_recover_later(vm);
		return;
	}
	if (r < 0 && snapshot) {
		log_warning("VM %s: snapshot %s is left %s: %s", vm->config.name, snapshot->info.name,
			    snapshot_state_names[snapshot->info.state], err->msg);
		snapshot->unresolved = true;
	}
	vm->snapshot_tries = 0;
	if (first_left(vm)) {
		snapshot_recover(vm);
		return;
	}
	/* it is known what has become of all, as far as it can be */
	operations_recover(vm->manager->operations);
	vm_start_go_on(vm);
}

static void complete_left(struct snapshot_work *work)
{
	if (work->snapshot->info.state == SNAPSHOT_REVERTING)
		snapshot_each_disk(work, SNAPSHOT_APPLY, snapshot_work_reverted, snapshot_work_finish);
	else
		snapshot_each_disk(work, SNAPSHOT_ERASE, snapshot_work_remove, snapshot_work_finish);
}

/* Of a VM that is off the images were in the hands of a qemu-img that may have been killed in the middle. */
static void repair_left(struct snapshot_work *work)
{
	if (vm_has_process(work->vm) && work->vm->running.name)
		complete_left(work);
	else
		snapshot_each_disk(work, SNAPSHOT_REPAIR, complete_left, snapshot_work_finish);
}

static void remove_left(struct snapshot_work *work)
{
	struct hvd_error err = { 0 };

	if (snapshot_set_state(work->vm, work->snapshot, SNAPSHOT_DELETING, &err) < 0)
		snapshot_work_finish(work, &err);
	else
		repair_left(work);
}

static void on_left_resumed(void *ctx, int r, const struct hvd_error *err)
{
	struct snapshot_work *work = ctx;

	if (work->dropped)
		return;
	if (r < 0)
		snapshot_work_finish(work, err);
	else
		remove_left(work);
}

/* A VM that the guest's own error has paused, or hvd-vmm, has a reason. */
static bool is_paused_by_hvd(const struct vm *vm, const struct snapshot *info)
{
	return vm->state == VM_PAUSED && !vm->reason && info->state == SNAPSHOT_CREATING &&
	       info->vm_state == VM_RUNNING;
}

void snapshot_recover(struct vm *vm)
{
	struct vm_snapshot *snapshot = first_left(vm);
	struct snapshot_work *work;

	if (!snapshot || vm->snapshot_work)
		return;
	work = snapshot_work_new(vm, snapshot, NULL, on_recovered, vm);
	if (!work)
		return;
	work->recovering = true;
	if (is_paused_by_hvd(vm, &snapshot->info))
		vm_resume(vm, on_left_resumed, work);
	else if (snapshot->info.state == SNAPSHOT_REVERTING)
		repair_left(work);
	else
		remove_left(work);
}

bool snapshot_is_recovering(const struct vm *vm)
{
	return first_left(vm) && (vm->snapshot_retry || (vm->snapshot_work && vm->snapshot_work->recovering));
}

void snapshot_vm_ended(struct vm *vm)
{
	struct vm_snapshot *snapshot;

	list_for_each(snapshot, &vm->snapshots, node)
		snapshot->unresolved = false;
	snapshot_recover(vm);
}
