/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes of a definition. Of a VM that runs:
 *
 *	systemd gets the limits -> hvd-vmm gets what else can change -> the definition is stored
 *
 * What one of them refuses is not stored. Limits come first because they can be taken back: that is
 * what happens when hvd-vmm refuses.
 */
#include <errno.h>
#include <string.h>

#include "daemon/vm_private.h"

struct vm_update {
	struct vm *vm;
	struct vm_config config;  /* the new definition */
	struct vm_config running; /* what the process is to have; zero when there is none */
	bool limits_set;
	struct hvd_error err;
	sd_bus_slot *slot;
	vm_done_fn done;
	void *ctx;
};

static struct vm_update *update_free(struct vm_update *update)
{
	sd_bus_slot_unref(update->slot);
	schema_clear(&vm_schema, &update->config);
	schema_clear(&vm_schema, &update->running);
	free(update);
	return NULL;
}

static void finish(struct vm_update *update)
{
	update->vm->update = NULL;
	update->done(update->ctx, update->err.code, update->err.code < 0 ? &update->err : NULL);
	update_free(update);
}

void vm_update_drop(struct vm *vm)
{
	struct vm_update *update = vm->update;

	if (!update)
		return;
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

/* Everything has been agreed on: store it and make it the spec. */
static void commit(struct vm_update *update)
{
	struct vm *vm = update->vm;
	int r = 0;

	/* Whatever becomes of the definition, the process has this. */
	if (update->running.name && vm_has_process(vm)) {
		take_over(&vm->running, &update->running);
		r = vm_save_runtime(vm, &vm->running, &update->err);
	}
	if (r >= 0 && !schema_equal(&vm_schema, &vm->config, &update->config)) {
		r = vm_save(vm, &update->config, vm->generation + 1, &update->err);
		if (r >= 0) {
			take_over(&vm->config, &update->config);
			vm->generation++;
			manager_notify(vm->manager, MANAGER_VM_SPEC, vm);
		}
	}
	finish(update);
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
	if (!update->limits_set || !vm_has_process(vm) ||
	    unit_set_limits(vm->manager->bus, &vm->running, on_taken_back, update, &update->slot,
			    NULL) < 0)
		finish(update);
}

static void on_reply(void *ctx, int r, const struct control_message *reply,
		     const struct hvd_error *err)
{
	struct vm_update *update = ctx;

	if (r >= 0) {
		commit(update);
		return;
	}
	update->err = *err;
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
	return control_client_request(vm->control, CONTROL_UPDATE, 0, fds, n, on_reply, update, err);
}

static int send_update(struct vm_update *update, struct hvd_error *err)
{
	struct vm *vm = update->vm;
	struct vm_files files = VM_FILES_INIT;
	AUTO(close) int spec = -1;
	int r;

	if (!vm->control)
		return hvd_err(err, EAGAIN, "VM %s cannot be reached just now; try again",
			       vm->config.name);
	r = spec = vm_make_spec(&update->running, err);
	if (r >= 0)
		r = vm_files_open(&update->running, &vm->running, &files, err);
	if (r < 0)
		return r;

	r = vm_bridge_taps(vm->manager, &update->running, &files, err);
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

/* The limits are set. */
static void tell_vmm(struct vm_update *update)
{
	bool wanted = false;

	if (vm_has_process(update->vm))
		schema_diff(&vm_schema, &update->vm->running, &update->running, is_for_vmm, &wanted);
	if (!wanted)
		commit(update);
	else if (send_update(update, &update->err) < 0)
		fail(update);
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

static void begin(struct vm_update *update)
{
	struct vm *vm = update->vm;
	int r;

	if (!vm_has_process(vm)) {
		commit(update);
		return;
	}
	if (schema_equal(&resources_schema, &vm->running.resources, &update->running.resources)) {
		tell_vmm(update);
		return;
	}
	r = vm->manager->bus ? unit_set_limits(vm->manager->bus, &update->running, on_limits,
					       update, &update->slot, &update->err)
			     : hvd_err(&update->err, ENOTCONN, "no system bus");
	if (r < 0)
		finish(update);
}

static int refuse_never(void *ctx, const struct field *field, const char *path)
{
	if (field->applies == APPLIES_NEVER)
		return hvd_err_field(ctx, EINVAL, path, "cannot be changed");
	return 0;
}

static int check(const struct vm *vm, struct vm_config *config, struct hvd_error *err)
{
	int r;

	if (vm->state == VM_STARTING || vm->update)
		return hvd_err(err, EBUSY, "VM %s is being %s; try again in a moment",
			       vm->config.name, vm->update ? "changed" : "started");
	r = vm_complete(config, vm, err);
	if (r >= 0)
		r = schema_diff(&vm_schema, &vm->config, config, refuse_never, err);
	return r < 0 ? r : vm_check(vm->manager, config, &vm->config, err);
}

/* What the process has, with those of the changes to config that can reach it. */
static int find_running(const struct vm *vm, const struct vm_config *config, struct vm_config *ret,
			struct hvd_error *err)
{
	int r = schema_copy(&vm_schema, ret, &vm->running);

	if (r >= 0)
		r = schema_apply_live(&vm_schema, ret, &vm->config, config);
	return r < 0 ? hvd_err(err, -r, "out of memory") : 0;
}

void vm_update(struct vm *vm, struct vm_config *config, vm_done_fn done, void *ctx)
{
	struct vm_update *update = calloc(1, sizeof(*update));
	struct hvd_error err = { 0 };
	int r;

	r = update ? check(vm, config, &err) : hvd_err(&err, ENOMEM, "out of memory");
	if (r >= 0 && vm_has_process(vm))
		r = find_running(vm, config, &update->running, &err);
	if (r < 0) {
		schema_clear(&vm_schema, config);
		if (update)
			schema_clear(&vm_schema, &update->running);
		free(update);
		done(ctx, r, &err);
		return;
	}
	update->vm = vm;
	update->done = done;
	update->ctx = ctx;
	take_over(&update->config, config);
	vm->update = update;
	begin(update);
}
