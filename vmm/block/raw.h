/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Raw disks: regular files and block devices, on io_uring, a ring for each queue. A short read or
 * write is continued here.
 *
 * Direct I/O needs memory, offsets and lengths aligned to what the file asks for. Offsets and
 * lengths are multiples of the block size (the user's duty); where only memory is not, the request
 * goes through one bounce buffer a queue, one request at a time.
 */
#pragma once

#include "vmm/block/disk.h"

struct raw_args {
	int fd; /* becomes the disk's in either outcome */
	bool read_only;
	bool direct; /* fd was opened with O_DIRECT */
	bool ignore_flush; /* FLUSH, and writes that are to be durable, do not wait for the disk */
};

/*
 * What disk_geometry_probe() says; -ENOMEM. Its disk_queue_new() also says -EPERM, -ENOSYS: no
 * io_uring for this process.
 */
int raw_new(const struct raw_args *args, struct disk **ret, struct hvd_error *err);
