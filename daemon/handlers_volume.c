/* SPDX-License-Identifier: Apache-2.0 */
/* Images and volumes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/json.h"
#include "daemon/handlers_private.h"
#include "daemon/operation.h"
#include "daemon/resource.h"
#include "daemon/volume.h"

static void finish(struct call *call, int r, const struct hvd_error *err)
{
	call_finish(call, r, r < 0 ? err : NULL);
}

static struct pool_item *find_image(struct manager *manager, struct call *call)
{
	struct pool_item *image = pool_find(manager->images, call->name);
	struct hvd_error err = { 0 };

	if (!image)
		finish(call, hvd_err(&err, ENOENT, "there is no image %s; see hvcli image list", call->name), &err);
	return image;
}

static void on_progress(void *ctx, uint64_t done, uint64_t total)
{
	operation_progress(ctx, done, total, "bytes");
}

static void cancel(struct call *call)
{
	volume_cancel(call->manager, call);
}

static void on_image(void *ctx, int r, struct pool_item *image, const struct hvd_error *err)
{
	struct call *call = ctx;

	if (r < 0)
		finish(call, r, err);
	else
		call_finish_resource(call, resource_image(image));
}

static const struct volume_ops image_ops = { .progress = on_progress, .done = on_image };

void handle_image_import(struct manager *manager, struct vm *vm, struct call *call)
{
	struct volume_config config;
	struct hvd_error err = { 0 };
	int r = json_to_obj(&image_schema, call->args, &config, &err);

	if (r < 0) {
		finish(call, r, &err);
		return;
	}
	snprintf(call->name, sizeof(call->name), "%s", config.name);
	call->cancel = cancel;
	image_import(manager, &config, &image_ops, call);
}

void handle_image_list(struct manager *manager, struct vm *vm, struct call *call)
{
	list_answer(call, &resource_image_kind, manager);
}

void handle_image_get(struct manager *manager, struct vm *vm, struct call *call)
{
	struct pool_item *image = find_image(manager, call);

	if (image)
		call_finish_resource(call, resource_image(image));
}

void handle_image_delete(struct manager *manager, struct vm *vm, struct call *call)
{
	struct pool_item *image = find_image(manager, call);
	struct hvd_error err = { 0 };

	if (image)
		finish(call, image_remove(image, &err), &err);
}
