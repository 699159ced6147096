/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/snapshot_private.h"

#define USEC_PER_SEC 1000000ULL

static void work_free(struct snapshot_work *work)
{
	work->vm->snapshot_work = NULL;
	snapshot_image_free(work->image);
	schema_clear(&snapshot_schema, &work->info);
	free(work);
}

void snapshot_work_finish(struct snapshot_work *work, const struct hvd_error *err)
{
	struct hvd_error own = err ? *err : (struct hvd_error){ 0 };
	struct vm *vm = work->vm;
	vm_done_fn done = work->done;
	void *ctx = work->ctx;

	if (!work->recovering && !work->dropped && snapshot_is_left(vm))
		snapshot_recover_later(vm);
	work_free(work);
	done(ctx, own.code, own.code < 0 ? &own : NULL);
}

struct snapshot_work *snapshot_work_new(struct vm *vm, struct vm_snapshot *snapshot, vm_progress_fn progress,
				      vm_done_fn done, void *ctx)
{
	struct snapshot_work *work = calloc(1, sizeof(*work));
	struct hvd_error err = { 0 };

	if (!work) {
		done(ctx, hvd_err(&err, ENOMEM, "out of memory"), &err);
		return NULL;
	}
	*work = (struct snapshot_work){ .vm = vm, .snapshot = snapshot, .progress = progress, .done = done,
					.ctx = ctx };
	if (snapshot)
		work->before = snapshot->info.state;
	vm->snapshot_work = work;
	return work;
}

/* ---- one disk after the other ---- */

static void next_disk(struct snapshot_work *work);

int snapshot_same_disk(const struct vm *vm, const struct vm_config *config, const struct snapshot_disk *disk,
		       struct disk_config *ret, struct hvd_error *err)
{
	int at = vm_config_find_disk(config, disk->id);

	if (at < 0)
		return 0;
	if (schema_copy(&disk_schema, ret, &config->disks[at]) < 0)
		return hvd_err(err, ENOMEM, "out of memory");
	if (vm_volume_resolve(vm->manager, ret, NULL) >= 0 && ret->path && strcmp(ret->path, disk->path) == 0)
		return 1;
	schema_clear(&disk_schema, ret);
	return 0;
}

/* What was seen at a disk. 0, or negative: no further. */
static int judge(struct snapshot_work *work, struct snapshot_disk *disk,
		 const struct snapshot_image_info *seen, struct hvd_error *err)
{
	if (work->action != SNAPSHOT_LOOK)
		return 0;
	if (!work->snapshot && seen->present)
		return hvd_err(err, EEXIST, "disk %s: its image has a snapshot %s already, which hvd has not "
			       "made", disk->id, snapshot_work_info(work)->name);
	if (work->snapshot && !seen->present)
		return hvd_err(err, EBUSY, "disk %s: its image has no snapshot %s any more: something else "
			       "than hvd has removed it; all that is left to do is to delete it", disk->id,
			       snapshot_work_info(work)->name);
	if (!work->snapshot)
		disk->size = seen->size;
	return 0;
}

static void on_image(void *ctx, int r, const struct snapshot_image_info *seen, const struct hvd_error *err)
{
	struct snapshot_work *work = ctx;
	struct hvd_error own = err ? *err : (struct hvd_error){ 0 };

	work->image = snapshot_image_free(work->image);
	if (r >= 0)
		r = judge(work, &snapshot_work_info(work)->disks[work->next], seen, &own);
	if (r < 0) {
		work->failed(work, &own);
		return;
	}
	work->next++;
	if (work->progress && !work->err.code)
		work->progress(work->ctx, ++work->steps, work->total);
	next_disk(work);
}

static int ask_disk(struct snapshot_work *work, const struct snapshot_disk *of, struct hvd_error *err)
{
	struct vm *vm = work->vm;
	/* its image may be that of no disk any more */
	const struct disk_config alone = { .id = of->id, .path = of->path, .format = DISK_FORMAT_QCOW2 };
	struct disk_config found = { 0 };
	int r;

	r = snapshot_same_disk(vm, &vm->running, of, &found, err);
	if (r == 0)
		r = snapshot_same_disk(vm, &vm->config, of, &found, err);
	if (r < 0)
		return r;
	r = snapshot_image_do(vm, r ? &found : &alone, snapshot_work_info(work)->name, work->action, on_image,
			      work, &work->image, err);
	schema_clear(&disk_schema, &found);
	return r;
}

