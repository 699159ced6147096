/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots of a VM's disks (api/snapshot_schema.h): internal snapshots of its qcow2 images, made at one
 * moment of all of them.
 *
 *	off      qemu-img, confined, one image after the other
 *	running  the VM is paused, the storage daemon of each disk takes its part, the VM goes on
 *
 * STATE/snapshots/VM/NAME.xml is what hvd knows of one. It is written before the first image is touched and
 * says what is under way, so that the next hvd removes what was half made, and completes what was
 * half removed or reverted. One thing at a time is done to the snapshots of a VM.
 *
 * On the event loop. done is called once, later or before return.
 */
#pragma once

#include "api/ops.h"
#include "api/snapshot_schema.h"
#include "daemon/vm.h"

#define SNAPSHOTS_MAX 256 /* of a VM */

struct vm_snapshot;

/* Those that clients see, the oldest first; NULL: the first, the end. Not those that are being made or removed. */
const struct vm_snapshot *snapshot_next(const struct vm *vm, const struct vm_snapshot *snapshot);
const struct vm_snapshot *snapshot_find(const struct vm *vm, const char *name);
const struct snapshot *snapshot_info(const struct vm_snapshot *snapshot);

/* wanted, which is taken over in either outcome: name, description and ids of disks, or none for all. */
void snapshot_create(struct vm *vm, struct snapshot *wanted, vm_progress_fn progress, vm_done_fn done,
		     void *ctx);
void snapshot_revert(struct vm *vm, const char *name, vm_progress_fn progress, vm_done_fn done,
		     void *ctx);
void snapshot_delete(struct vm *vm, const char *name, vm_progress_fn progress, vm_done_fn done,
		     void *ctx);

/* May op be done to the VM now? -EBUSY: not while something is done to its snapshots. */
int snapshot_allows(const struct vm *vm, const struct op *op, struct hvd_error *err);

/* A former hvd's work is being completed: it is not known yet what becomes of it. */
bool snapshot_is_recovering(const struct vm *vm);

/* For the VM module. */
int snapshot_load_all(struct vm *vm, struct hvd_error *err);
/* Complete what was left, now that it is known whether the VM has a process; again when that has ended. */
void snapshot_recover(struct vm *vm);
void snapshot_vm_ended(struct vm *vm);
/* -EBUSY: the VM cannot start with its disks as they are. */
int snapshot_check_start(const struct vm *vm, struct hvd_error *err);
int snapshot_forget_all(struct vm *vm, struct hvd_error *err); /* the definition goes */
void snapshot_drop(struct vm *vm);                            /* hvd ends */
