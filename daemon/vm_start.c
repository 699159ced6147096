/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting a VM:
 *
 *	networks ready -> files opened, taps bridged -> unit asked for, CONTROL_START sent behind it
 *	-> hvd-vmm answers -> pid and cgroup asked for -> RUNNING
 *
 * Before that it waits until what a former hvd has left of the VM's snapshots is completed.
 *
 * With disks that storage daemons serve, CONTROL_START waits until the unit runs, with which these end, and
 * they have opened their images.
 *
 * What fails on the way is undone in one place: the unit is killed and waited for, its folder
 * removed; files and taps go with their descriptors. The first error is the one that is reported.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "api/json.h"
#include "daemon/snapshot.h"
#include "daemon/store.h"
#include "daemon/vm_private.h"

struct vm_start {
	struct vm *vm;
	struct vm_networks networks;
	struct vm_files files;
	int spec, listener;
	struct unit_job *job; /* once systemd has been asked */
	sd_event_source *timer;
	bool failing;
	bool ask_unit; /* the process has ended: its unit knows why */
	struct hvd_error err;
	unsigned steps; /* that progress has been told of */
	vm_progress_fn progress;
	vm_done_fn done;
	void *ctx;
};

/* What progress is told of: networks, the unit, hvd-vmm, systemd's knowledge of it. */
enum start_step { STEP_NETWORKS, STEP_UNIT, STEP_VMM, STEP_INFO, _STEP_MAX };

static void step_done(struct vm_start *start, enum start_step step)
{
	/* systemd and hvd-vmm answer in any order */
	start->steps = MAX(start->steps, step + 1u);
	if (start->progress)
		start->progress(start->ctx, start->steps, _STEP_MAX);
}

static void start_free(struct vm_start *start)
{
	vm_networks_forget(&start->networks);
	unit_job_free(start->job);
	vm_files_close(&start->files);
	if (start->spec >= 0)
		close(start->spec);
	if (start->listener >= 0)
		close(start->listener);
	sd_event_source_disable_unref(start->timer);
	free(start);
}

/* For every outcome; the process runs, or there is none. */
static void finish(struct vm_start *start, enum vm_state state, const char *reason)
{
	struct vm *vm = start->vm;
	struct hvd_error err = start->err;
	vm_done_fn done = start->done;
	void *ctx = start->ctx;

	vm->start = NULL;
	start_free(start);
	vm->end = VMM_REASON_NONE;
	vm->stop_wanted = false;
	vm_set_state(vm, state, reason);
	vm_volumes_changed(vm);
	done(ctx, err.code, err.code < 0 ? &err : NULL);
}

/*
 * Undo. ask_unit: err only says that the process is gone. Files that are missing or of the wrong
 * kind are an error in the definition, not of the resource that the client has named.
 */
static void fail(struct vm_start *start, const struct hvd_error *err, bool ask_unit)
{
	static const int in_definition[] = { ENOENT, ENOTDIR, EISDIR, EACCES, EPERM, ENOEXEC,
					     ENOTBLK, ENXIO, ENODEV, ENOSPC, EFBIG };
	struct vm *vm = start->vm;

	if (start->failing)
		return;
	start->failing = true;
	start->ask_unit = ask_unit;
	start->err = *err;
	for (size_t i = 0; err->field[0] && i < ARRAY_SIZE(in_definition); i++)
		if (err->code == -in_definition[i])
			start->err.code = -EINVAL;

	if (!start->job) {
		vm->control = control_client_free(vm->control);
		vm_remove_runtime(vm);
		vm_start_ended(vm, NULL);
		return;
	}
	if (!ask_unit)
		unit_kill(vm->manager->bus, vm->config.name);
	vm_await_end(vm);
}

void vm_start_ended(struct vm *vm, const struct unit_info *info)
{
	struct vm_start *start = vm->start;
	char reason[sizeof(start->err.msg)];

	/* A guest may be quick: it was started, and has shut down before systemd told its pid. */
	if (!start->failing && vm->end != VMM_REASON_NONE && !vm_end_is_failure(vm->end)) {
		snprintf(reason, sizeof(reason), "%s", vm->end_text ? vm->end_text : "");
		finish(start, VM_SHUTOFF, reason);
		return;
	}
	if (!start->failing)
		hvd_err(&start->err, EIO, "hvd-vmm ended right after its start");
	if ((start->ask_unit || !start->failing) && info && info->state == UNIT_FAILED) {
		start->err = (struct hvd_error){ .code = -EIO };
		unit_describe_failure(info, &vm->running, start->err.msg, sizeof(start->err.msg));
	}
	snprintf(reason, sizeof(reason), "%s", start->err.msg);
	finish(start, vm->stop_wanted ? VM_SHUTOFF : VM_FAILED, reason);
	vm_stop_finish(vm);
}

void vm_start_cancel(struct vm *vm)
{
	struct hvd_error err = { 0 };

	hvd_err(&err, ECANCELED, "stopped while it was being started");
	fail(vm->start, &err, false);
}

