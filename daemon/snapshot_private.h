/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of this module share; nobody else includes this.
 *
 *	snapshot.c          records, in memory and on disk
 *	snapshot_image.c    one image: by its storage daemon, or by qemu-img
 *	snapshot_work.c     what is under way; reverting to one, removing one
 *	snapshot_create.c   making one
 *	snapshot_recover.c  completing what was left
 */
#pragma once

#include "daemon/snapshot.h"
#include "daemon/vm_private.h"

struct vm_snapshot {
	struct list node; /* in vm->snapshots, the oldest first */
	struct snapshot info;
	bool unresolved; /* tries to complete what was left of it have failed */
};

/* snapshot.c: takes info over on success, and writes it. */
int snapshot_add(struct vm *vm, struct snapshot *info, struct vm_snapshot **ret, struct hvd_error *err);
/* Write it with this state; as it was on failure. */
int snapshot_set_state(struct vm *vm, struct vm_snapshot *snapshot, enum snapshot_state state,
		       struct hvd_error *err);
/* It is gone from the images; frees it on success. */
int snapshot_remove(struct vm *vm, struct vm_snapshot *snapshot, struct hvd_error *err);
void snapshot_clear(struct vm *vm); /* forget all, on disk they stay */
/* Also one that clients do not see. */
struct vm_snapshot *snapshot_find_any(const struct vm *vm, const char *name);

/* ---- snapshot_image.c ---- */

enum snapshot_action {
	SNAPSHOT_LOOK,   /* is it there? */
	SNAPSHOT_TAKE,
	SNAPSHOT_APPLY,
	SNAPSHOT_ERASE,  /* unless it is not there */
	SNAPSHOT_REPAIR, /* what a qemu-img has left that was killed: reference counts that are too high */
};

struct snapshot_image;

struct snapshot_image_info {
	bool present;
	uint64_t size; /* of the disk now */
};

/* info: of LOOK when r is 0. */
typedef void (*snapshot_image_fn)(void *ctx, int r, const struct snapshot_image_info *info,
				  const struct hvd_error *err);

/*
 * Do it to the image of a disk, which need not outlive the call; fn is called once, later. -EAGAIN: its storage
 * daemon is not there just now.
 */
int snapshot_image_do(struct vm *vm, const struct disk_config *disk, const char *name,
		      enum snapshot_action action, snapshot_image_fn fn, void *ctx,
		      struct snapshot_image **ret, struct hvd_error *err);
/* fn is not called any more. */
struct snapshot_image *snapshot_image_free(struct snapshot_image *image);

/* ---- snapshot_work.c ---- */

/* What is done to one: passes over its disks, and what is between them. */
struct snapshot_work {
	struct vm *vm;
	struct vm_snapshot *snapshot; /* NULL: not written yet */
	struct snapshot info;         /* then, what is to be written */
	enum snapshot_state before;
	bool recovering, dropped;
	bool paused; /* hvd has asked for it */

	/* A pass. */
	enum snapshot_action action;
	size_t next;
	void (*then)(struct snapshot_work *work); /* it is done */
	void (*failed)(struct snapshot_work *work, const struct hvd_error *err); /* or ended at a disk */
	struct snapshot_image *image;

	struct hvd_error err; /* what it has failed with, while that is being undone */
	unsigned steps, total;
	vm_progress_fn progress;
	vm_done_fn done;
	void *ctx;
};

/* NULL when done has been called. */
struct snapshot_work *snapshot_work_new(struct vm *vm, struct vm_snapshot *snapshot,
					vm_progress_fn progress, vm_done_fn done, void *ctx);
/* Frees it, and calls done; err may be that of no error. */
void snapshot_work_finish(struct snapshot_work *work, const struct hvd_error *err);

/*
 * 1: config has the disk still, on the same image: *ret is it, with the files of its volume if it is one, and the
 * caller's to clear. 0: it has not. -ENOMEM.
 */
int snapshot_same_disk(const struct vm *vm, const struct vm_config *config, const struct snapshot_disk *disk,
		       struct disk_config *ret, struct hvd_error *err);

/* A pass. */
void snapshot_each_disk(struct snapshot_work *work, enum snapshot_action action,
			void (*then)(struct snapshot_work *work),
			void (*failed)(struct snapshot_work *work, const struct hvd_error *err));

/* What follows when the disks are reverted, or have it no more. */
void snapshot_work_reverted(struct snapshot_work *work);
void snapshot_work_remove(struct snapshot_work *work);

static inline struct snapshot *snapshot_work_info(struct snapshot_work *work)
{
	return work->snapshot ? &work->snapshot->info : &work->info;
}

/* ---- snapshot_recover.c ---- */

bool snapshot_is_left(const struct vm *vm); /* is there anything to be completed? */
void snapshot_recover_later(struct vm *vm);
