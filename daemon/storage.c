/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/storage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "daemon/qmp.h"
#include "daemon/unit.h"
#include "daemon/unit_farewell.h"
#include "daemon/unit_properties.h"
#include "daemon/vm_private.h"
#include "vmm/base/log.h"

#define OUTPUT_MAX  4096 /* the last of what the daemon has written */
#define LOG_LINES   20   /* of one daemon, that go to the journal */
#define OPEN_SEC    60   /* that an image on the network may take to be opened */

struct storage {
	struct manager *manager;
	char *vm;
	struct disk_config disk;
	const struct storage_ops *ops;
	void *ctx;

	struct unit_job *job;
	struct unit_query *query; /* why it has ended */
	struct qmp *qmp;
	int output; /* pipe; -1: an earlier hvd had it */
	sd_event_source *output_io, *deadline;
	char text[OUTPUT_MAX + 1];
	size_t text_len;
	unsigned logged;
	bool ready, lost;

	/* An update under way. */
	storage_done_fn update_done;
	void *update_ctx;
	struct disk_config target; /* only numbers in it */

	/* A command of storage_command() under way, also when nobody waits for the answer any more. */
	bool commanded;
	qmp_reply_fn command_fn;
	void *command_ctx;
};

static void command_finish(struct storage *storage, int r, json_t *result, const struct hvd_error *err)
{
	qmp_reply_fn fn = TAKE(storage->command_fn);

	storage->commanded = false;
	if (fn)
		fn(storage->command_ctx, r, result, err);
}

struct storage *storage_free(struct storage *storage)
{
	struct hvd_error err = { 0 };

	if (!storage)
		return NULL;
	storage->lost = true;
	hvd_err(&err, ENOTCONN, "its storage daemon has ended");
	command_finish(storage, err.code, NULL, &err);
	unit_job_free(storage->job);
	unit_query_free(storage->query);
	qmp_free(storage->qmp);
	sd_event_source_disable_unref(storage->output_io);
	sd_event_source_disable_unref(storage->deadline);
	if (storage->output >= 0)
		close(storage->output);
	schema_clear(&disk_schema, &storage->disk);
	free(storage->vm);
	free(storage);
	return NULL;
}

const char *storage_disk(const struct storage *storage)
{
	return storage->disk.id;
}

bool storage_is_ready(const struct storage *storage)
{
	return storage->ready && !storage->lost;
}

int storage_connect(const struct storage *storage)
{
	return storage_socket_connect(storage->manager, storage->vm, storage->disk.id, STORAGE_SOCKET_DISK);
}

/* --- what it says on standard error */

/* Keeps the end; true: there may be more. */
static bool read_output(struct storage *storage)
{
	char *text = storage->text;
	ssize_t n;

	if (storage->output < 0)
		return false;
	if (storage->text_len > OUTPUT_MAX / 2) {
		storage->text_len -= OUTPUT_MAX / 2;
		memmove(text, text + OUTPUT_MAX / 2, storage->text_len);
	}
	n = read(storage->output, text + storage->text_len, OUTPUT_MAX / 2);
	if (n <= 0)
		return false;
	storage->text_len += (size_t)n;
	text[storage->text_len] = '\0';
	return true;
}

static void explain(struct storage *storage, char *buf, size_t size)
{
	while (read_output(storage))
		;
	storage_explain(storage->text, &storage->disk, buf, size);
}

static int on_output(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct storage *storage = userdata;
	char line[256];

	if (!read_output(storage)) {
		sd_event_source_set_enabled(source, SD_EVENT_OFF);
		return 0;
	}
	if (!storage->ready || storage->logged++ >= LOG_LINES)
		return 0;
	storage_explain(storage->text, &storage->disk, line, sizeof(line));
	log_warning("VM %s: disk %s: %s", storage->vm, storage->disk.id, line);
	return 0;
}

/* --- its end */

static void give_up(struct storage *storage, int r, const struct hvd_error *err)
{
	if (storage->lost)
		return;
	storage->lost = true;
	storage->ops->ready(storage->ctx, storage, r, err);
}

static void fail(struct storage *storage, int errnum, const char *field, const char *text)
{
	struct hvd_error err = { 0 };
	int r;

	r = field ? hvd_err_field(&err, errnum, field, "%s", text) : hvd_err(&err, errnum, "%s", text);
	give_up(storage, r, &err);
}

/* The field of the disk that says where its image is. */
static const char *place_field(const struct disk_config *disk)
{
	if (disk_is_rbd(disk))
		return "ceph";
	return disk_is_nbd(disk) ? "nbd" : "path";
}

static void on_end_known(void *ctx, int r, const struct unit_info *info, const struct hvd_error *err)
{
	struct storage *storage = ctx;
	char why[64] = "has ended";

	if (r >= 0 && info->state != UNIT_ALIVE)
		unit_describe_end(info, why, sizeof(why));
	storage->ops->ended(storage->ctx, storage, why);
}

