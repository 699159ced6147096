/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images and volumes (api/volume_schema.h), which are kept in two pools (daemon/pool.h): made, changed and
 * removed. What is handed in as an image is written anew by qemu-img (daemon/qemu_img.h), so that nothing
 * of an image's structure that a VM or hvd meets later is from outside.
 *
 * What takes time calls done once, before return or from the event loop.
 */
#pragma once

#include "daemon/pool.h"

struct volume_ops {
	void (*progress)(void *ctx, uint64_t done, uint64_t total); /* bytes */
	/* item is NULL when r < 0. */
	void (*done)(void *ctx, int r, struct pool_item *item, const struct hvd_error *err);
};

/* Both pools, as they are on disk. */
int volumes_open(struct manager *manager, struct hvd_error *err);
/* hvd ends: what is under way is called back with -ECANCELED, and half-made files go. */
void volumes_close(struct manager *manager);

/* Take config over (zeroed) in either outcome. */
void image_import(struct manager *manager, struct volume_config *config, const struct volume_ops *ops, void *ctx);
/* The same of what fd, which the caller keeps, is open on. */
void image_take(struct manager *manager, struct volume_config *config, int fd, const struct volume_ops *ops,
		void *ctx);
void volume_create(struct manager *manager, struct volume_config *config, const struct volume_ops *ops, void *ctx);

/* -EBUSY: a VM that runs has it; its disk can grow. Nothing is cut: -EINVAL. */
void volume_resize(struct pool_item *volume, uint64_t size, const struct volume_ops *ops, void *ctx);

/* End what was begun for this ctx: done is called with -ECANCELED. */
void volume_cancel(struct manager *manager, void *ctx);

/* -EBUSY: somebody has it, whom err names. */
int image_remove(struct pool_item *image, struct hvd_error *err);
int volume_remove(struct pool_item *volume, struct hvd_error *err);

/* Fill a zeroed status; schema_clear(&volume_status_schema, …) frees it. 0 or -ENOMEM. */
int volume_get_status(struct pool_item *item, struct volume_status *ret);
