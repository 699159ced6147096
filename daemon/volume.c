/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/volume.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/qcow2.h"
#include "daemon/qemu_img.h"
#include "daemon/unit.h"
#include "daemon/vm.h"

#define SIZE_TEXT 24

static const char *const drivers[] = { [DISK_FORMAT_RAW] = "raw", [DISK_FORMAT_QCOW2] = "qcow2" };

/* One that is made or changed. */
struct volume_job {
	struct list node; /* in manager->volume_jobs */
	struct manager *manager;
	struct pool_item *item;
	struct pool_item *image; /* held, or NULL */
	bool making;
	uint64_t grow_to; /* when it has been made; 0: it has its size */
	struct qemu_img *img;
	const struct volume_ops *ops;
	void *ctx;
};

static void job_finish(struct volume_job *job, int r, const struct hvd_error *err)
{
	const struct volume_ops *ops = job->ops;
	struct hvd_error own = err ? *err : (struct hvd_error){ 0 };
	struct pool_item *item = job->item;
	void *ctx = job->ctx;

	list_remove(&job->node);
	qemu_img_free(job->img);
	if (job->image)
		pool_release(job->image);
	if (job->making && r >= 0)
		r = pool_commit(item, &own);
	pool_release(item);
	if (job->making && r < 0)
		pool_discard(item);
	free(job);
	ops->done(ctx, r, r < 0 ? NULL : item, r < 0 ? &own : NULL);
}

static void on_progress(void *ctx, unsigned done)
{
	struct volume_job *job = ctx;
	uint64_t total = job->image ? pool_config(job->image)->size : pool_config(job->item)->size;

	if (total)
		job->ops->progress(job->ctx, total / 10000 * done, total);
}

static void on_done(void *ctx, int r, const char *output, const struct hvd_error *err);

static int run(struct volume_job *job, const char *const *args, const struct qemu_img_file *files,
	       size_t n_files, int input, const char *input_path, struct hvd_error *err)
{
	static const struct qemu_img_ops silent = { .done = on_done };
	static const struct qemu_img_ops loud = { .progress = on_progress, .done = on_done };
	const char *name = pool_config(job->item)->name, *noun = pool_noun(job->item);
	char unit[UNIT_NAME_MAX], description[UNIT_NAME_MAX];
	const struct qemu_img_request request = { .unit = unit, .description = description, .args = args,
						  .files = files, .n_files = n_files, .input = input,
						  .input_path = input_path };

	snprintf(unit, sizeof(unit), "hvd-%s-%s", noun, name);
	snprintf(description, sizeof(description), "The %s %s is written", noun, name);
	return qemu_img_start(job->manager, &request, strcmp(args[0], "convert") == 0 ? &loud : &silent, job,
			      &job->img, err);
}

static int run_resize(struct volume_job *job, uint64_t size, struct hvd_error *err)
{
	const struct qemu_img_file file = { pool_path(job->item), true };
	bool qcow2 = pool_config(job->item)->format == DISK_FORMAT_QCOW2;
	char text[SIZE_TEXT];

	snprintf(text, sizeof(text), "%" PRIu64, size);
	/* whatever image is behind it is not looked at */
	return run(job, (const char *const[]){
		"resize", "-q", qcow2 ? "json:{\"driver\":\"qcow2\",\"backing\":null,\"file\":"
					"{\"driver\":\"file\",\"filename\":\"{0}\"}}"
				      : "json:{\"driver\":\"raw\",\"file\":"
					"{\"driver\":\"file\",\"filename\":\"{0}\"}}",
		text, NULL }, &file, 1, -1, NULL, err);
}

static void on_done(void *ctx, int r, const char *output, const struct hvd_error *err)
{
	struct volume_job *job = ctx;
	struct hvd_error own = { 0 };
	uint64_t size = job->grow_to;

	job->img = qemu_img_free(job->img);
	job->grow_to = 0;
	if (r >= 0 && size) {
		r = run_resize(job, size, &own);
		if (r >= 0)
			return;
		err = &own;
	}
	job_finish(job, r, err);
}