/* QMP is closed: the daemon has ended. */
static void on_qmp_closed(void *ctx)
{
	struct storage *storage = ctx;
	char unit[UNIT_NAME_MAX], text[300];

	if (storage->lost)
		return;
	unit_storage_name(storage->vm, storage->disk.id, unit);
	if (!storage->ready) {
		explain(storage, text, sizeof(text));
		if (!text[0])
			snprintf(text, sizeof(text), "its storage daemon ended right after its start; "
				 "see journalctl -u %s", unit);
		fail(storage, EINVAL, place_field(&storage->disk), text);
		return;
	}
	storage->lost = true;
	if (!storage->manager->bus ||
	    unit_query_name(storage->manager->bus, unit, on_end_known, storage, &storage->query,
			    NULL) < 0)
		storage->ops->ended(storage->ctx, storage, "has ended");
}

/* --- size and limits */

static void update_finish(struct storage *storage, int r, const struct hvd_error *err)
{
	storage_done_fn done = TAKE(storage->update_done);

	if (done)
		done(storage->update_ctx, r, err);
}

static void on_limits(void *ctx, int r, json_t *result, const struct hvd_error *err)
{
	update_finish(ctx, r, err);
}

static void set_limits(struct storage *storage)
{
	json_t *limits = storage_limits(&storage->target.limits);
	struct hvd_error err = { 0 };
	int r = -ENOMEM;

	if (limits)
		r = qmp_execute(storage->qmp, "qom-set",
				json_pack("{s:s, s:s, s:o}", "path", "/objects/" STORAGE_LIMITS,
					  "property", "limits", "value", limits),
				on_limits, storage);
	if (r < 0)
		update_finish(storage, hvd_err(&err, ENOMEM, "out of memory"), &err);
}

static void on_resized(void *ctx, int r, json_t *result, const struct hvd_error *err)
{
	struct hvd_error own = { 0 };

	if (r >= 0) {
		set_limits(ctx);
		return;
	}
	hvd_err_field(&own, EINVAL, "size", "%s", err->msg);
	update_finish(ctx, own.code, &own);
}

json_t *storage_find_node(json_t *nodes, const char *name)
{
	json_t *node;
	size_t i;

	json_array_foreach(nodes, i, node) {
		const char *text = json_string_value(json_object_get(node, "node-name"));

		if (text && strcmp(text, name) == 0)
			return node;
	}
	return NULL;
}

static const char *backing_of(json_t *nodes, const char *name)
{
	return json_string_value(json_object_get(json_object_get(storage_find_node(nodes, name), "image"),
						 "backing-filename"));
}

static uint64_t size_of(json_t *nodes, const char *name)
{
	json_t *image = json_object_get(storage_find_node(nodes, name), "image");

	return (uint64_t)json_integer_value(json_object_get(image, "virtual-size"));
}

static void on_size(void *ctx, int r, json_t *nodes, const struct hvd_error *err)
{
	struct storage *storage = ctx;
	uint64_t size = storage->target.size;
	struct hvd_error own = { 0 };

	if (r < 0) {
		update_finish(storage, r, err);
		return;
	}
	if (size_of(nodes, STORAGE_IMAGE_NODE) >= size) {
		set_limits(storage);
		return;
	}
	if (qmp_execute(storage->qmp, "block_resize",
			json_pack("{s:s, s:I}", "node-name", STORAGE_NODE, "size", (json_int_t)size),
			on_resized, storage) < 0)
		update_finish(storage, hvd_err(&own, ENOMEM, "out of memory"), &own);
}

int storage_update(struct storage *storage, const struct disk_config *disk, storage_done_fn fn, void *ctx,
		   struct hvd_error *err)
{
	if (!storage_is_ready(storage) || storage->update_done)
		return hvd_err(err, EAGAIN, "the storage daemon of disk %s cannot be reached just now; "
			       "try again", storage->disk.id);
	storage->update_done = fn;
	storage->update_ctx = ctx;
	storage->target = (struct disk_config){ .size = disk->size, .limits = disk->limits };
	if (qmp_execute(storage->qmp, "query-named-block-nodes", NULL, on_size, storage) < 0) {
		storage->update_done = NULL;
		return hvd_err(err, ENOMEM, "out of memory");
	}
	return 0;
}

/* --- what others ask it */

static void on_command(void *ctx, int r, json_t *result, const struct hvd_error *err)
{
	command_finish(ctx, r, result, err);
}