/* With its image a snapshot is gone as well. */
static bool is_gone(const char *path)
{
	return access(path, F_OK) < 0 && errno == ENOENT;
}

static void next_disk(struct snapshot_work *work)
{
	struct snapshot *info = snapshot_work_info(work);
	struct hvd_error err = { 0 };

	while (work->next < info->n_disks &&
	       (work->action == SNAPSHOT_ERASE || work->action == SNAPSHOT_REPAIR) &&
	       is_gone(info->disks[work->next].path))
		work->next++;
	if (work->next == info->n_disks) {
		work->then(work);
		return;
	}
	if (ask_disk(work, &info->disks[work->next], &err) < 0)
		work->failed(work, &err);
}

void snapshot_each_disk(struct snapshot_work *work, enum snapshot_action action,
		      void (*then)(struct snapshot_work *work),
		      void (*failed)(struct snapshot_work *work, const struct hvd_error *err))
{
	work->action = action;
	work->next = 0;
	work->then = then;
	work->failed = failed;
	next_disk(work);
}

/* ---- going back to one, removing one ---- */

/* Where the first of the disks was not changed, all is as it was. */
static void stop_at_disk(struct snapshot_work *work, const struct hvd_error *err, const char *else_text)
{
	struct hvd_error own = *err;

	if (work->next == 0)
		snapshot_set_state(work->vm, work->snapshot, work->before, NULL);
	else
		hvd_err(&own, -err->code, "%.240s; %s", err->msg, else_text);
	work->snapshot->unresolved = work->snapshot->info.state != SNAPSHOT_READY;
	snapshot_work_finish(work, &own);
}

void snapshot_work_reverted(struct snapshot_work *work)
{
	struct timespec now;
	struct hvd_error err = { 0 };

	clock_gettime(CLOCK_REALTIME, &now);
	work->snapshot->info.reverted_usec =
		(uint64_t)now.tv_sec * USEC_PER_SEC + (uint64_t)now.tv_nsec / 1000;
	if (snapshot_set_state(work->vm, work->snapshot, SNAPSHOT_READY, &err) >= 0)
		work->snapshot->unresolved = false;
	vm_volumes_changed(work->vm);
	snapshot_work_finish(work, &err);
}

void snapshot_work_remove(struct snapshot_work *work)
{
	struct hvd_error err = { 0 };

	snapshot_remove(work->vm, work->snapshot, &err);
	snapshot_work_finish(work, &err);
}

static void revert_failed(struct snapshot_work *work, const struct hvd_error *err)
{
	stop_at_disk(work, err, "some disks are reverted and others not, the VM cannot start: revert it "
			     "again, or delete the snapshot");
}

static void revert(struct snapshot_work *work)
{
	struct hvd_error err = { 0 };

	if (snapshot_set_state(work->vm, work->snapshot, SNAPSHOT_REVERTING, &err) < 0)
		snapshot_work_finish(work, &err);
	else
		snapshot_each_disk(work, SNAPSHOT_APPLY, snapshot_work_reverted, revert_failed);
}

/* Are its disks still those of the VM? */
static int check_revert(const struct vm *vm, const struct snapshot *info, struct hvd_error *err)
{
	for (size_t i = 0; i < info->n_disks; i++) {
		const struct snapshot_disk *disk = &info->disks[i];
		struct disk_config now = { 0 };
		int r = snapshot_same_disk(vm, &vm->config, disk, &now, err);
		bool read_only = now.read_only;

		schema_clear(&disk_schema, &now);
		if (r < 0)
			return r;
		if (!r && vm_config_find_disk(&vm->config, disk->id) < 0)
			return hvd_err(err, EBUSY, "VM %s has no disk %s any more, which the snapshot is of: "
				       "attach it again (%s), or delete the snapshot", vm->config.name, disk->id,
				       disk->path);
		if (!r)
			return hvd_err(err, EBUSY, "disk %s is another image now: the snapshot is within %s",
				       disk->id, disk->path);
		if (read_only)
			return hvd_err(err, EBUSY, "disk %s is read-only now", disk->id);
	}
	return 0;
}

