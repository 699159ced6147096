/* SPDX-License-Identifier: Apache-2.0 */
/* What an open disk (regular file or block device) is like: size, blocks, rules of direct I/O. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "vmm/base/err.h"

struct disk_geometry {
	uint64_t size;      /* bytes, a multiple of block */
	uint32_t block;     /* bytes: 512 for a file, the logical block of a device */
	uint32_t physical;  /* bytes: what it likes to be written in */
	bool direct;        /* offsets and lengths in blocks, memory as mem_align says */
	uint32_t mem_align; /* bytes, a power of two */
};

/*
 * direct: fd was opened with O_DIRECT. A file whose direct I/O is coarser than the 512-byte sectors
 * that its image is made of, or unknown (Linux before 6.1), loses that flag here and is used
 * through the page cache. Returns 0, -EINVAL (no disk, or an empty one) or what a system call said.
 */
int disk_geometry_probe(int fd, bool direct, struct disk_geometry *ret, struct hvd_error *err);