int storage_command(struct storage *storage, const char *command, json_t *arguments, qmp_reply_fn fn,
		    void *ctx, struct hvd_error *err)
{
	if (!storage_is_ready(storage) || storage->commanded) {
		json_decref(arguments);
		return hvd_err(err, EAGAIN, "its storage daemon cannot be reached just now; try again");
	}
	if (qmp_execute(storage->qmp, command, arguments, on_command, storage) < 0)
		return hvd_err(err, ENOMEM, "out of memory");
	storage->commanded = true;
	storage->command_fn = fn;
	storage->command_ctx = ctx;
	return 0;
}

void storage_forget_command(struct storage *storage)
{
	storage->command_fn = NULL;
}

/* --- its start */

static void set_ready(struct storage *storage)
{
	storage->ready = true;
	storage->deadline = sd_event_source_disable_unref(storage->deadline);
	storage->ops->ready(storage->ctx, storage, 0, NULL);
}

/* It waits for who does not answer, and hears no other signal meanwhile. */
static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct storage *storage = userdata;
	const struct disk_config *disk = &storage->disk;
	char unit[UNIT_NAME_MAX], text[300];

	unit_storage_name(storage->vm, disk->id, unit);
	unit_kill_name(storage->manager->bus, unit);
	snprintf(text, sizeof(text), "%.120s has not been opened within %d seconds: %s", disk_place(disk), OPEN_SEC,
		 disk_is_rbd(disk) ? "do the monitors and the OSDs of the cluster answer?"
				   : "does the server answer?");
	fail(storage, ETIMEDOUT, place_field(disk), text);
	return 0;
}

/* What is on the network may never answer. */
static int set_deadline(struct storage *storage)
{
	if (!disk_is_nbd(&storage->disk) && !disk_is_rbd(&storage->disk))
		return 0;
	return sd_event_add_time_relative(storage->manager->event, &storage->deadline, CLOCK_MONOTONIC,
					  OPEN_SEC * 1000000ULL, 0, on_deadline, storage);
}

static void on_first_update(void *ctx, int r, const struct hvd_error *err)
{
	struct storage *storage = ctx;

	if (r < 0) {
		give_up(storage, r, err);
		return;
	}
	set_ready(storage);
}

/* An image that depends on another must not be opened as if it did not. */
static void on_nodes(void *ctx, int r, json_t *nodes, const struct hvd_error *err)
{
	struct storage *storage = ctx;
	struct hvd_error own = { 0 };
	const char *backing;
	char text[120];

	if (r < 0) {
		give_up(storage, r, err);
		return;
	}
	backing = storage->disk.backing ? NULL : backing_of(nodes, STORAGE_IMAGE_NODE);
	if (backing) {
		qmp_printable(backing, text, sizeof(text));
		hvd_err_field(&own, EINVAL, "backing", "is missing: %s says that it is a change of "
			      "'%s', which is not followed unless it is named here",
			      disk_place(&storage->disk), text);
		give_up(storage, own.code, &own);
		return;
	}
	backing = backing_of(nodes, STORAGE_BACKING_NODE);
	if (backing) {
		hvd_err_field(&own, EINVAL, "backing", "%s is itself a change of another image: only one "
			      "image behind a disk is supported", storage->disk.backing);
		give_up(storage, own.code, &own);
		return;
	}
	storage->ready = true;
	r = storage_update(storage, &storage->disk, on_first_update, storage, &own);
	storage->ready = false;
	if (r < 0)
		give_up(storage, r, &own);
}

static void on_qmp_ready(void *ctx)
{
	struct storage *storage = ctx;

	if (qmp_execute(storage->qmp, "query-named-block-nodes", NULL, on_nodes, storage) < 0)
		fail(storage, ENOMEM, NULL, "out of memory");
}

static const struct qmp_ops qmp_ops = { .ready = on_qmp_ready, .closed = on_qmp_closed };

static int connect_qmp(struct storage *storage)
{
	int sock = storage_socket_connect(storage->manager, storage->vm, storage->disk.id, STORAGE_SOCKET_QMP);

	return sock < 0 ? sock : qmp_new(storage->manager->event, sock, &qmp_ops, storage, &storage->qmp);
}

static void on_unit(void *ctx, int r, const struct hvd_error *err)
{
	struct storage *storage = ctx;

	if (r < 0 && !storage->ready)
		give_up(storage, r, err);
}

static int new_storage(struct manager *manager, const struct vm_config *config,
		       const struct disk_config *disk, const struct storage_ops *ops, void *ctx,
		       struct storage **ret, struct hvd_error *err)
{
	AUTO(storage_free) struct storage *storage = calloc(1, sizeof(*storage));
	int r;

	if (!storage)
		return hvd_err(err, ENOMEM, "out of memory");
	storage->manager = manager;
	storage->ops = ops;
	storage->ctx = ctx;
	storage->output = -1;
	storage->vm = strdup(config->name);
	if (!storage->vm || schema_copy(&disk_schema, &storage->disk, disk) < 0)
		return hvd_err(err, ENOMEM, "out of memory");
	r = vm_volume_resolve(manager, &storage->disk, err);
	if (r < 0)
		return r;
	*ret = TAKE(storage);
	return 0;
}

