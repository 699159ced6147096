/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of a definition, of which limits reach the process at once. */
#include <errno.h>
#include <string.h>

#include "daemon/vm_private.h"

/* A change of limits that systemd has been asked for. */
struct vm_update {
	struct vm *vm;
	struct vm_config config;
	sd_bus_slot *slot;
	vm_done_fn done;
	void *ctx;
};

static struct vm_update *update_free(struct vm_update *update)
{
	sd_bus_slot_unref(update->slot);
	schema_clear(&vm_schema, &update->config);
	free(update);
	return NULL;
}

void vm_update_drop(struct vm *vm)
{
	struct vm_update *update = TAKE(vm->update);
	struct hvd_error err = { 0 };

	if (!update)
		return;
	update->done(update->ctx, hvd_err(&err, ECANCELED, "hvd is stopping"), &err);
	update_free(update);
}

/* Everything has been agreed on: store it and make it the spec. */
static int commit(struct vm *vm, struct vm_config *config, struct hvd_error *err)
{
	int r = vm_save(vm, config, vm->generation + 1, err);

	if (r < 0)
		return r;
	schema_clear(&vm_schema, &vm->config);
	vm->config = *config;
	*config = (struct vm_config){ 0 };
	vm->generation++;
	manager_notify(vm->manager, MANAGER_VM_SPEC, vm);
	return 0;
}

static void on_limits(void *ctx, int r, const struct hvd_error *err)
{
	struct vm_update *update = ctx;
	struct hvd_error own = err ? *err : (struct hvd_error){ 0 };

	update->vm->update = NULL;
	if (r >= 0)
		r = commit(update->vm, &update->config, &own);
	update->done(update->ctx, r, r < 0 ? &own : NULL);
	update_free(update);
}

/* Ask systemd first: what it refuses is not stored. */
static int send_limits(struct vm *vm, struct vm_config *config, vm_done_fn done, void *ctx,
		       struct hvd_error *err)
{
	struct vm_update *update;
	int r;

	if (!vm->manager->bus)
		return hvd_err(err, ENOTCONN, "no system bus");
	update = calloc(1, sizeof(*update));
	if (!update)
		return hvd_err(err, ENOMEM, "out of memory");

	r = unit_set_limits(vm->manager->bus, config, on_limits, update, &update->slot, err);
	if (r < 0) {
		free(update);
		return r;
	}
	update->vm = vm;
	update->done = done;
	update->ctx = ctx;
	update->config = *config;
	*config = (struct vm_config){ 0 };
	vm->update = update;
	return 0;
}

static int check_update(const struct vm *vm, struct vm_config *config, struct hvd_error *err)
{
	const char *field;
	int r;

	if (vm->state == VM_STARTING || vm->update)
		return hvd_err(err, EBUSY, "VM %s is being %s; try again in a moment",
			       vm->config.name, vm->update ? "changed" : "started");
	r = vm_complete(config, &vm->config, err);
	if (r < 0)
		return r;
	if (schema_applies(&vm_schema, &vm->config, config, &field) == APPLIES_NEVER)
		return hvd_err_field(err, EINVAL, field, "cannot be changed");
	return vm_check(vm->manager, config, &vm->config, err);
}

void vm_update(struct vm *vm, struct vm_config *config, vm_done_fn done, void *ctx)
{
	bool limits = !schema_equal(&resources_schema, &vm->config.resources, &config->resources);
	struct hvd_error err = { 0 };
	bool finished = true;
	int r;

	r = check_update(vm, config, &err);
	if (r >= 0 && limits && vm_has_process(vm)) {
		r = send_limits(vm, config, done, ctx, &err);
		finished = r < 0;
	} else if (r >= 0 && !schema_equal(&vm_schema, &vm->config, config)) {
		r = commit(vm, config, &err);
	}

	schema_clear(&vm_schema, config);
	if (finished)
		done(ctx, r, r < 0 ? &err : NULL);
}
