/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Raw disks (regular files and block devices) on io_uring. Knows nothing of virtio.
 *
 * One ring per disk. The user queues any number of requests (up to the depth given) and submits
 * them with one system call; completions call back on the I/O loop, and after each batch of them
 * the user is told once. A short read or write is continued here.
 *
 * Direct I/O needs memory, offsets and lengths aligned to what the file asks for. Offsets and
 * lengths are multiples of the block size (the user's duty); where only memory is not, the request
 * goes through one bounce buffer, one request at a time.
 *
 * Threads: raw_new() and raw_free() anywhere, all else on the I/O loop, always the same thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "vmm/base/err.h"
#include "vmm/base/list.h"
#include "vmm/base/loop.h"
#include "vmm/block/geometry.h"

struct raw;

enum block_op {
	BLOCK_READ,
	BLOCK_WRITE,
	BLOCK_FLUSH,        /* what has completed before is on stable storage */
	BLOCK_DISCARD,      /* reads as zero afterwards */
	BLOCK_WRITE_ZEROES, /* keeps the space allocated */
};

/* The user's memory from raw_queue() to done(). */
struct block_request {
	enum block_op op;
	uint64_t offset, len; /* bytes, within the disk; len 0 is allowed */
	struct iovec *iov;    /* of len bytes for READ and WRITE; both are consumed */
	unsigned n_iov;

	/*
	 * 0 or -errno (-EOPNOTSUPP: the host cannot DISCARD or WRITE_ZEROES here). May not queue
	 * another request itself.
	 */
	void (*done)(struct block_request *req, int result);

	/* Private to raw.c. */
	struct list node;
	int fallocate_mode;
	uint32_t bounced; /* bytes of the step in flight that are in the bounce buffer */
};

struct raw_args {
	int fd; /* becomes the disk's in either outcome */
	bool read_only;
	bool direct;       /* fd was opened with O_DIRECT */
	bool ignore_flush; /* FLUSH succeeds without doing anything */
	unsigned depth;    /* most requests at a time */
	void (*batch_done)(void *ctx); /* after done() was called for some, on the I/O loop */
	void *ctx;
};

/* What disk_geometry_probe() says; -EPERM, -ENOSYS: no io_uring for this process; -ENOMEM. */
int raw_new(const struct raw_args *args, struct loop *io, struct raw **ret, struct hvd_error *err);

/* Stopped before, unless it never was started. */
struct raw *raw_free(struct raw *raw);
DEFINE_AUTO(struct raw *, raw_free);

const struct disk_geometry *raw_geometry(const struct raw *raw);

int raw_start(struct raw *raw);
void raw_stop(struct raw *raw); /* after raw_drain() */

/* Prepare a request. done() may be called before this returns. */
void raw_queue(struct raw *raw, struct block_request *req);

/*
 * Submit what is queued, and call done() for what has completed, but not batch_done(). Returns how
 * many steps of requests have completed.
 */
unsigned raw_submit(struct raw *raw);

/* Submit, and wait until every request is done. */
void raw_drain(struct raw *raw);
