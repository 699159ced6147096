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
#include "vmm/base/macro.h"

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
	else if (r >= 0)
		pool_changed(item);
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

/* It is looked at before anybody else opens it. */
static int check_source(int fd, enum disk_format format, uint64_t *size, struct hvd_error *err)
{
	int flags = fcntl(fd, F_GETFL), r = 0;
	struct stat st;

	if (flags < 0 || fstat(fd, &st) < 0)
		return hvd_err(err, errno, "%s", strerror(errno));
	/* it is opened anew, with hvd's rights: who passes it must have been able to read it */
	if ((flags & O_PATH) || (flags & O_ACCMODE) == O_WRONLY)
		return hvd_err(err, EINVAL, "is not open for reading");
	if (!S_ISREG(st.st_mode))
		return hvd_err(err, EINVAL, "is not a regular file");
	*size = (uint64_t)st.st_size;
	if (format == DISK_FORMAT_QCOW2)
		r = qcow2_check(fd, false, size, err);
	if (r >= 0 && (!*size || *size > VOLUME_SIZE_MAX))
		r = hvd_err(err, EINVAL, *size ? "is too large a disk" : "is empty");
	return r;
}

/* Opened once, so that it is not another one that is read later. Takes path along. */
static void take(struct manager *manager, struct volume_config *config, int fd, const char *path,
		 const struct volume_ops *ops, void *ctx)
{
	const char *format = drivers[config->format];
	struct hvd_error err = { 0 };
	struct volume_job *job = begin(manager, manager->images, config, ops, ctx);

	if (job && run(job, (const char *const[]){ "convert", "-p", "-t", "writeback", "-f", format, "-O", format,
						    "{in}", "{0}", NULL },
		       &(struct qemu_img_file){ pool_path(job->item), true }, 1, fd, path, &err) < 0)
		job_finish(job, err.code, &err);
}

static void refuse(struct volume_config *config, const struct hvd_error *err, const struct volume_ops *ops,
		   void *ctx)
{
	schema_clear(&image_schema, config);
	ops->done(ctx, err->code, NULL, err);
}

void image_take(struct manager *manager, struct volume_config *config, int fd, const struct volume_ops *ops,
		void *ctx)
{
	struct hvd_error cause = { 0 }, err = { 0 };

	if (check_source(fd, config->format, &config->size, &cause) >= 0) {
		take(manager, config, fd, "what was sent", ops, ctx);
		return;
	}
	hvd_err(&err, -cause.code, "what was sent %s", cause.msg);
	refuse(config, &err, ops, ctx);
}

