/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a change of a definition comes to, and in which steps it is made.
 *
 * Three specs are at work: the definition, the target that it is to become, and what the process
 * runs with. The process gets those differences between definition and target that can reach it;
 * what has waited for the next start goes on waiting.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "daemon/vm_private.h"

static int no_memory(struct hvd_error *err)
{
	return hvd_err(err, ENOMEM, "out of memory");
}

/* --- is it allowed? */

static int check_clash(const char *list, size_t i, bool clash, struct hvd_error *err)
{
	char field[64];

	if (!clash)
		return 0;
	snprintf(field, sizeof(field), "%s[%zu].id", list, i);
	return hvd_err_field(err, EBUSY, field,
			     "the VM that runs has another one of this id until its next start");
}

/* An id means one thing, also while the process has what the definition has no more. */
static int check_ids(const struct vm *vm, const struct vm_config *config, struct hvd_error *err)
{
	const struct vm_config *running = &vm->running;
	int r = 0, at;

	for (size_t i = 0; r == 0 && i < config->n_disks; i++) {
		const struct disk_config *disk = &config->disks[i];

		at = vm_config_find_disk(running, disk->id);
		r = check_clash("disks", i,
				at >= 0 && vm_config_find_disk(&vm->config, disk->id) < 0 &&
					!schema_equal(&disk_schema, disk, &running->disks[at]), err);
	}
	for (size_t i = 0; r == 0 && i < config->n_nics; i++) {
		const struct nic_config *nic = &config->nics[i];

		at = vm_config_find_nic(running, nic->id);
		r = check_clash("nics", i,
				at >= 0 && vm_config_find_nic(&vm->config, nic->id) < 0 &&
					!schema_equal(&nic_schema, nic, &running->nics[at]), err);
	}
	return r;
}

int vm_check_generation(const struct vm *vm, uint64_t generation, struct hvd_error *err)
{
	if (!generation || generation == vm->generation)
		return 0;
	return hvd_err(err, ESTALE,
		       "VM %s has been changed meanwhile: its spec is of generation %" PRIu64
		       ", not %" PRIu64, vm->config.name, vm->generation, generation);
}

int vm_check_change(const struct vm *vm, struct vm_config *config,
		    const struct update_options *options, struct hvd_error *err)
{
	int r;

	if (vm->state == VM_STARTING || vm->update || vm->unsettled)
		return hvd_err(err, EBUSY, "VM %s is being %s; try again in a moment",
			       vm->config.name, vm->state == VM_STARTING ? "started" : "changed");
	r = vm_check_generation(vm, options->generation, err);
	if (r >= 0)
		r = vm_complete(vm->manager, config, vm, err);
	if (r >= 0)
		r = vm_firmware_complete(vm->manager, config, err);
	if (r >= 0)
		r = check_ids(vm, config, err);
	if (r >= 0 && vm_has_process(vm) && !options->next_boot)
		r = vm_volumes_check_free(vm, config, err);
	return r < 0 ? r : vm_check(vm->manager, config, &vm->config, err);
}

/* --- steps */

/* What the process has, with what of the change to config can reach it. */
static int reach(const struct vm *vm, const struct vm_config *config, struct vm_config *ret)
{
	int r = schema_copy(&vm_schema, ret, &vm->running);

	return r < 0 ? r : schema_apply_live(&vm_schema, ret, &vm->config, config);
}

static int count(void *ctx, const struct field *field, const char *path)
{
	++*(size_t *)ctx;
	return 0;
}

static bool differ(const struct vm_config *a, const struct vm_config *b)
{
	size_t n = 0;

	schema_diff(&vm_schema, a, b, count, &n);
	return n > 0;
}

/* All but what is to go. */
static int step_forward(const struct vm *vm, const struct vm_config *target,
			struct vm_config *config, struct vm_config *running, struct hvd_error *err)
{
	int r;

	if (schema_copy(&vm_schema, config, target) < 0 ||
	    schema_keep(&vm_schema, config, &vm->config, &vm->running) < 0 ||
	    reach(vm, config, running) < 0)
		return no_memory(err);
	if (!differ(&vm->running, running))
		return 0;
	r = schema_check(&vm_schema, config, err);
	return r < 0 ? hvd_err_prefix(err, r, "while what is to be detached is still there") : 1;
}

/* One that is to go: what the process has and is not to have. */
static int step_back(const struct vm *vm, const struct vm_config *target,
		     const struct vm_config *wanted, struct vm_config *config,
		     struct vm_config *running, struct hvd_error *err)
{
	const struct field *list;
	const void *item = schema_surplus(&vm_schema, &vm->running, wanted, &list);
	const char *key;

