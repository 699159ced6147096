/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A raw disk: a regular file or block device, open, and what it is like. Requests go to it through
 * rings (vmm/block/raw_ring.h), one for each thread that has some.
 *
 * Immutable but for its size, so that all threads may look at it.
 */
#pragma once

#include <stdatomic.h>

#include "vmm/base/cleanup.h"
#include "vmm/block/geometry.h"

struct raw {
	int fd;
	bool read_only;
	bool ignore_flush; /* FLUSH, and writes that are to be durable, do not wait for the disk */
	struct disk_geometry geometry; /* size: as at the start */
	_Atomic uint64_t size;
};

struct raw_args {
	int fd; /* becomes the disk's in either outcome */
	bool read_only;
	bool direct; /* fd was opened with O_DIRECT */
	bool ignore_flush;
};

/* What disk_geometry_probe() says; -ENOMEM. */
int raw_new(const struct raw_args *args, struct raw **ret, struct hvd_error *err);
struct raw *raw_free(struct raw *raw); /* after its rings */
DEFINE_AUTO(struct raw *, raw_free);

/*
 * Look how large it is now. Returns 1 when that has changed, 0, or what a system call said, -EINVAL
 * when nothing is left; then it stays as it was.
 */
int raw_refresh(struct raw *raw, struct hvd_error *err);
