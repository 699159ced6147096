/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/blk_rig.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

uint8_t blk_pattern(uint64_t offset)
{
	return (uint8_t)(offset * 5 + offset / 512);
}

void blk_expect_pattern(const uint8_t *at, uint64_t offset, uint64_t len)
{
	for (uint64_t i = 0; i < len; i++)
		if (at[i] != blk_pattern(offset + i))
			fail_msg("byte %zu is wrong", (size_t)(offset + i));
}

int blk_disk_file(struct blk_rig *rig)
{
	char path[] = "test-virtio-blk-XXXXXX";
	uint8_t *bytes = malloc(BLK_DISK_SIZE);
	int fd;

	rig->fd = mkstemp(path);
	assert_true(rig->fd >= 0);
	for (uint64_t i = 0; i < BLK_DISK_SIZE; i++)
		bytes[i] = blk_pattern(i);
	assert_int_equal(pwrite(rig->fd, bytes, BLK_DISK_SIZE, 0), BLK_DISK_SIZE);
	free(bytes);
	fd = open(path, O_RDWR | O_CLOEXEC);
	unlink(path);
	return fd;
}

int blk_open(struct blk_rig *rig, struct virtio_blk_args args)
{
	struct virtio_dev *dev;
	struct hvd_error err = { 0 };
	int r;

	if (!rig->d.mem)
		driver_open(&rig->d);
	if (args.fd < 0)
		args.fd = blk_disk_file(rig);
	if (args.direct)
		args.direct = fcntl(args.fd, F_SETFL, O_DIRECT) == 0;
	r = virtio_blk_new(&args, rig->d.mem, rig->d.io, &dev, &err);
	if (r < 0) {
		fprintf(stderr, "%s\n", err.msg);
		return r;
	}
	driver_set_device(&rig->d, dev);
	driver_start(&rig->d, DRIVER_FEATURES | dev->host_features);
	return 0;
}

void blk_close(struct blk_rig *rig)
{
	driver_close(&rig->d);
	close(rig->fd);
	*rig = (struct blk_rig){ .fd = -1 };
}

uint8_t *blk_data(struct blk_rig *rig)
{
	return data_ptr(&rig->d, BLK_DATA);
}

void blk_set_header(struct blk_rig *rig, uint32_t type, uint64_t sector)
{
	struct virtio_blk_outhdr *hdr = data_ptr(&rig->d, BLK_HEADER);

	*hdr = (struct virtio_blk_outhdr){ .type = type, .sector = sector };
	*(uint8_t *)data_ptr(&rig->d, BLK_STATUS) = 0xee;
}

void blk_queue_request(struct blk_rig *rig, uint32_t type, uint64_t sector, uint32_t len, bool in)
{
	struct driver_queue *q = &rig->d.queue[0];

	blk_set_header(rig, type, sector);
	queue_desc(q, 0, data_ipa(BLK_HEADER), 16, VRING_DESC_F_NEXT, len ? 1 : 2);
	queue_desc(q, 1, data_ipa(BLK_DATA), len,
		   VRING_DESC_F_NEXT | (in ? VRING_DESC_F_WRITE : 0), 2);
	queue_desc(q, 2, data_ipa(BLK_STATUS), 1, VRING_DESC_F_WRITE, 0);
	queue_avail(q, 0);
}

uint8_t blk_finish(struct blk_rig *rig, uint32_t in_len)
{
	struct vring_used_elem used;
	uint8_t status;

	driver_kick(&rig->d, 0);
	used = driver_used(&rig->d, 0);
	status = *(uint8_t *)data_ptr(&rig->d, BLK_STATUS);
	assert_int_equal(used.id, 0);
	assert_int_equal(used.len, status == VIRTIO_BLK_S_OK ? in_len : 0);
	return status;
}

uint8_t blk_request(struct blk_rig *rig, uint32_t type, uint64_t sector, uint32_t len, bool in)
{
	blk_queue_request(rig, type, sector, len, in);
	return blk_finish(rig, in ? len + 1 : 1);
}

uint8_t blk_range(struct blk_rig *rig, uint32_t type, uint64_t sector, uint32_t n, uint32_t flags)
{
	struct virtio_blk_discard_write_zeroes range = { sector, n, flags };

	memcpy(blk_data(rig), &range, sizeof(range));
	return blk_request(rig, type, 0, sizeof(range), false);
}

/* Where the i-th of many requests has its table, header, status and data. */
static uint64_t many_at(unsigned queue, unsigned i)
{
	return 0x10000 + (queue * DRIVER_QUEUE_SIZE + i) * 0x4000ULL;
}

void blk_queue_many(struct blk_rig *rig, unsigned queue)
{
	struct driver_queue *q = &rig->d.queue[queue];

	for (uint16_t i = 0; i < DRIVER_QUEUE_SIZE; i++) {
		uint64_t at = many_at(queue, i);
		struct vring_desc *table = data_ptr(&rig->d, at);
		struct virtio_blk_outhdr *hdr = data_ptr(&rig->d, at + 64);

		*hdr = (struct virtio_blk_outhdr){ .type = VIRTIO_BLK_T_IN, .sector = i * 8U };
		table[0] = (struct vring_desc){ data_ipa(at + 64), 16, VRING_DESC_F_NEXT, 1 };
		table[1] = (struct vring_desc){ data_ipa(at + 4096), 4096,
						VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 2 };
		table[2] = (struct vring_desc){ data_ipa(at + 128), 1, VRING_DESC_F_WRITE, 0 };
		queue_desc(q, i, data_ipa(at), 48, VRING_DESC_F_INDIRECT, 0);
		queue_avail(q, i);
	}
}

uint8_t *blk_many_data(struct blk_rig *rig, unsigned queue, unsigned i)
{
	return data_ptr(&rig->d, many_at(queue, i) + 4096);
}