/* Takes the item: it is held, and discarded when making fails. NULL: done was called. */
static struct volume_job *job_new(struct manager *manager, struct pool_item *item, bool making,
				  const struct volume_ops *ops, void *ctx)
{
	struct volume_job *job = calloc(1, sizeof(*job));
	struct hvd_error err = { 0 };

	if (!job) {
		if (making)
			pool_discard(item);
		ops->done(ctx, hvd_err(&err, ENOMEM, "out of memory"), NULL, &err);
		return NULL;
	}
	*job = (struct volume_job){ .manager = manager, .item = item, .making = making, .ops = ops, .ctx = ctx };
	pool_hold(item);
	list_append(&manager->volume_jobs, &job->node);
	return job;
}

/* A job that makes what config says; NULL: done was called. Takes config over. */
static struct volume_job *begin(struct manager *manager, struct pool *pool, struct volume_config *config,
				const struct volume_ops *ops, void *ctx)
{
	struct hvd_error err = { 0 };
	struct pool_item *item;
	int r = pool_begin(pool, config, &item, &err);

	if (r >= 0)
		return job_new(manager, item, true, ops, ctx);
	schema_clear(&volume_schema, config);
	ops->done(ctx, r, NULL, &err);
	return NULL;
}

/* --- images */

/* It is looked at before anybody else opens it, and cannot be exchanged any more. */
static int open_source(const struct volume_config *config, uint64_t *size, struct hvd_error *err)
{
	AUTO(close) int fd = -1;
	struct stat st;
	int r = 0;

	if (!config->path)
		return hvd_err_field(err, EINVAL, "path", "is required");
	/* O_NONBLOCK: a FIFO must not hold the daemon */
	fd = open(config->path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return hvd_err_field(err, EINVAL, "path", "%s: %s", config->path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return hvd_err_field(err, EINVAL, "path", "%s: is not a regular file", config->path);
	*size = (uint64_t)st.st_size;
	if (config->format == DISK_FORMAT_QCOW2)
		r = qcow2_check(fd, false, size, err);
	if (r < 0) {
		struct hvd_error cause = *err;

		return hvd_err_field(err, -r, "path", "%s %s", config->path, cause.msg);
	}
	if (!*size || *size > VOLUME_SIZE_MAX)
		return hvd_err_field(err, EINVAL, "path", "%s: %s", config->path,
				     *size ? "is too large a disk" : "is empty");
	return TAKE_FD(fd);
}

void image_import(struct manager *manager, struct volume_config *config, const struct volume_ops *ops, void *ctx)
{
	const char *format = drivers[config->format];
	struct hvd_error err = { 0 };
	uint64_t size = 0;
	AUTO(close) int fd = open_source(config, &size, &err);
	AUTO(free) char *path = TAKE(config->path);
	struct volume_job *job;

	if (fd < 0) {
		schema_clear(&image_schema, config);
		ops->done(ctx, fd, NULL, &err);
		return;
	}
	config->size = size;
	job = begin(manager, manager->images, config, ops, ctx);
	if (job && run(job, (const char *const[]){ "convert", "-p", "-t", "writeback", "-f", format, "-O", format,
						    "{in}", "{0}", NULL },
		       &(struct qemu_img_file){ pool_path(job->item), true }, 1, fd, path, &err) < 0)
		job_finish(job, err.code, &err);
}

int image_remove(struct pool_item *image, struct hvd_error *err)
{
	return pool_remove(image, err);
}

/* --- all of them */

int volume_get_status(struct pool_item *item, struct volume_status *ret)
{
	ret->path = strdup(pool_path(item));
	if (!ret->path)
		return -ENOMEM;
	/* one whose file has gone has no size */
	pool_look(item, ret);
	return 0;
}

static struct volume_job *job_of(const struct manager *manager, const void *ctx)
{
	struct volume_job *job;

	list_for_each(job, &manager->volume_jobs, node)
		if (job->ctx == ctx)
			return job;
	return NULL;
}

static void job_cancel(struct volume_job *job, const char *why)
{
	struct hvd_error err = { 0 };

	job_finish(job, hvd_err(&err, ECANCELED, "%s", why), &err);
}

void volume_cancel(struct manager *manager, void *ctx)
{
	struct volume_job *job = job_of(manager, ctx);

	if (job)
		job_cancel(job, "cancelled");
}

int volumes_open(struct manager *manager, struct hvd_error *err)
{
	return pool_new(manager, "image", "images", &image_schema, &manager->images, err);
}

void volumes_close(struct manager *manager)
{
	while (!list_empty(&manager->volume_jobs))
		job_cancel(list_entry(manager->volume_jobs.next, struct volume_job, node), "hvd is stopping");
	manager->images = pool_free(manager->images);
}