	if (!item)
		return 0;
	if (schema_copy(&vm_schema, running, &vm->running) < 0)
		return no_memory(err);
	key = schema_key(list->sub, item);
	field_list_remove(list, running, key);

	/* with the last one, the definition is what it was to be */
	if (!schema_surplus(&vm_schema, running, wanted, &(const struct field *){ NULL }))
		return schema_copy(&vm_schema, config, target) < 0 ? no_memory(err) : 1;
	if (schema_copy(&vm_schema, config, &vm->config) < 0)
		return no_memory(err);
	field_list_remove(list, config, key);
	return 1;
}

/* Nothing of it reaches the process. */
static int step_aside(const struct vm *vm, const struct vm_config *target,
		      struct vm_config *config, struct hvd_error *err)
{
	if (schema_equal(&vm_schema, target, &vm->config))
		return 0;
	return schema_copy(&vm_schema, config, target) < 0 ? no_memory(err) : 1;
}

static void clear(struct vm_config *config, struct vm_config *running)
{
	schema_clear(&vm_schema, config);
	schema_clear(&vm_schema, running);
}

int vm_next_step(const struct vm *vm, const struct vm_config *target, bool next_boot,
		 struct vm_config *config, struct vm_config *running, struct hvd_error *err)
{
	struct vm_config wanted = { 0 };
	int r;

	clear(config, running);
	if (next_boot || !vm_has_process(vm) || !vm->running.name)
		return step_aside(vm, target, config, err);
	r = step_forward(vm, target, config, running, err);
	if (r != 0)
		return r;

	clear(config, running);
	r = reach(vm, target, &wanted) < 0 ? no_memory(err)
					   : step_back(vm, target, &wanted, config, running, err);
	schema_clear(&vm_schema, &wanted);
	return r != 0 ? r : step_aside(vm, target, config, err);
}

/* --- told, not done */

static struct plan_change *append_change(struct plan *plan, const char *path)
{
	struct plan_change *more;

	more = reallocarray(plan->changes, plan->n_changes + 1, sizeof(*more));
	if (!more)
		return NULL;
	plan->changes = more;
	more += plan->n_changes;
	*more = (struct plan_change){ .field = strdup(path) };
	if (!more->field)
		return NULL;
	plan->n_changes++;
	return more;
}

static int add_change(void *ctx, const struct field *field, const char *path)
{
	struct plan_change *change = append_change(ctx, path);

	if (!change)
		return -ENOMEM;
	change->applies = field->applies;
	return 0;
}

static bool has_change(const struct plan *plan, const char *field)
{
	for (size_t i = 0; i < plan->n_changes; i++)
		if (strcmp(plan->changes[i].field, field) == 0)
			return true;
	return false;
}

/* What still waits when the process has got what can reach it. */
static int find_waiting(const struct vm *vm, const struct vm_config *config, bool next_boot,
			struct plan *ret)
{
	struct vm_config running = { 0 };
	int r;

	r = next_boot ? schema_copy(&vm_schema, &running, &vm->running)
		      : reach(vm, config, &running);
	if (r >= 0)
		r = schema_diff(&vm_schema, &running, config, add_change, ret);
	schema_clear(&vm_schema, &running);
	return r;
}

static int make_plan(const struct vm *vm, const struct vm_config *config, bool next_boot,
		     struct plan *ret)
{
	struct plan waiting = { 0 };
	int r;

	r = schema_diff(&vm_schema, &vm->config, config, add_change, ret);
	if (r >= 0 && vm_has_process(vm))
		r = find_waiting(vm, config, next_boot, &waiting);
	for (size_t i = 0; r >= 0 && i < ret->n_changes; i++) {
		struct plan_change *change = &ret->changes[i];

		/* without a process everything is for the next start */
		if (change->applies != APPLIES_NEVER)
			change->applies = vm_has_process(vm) && !has_change(&waiting, change->field)
						  ? APPLIES_LIVE
						  : APPLIES_NEXT_BOOT;
	}
	schema_clear(&plan_schema, &waiting);
	return r;
}

int vm_plan(const struct vm *vm, struct vm_config *config, const struct update_options *options,
	    struct plan *ret, struct hvd_error *err)
{
	int r;

	*ret = (struct plan){ 0 };
	r = vm_check_change(vm, config, options, err);
	if (r < 0)
		return r;
	if (make_plan(vm, config, options->next_boot, ret) >= 0)
		return 0;
	schema_clear(&plan_schema, ret);
	return no_memory(err);
}

int vm_find_pending(const struct vm *vm, struct plan *ret)
{
	int r = 0;

	*ret = (struct plan){ 0 };
	if (vm_has_process(vm) && vm->running.name)
		r = schema_diff(&vm_schema, &vm->running, &vm->config, add_change, ret);
	if (r < 0)
		schema_clear(&plan_schema, ret);
	return r;
}