static int ask_systemd(struct storage *storage, const struct vm_config *config, int qmp, int vhost,
		       int output, struct hvd_error *err)
{
	const struct disk_config *disk = &storage->disk;
	AUTO(storage_args_free) char **argv = storage_args(disk, config->vcpus);
	char name[UNIT_NAME_MAX];
	struct unit_storage_file files[5];
	struct unit_storage unit = { .disk = disk->id, .argv = argv, .files = files,
				     .nbd_server = disk->nbd.server, .nbd_socket = disk->nbd.socket,
				     .monitors = disk->ceph.monitors, .n_monitors = disk->ceph.n_monitors,
				     .stdin_fd = qmp, .stdout_fd = vhost, .stderr_fd = output };

	if (!argv)
		return hvd_err(err, ENOMEM, "out of memory");
	if (disk->path)
		files[unit.n_files++] = (struct unit_storage_file){ disk->path, STORAGE_IMAGE,
								    !disk->read_only };
	if (disk->nbd.socket)
		files[unit.n_files++] = (struct unit_storage_file){ disk->nbd.socket, STORAGE_NBD, true };
	if (disk->backing)
		files[unit.n_files++] = (struct unit_storage_file){ disk->backing, STORAGE_BACKING,
								    false };
	if (disk->secret)
		files[unit.n_files++] = (struct unit_storage_file){ disk->secret, STORAGE_SECRET, false };
	if (disk->ceph.keyfile)
		files[unit.n_files++] = (struct unit_storage_file){ disk->ceph.keyfile, STORAGE_KEY, false };
	unit_storage_name(storage->vm, disk->id, name);
	unit_farewell_drop(storage->manager, name);
	return unit_start_storage(storage->manager->bus, config, &storage->manager->paths, &unit, on_unit,
				  storage, &storage->job, err);
}

static int launch(struct storage *storage, const struct vm_config *config, struct hvd_error *err)
{
	const struct manager *manager = storage->manager;
	AUTO(close) int qmp = -1, vhost = -1, output = -1;
	int pipe[2], r;

	r = qmp = storage_socket_listen(manager, storage->vm, storage->disk.id, STORAGE_SOCKET_QMP);
	if (r >= 0)
		r = vhost = storage_socket_listen(manager, storage->vm, storage->disk.id, STORAGE_SOCKET_DISK);
	if (r >= 0)
		r = pipe2(pipe, O_CLOEXEC) < 0 ? -errno : 0;
	if (r < 0)
		return hvd_err(err, -r, "sockets of disk %s: %s", storage->disk.id, strerror(-r));
	storage->output = pipe[0];
	output = pipe[1];
	fcntl(storage->output, F_SETFL, O_NONBLOCK);
	r = sd_event_add_io(manager->event, &storage->output_io, storage->output, EPOLLIN, on_output, storage);
	/* it waits in the queue of the socket until the daemon is there */
	if (r >= 0)
		r = connect_qmp(storage);
	if (r >= 0)
		r = set_deadline(storage);
	if (r < 0)
		return hvd_err(err, -r, "storage daemon of disk %s: %s", storage->disk.id, strerror(-r));
	return ask_systemd(storage, config, qmp, vhost, output, err);
}

int storage_start(struct manager *manager, const struct vm_config *config,
		  const struct disk_config *disk, const struct storage_ops *ops, void *ctx,
		  struct storage **ret, struct hvd_error *err)
{
	AUTO(storage_free) struct storage *storage = NULL;
	int r;

	if (!manager->bus)
		return hvd_err(err, ENOTCONN, "no system bus, so that no storage daemon can be started");
	r = new_storage(manager, config, disk, ops, ctx, &storage, err);
	if (r < 0)
		return r;
	r = launch(storage, config, err);
	if (r < 0)
		return r;
	*ret = TAKE(storage);
	return 0;
}

int storage_adopt(struct manager *manager, const struct vm_config *config,
		  const struct disk_config *disk, const struct storage_ops *ops, void *ctx,
		  struct storage **ret, struct hvd_error *err)
{
	AUTO(storage_free) struct storage *storage = NULL;
	int r;

	r = new_storage(manager, config, disk, ops, ctx, &storage, err);
	if (r < 0)
		return r;
	r = connect_qmp(storage);
	if (r < 0)
		return hvd_err(err, -r, "storage daemon of disk %s: %s", disk->id, strerror(-r));
	*ret = TAKE(storage);
	return 0;
}

void storage_end(struct manager *manager, const char *vm, const char *disk)
{
	char unit[UNIT_NAME_MAX];

	storage_sockets_remove(manager, vm, disk);
	unit_storage_name(vm, disk, unit);
	unit_farewell(manager, unit);
}
