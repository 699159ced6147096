/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making a snapshot:
 *
 *	look at all images -> record, state creating -> pause -> all disks take it -> resume -> state ready
 *
 * What fails on the way: resume -> state deleting -> erased from all disks -> no record. The record says
 * creating only while it may be hvd that has paused the VM.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/snapshot_private.h"
#include "vmm/base/log.h"

#define USEC_PER_SEC 1000000ULL

static void not_undone(struct snapshot_work *work, const struct hvd_error *why)
{
	struct hvd_error err = work->err;

	hvd_err(&err, -work->err.code, "%.200s; and not all that had been made is removed again: %.200s",
		work->err.msg, why->msg);
	snapshot_work_finish(work, &err);
}

static void undone(struct snapshot_work *work)
{
	struct hvd_error err = { 0 };

	if (snapshot_remove(work->vm, work->snapshot, &err) < 0)
		not_undone(work, &err);
	else
		snapshot_work_finish(work, &work->err);
}

static void undo(struct snapshot_work *work)
{
	struct hvd_error err = { 0 };

	if (snapshot_set_state(work->vm, work->snapshot, SNAPSHOT_DELETING, &err) < 0)
		not_undone(work, &err);
	else
		snapshot_each_disk(work, SNAPSHOT_ERASE, undone, not_undone);
}

static void resumed(struct snapshot_work *work)
{
	if (work->err.code < 0 ||
	    snapshot_set_state(work->vm, work->snapshot, SNAPSHOT_READY, &work->err) < 0)
		undo(work);
	else
		snapshot_work_finish(work, NULL);
}

static void on_resumed(void *ctx, int r, const struct hvd_error *err)
{
	struct snapshot_work *work = ctx;

	if (work->dropped)
		return;
	/* its end is seen elsewhere; a VM that stays paused says so */
	if (r < 0)
		log_warning("VM %s stays paused after its snapshot: %s", work->vm->config.name, err->msg);
	resumed(work);
}

/* All disks have it, or one has failed: the guest does not wait for what follows. */
static void go_on(struct snapshot_work *work)
{
	if (!work->paused || work->vm->state != VM_PAUSED) {
		resumed(work);
		return;
	}
	work->paused = false;
	vm_resume(work->vm, on_resumed, work);
}

static void create_failed(struct snapshot_work *work, const struct hvd_error *err)
{
	work->err = *err;
	go_on(work);
}

static void on_paused(void *ctx, int r, const struct hvd_error *err)
{
	struct snapshot_work *work = ctx;

	if (work->dropped)
		return;
	if (r < 0) {
		work->paused = false;
		create_failed(work, err);
		return;
	}
	snapshot_each_disk(work, SNAPSHOT_TAKE, go_on, create_failed);
}

/* All images are as they should be. */
static void create(struct snapshot_work *work)
{
	struct vm *vm = work->vm;
	struct hvd_error err = { 0 };

	if (vm->state != work->info.vm_state && !(vm->state == VM_FAILED && work->info.vm_state == VM_SHUTOFF))
		hvd_err(&err, EBUSY, "VM %s has become %s meanwhile; try again", vm->config.name,
			vm_state_names[vm->state]);
	if (err.code || snapshot_add(vm, &work->info, &work->snapshot, &err) < 0)
		snapshot_work_finish(work, &err);
	else if ((work->paused = vm->state == VM_RUNNING))
		vm_pause(vm, on_paused, work);
	else
		snapshot_each_disk(work, SNAPSHOT_TAKE, go_on, create_failed);
}

static bool is_wanted(const struct snapshot *wanted, const char *id)
{
	for (size_t i = 0; i < wanted->n_disks; i++)
		if (strcmp(wanted->disks[i].id, id) == 0)
			return true;
	return wanted->n_disks == 0;
}

/* Can it be part of a snapshot? 0: no, and nobody says that it is to be. */
static int check_disk(const struct disk_config *disk, bool named, struct hvd_error *err)
{
	AUTO(free) char *format = NULL;

	if (disk->read_only)
		return named ? hvd_err_field(err, EINVAL, "disks", "disk %s is read-only: there is nothing of "
					     "it to be kept", disk->id)
			     : 0;
	if (disk->format == DISK_FORMAT_QCOW2 && (disk->path || disk->volume))
		return 1;
	if (field_get_text(schema_field(&disk_schema, "format"), disk, &format) < 0)
		return hvd_err(err, ENOMEM, "out of memory");
	return hvd_err_field(err, EINVAL, "disks", "disk %s is %s%s: only a qcow2 image on this host can hold a "
			     "snapshot; convert it (qemu-img convert -O qcow2), or name the disks that it is "
			     "to be of", disk->id, format, disk->path || disk->volume ? "" : " on a server");
}