/* NULL: done has been called. */
static struct snapshot_work *begin(struct vm *vm, const char *name, vm_progress_fn progress, vm_done_fn done,
				   void *ctx)
{
	struct vm_snapshot *snapshot = snapshot_find_any(vm, name);
	struct snapshot_work *work;
	struct hvd_error err = { 0 };

	if (!snapshot) {
		done(ctx, hvd_err(&err, ENOENT, "VM %s has no snapshot %s; see hvcli snapshot list %s",
				  vm->config.name, name, vm->config.name), &err);
		return NULL;
	}
	if (vm->update || vm->unsettled) {
		done(ctx, hvd_err(&err, EBUSY, "VM %s is being changed; try again", vm->config.name), &err);
		return NULL;
	}
	work = snapshot_work_new(vm, snapshot, progress, done, ctx);
	if (work)
		work->total = (unsigned)snapshot->info.n_disks;
	return work;
}

void snapshot_revert(struct vm *vm, const char *name, vm_progress_fn progress, vm_done_fn done, void *ctx)
{
	struct snapshot_work *work = begin(vm, name, progress, done, ctx);
	struct hvd_error err = { 0 };

	if (!work)
		return;
	work->total *= 2;
	if (work->snapshot->info.state != SNAPSHOT_READY && work->snapshot->info.state != SNAPSHOT_REVERTING)
		hvd_err(&err, EBUSY, "snapshot %s is not whole: all that is left to do is to delete it", name);
	else
		check_revert(vm, &work->snapshot->info, &err);
	if (err.code < 0)
		snapshot_work_finish(work, &err);
	else
		snapshot_each_disk(work, SNAPSHOT_LOOK, revert, snapshot_work_finish);
}

static void delete_failed(struct snapshot_work *work, const struct hvd_error *err)
{
	stop_at_disk(work, err, "some disks have the snapshot still: delete it again");
}

void snapshot_delete(struct vm *vm, const char *name, vm_progress_fn progress, vm_done_fn done, void *ctx)
{
	struct snapshot_work *work = begin(vm, name, progress, done, ctx);
	struct hvd_error err = { 0 };

	if (!work)
		return;
	if (snapshot_set_state(vm, work->snapshot, SNAPSHOT_DELETING, &err) < 0)
		snapshot_work_finish(work, &err);
	else
		snapshot_each_disk(work, SNAPSHOT_ERASE, snapshot_work_remove, delete_failed);
}

/* ---- with the rest of the VM ---- */

int snapshot_allows(const struct vm *vm, const struct op *op, struct hvd_error *err)
{
	const char *name = vm->config.name;

	if (op->access == ACCESS_READ || op->any_time || (!vm->snapshot_work && !snapshot_is_recovering(vm)))
		return 0;
	/* it waits */
	if (op == &ops[OP_VM_START] && snapshot_is_recovering(vm))
		return 0;
	return hvd_err(err, EBUSY, "snapshots of VM %s are being worked on; wait until that is done: hvcli "
		       "operation list", name);
}

int snapshot_check_start(const struct vm *vm, struct hvd_error *err)
{
	const struct vm_snapshot *snapshot;

	if (vm->snapshot_work && !vm->snapshot_work->recovering)
		return hvd_err(err, EBUSY, "snapshots of VM %s are being worked on; wait until that is done",
			       vm->config.name);
	list_for_each(snapshot, &vm->snapshots, node)
		if (snapshot->info.state == SNAPSHOT_REVERTING && snapshot->unresolved)
			return hvd_err(err, EBUSY, "not all disks of VM %s are reverted to snapshot %s: revert it "
				       "again, or delete the snapshot", vm->config.name, snapshot->info.name);
	return 0;
}

static void on_let_go(void *ctx, int r, const struct control_message *reply, const struct hvd_error *err)
{
	/* this hvd does not hear of it any more */
}

void snapshot_drop(struct vm *vm)
{
	struct snapshot_work *work = vm->snapshot_work;
	struct hvd_error err = { 0 };

	vm->snapshot_retry = sd_event_source_disable_unref(vm->snapshot_retry);
	if (work) {
		work->dropped = true;
		/* the guest does not wait for the next hvd, which removes what is half made */
		if (vm->control && work->paused)
			control_client_request(vm->control, CONTROL_RESUME, 0, NULL, 0, on_let_go, NULL, NULL);
		vm->control = control_client_free(vm->control);
		hvd_err(&err, ECANCELED, "hvd is stopping");
		snapshot_work_finish(work, &err);
	}
	snapshot_clear(vm);
}
