/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A block device on a real file and a real io_uring, for tests that drive it as a guest does
 * (virtio_driver.h). Requests are laid out as Linux lays them out.
 */
#pragma once

#include <linux/virtio_blk.h>

#include "tests/unit/virtio_driver.h"

#define BLK_DISK_SIZE (128 * KIB)
#define BLK_SECTORS (BLK_DISK_SIZE / 512)

/* Places in the data area. */
#define BLK_HEADER 0
#define BLK_STATUS 64
#define BLK_DATA 4096

struct blk_rig {
	struct driver d;
	int fd; /* another descriptor of the disk */
};

/* Byte of the disk at this offset. */
uint8_t blk_pattern(uint64_t offset);
void blk_expect_pattern(const uint8_t *at, uint64_t offset, uint64_t len);

/* A file in the working folder, filled with the pattern, unlinked. rig->fd is another one of it. */
int blk_disk_file(struct blk_rig *rig);

/*
 * Start the device; args.fd -1: on blk_disk_file(). Returns what virtio_blk_new() said (-EPERM, -ENOSYS:
 * no io_uring here).
 */
int blk_open(struct blk_rig *rig, struct virtio_blk_args args);
void blk_close(struct blk_rig *rig);

uint8_t *blk_data(struct blk_rig *rig);
void blk_set_header(struct blk_rig *rig, uint32_t type, uint64_t sector);

/* Header, data and status in descriptors 0, 1, 2 of queue 0. */
void blk_queue_request(struct blk_rig *rig, uint32_t type, uint64_t sector, uint32_t len, bool in);

/* Kick and wait. Returns the status byte; the used length must fit it. */
uint8_t blk_finish(struct blk_rig *rig, uint32_t in_len);
uint8_t blk_request(struct blk_rig *rig, uint32_t type, uint64_t sector, uint32_t len, bool in);

/* One range of DISCARD or WRITE_ZEROES. */
uint8_t blk_range(struct blk_rig *rig, uint32_t type, uint64_t sector, uint32_t n, uint32_t flags);

/* As many 4 KiB reads as the queue holds, indirect, and where the i-th finds its data. */
void blk_queue_many(struct blk_rig *rig, unsigned queue);
uint8_t *blk_many_data(struct blk_rig *rig, unsigned queue, unsigned i);