/* With the file that it is in now, also of a volume. */
static int append_disk(const struct vm *vm, struct snapshot *info, const struct disk_config *disk,
		       struct hvd_error *err)
{
	struct snapshot_disk *last = field_list_append(schema_field(&snapshot_schema, "disks"), info);
	struct disk_config resolved;
	int r;

	if (!last || schema_copy(&disk_schema, &resolved, disk) < 0)
		return hvd_err(err, ENOMEM, "out of memory");
	r = vm_volume_resolve(vm->manager, &resolved, err);
	last->id = TAKE(resolved.id);
	last->path = TAKE(resolved.path);
	schema_clear(&disk_schema, &resolved);
	return r;
}

static int choose_disks(const struct vm *vm, const struct snapshot *wanted, struct snapshot *info,
			struct hvd_error *err)
{
	const struct vm_config *config = vm_has_process(vm) ? &vm->running : &vm->config;
	int r;

	for (size_t i = 0; i < wanted->n_disks; i++)
		if (vm_config_find_disk(config, wanted->disks[i].id) < 0)
			return hvd_err_in(err, hvd_err_field(err, EINVAL, "id", "VM %s has no disk %s; see hvcli "
							     "disk list %s", vm->config.name,
							     wanted->disks[i].id, vm->config.name),
					  "disks[%zu]", i);
	for (size_t i = 0; i < config->n_disks; i++) {
		if (!is_wanted(wanted, config->disks[i].id))
			continue;
		r = check_disk(&config->disks[i], wanted->n_disks > 0, err);
		if (r > 0)
			r = append_disk(vm, info, &config->disks[i], err);
		if (r < 0)
			return r;
	}
	return info->n_disks ? 0 : hvd_err(err, EBUSY, "VM %s has no disk that its guest can write to",
					   vm->config.name);
}

static int check_new(const struct vm *vm, const struct snapshot *wanted, struct hvd_error *err)
{
	const struct vm_snapshot *same = snapshot_find_any(vm, wanted->name);
	unsigned n = 0;

	if (same && same->info.state == SNAPSHOT_READY)
		return hvd_err_field(err, EEXIST, "name", "VM %s has a snapshot %s already", vm->config.name,
				     wanted->name);
	if (same)
		return hvd_err_field(err, EEXIST, "name", "there is something left of a former snapshot %s: "
				     "hvcli snapshot delete %s %s", wanted->name, vm->config.name, wanted->name);
	for (const struct vm_snapshot *s = snapshot_next(vm, NULL); s; s = snapshot_next(vm, s))
		n++;
	if (n >= SNAPSHOTS_MAX)
		return hvd_err(err, EBUSY, "VM %s has %u snapshots, which is the most; delete one",
			       vm->config.name, n);
	return vm->update || vm->unsettled ? hvd_err(err, EBUSY, "VM %s is being changed; try again", vm->config.name) : 0;
}

static int new_info(const struct vm *vm, struct snapshot *wanted, struct snapshot *ret, struct hvd_error *err)
{
	struct timespec now;
	int r = check_new(vm, wanted, err);

	if (r < 0)
		return r;
	clock_gettime(CLOCK_REALTIME, &now);
	*ret = (struct snapshot){ .state = SNAPSHOT_CREATING,
				  .vm_state = vm_has_process(vm) ? vm->state : VM_SHUTOFF,
				  .created_usec = (uint64_t)now.tv_sec * USEC_PER_SEC };
	r = choose_disks(vm, wanted, ret, err);
	ret->name = TAKE(wanted->name);
	ret->description = TAKE(wanted->description);
	return r;
}

void snapshot_create(struct vm *vm, struct snapshot *wanted, vm_progress_fn progress, vm_done_fn done,
		     void *ctx)
{
	struct snapshot_work *work = snapshot_work_new(vm, NULL, progress, done, ctx);
	struct hvd_error err = { 0 };
	int r = 0;

	if (work)
		r = new_info(vm, wanted, &work->info, &err);
	schema_clear(&snapshot_schema, wanted);
	if (!work)
		return;
	work->total = 2 * (unsigned)work->info.n_disks;
	if (r < 0)
		snapshot_work_finish(work, &err);
	else
		snapshot_each_disk(work, SNAPSHOT_LOOK, create, snapshot_work_finish);
}
