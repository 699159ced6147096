/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes of a definition, step by step (daemon/vm_plan.c). A step that reaches a process:
 *
 *	networks ready -> what is new is written beside the old -> systemd gets the limits
 *	-> hvd-vmm gets what else has changed -> the new becomes the definition
 *
 * What one of them refuses is not stored. Limits come before hvd-vmm because they can be taken back,
 * and files are written first because there may be no space. When hvd ends in the middle, the
 * next one finds the files and asks hvd-vmm whether it has got its part.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "daemon/event.h"
#include "daemon/operation.h"
#include "daemon/storage.h"
#include "daemon/store.h"
#include "daemon/vm_private.h"
#include "vmm/base/log.h"

struct vm_update {
	struct vm *vm;
	struct vm_config target;
	bool next_boot;

	/* The step: the definition, and what the process is to have, or zero. */
	struct vm_config config, running;
	struct vm_networks networks;
	bool prepared, limits_set;
	bool dropped; /* it is open what becomes of the step */

	struct hvd_error err;
	sd_bus_slot *slot;
	vm_done_fn done;
	void *ctx;
};

static void remove_next(const struct vm *vm)
{
	static const char *const files[] = { VM_NEXT_SPEC_FILE ".xml", VM_NEXT_FILE ".xml" };
	char path[PATH_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (vm_runtime_path(vm->manager, vm->config.name, files[i], path) >= 0)
			unlink(path);
}

static struct vm_update *update_free(struct vm_update *update)
{
	if (update->prepared)
		vm_discard(update->vm);
	if (update->prepared && !update->dropped)
		remove_next(update->vm);
	vm_networks_forget(&update->networks);
	sd_bus_slot_unref(update->slot);
	schema_clear(&vm_schema, &update->target);
	schema_clear(&vm_schema, &update->config);
	schema_clear(&vm_schema, &update->running);
	free(update);
	return NULL;
}

static void finish(struct vm_update *update)
{
	struct hvd_error err = update->err;
	vm_done_fn done = update->done;
	void *ctx = update->ctx;

	/* what was refused, and what is detached */
	if (!update->dropped)
		vm_prune_links(update->vm);
	update->vm->update = NULL;
	update_free(update);
	done(ctx, err.code, err.code < 0 ? &err : NULL);
}

void vm_update_drop(struct vm *vm)
{
	struct vm_update *update = vm->update;

	if (!update)
		return;
	/* What hvd-vmm makes of its part, the next hvd will ask it. */
	update->dropped = true;
	vm->control = control_client_free(vm->control);
	update->err = (struct hvd_error){ 0 };
	hvd_err(&update->err, ECANCELED, "hvd is stopping");
	finish(update);
}

static void take_over(struct vm_config *place, struct vm_config *config)
{
	schema_clear(&vm_schema, place);
	*place = *config;
	*config = (struct vm_config){ 0 };
}

static bool reaches_process(const struct vm_update *update)
{
	return update->running.name && vm_has_process(update->vm);
}

static void next_step(struct vm_update *update);

static void commit_running(struct vm_update *update)
{
	struct vm *vm = update->vm;
	struct hvd_error err = { 0 };
	char folder[PATH_MAX];

	vm_refilter_links(vm, &update->running);
	take_over(&vm->running, &update->running);
	vm_volumes_changed(vm);
	vm_storages_prune(vm, &vm->running);
	if (vm_runtime_path(vm->manager, vm->config.name, NULL, folder) >= 0 &&
	    store_rename(folder, VM_NEXT_SPEC_FILE, VM_SPEC_FILE, &err) < 0)
		log_warning("VM %s: %s", vm->config.name, err.msg);
	remove_next(vm);
}

/* Everything has been agreed on. */
static void commit(struct vm_update *update)
{
	struct vm *vm = update->vm;
	int r = vm_commit(vm, &update->err);

	if (r >= 0) {
		vm->generation++;
		take_over(&vm->config, &update->config);
	}
	/* Whatever becomes of the definition, the process has this. */
	if (reaches_process(update))
		commit_running(update);
	update->prepared = update->limits_set = false;
	if (r < 0) {
		finish(update);
		return;
	}
	event_vm(vm, EVENT_CHANGED);
	manager_notify(vm->manager, MANAGER_VM_SPEC, vm);
	next_step(update);
}

static void on_taken_back(void *ctx, int r, const struct hvd_error *err)
{
	finish(ctx);
}

/* err is set. */
static void fail(struct vm_update *update)
{
	struct vm *vm = update->vm;

	update->slot = sd_bus_slot_unref(update->slot);
	if (vm_has_process(vm))
		vm_storages_prune(vm, &vm->running);
	if (!update->limits_set || !vm_has_process(vm) ||
	    unit_set_limits(vm->manager->bus, &vm->running, on_taken_back, update, &update->slot,
			    NULL) < 0)
		finish(update);
}

/* A new connection asks hvd-vmm what it has, as after a restart of hvd. */
static void lose_contact(struct vm_update *update)
{
	struct vm *vm = update->vm;

	update->dropped = true;
	vm->unsettled = true;
	finish(update);
	vm->control = control_client_free(vm->control);
	vm_find_process(vm);
}

static void on_reply(void *ctx, int r, const struct control_message *reply,
		     const struct hvd_error *err)
{
	struct vm_update *update = ctx;

	if (update->dropped)
		return;
	if (r >= 0) {
		commit(update);
		return;
	}
	update->err = *err;
	if (r == -ETIMEDOUT && !reply)
		lose_contact(update);
	else
		fail(update);
}

static int send_files(struct vm_update *update, const struct vm_files *files, int spec,
		      struct hvd_error *err)
{
	struct vm *vm = update->vm;
	int fds[CONTROL_MAX_FDS];
	size_t n;

	fds[0] = spec;
	n = 1 + vm_files_pack(files, &update->running, &vm->running, fds + 1);
	return control_client_request(vm->control, CONTROL_UPDATE, (uint32_t)(vm->generation + 1),
				      fds, n, on_reply, update, err);
}

static int send_update(struct vm_update *update, struct hvd_error *err)
{
	struct vm *vm = update->vm;
	struct vm_files files = VM_FILES_INIT;
	struct vm_macvtaps macvtaps;
	AUTO(close) int spec = -1;
	int r;

	if (!vm->control)
		return hvd_err(err, EAGAIN, "VM %s cannot be reached just now; try again",
			       vm->config.name);
	r = spec = vm_make_spec(&update->running, err);
	if (r >= 0)
		r = vm_make_links(vm, &update->running, &vm->running, &macvtaps, err);
	if (r >= 0)
		r = vm_files_open_all(vm->manager, &update->running, &vm->running, &macvtaps, &files,
				      err);
	if (r < 0)
		return r;

	r = vm_connect_taps(vm, &update->running, &files, err);
	if (r >= 0)
		r = vm_storages_connect(vm, &update->running, &vm->running, &files, err);
	if (r >= 0)
		r = send_files(update, &files, spec, err);
	/* The message under way holds its own references. */
	vm_files_close(&files);
	return r;
}

static int is_for_vmm(void *ctx, const struct field *field, const char *path)
{
	bool *ret = ctx;

	*ret = *ret || !field->host;
	return 0;
}

static void on_storages_changed(void *ctx, int r, const struct hvd_error *err)
{
	struct vm_update *update = ctx;

	if (r < 0)
		update->err = *err;
	if (r < 0 || send_update(update, &update->err) < 0)
		fail(update);
}

static void on_storages_started(void *ctx, int r, const struct hvd_error *err)
{
	struct vm_update *update = ctx;

	if (r < 0)
		update->err = *err;
	if (r < 0 || vm_storages_update(update->vm, &update->running, on_storages_changed, update,
					&update->err) < 0)
		fail(update);
}

/* Storage daemons first: what they refuse, hvd-vmm is not told. */
static void tell_storages(struct vm_update *update)
{
	struct vm *vm = update->vm;
	int r = vm_storages_start(vm, &update->running, &vm->running, on_storages_started, update,
				  &update->err);

	if (r == 1)
		on_storages_started(update, 0, NULL);
	else if (r < 0)
		fail(update);
}

/* The limits are set. */
static void tell_vmm(struct vm_update *update)
{
	bool wanted = false;

	if (reaches_process(update))
		schema_diff(&vm_schema, &update->vm->running, &update->running, is_for_vmm, &wanted);
	if (!wanted)
		commit(update);
	else
		tell_storages(update);
}

static void on_limits(void *ctx, int r, const struct hvd_error *err)
{
	struct vm_update *update = ctx;

	update->slot = sd_bus_slot_unref(update->slot);
	if (r < 0) {
		update->err = *err;
		finish(update);
		return;
	}
	update->limits_set = true;
	tell_vmm(update);
}

static int prepare(struct vm_update *update, struct hvd_error *err)
{
	struct vm *vm = update->vm;
	uint64_t generation = vm->generation + 1;
	int r = 0;

	update->prepared = true;
	if (reaches_process(update))
		r = vm_save_runtime(vm, VM_NEXT_FILE, &update->config, generation, err);
	if (r >= 0 && reaches_process(update))
		r = vm_save_runtime(vm, VM_NEXT_SPEC_FILE, &update->running, generation, err);
	return r < 0 ? r : vm_prepare(vm, &update->config, generation, err);
}

static void on_networks(void *ctx, int r, const struct hvd_error *err)
{
	struct vm_update *update = ctx;
	struct vm *vm = update->vm;

	if (r < 0)
		update->err = *err;
	else
		r = prepare(update, &update->err);
	if (r >= 0 && (!reaches_process(update) ||
		       schema_equal(&resources_schema, &vm->running.resources,
				    &update->running.resources))) {
		tell_vmm(update);
		return;
	}
	if (r >= 0)
		r = vm->manager->bus ? unit_set_limits(vm->manager->bus, &update->running,
						       on_limits, update, &update->slot,
						       &update->err)
				     : hvd_err(&update->err, ENOTCONN, "no system bus");
	if (r < 0)
		finish(update);
}

static void next_step(struct vm_update *update)
{
	struct vm *vm = update->vm;
	int r;

	r = vm_next_step(vm, &update->target, update->next_boot, &update->config,
			 &update->running, &update->err);
	if (r <= 0) {
		finish(update);
		return;
	}
	if (!reaches_process(update)) {
		on_networks(update, 0, NULL);
		return;
	}
	update->networks = (struct vm_networks){ .manager = vm->manager,
						 .config = &update->running,
						 .running = &vm->running,
						 .fn = on_networks,
						 .ctx = update };
	vm_networks_ready(&update->networks);
}

static int refuse_never(void *ctx, const struct field *field, const char *path)
{
	if (field->applies == APPLIES_NEVER)
		return hvd_err_field(ctx, EINVAL, path, "cannot be changed");
	return 0;
}

void vm_update(struct vm *vm, struct vm_config *config, const struct update_options *options,
	       vm_done_fn done, void *ctx)
{
	struct vm_update *update = calloc(1, sizeof(*update));
	struct hvd_error err = { 0 };
	int r;

	r = update ? vm_check_change(vm, config, options, &err)
		   : hvd_err(&err, ENOMEM, "out of memory");
	if (r >= 0)
		r = schema_diff(&vm_schema, &vm->config, config, refuse_never, &err);
	if (r < 0) {
		schema_clear(&vm_schema, config);
		free(update);
		done(ctx, r, &err);
		return;
	}
	update->vm = vm;
	update->next_boot = options->next_boot;
	update->done = done;
	update->ctx = ctx;
	take_over(&update->target, config);
	vm->update = update;
	next_step(update);
}

/* --- after a restart of hvd */

static void on_limits_again(void *ctx, int r, const struct hvd_error *err)
{
	struct vm *vm = ctx;

	vm->limits_slot = sd_bus_slot_unref(vm->limits_slot);
	if (r < 0)
		log_warning("VM %s: limits: %s", vm->config.name, err->msg);
}

static int load_next(const struct vm *vm, const char *folder, const char *file, struct vm_config *ret,
		     uint64_t *generation, struct hvd_error *err)
{
	int r = store_load(vm->manager->xml, folder, file, &vm_schema, ret, generation, err);

	if (r < 0)
		*ret = (struct vm_config){ 0 };
	return r;
}

/* The change was agreed on: what is left to do is to write it down. */
static int complete(struct vm *vm, const char *folder, struct vm_config *config,
		    uint64_t generation, struct hvd_error *err)
{
	struct vm_config running;
	int r = 0;

	if (vm->generation < generation) {
		r = vm_save(vm, config, generation, err);
		if (r < 0)
			return r;
		take_over(&vm->config, config);
		vm->generation = generation;
	}
	r = load_next(vm, folder, VM_NEXT_SPEC_FILE, &running, &generation, err);
	if (r == -ENOENT)
		return 0; /* this was done */
	if (r < 0)
		return r;
	take_over(&vm->running, &running);
	return store_rename(folder, VM_NEXT_SPEC_FILE, VM_SPEC_FILE, err);
}

/* Storage daemons of disks that the process has not, or not any more, end; those of new ones are found. */
static void settle_storages(struct vm *vm, const char *folder)
{
	struct vm_config next;
	uint64_t generation;

	if (load_next(vm, folder, VM_NEXT_SPEC_FILE, &next, &generation, NULL) >= 0)
		for (size_t i = 0; i < next.n_disks; i++)
			if (disk_needs_storage(&next.disks[i]) && vm_config_find_disk(&vm->running, next.disks[i].id) < 0)
				storage_end(vm->manager, vm->config.name, next.disks[i].id);
	schema_clear(&vm_schema, &next);
	vm_storages_prune(vm, &vm->running);
	vm_storages_adopt(vm);
}

void vm_operations_recover(struct vm *vm)
{
	if (!vm->manager->adopting)
		operations_recover(vm->manager->operations);
}

void vm_update_recover(struct vm *vm, uint32_t has)
{
	struct vm_config config;
	struct hvd_error err = { 0 };
	char folder[PATH_MAX];
	uint64_t generation, before = vm->generation;
	int r = 0;

	if (!vm->unsettled)
		return;
	vm->unsettled = false;
	vm->has_links = true;
	if (vm_runtime_path(vm->manager, vm->config.name, NULL, folder) < 0 ||
	    load_next(vm, folder, VM_NEXT_FILE, &config, &generation, NULL) < 0) {
		vm_operations_recover(vm);
		return;
	}
	if (has == (uint32_t)generation || vm->generation >= generation)
		r = complete(vm, folder, &config, generation, &err);
	if (r < 0)
		log_err("VM %s: %s", vm->config.name, err.msg);
	schema_clear(&vm_schema, &config);
	if (vm->generation != before) {
		event_vm(vm, EVENT_CHANGED);
		manager_notify(vm->manager, MANAGER_VM_SPEC, vm);
	}
	settle_storages(vm, folder);
	remove_next(vm);
	/* systemd has either those of the new or those of the old */
	vm->limits_slot = sd_bus_slot_unref(vm->limits_slot);
	if (vm->manager->bus)
		unit_set_limits(vm->manager->bus, &vm->running, on_limits_again, vm,
				&vm->limits_slot, NULL);
	vm_prune_links(vm);
	vm_volumes_changed(vm);
	vm_operations_recover(vm);
}
