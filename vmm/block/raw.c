/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/block/raw_private.h"

static int enlarge(const struct raw *raw, uint64_t size, struct hvd_error *err)
{
	if (raw->disk.read_only)
		return hvd_err_field(err, ERANGE, "size", "it is smaller than that, and read-only");
	if (ftruncate(raw->fd, (off_t)size) == 0)
		return 0;
	/* what is no regular file cannot be cut or enlarged */
	if (errno == EINVAL)
		return hvd_err_field(err, ERANGE, "size", "the block device is smaller than that");
	return hvd_err_field(err, errno, "size", "cannot enlarge it: %s", strerror(errno));
}

static int raw_resize(struct disk *disk, uint64_t size, struct hvd_error *err)
{
	struct raw *raw = container_of(disk, struct raw, disk);
	uint64_t now;
	int r;

	r = disk_geometry_size(raw->fd, &disk->geometry, &now, err);
	if (r >= 0 && now < size) {
		r = enlarge(raw, size, err);
		if (r >= 0)
			r = disk_geometry_size(raw->fd, &disk->geometry, &now, err);
	}
	if (r < 0)
		return r;
	return atomic_exchange(&disk->size, now) != now;
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
	.resize = raw_resize,
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
