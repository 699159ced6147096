/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk of the host, as a device sees it, and what its backends implement: raw files and block
 * devices (vmm/block/raw.h). What a storage daemon serves is no disk of this kind, for it serves the
 * guest's queues itself (vmm/virtio/vhost_user_blk.c).
 *
 * Requests go to a disk through queues, each of which belongs to one I/O loop. The user queues any
 * number of requests (up to the depth given) and submits them together; completions call back on the
 * queue's loop, and after each batch of them the user is told once.
 *
 * Threads: what makes and frees a disk or a queue, anywhere; a queue's other functions on its loop,
 * always the same thread. What does not change of a disk, and its size, may be looked at by all.
 */
#pragma once

#include <stdatomic.h>
#include <sys/uio.h>

#include "vmm/base/cleanup.h"
#include "vmm/base/err.h"
#include "vmm/base/list.h"
#include "vmm/base/loop.h"
#include "vmm/block/geometry.h"

enum block_op {
	BLOCK_READ,
	BLOCK_WRITE,
	BLOCK_FLUSH,        /* what has completed before is on stable storage */
	BLOCK_DISCARD,      /* reads as zero afterwards */
	BLOCK_WRITE_ZEROES, /* keeps the space allocated where the disk can do that */
};

/* The user's memory from disk_queue_add() to done(). */
struct block_request {
	enum block_op op;
	bool durable;         /* of what writes: is on stable storage when done, as if flushed */
	bool may_unmap;       /* of WRITE_ZEROES: need not keep the space */
	uint64_t offset, len; /* bytes, within the disk; len 0 is allowed */
	struct iovec *iov;    /* of len bytes for READ and WRITE */
	unsigned n_iov;

	/*
	 * 0 or -errno (-EOPNOTSUPP: the disk cannot DISCARD or WRITE_ZEROES). What was done is
	 * consumed from offset, len and iov, so that a request that failed can be queued again for
	 * the rest. May not queue another request itself.
	 */
	void (*done)(struct block_request *req, int result);

	/* The backend's. */
	struct list node;
	union {
		struct {
			int fallocate_mode;
			uint32_t bounced; /* bytes of the step in flight that are in the bounce buffer */
		} raw;
	};
};

struct disk;
struct disk_queue;

struct disk_queue_args {
	unsigned depth; /* most requests at a time */
	void (*batch_done)(void *ctx); /* after done() was called for some, on the loop */
	void *ctx;
};

struct disk_queue_ops {
	int (*start)(struct disk_queue *queue);
	void (*stop)(struct disk_queue *queue);
	void (*add)(struct disk_queue *queue, struct block_request *req);
	unsigned (*submit)(struct disk_queue *queue);
	void (*drain)(struct disk_queue *queue);
	struct disk_queue *(*free)(struct disk_queue *queue);
};

struct disk_queue {
	const struct disk_queue_ops *ops;
	struct disk *disk;
	struct loop *io;
	struct disk_queue_args args;
};

struct disk_ops {
	int (*queue_new)(struct disk *disk, const struct disk_queue_args *args, struct loop *io,
			 struct disk_queue **ret, struct hvd_error *err);
	int (*resize)(struct disk *disk, uint64_t size, struct hvd_error *err);
	struct disk *(*free)(struct disk *disk);
};

struct disk {
	const struct disk_ops *ops;
	bool read_only;
	struct disk_geometry geometry; /* size: as at the start */
	_Atomic uint64_t size;
};

/* After its queues. */
static inline struct disk *disk_free(struct disk *disk)
{
	return disk ? disk->ops->free(disk) : NULL;
}
DEFINE_AUTO(struct disk *, disk_free);

/*
 * Look how large it is now, and enlarge it to so many bytes if it is smaller (0: whatever it is). Returns
 * 1 when its size has changed, 0, or what a system call said, -ERANGE when it cannot be enlarged,
 * -EINVAL when nothing is left; then it stays as it was.
 */
static inline int disk_resize(struct disk *disk, uint64_t size, struct hvd_error *err)
{
	return disk->ops->resize(disk, size, err);
}

/* disk must outlive the queue. -ENOMEM, -EMFILE, and what the backend says. */
static inline int disk_queue_new(struct disk *disk, const struct disk_queue_args *args,
				 struct loop *io, struct disk_queue **ret, struct hvd_error *err)
{
	return disk->ops->queue_new(disk, args, io, ret, err);
}

/* Stopped before, unless it never was started. */
static inline struct disk_queue *disk_queue_free(struct disk_queue *queue)
{
	return queue ? queue->ops->free(queue) : NULL;
}
DEFINE_AUTO(struct disk_queue *, disk_queue_free);

static inline int disk_queue_start(struct disk_queue *queue)
{
	return queue->ops->start(queue);
}

/* After disk_queue_drain(). No-op when it is not started. */
static inline void disk_queue_stop(struct disk_queue *queue)
{
	queue->ops->stop(queue);
}

/* Prepare a request. done() may be called before this returns. */
static inline void disk_queue_add(struct disk_queue *queue, struct block_request *req)
{
	queue->ops->add(queue, req);
}

/*
 * Submit what was added, and call done() for what has completed, but not batch_done(). Returns how
 * many steps of requests have completed.
 */
static inline unsigned disk_queue_submit(struct disk_queue *queue)
{
	return queue->ops->submit(queue);
}

/* Submit, and wait until every request is done. */
static inline void disk_queue_drain(struct disk_queue *queue)
{
	queue->ops->drain(queue);
}
