/* SPDX-License-Identifier: Apache-2.0 */
/* What raw.c, the disk, and raw_ring.c, its queues, share; nobody else includes this. */
#pragma once

#include "vmm/block/raw.h"

struct raw {
	struct disk disk;
	int fd;
	bool ignore_flush;
};

int raw_ring_new(struct disk *disk, const struct disk_queue_args *args, struct loop *io,
		 struct disk_queue **ret, struct hvd_error *err);
