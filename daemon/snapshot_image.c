/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/snapshot_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/json.h"
#include "daemon/qemu_img.h"
#include "daemon/storage.h"

struct snapshot_image {
	struct vm *vm;
	struct disk_config disk; /* its strings are its own */
	char name[SNAPSHOT_NAME_MAX + 1];
	enum snapshot_action action;
	bool looking; /* first, where what is done depends on it */
	snapshot_image_fn fn;
	void *ctx;
	struct qemu_img *img;
	bool asked; /* its storage daemon */
};

struct snapshot_image *snapshot_image_free(struct snapshot_image *image)
{
	if (!image)
		return NULL;
	if (image->asked)
		vm_storage_forget_command(image->vm, image->disk.id);
	qemu_img_free(image->img);
	schema_clear(&disk_schema, &image->disk);
	free(image);
	return NULL;
}
DEFINE_AUTO(struct snapshot_image *, snapshot_image_free);

/* fn may free it. */
static void finish(struct snapshot_image *image, int r, const struct snapshot_image_info *info,
		   const struct hvd_error *err)
{
	struct hvd_error own = { 0 };

	if (r < 0) {
		own = *err;
		hvd_err_prefix(&own, r, "disk %s", image->disk.id);
	}
	image->fn(image->ctx, r, info, r < 0 ? &own : NULL);
}

/* Does "snapshots" of an image have it? */
static bool has_snapshot(const json_t *snapshots, const char *name)
{
	size_t i;
	json_t *item;

	json_array_foreach(snapshots, i, item) {
		const char *text = json_string_value(json_object_get(item, "name"));

		if (text && strcmp(text, name) == 0)
			return true;
	}
	return false;
}

static int launch(struct snapshot_image *image, struct hvd_error *err);

/* image: QEMU's ImageInfo. */
static void looked(struct snapshot_image *image, const json_t *info)
{
	struct snapshot_image_info found = {
		.present = has_snapshot(json_object_get(info, "snapshots"), image->name),
		.size = (uint64_t)json_integer_value(json_object_get(info, "virtual-size")),
	};
	struct hvd_error err = { 0 };

	image->looking = false;
	if (image->action == SNAPSHOT_LOOK || !found.present)
		finish(image, 0, &found, NULL);
	else if (launch(image, &err) < 0)
		finish(image, err.code, NULL, &err);
}

/* ---- by its storage daemon ---- */

static void on_looked(void *ctx, int r, json_t *nodes, const struct hvd_error *err)
{
	struct snapshot_image *image = ctx;

	image->asked = false;
	if (r < 0)
		finish(image, r, NULL, err);
	else
		looked(image, json_object_get(storage_find_node(nodes, STORAGE_IMAGE_NODE), "image"));
}

static void on_commanded(void *ctx, int r, json_t *result, const struct hvd_error *err)
{
	struct snapshot_image *image = ctx;

	image->asked = false;
	finish(image, r, NULL, err);
}

/* The node that nothing else is on, which hands these on to the image's. */
static int command(struct snapshot_image *image, struct hvd_error *err)
{
	static const char *const commands[] = {
		[SNAPSHOT_TAKE] = "blockdev-snapshot-internal-sync",
		[SNAPSHOT_ERASE] = "blockdev-snapshot-delete-internal-sync",
	};
	int r;

	if (image->looking)
		r = vm_storage_command(image->vm, image->disk.id, "query-named-block-nodes", NULL,
				       on_looked, image, err);
	else
		r = vm_storage_command(image->vm, image->disk.id, commands[image->action],
				       json_pack("{s:s, s:s}", "device", STORAGE_NODE, "name", image->name),
				       on_commanded, image, err);
	image->asked = r >= 0;
	return r;
}

/* ---- by qemu-img ---- */

/*
 * files[0], and nothing that the image names: what is behind it plays no part in this. The passphrase is
 * files[1].
 */
