/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the two files of the block device share; nobody else includes this.
 *
 *	blk.c        the device: features, configuration, life
 *	blk_queue.c  one queue: requests from the ring to the disk and back
 *
 * Requests in flight are as many as a queue has entries, from a pool made when the device is
 * activated. A queue is touched on its own loop only; what the queues share is the disk, which does
 * not change, and a few atomic words.
 */
#pragma once

#include <linux/virtio_blk.h>
#include <stdatomic.h>

#include "vmm/block/disk.h"
#include "vmm/virtio/virtio.h"

#define BLK_SECTOR_SHIFT 9
#define BLK_MAX_DISCARD_SECTORS (1U << 22) /* 2 GiB in one request */

struct virtio_blk;
struct blk_request;

struct blk_queue {
	struct virtio_blk *blk;
	unsigned index;
	struct disk_queue *disk;
	struct rate_gate gate;
	struct loop_work retry;
	struct list held; /* have failed, and are tried again when the VM goes on */
	struct log_limit log_limit;
	struct counter counters[_DISK_COUNTER_MAX];

	struct blk_request *pool; /* NULL while not active */
	/* A stack, so that few of them are touched when few are in flight. */
	struct blk_request *unused[VQ_MAX_SIZE];
	unsigned n_unused;
};

struct virtio_blk {
	struct virtio_dev dev;
	struct disk *disk;
	char *name;
	char serial[VIRTIO_BLK_ID_BYTES];
	_Atomic bool durable; /* each write is on stable storage when it is done (§5.2.5.2) */
	_Atomic enum virtio_blk_on_error on_error;
	void (*failed)(void *ctx, const char *name, int error);
	void *ctx;
	struct rate rate;
	struct blk_queue queue[];
};

/* Zeroed queue. blk_queue_destroy() in either outcome. */
int blk_queue_init(struct blk_queue *q, struct virtio_blk *blk, unsigned index,
		   struct hvd_error *err);
void blk_queue_destroy(struct blk_queue *q);

/* The pool, for the size that the driver has chosen. 0 or -ENOMEM. */
int blk_queue_activate(struct blk_queue *q);
void blk_queue_reset(struct blk_queue *q);

/* On the queue's loop. */
int blk_queue_start(struct blk_queue *q);
void blk_queue_stop(struct blk_queue *q);
void blk_queue_serve(struct blk_queue *q);

/* The limits have changed. From any thread, also while the queue is stopped. */
void blk_queue_retry(struct blk_queue *q);
