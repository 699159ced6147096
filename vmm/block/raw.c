/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/block/raw.h"

#include <errno.h>
#include <stdlib.h>

int raw_new(const struct raw_args *args, struct raw **ret, struct hvd_error *err)
{
	AUTO(close) int fd = args->fd;
	AUTO(raw_free) struct raw *raw = calloc(1, sizeof(*raw));
	int r;

	if (!raw)
		return hvd_err(err, ENOMEM, "out of memory");
	raw->fd = TAKE_FD(fd);
	raw->read_only = args->read_only;
	raw->ignore_flush = args->ignore_flush;

	r = disk_geometry_probe(raw->fd, args->direct, &raw->geometry, err);
	if (r < 0)
		return r;
	raw->size = raw->geometry.size;
	*ret = TAKE(raw);
	return 0;
}

struct raw *raw_free(struct raw *raw)
{
	if (!raw)
		return NULL;
	if (raw->fd >= 0)
		close(raw->fd);
	free(raw);
	return NULL;
}

int raw_refresh(struct raw *raw, struct hvd_error *err)
{
	uint64_t size;
	int r = disk_geometry_size(raw->fd, &raw->geometry, &size, err);

	if (r < 0)
		return r;
	return atomic_exchange(&raw->size, size) != size;
}