static char *image_filename(const struct disk_config *disk)
{
	AUTO(json_decref) json_t *node = json_pack("{s:s, s:n, s:{s:s, s:s}}", "driver", "qcow2", "backing",
						   "file", "driver", "file", "filename", "{0}");
	AUTO(free) char *json = NULL;
	char *filename;

	if (node && disk->secret)
		json_object_set_new(node, "encrypt", json_pack("{s:s, s:s}", "format", "luks", "key-secret",
							       "secret"));
	json = node ? json_dumps(node, JSON_COMPACT) : NULL;
	return json && asprintf(&filename, "json:%s", json) >= 0 ? filename : NULL;
}

static void on_img_done(void *ctx, int r, const char *output, const struct hvd_error *err)
{
	struct snapshot_image *image = ctx;
	AUTO(json_decref) json_t *info = NULL;
	struct hvd_error own = { 0 };

	if (r >= 0 && image->looking)
		r = json_parse(output, strlen(output), &info, &own);
	else if (r < 0)
		own = *err;
	image->img = qemu_img_free(image->img);
	if (r < 0 || !image->looking)
		finish(image, r, NULL, &own);
	else
		looked(image, info);
}

static int run_qemu_img(struct snapshot_image *image, struct hvd_error *err)
{
	static const char *const options[] = {
		[SNAPSHOT_TAKE] = "-c", [SNAPSHOT_APPLY] = "-a", [SNAPSHOT_ERASE] = "-d",
	};
	static const struct qemu_img_ops img_ops = { .done = on_img_done };
	const struct disk_config *disk = &image->disk;
	AUTO(free) char *filename = image_filename(disk);
	struct qemu_img_file files[2] = { { disk->path, !image->looking }, { disk->secret, false } };
	struct qemu_img_request request = { .files = files, .n_files = disk->secret ? 2 : 1, .input = -1 };
	const char *args[12];
	char unit[UNIT_NAME_MAX], description[128];
	size_t n = 0;

	if (!filename)
		return hvd_err(err, ENOMEM, "out of memory");
	args[n++] = image->looking ? "info" : image->action == SNAPSHOT_REPAIR ? "check" : "snapshot";
	if (disk->secret) {
		args[n++] = "--object";
		args[n++] = "secret,id=secret,file={1}";
	}
	if (image->looking) {
		args[n++] = "--output=json";
	} else if (image->action == SNAPSHOT_REPAIR) {
		args[n++] = "-q";
		args[n++] = "-r";
		args[n++] = "all";
	} else {
		args[n++] = "-q";
		args[n++] = options[image->action];
		args[n++] = image->name;
	}
	args[n++] = filename;
	args[n] = NULL;
	snprintf(unit, sizeof(unit), "hvd-snapshot-%s", image->vm->config.name);
	snprintf(description, sizeof(description), "Snapshot of VM %s", image->vm->config.name);
	request.unit = unit;
	request.description = description;
	request.args = args;
	return qemu_img_start(image->vm->manager, &request, &img_ops, image, &image->img, err);
}

/* ---- */

static int launch(struct snapshot_image *image, struct hvd_error *err)
{
	return vm_config_find_disk(&image->vm->running, image->disk.id) >= 0 ? command(image, err)
									      : run_qemu_img(image, err);
}

int snapshot_image_do(struct vm *vm, const struct disk_config *disk, const char *name,
		      enum snapshot_action action, snapshot_image_fn fn, void *ctx,
		      struct snapshot_image **ret, struct hvd_error *err)
{
	AUTO(snapshot_image_free) struct snapshot_image *image = calloc(1, sizeof(*image));
	int r;

	if (!image || schema_copy(&disk_schema, &image->disk, disk) < 0)
		return hvd_err(err, ENOMEM, "out of memory");
	image->vm = vm;
	snprintf(image->name, sizeof(image->name), "%s", name);
	image->action = action;
	image->looking = action == SNAPSHOT_LOOK || action == SNAPSHOT_ERASE;
	image->fn = fn;
	image->ctx = ctx;
	r = launch(image, err);
	if (r < 0)
		return hvd_err_prefix(err, r, "disk %s", disk->id);
	*ret = TAKE(image);
	return 0;
}
