/* SPDX-License-Identifier: Apache-2.0 */
/* What an open disk (regular file or block device) is like: size, blocks, rules of direct I/O. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "vmm/base/err.h"

struct disk_geometry {
	uint64_t size;      /* bytes, a multiple of block */
	uint32_t block;     /* bytes: 512 for a file, the logical block of a device */
	uint32_t physical;  /* bytes: what it is best not to write less of; a power of two */
	uint32_t optimal;   /* bytes: what it likes to be written in, 0 where nothing is known */
	bool direct;        /* offsets and lengths in blocks, memory as mem_align says */
	uint32_t mem_align; /* bytes, a power of two */
};

/*
 * direct: fd was opened with O_DIRECT. Where the kernel does not tell how direct I/O is to be aligned
 * (before Linux 6.1, and some file systems), it is tried out by reading. Returns 0, -EINVAL (no
 * disk, an empty one, or one whose direct I/O is coarser than the 512-byte sectors of an image: the
 * error names the setting "cache") or what a system call said.
 */
int disk_geometry_probe(int fd, bool direct, struct disk_geometry *ret, struct hvd_error *err);

/* The size that it has now, by the same rules. */
int disk_geometry_size(int fd, const struct disk_geometry *g, uint64_t *ret, struct hvd_error *err);