void vm_start_drop(struct vm *vm)
{
	struct vm_start *start = TAKE(vm->start);
	struct hvd_error err = { 0 };

	if (!start)
		return;
	start->failing = true; /* replies that are dropped with the connection come too late */
	start->done(start->ctx, hvd_err(&err, ECANCELED, "hvd is stopping"), &err);
	vm->control = control_client_free(vm->control);
	start_free(start);
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct hvd_error err = { 0 };

	hvd_err(&err, ETIMEDOUT, "not started within %d s", (int)(CONTROL_START_TIMEOUT_USEC / 1000000));
	fail(userdata, &err, false);
	return 0;
}

static void on_info(void *ctx, int r, const struct unit_info *info, const struct hvd_error *err)
{
	struct vm_start *start = ctx;
	struct vm *vm = start->vm;

	vm->query = unit_query_free(vm->query);
	if (r < 0) {
		fail(start, err, false);
		return;
	}
	step_done(start, STEP_INFO);
	vm_apply_info(vm, info);
	vm->polls = 0;
	finish(start, VM_RUNNING, NULL);
}

static void on_started(void *ctx, int r, const struct control_message *reply,
		       const struct hvd_error *err)
{
	struct vm_start *start = ctx;
	struct vm *vm = start->vm;
	struct hvd_error own = { 0 };

	if (start->failing)
		return;
	if (r < 0) {
		fail(start, err, !reply && r == -EPIPE);
		return;
	}
	step_done(start, STEP_VMM);
	if (unit_query(vm->manager->bus, vm->config.name, on_info, start, &vm->query, &own) < 0)
		fail(start, &own, false);
}

/* The message holds its own references to the files. */
static int send_start(struct vm_start *start, struct hvd_error *err)
{
	struct vm *vm = start->vm;
	int fds[CONTROL_MAX_FDS] = { start->spec, start->listener };
	size_t n = 2 + vm_files_pack(&start->files, &vm->config, NULL, fds + 2);
	int r;

	r = control_client_request(vm->control, CONTROL_START, (uint32_t)vm->generation, fds, n,
				   on_started, start, err);
	vm_files_close(&start->files);
	return r;
}

static void on_storages(void *ctx, int r, const struct hvd_error *err)
{
	struct vm_start *start = ctx;
	struct vm *vm = start->vm;
	struct hvd_error own = { 0 };

	if (start->failing)
		return;
	if (r < 0) {
		fail(start, err, false);
		return;
	}
	r = vm_storages_connect(vm, &vm->running, NULL, &start->files, &own);
	sd_event_source_set_time_relative(start->timer, CONTROL_START_TIMEOUT_USEC);
	sd_event_source_set_enabled(start->timer, SD_EVENT_ONESHOT);
	if (r >= 0)
		r = vm->control ? send_start(start, &own)
				: hvd_err(&own, EIO, "hvd-vmm ended right after its start");
	if (r < 0)
		fail(start, &own, false);
}

static bool needs_storage(const struct vm_config *config)
{
	for (size_t i = 0; i < config->n_disks; i++)
		if (disk_needs_storage(&config->disks[i]))
			return true;
	return false;
}

static void on_unit_started(void *ctx, int r, const struct hvd_error *err)
{
	struct vm_start *start = ctx;
	struct vm *vm = start->vm;
	struct hvd_error own = { 0 };

	if (r < 0) {
		fail(start, err, true);
		return;
	}
	step_done(start, STEP_UNIT);
	if (start->failing || !needs_storage(&vm->running))
		return;
	/* which has a limit of time of its own */
	sd_event_source_set_enabled(start->timer, SD_EVENT_OFF);
	r = vm_storages_start(vm, &vm->running, NULL, on_storages, start, &own);
	if (r < 0)
		fail(start, &own, false);
}

