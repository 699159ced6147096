/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>

#include "vmm/block/raw_private.h"

static int raw_refresh(struct disk *disk, struct hvd_error *err)
{
	struct raw *raw = container_of(disk, struct raw, disk);
	uint64_t size;
	int r = disk_geometry_size(raw->fd, &disk->geometry, &size, err);

	if (r < 0)
		return r;
	return atomic_exchange(&disk->size, size) != size;
}

static struct disk *raw_free(struct disk *disk)
{
	struct raw *raw = container_of(disk, struct raw, disk);

	close(raw->fd);
	free(raw);
	return NULL;
}

static const struct disk_ops raw_ops = {
	.queue_new = raw_ring_new,
	.refresh = raw_refresh,
	.free = raw_free,
};

int raw_new(const struct raw_args *args, struct disk **ret, struct hvd_error *err)
{
	AUTO(close) int fd = args->fd;
	AUTO(disk_free) struct disk *disk = NULL;
	struct raw *raw = calloc(1, sizeof(*raw));
	int r;

	if (!raw)
		return hvd_err(err, ENOMEM, "out of memory");
	disk = &raw->disk;
	disk->ops = &raw_ops;
	disk->read_only = args->read_only;
	raw->fd = TAKE_FD(fd);
	raw->ignore_flush = args->ignore_flush;

	r = disk_geometry_probe(raw->fd, args->direct, &disk->geometry, err);
	if (r < 0)
		return r;
	disk->size = disk->geometry.size;
	*ret = TAKE(disk);
	return 0;
}
