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
#include "daemon/xml_client.h"

static void finish(struct call *call, int r, const struct hvd_error *err)
{
	call_finish(call, r, r < 0 ? err : NULL);
}

/* The one that the path names; NULL: the call is finished. */
static struct pool_item *find(struct pool *pool, const char *noun, struct call *call)
{
	struct pool_item *item = pool_find(pool, call->name);
	struct hvd_error err = { 0 };

	if (!item)
		finish(call, hvd_err(&err, ENOENT, "there is no %s %s; see hvcli %s list", noun, call->name, noun),
		       &err);
	return item;
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

void handle_image_upload(struct manager *manager, struct vm *vm, struct call *call)
{
	struct volume_config config = { 0 };
	struct upload_options options = { 0 };
	struct hvd_error err = { 0 };
	int r = call_options(call, &options, &err);

	if (r >= 0)
		r = field_set_text(schema_field(&image_schema, "name"), &config, call->name, &err);
	config.format = options.format;
	if (r >= 0)
		r = schema_check(&image_schema, &config, &err);
	if (r < 0) {
		schema_clear(&image_schema, &config);
		finish(call, r, &err);
		return;
	}
	call->cancel = cancel;
	image_take(manager, &config, call->upload, &image_ops, call);
}

void handle_image_list(struct manager *manager, struct vm *vm, struct call *call)
{
	list_answer(call, &resource_image_kind, manager);
}

void handle_image_get(struct manager *manager, struct vm *vm, struct call *call)
{
	struct pool_item *image = find(manager->images, "image", call);

	if (image)
		call_finish_resource(call, resource_image(image));
}

void handle_image_delete(struct manager *manager, struct vm *vm, struct call *call)
{
	struct pool_item *image = find(manager->images, "image", call);
	struct hvd_error err = { 0 };

	if (image)
		finish(call, image_remove(image, &err), &err);
}

static void on_volume(void *ctx, int r, struct pool_item *volume, const struct hvd_error *err)
{
	struct call *call = ctx;

	if (r < 0)
		finish(call, r, err);
	else
		call_finish_resource(call, resource_volume(volume));
}

static const struct volume_ops volume_ops = { .progress = on_progress, .done = on_volume };

static void create(struct manager *manager, struct volume_config *config, const struct volume_ops *how,
		   struct call *call, void *ctx)
{
	snprintf(call->name, sizeof(call->name), "%s", config->name);
	volume_create(manager, config, how, ctx);
}

void handle_volume_create(struct manager *manager, struct vm *vm, struct call *call)
{
	struct volume_config config;
	struct hvd_error err = { 0 };
	int r = json_to_obj(&volume_schema, call->args, &config, &err);

	call->cancel = cancel;
	if (r < 0)
		finish(call, r, &err);
	else
		create(manager, &config, &volume_ops, call, call);
}

/* A document that was taken in, while what it says is being made. */
struct import {
	struct call *call;
	struct import_report report;
};

static void on_import_progress(void *ctx, uint64_t done, uint64_t total)
{
	struct import *import = ctx;

	on_progress(import->call, done, total);
}

static void on_imported(void *ctx, int r, struct pool_item *volume, const struct hvd_error *err)
{
	struct import *import = ctx;

	if (r < 0)
		finish(import->call, r, err);
	else
		call_finish_import(import->call, resource_volume(volume), &import->report);
	schema_clear(&import_report_schema, &import->report);
	free(import);
}

static const struct volume_ops import_ops = { .progress = on_import_progress, .done = on_imported };

static void on_volume_read(void *ctx, int r, void *config, const struct import_report *report,
			   const struct hvd_error *err)
{
	struct call *call = ctx;
	struct import *import;

	if (r < 0) {
		finish(call, r, err);
		return;
	}
	import = calloc(1, sizeof(*import));
	if (!import || schema_copy(&import_report_schema, &import->report, report) < 0) {
		free(import);
		schema_clear(&volume_schema, config);
		call_finish_no_memory(call);
		return;
	}
	import->call = call;
	create(call->manager, config, &import_ops, call, import);
}

void handle_volume_define_xml(struct manager *manager, struct vm *vm, struct call *call)
{
	xml_client_import(manager->xml, &volume_schema, call->text ? call->text : "", on_volume_read, call);
}

void handle_volume_list(struct manager *manager, struct vm *vm, struct call *call)
{
	list_answer(call, &resource_volume_kind, manager);
}

void handle_volume_get(struct manager *manager, struct vm *vm, struct call *call)
{
	struct pool_item *volume = find(manager->volumes, "volume", call);

	if (volume)
		call_finish_resource(call, resource_volume(volume));
}

void handle_volume_xml(struct manager *manager, struct vm *vm, struct call *call)
{
	struct pool_item *volume = find(manager->volumes, "volume", call);

	if (!volume)
		return;
	pool_look(volume, &(struct volume_status){ 0 });
	call_finish_xml(call, &volume_schema, pool_config(volume));
}

static int refuse_never(void *ctx, const struct field *field, const char *path)
{
	if (field->applies == APPLIES_NEVER)
		return hvd_err_field(ctx, EINVAL, path, "cannot be changed");
	return 0;
}

void handle_volume_patch(struct manager *manager, struct vm *vm, struct call *call)
{
	struct pool_item *volume = find(manager->volumes, "volume", call);
	struct volume_config config = { 0 };
	struct hvd_error err = { 0 };
	uint64_t size;
	int r;

	if (!volume)
		return;
	r = json_merge_obj(&volume_schema, pool_config(volume), call->args, &config, &err);
	if (r >= 0)
		r = schema_diff(&volume_schema, pool_config(volume), &config, refuse_never, &err);
	size = config.size;
	schema_clear(&volume_schema, &config);
	if (r < 0)
		finish(call, r, &err);
	else
		volume_resize(volume, size, &volume_ops, call);
}

void handle_volume_delete(struct manager *manager, struct vm *vm, struct call *call)
{
	struct pool_item *volume = find(manager->volumes, "volume", call);
	struct hvd_error err = { 0 };

	if (volume)
		finish(call, volume_remove(volume, &err), &err);
}