int vm_make_spec(const struct vm_config *config, struct hvd_error *err)
{
	AUTO(json_decref) json_t *json = json_from_obj(&vm_schema, config);
	AUTO(close) int fd = -1;

	if (!json)
		return hvd_err(err, ENOMEM, "out of memory");
	fd = memfd_create("hvd-spec", MFD_CLOEXEC);
	if (fd < 0)
		return hvd_err(err, errno, "memfd_create: %s", strerror(errno));
	if (json_dumpfd(json, fd, JSON_COMPACT) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return hvd_err(err, EIO, "cannot write the spec of the VM");
	return TAKE_FD(fd);
}

/* RUNTIME/vms/NAME with a copy of the spec; returns the listening control socket. */
static int make_runtime(struct vm *vm, struct hvd_error *err)
{
	char path[PATH_MAX];
	int r;

	r = schema_copy(&vm_schema, &vm->running, &vm->config);
	if (r < 0)
		return hvd_err(err, ENOMEM, "out of memory");
	r = vm_runtime_path(vm->manager, vm->config.name, NULL, path);
	if (r < 0)
		return hvd_err(err, -r, "%s: %s", vm->manager->paths.runtime, strerror(-r));
	r = store_make_folder(path, err);
	if (r >= 0)
		r = vm_save_runtime(vm, VM_SPEC_FILE, &vm->running, vm->generation, err);
	if (r < 0)
		return r;

	r = vm_runtime_path(vm->manager, vm->config.name, "control", path);
	if (r >= 0)
		r = control_listen(path);
	return r < 0 ? hvd_err(err, -r, "%s: %s", path, strerror(-r)) : r;
}

/* Ask systemd for the unit and leave CONTROL_START in the socket that becomes its standard input. */
static int start_unit(struct vm_start *start, struct hvd_error *err)
{
	struct vm *vm = start->vm;
	AUTO(close) int theirs = -1;
	int pair[2], r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return hvd_err(err, errno, "socketpair: %s", strerror(errno));
	theirs = pair[1];
	r = control_client_new(vm->manager->event, pair[0], &vm_control_ops, vm, &vm->control);
	if (r < 0)
		return hvd_err(err, -r, "control connection: %s", strerror(-r));

	if (!needs_storage(&vm->running))
		r = send_start(start, err);
	return r < 0 ? r : unit_start(vm->manager->bus, &vm->config, &vm->manager->paths, theirs,
				      on_unit_started, start, &start->job, err);
}

static int launch(struct vm_start *start, struct hvd_error *err)
{
	struct vm *vm = start->vm;
	struct vm_macvtaps macvtaps;
	int r;

	r = start->spec = vm_make_spec(&vm->config, err);
	if (r >= 0)
		r = start->listener = make_runtime(vm, err);
	if (r >= 0)
		r = vm_make_links(vm, &vm->config, NULL, &macvtaps, err);
	if (r >= 0)
		r = vm_files_open_all(vm->manager, &vm->config, NULL, &macvtaps, &start->files, err);
	if (r >= 0 && vm->config.vsock)
		r = start->files.vsock = vm_vsock_listen(vm, err);
	if (r >= 0)
		r = vm_connect_taps(vm, &vm->config, &start->files, err);
	return r < 0 ? r : start_unit(start, err);
}

static void on_networks(void *ctx, int r, const struct hvd_error *err)
{
	struct vm_start *start = ctx;
	struct hvd_error own = { 0 };

	if (r < 0)
		fail(start, err, false);
	else if (launch(start, &own) < 0)
		fail(start, &own, false);
	else
		step_done(start, STEP_NETWORKS);
}

/* What a definition may not have met yet, or no longer meets. */
static int check_start(const struct vm *vm, struct hvd_error *err)
{
	const struct host_info *host = &vm->manager->host;
	int r;

	if (vm_has_process(vm))
		return hvd_err(err, EBUSY, "VM %s is %s", vm->config.name, vm_state_names[vm->state]);
	if (strcmp(host->virt_mode, "none") == 0 && host->max_vcpus == 0)
		return hvd_err(err, EOPNOTSUPP, "%s", host->virt_detail ? host->virt_detail
									: "this host has no KVM");
	if (!vm->manager->bus)
		return hvd_err(err, ENOTCONN,
			       "no system bus, so that no unit can be started; hvd must run on a "
			       "host with systemd and D-Bus");
	r = snapshot_check_start(vm, err);
	if (r >= 0)
		r = vm_volumes_check_free(vm, &vm->config, err);
	return r < 0 ? r : vm_check(vm->manager, &vm->config, NULL, err);
}

void vm_start_go_on(struct vm *vm)
{
	struct vm_start *start = vm->start;
	struct hvd_error err = { 0 };

	if (!start || start->failing)
		return;
	if (snapshot_check_start(vm, &err) < 0)
		fail(start, &err, false);
	else
		vm_networks_ready(&start->networks);
}

void vm_start(struct vm *vm, vm_progress_fn progress, vm_done_fn done, void *ctx)
{
	struct hvd_error err = { 0 };
	struct vm_start *start;
	int r;

	r = check_start(vm, &err);
	if (r < 0) {
		done(ctx, r, &err);
		return;
	}
	start = calloc(1, sizeof(*start));
	if (start)
		r = sd_event_add_time_relative(vm->manager->event, &start->timer, CLOCK_MONOTONIC,
					       CONTROL_START_TIMEOUT_USEC, 0, on_deadline, start);
	if (!start || r < 0) {
		free(start);
		done(ctx, hvd_err(&err, ENOMEM, "out of memory"), &err);
		return;
	}
	start->files = VM_FILES_INIT;
	start->spec = start->listener = -1;
	start->vm = vm;
	start->progress = progress;
	start->done = done;
	start->ctx = ctx;
	vm->start = start;
	vm->end = VMM_REASON_NONE;
	vm->stop_wanted = vm->restart_wanted = false;
	vm_set_state(vm, VM_STARTING, NULL);
	start->networks = (struct vm_networks){ .manager = vm->manager, .config = &vm->config,
						.fn = on_networks, .ctx = start };
	if (!snapshot_is_recovering(vm))
		vm_networks_ready(&start->networks);
}
