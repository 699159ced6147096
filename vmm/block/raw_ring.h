/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to a raw disk, on io_uring. Knows nothing of virtio.
 *
 * A ring belongs to one I/O loop; a disk may have several. The user queues any number of requests
 * (up to the depth given) and submits them with one system call; completions call back on the
 * I/O loop, and after each batch of them the user is told once. A short read or write is continued
 * here.
 *
 * Direct I/O needs memory, offsets and lengths aligned to what the file asks for. Offsets and
 * lengths are multiples of the block size (the user's duty); where only memory is not, the request
 * goes through one bounce buffer, one request at a time.
 *
 * Threads: raw_ring_new() and raw_ring_free() anywhere, all else on the I/O loop, always the same
 * thread.
 */
#pragma once

#include <sys/uio.h>

#include "vmm/base/list.h"
#include "vmm/base/loop.h"
#include "vmm/block/raw.h"

struct raw_ring;

enum block_op {
	BLOCK_READ,
	BLOCK_WRITE,
	BLOCK_FLUSH,        /* what has completed before is on stable storage */
	BLOCK_DISCARD,      /* reads as zero afterwards */
	BLOCK_WRITE_ZEROES, /* keeps the space allocated where the file system can do that */
};

/* The user's memory from raw_ring_queue() to done(). */
struct block_request {
	enum block_op op;
	bool durable;         /* of what writes: is on stable storage when done, as if flushed */
	bool may_unmap;       /* of WRITE_ZEROES: need not keep the space */
	uint64_t offset, len; /* bytes, within the disk; len 0 is allowed */
	struct iovec *iov;    /* of len bytes for READ and WRITE */
	unsigned n_iov;

	/*
	 * 0 or -errno (-EOPNOTSUPP: the host cannot DISCARD or WRITE_ZEROES here). What was done is
	 * consumed from offset, len and iov, so that a request that failed can be queued again for
	 * the rest. May not queue another request itself.
	 */
	void (*done)(struct block_request *req, int result);

	/* Private to raw_ring.c. */
	struct list node;
	int fallocate_mode;
	uint32_t bounced; /* bytes of the step in flight that are in the bounce buffer */
};

struct raw_ring_args {
	unsigned depth; /* most requests at a time */
	void (*batch_done)(void *ctx); /* after done() was called for some, on the I/O loop */
	void *ctx;
};

/* raw must outlive the ring. -EPERM, -ENOSYS: no io_uring for this process; -ENOMEM, -EMFILE. */
int raw_ring_new(struct raw *raw, const struct raw_ring_args *args, struct loop *io,
		 struct raw_ring **ret, struct hvd_error *err);

/* Stopped before, unless it never was started. */
struct raw_ring *raw_ring_free(struct raw_ring *ring);
DEFINE_AUTO(struct raw_ring *, raw_ring_free);

int raw_ring_start(struct raw_ring *ring);
void raw_ring_stop(struct raw_ring *ring); /* after raw_ring_drain(); no-op when not started */

/* Prepare a request. done() may be called before this returns. */
void raw_ring_queue(struct raw_ring *ring, struct block_request *req);

/*
 * Submit what is queued, and call done() for what has completed, but not batch_done(). Returns how
 * many steps of requests have completed.
 */
unsigned raw_ring_submit(struct raw_ring *ring);

/* Submit, and wait until every request is done. */
void raw_ring_drain(struct raw_ring *ring);