static int open_source(const struct volume_config *config, uint64_t *size, struct hvd_error *err)
{
	struct hvd_error cause = { 0 };
	AUTO(close) int fd = -1;

	if (!config->path)
		return hvd_err_field(err, EINVAL, "path", "is required");
	/* O_NONBLOCK: a FIFO must not hold the daemon */
	fd = open(config->path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return hvd_err_field(err, EINVAL, "path", "%s: %s", config->path, strerror(errno));
	if (check_source(fd, config->format, size, &cause) < 0)
		return hvd_err_field(err, -cause.code, "path", "%s %s", config->path, cause.msg);
	return TAKE_FD(fd);
}

void image_import(struct manager *manager, struct volume_config *config, const struct volume_ops *ops, void *ctx)
{
	struct hvd_error err = { 0 };
	AUTO(close) int fd = open_source(config, &config->size, &err);
	AUTO(free) char *path = TAKE(config->path);

	if (fd < 0)
		refuse(config, &err, ops, ctx);
	else
		take(manager, config, fd, path, ops, ctx);
}

/* --- volumes */

static int find_image(struct manager *manager, struct volume_config *config, struct pool_item **ret,
		      struct hvd_error *err)
{
	uint64_t size;

	*ret = NULL;
	if (!config->image)
		return 0;
	*ret = pool_find(manager->images, config->image);
	if (!*ret)
		return hvd_err_field(err, EINVAL, "image", "there is no image %s; see hvcli image list",
				     config->image);
	size = pool_config(*ret)->size;
	if (!config->size)
		config->size = (size + 511) / 512 * 512;
	if (config->size < size)
		return hvd_err_field(err, EINVAL, "size", "is less than the %" PRIu64 " bytes of image %s", size,
				     config->image);
	return 0;
}

static int run_copy(struct volume_job *job, struct hvd_error *err)
{
	const struct qemu_img_file files[] = { { pool_path(job->image), false },
					       { pool_path(job->item), true } };

	return run(job, (const char *const[]){
		"convert", "-p", "-t", "writeback", "-f", drivers[pool_config(job->image)->format], "-O",
		drivers[pool_config(job->item)->format], "{0}", "{1}", NULL },
		files, ARRAY_SIZE(files), -1, NULL, err);
}

static int run_create(struct volume_job *job, bool backed, uint64_t size, struct hvd_error *err)
{
	const struct qemu_img_file file = { pool_path(job->item), true };
	const char *format = drivers[pool_config(job->item)->format];
	char text[SIZE_TEXT];

	snprintf(text, sizeof(text), "%" PRIu64, size);
	if (!backed)
		return run(job, (const char *const[]){ "create", "-q", "-f", format, "{0}", text, NULL }, &file,
			   1, -1, NULL, err);
	/* -u: the image is named in it, and not opened */
	return run(job, (const char *const[]){ "create", "-q", "-f", format, "-u", "-b", pool_path(job->image),
						"-F", drivers[pool_config(job->image)->format], "{0}", text,
						NULL }, &file, 1, -1, NULL, err);
}

void volume_create(struct manager *manager, struct volume_config *config, const struct volume_ops *ops, void *ctx)
{
	struct hvd_error err = { 0 };
	struct pool_item *image;
	struct volume_job *job;
	uint64_t size;
	int r;

	r = find_image(manager, config, &image, &err);
	if (r < 0) {
		schema_clear(&volume_schema, config);
		ops->done(ctx, r, NULL, &err);
		return;
	}
	size = config->size;
	job = begin(manager, manager->volumes, config, ops, ctx);
	if (!job)
		return;
	job->image = image;
	if (image)
		pool_hold(image);
	if (image && !pool_config(job->item)->backed) {
		job->grow_to = size > pool_config(image)->size ? size : 0;
		r = run_copy(job, &err);
	} else {
		r = run_create(job, image != NULL, size, &err);
	}
	if (r < 0)
		job_finish(job, r, &err);
}

static const struct vm *user_of(const struct pool_item *volume, bool running)
{
	const struct manager *manager = pool_manager(volume);

	for (const struct vm *vm = vm_next(manager, NULL); vm; vm = vm_next(manager, vm))
		if (vm_disk_of_volume(vm, pool_config(volume)->name, running))
			return vm;
	return NULL;
}

static int check_not_held(const struct pool_item *item, struct hvd_error *err)
{
	return pool_is_held(item) ? hvd_err(err, EBUSY, "%s %s is being read or changed; try again",
					    pool_noun(item), pool_config(item)->name)
				  : 0;
}

static int check_resize(struct pool_item *volume, uint64_t size, struct hvd_error *err)
{
	const char *name = pool_config(volume)->name;
	const struct vm *vm = user_of(volume, true);
	char text[24];
	int r = check_not_held(volume, err);

	if (r < 0)
		return r;
	r = pool_look(volume, &(struct volume_status){ 0 });
	if (r < 0)
		return hvd_err(err, -r, "%s: %s", pool_path(volume), strerror(-r));
	if (size < pool_config(volume)->size)
		return hvd_err_field(err, EINVAL, "size", "is less than the %" PRIu64 " bytes that it has: a "
				     "volume is not cut", pool_config(volume)->size);
	if (!vm)
		return 0;
	size_format(size, text);
	return hvd_err(err, EBUSY, "volume %s is in use by VM %s, which runs; its disk can grow: hvcli disk set "
		       "%s %s --size %s", name, vm_config(vm)->name, vm_config(vm)->name,
		       vm_disk_of_volume(vm, name, true)->id, text);
}

void volume_resize(struct pool_item *volume, uint64_t size, const struct volume_ops *ops, void *ctx)
{
	struct hvd_error err = { 0 };
	struct volume_job *job;
	int r = check_resize(volume, size, &err);

	if (r < 0 || size == pool_config(volume)->size) {
		ops->done(ctx, r, r < 0 ? NULL : volume, r < 0 ? &err : NULL);
		return;
	}
	job = job_new(pool_manager(volume), volume, false, ops, ctx);
	if (job && run_resize(job, size, &err) < 0)
		job_finish(job, err.code, &err);
}

/* --- who has them */

/* The next volume that is backed by image. */
static const struct pool_item *next_backed(const struct pool_item *image, const struct pool_item *volume)
{
	const struct pool *volumes = pool_manager(image)->volumes;

	while ((volume = pool_next(volumes, volume)))
		if (pool_config(volume)->backed &&
		    strcmp(pool_config(volume)->image, pool_config(image)->name) == 0)
			break;
	return volume;
}

int image_remove(struct pool_item *image, struct hvd_error *err)
{
	const struct pool_item *volume = next_backed(image, NULL);
	int r = check_not_held(image, err);

	if (r >= 0 && volume)
		r = hvd_err(err, EBUSY, "image %s is behind volume %s%s", pool_config(image)->name,
			    pool_config(volume)->name, next_backed(image, volume) ? " and others" : "");
	return r < 0 ? r : pool_remove(image, err);
}

int volume_remove(struct pool_item *volume, struct hvd_error *err)
{
	const struct vm *vm = user_of(volume, false);
	int r = check_not_held(volume, err);

	if (r >= 0 && vm)
		r = hvd_err(err, EBUSY, "volume %s is a disk of VM %s; detach it first: hvcli disk detach %s %s",
			    pool_config(volume)->name, vm_config(vm)->name, vm_config(vm)->name,
			    vm_disk_of_volume(vm, pool_config(volume)->name, false)->id);
	return r < 0 ? r : pool_remove(volume, err);
}

static int add_user(struct volume_status *status, const char *vm, const char *volume)
{
	struct volume_user *more = reallocarray(status->used_by, status->n_used_by + 1, sizeof(*more));

	if (!more)
		return -ENOMEM;
	status->used_by = more;
	more[status->n_used_by] = (struct volume_user){ .vm = vm ? strdup(vm) : NULL,
							.volume = volume ? strdup(volume) : NULL };
	more += status->n_used_by++;
	return more->vm || more->volume ? 0 : -ENOMEM;
}

static int add_users(const struct pool_item *item, struct volume_status *status)
{
	const struct manager *manager = pool_manager(item);
	int r = 0;

	if (pool_find(manager->images, pool_config(item)->name) == item) {
		for (const struct pool_item *v = next_backed(item, NULL); v && r >= 0; v = next_backed(item, v))
			r = add_user(status, NULL, pool_config(v)->name);
		return r;
	}
	for (const struct vm *vm = vm_next(manager, NULL); vm && r >= 0; vm = vm_next(manager, vm))
		if (vm_disk_of_volume(vm, pool_config(item)->name, false))
			r = add_user(status, vm_config(vm)->name, NULL);
	return r;
}

int volume_get_status(struct pool_item *item, struct volume_status *ret)
{
	ret->path = strdup(pool_path(item));
	/* one whose file has gone has no size */
	pool_look(item, ret);
	if (ret->path && add_users(item, ret) >= 0)
		return 0;
	schema_clear(&volume_status_schema, ret);
	return -ENOMEM;
}

/* --- what is under way */

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
	int r = pool_new(manager, "image", "images", &image_schema, &manager->images, err);

	return r < 0 ? r : pool_new(manager, "volume", "volumes", &volume_schema, &manager->volumes, err);
}

void volumes_close(struct manager *manager)
{
	while (!list_empty(&manager->volume_jobs))
		job_cancel(list_entry(manager->volume_jobs.next, struct volume_job, node), "hvd is stopping");
	manager->volumes = pool_free(manager->volumes);
	manager->images = pool_free(manager->images);
}
