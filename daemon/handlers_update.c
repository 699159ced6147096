/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes of a spec: as a whole, of some of its members, and of its disks and NICs, which are items of
 * its lists. All of them make a new spec from the old one and hand it to vm_update(), or to vm_plan() when they are
 * only asked what that would do.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/json.h"
#include "daemon/handlers_private.h"
#include "daemon/resource.h"

/* A call under way. */
struct change {
	struct manager *manager;
	struct call *call;
	const struct field *list; /* NULL: the whole spec */
	size_t at;                /* its item */
	json_t *plan;             /* the answer, when that is what was done */
};

static const struct field *list_of(const struct call *call)
{
	return call->op->list ? schema_field(&vm_schema, call->op->list) : NULL;
}

/* The member of the spec that the operation is about, when it is about one struct. */
static const struct field *struct_of(const struct op *op)
{
	for (size_t i = 0; op->part && i < vm_schema.n_fields; i++)
		if (vm_schema.fields[i].sub == op->result_schema)
			return &vm_schema.fields[i];
	return NULL;
}

/* What the operation is about, of a spec: an object of its result_schema. */
static void *part_of(const struct op *op, const struct vm_config *config)
{
	const struct field *field = struct_of(op);

	return field ? field_ptr(field, config) : (void *)config;
}

/* The member of an item, when a client named the item by its path and not by its place. */
static void blame_item(const struct change *change, struct hvd_error *err)
{
	char prefix[48], rest[sizeof(err->field)];
	const struct field *part = struct_of(change->call->op);
	int len;

	if (change->list)
		len = snprintf(prefix, sizeof(prefix), "%s[%zu].", change->list->name, change->at);
	else if (part)
		len = snprintf(prefix, sizeof(prefix), "%s.", part->name);
	else
		return;
	if (strncmp(err->field, prefix, (size_t)len) != 0)
		return;
	snprintf(rest, sizeof(rest), "%s", err->field + len);
	memcpy(err->field, rest, sizeof(rest));
}

static void finish(struct change *change, int r, const struct hvd_error *err)
{
	struct hvd_error own = err ? *err : (struct hvd_error){ 0 };
	struct call *call = change->call;

	blame_item(change, &own);
	json_decref(change->plan);
	free(change);
	call_finish(call, r, r < 0 ? &own : NULL);
}

/* Takes result or json over; both NULL: out of memory. */
static void finish_with(struct change *change, const struct vm *vm, json_t *result, char *json)
{
	struct hvd_error err = { 0 };

	change->call->result = result;
	change->call->json = json;
	change->call->generation = vm_generation(vm);
	if (result || json)
		finish(change, 0, NULL);
	else
		finish(change, hvd_err(&err, ENOMEM, "out of memory"), &err);
}

static void on_updated(void *ctx, int r, const struct hvd_error *err)
{
	struct change *change = ctx;
	struct call *call = change->call;
	const struct vm *vm;

	if (r < 0) {
		finish(change, r, err);
		return;
	}
	vm = manager_find_vm(change->manager, call->name);
	if (call->op->part) {
		finish_with(change, vm, json_from_obj(call->op->result_schema,
						      part_of(call->op, vm_config(vm))), NULL);
	} else if (!change->list) {
		finish_with(change, vm, NULL, resource_vm(vm));
	} else if (change->plan) {
		finish_with(change, vm, TAKE(change->plan), NULL);
	} else {
		const void *item = field_list_item(change->list, vm_config(vm), change->at);

		/* a new one has its id now */
		snprintf(call->item, sizeof(call->item), "%s",
			 schema_key(change->list->sub, item));
		finish_with(change, vm, json_from_obj(change->list->sub, item), NULL);
	}
}

/* config, which it makes complete, stays the caller's. */
static int make_plan(const struct vm *vm, struct vm_config *config,
		     const struct update_options *options, json_t **ret, struct hvd_error *err)
{
	struct plan plan;
	int r;

	r = vm_plan(vm, config, options, &plan, err);
	if (r < 0)
		return r;
	*ret = json_from_obj(&plan_schema, &plan);
	schema_clear(&plan_schema, &plan);
	return *ret ? 0 : hvd_err(err, ENOMEM, "out of memory");
}

/* Do it, or tell what it comes to. Takes config over. */
static void apply(struct change *change, struct vm *vm, struct vm_config *config)
{
	bool detach = change->call->op->method == HTTP_DELETE;
	struct update_options options = { 0 };
	struct hvd_error err = { 0 };
	json_t *plan = NULL;
	int r;

	r = call_options(change->call, &options, &err);
	if (r >= 0 && (options.dry_run || detach))
		r = make_plan(vm, config, &options, &plan, &err);
	if (r >= 0 && !options.dry_run) {
		change->plan = plan;
		vm_update(vm, config, &options, on_updated, change);
		return;
	}
	schema_clear(&vm_schema, config);
	if (r < 0) {
		finish(change, r, &err);
		return;
	}
	change->call->planned = true;
	finish_with(change, vm, plan, NULL);
}

/* NULL when the call is finished. config gets a copy of the VM's. */
static struct change *begin(struct manager *manager, struct vm *vm, struct call *call,
			    struct vm_config *config)
{
	struct change *change = calloc(1, sizeof(*change));
	struct hvd_error err = { 0 };

	if (change && schema_copy(&vm_schema, config, vm_config(vm)) >= 0) {
		*change = (struct change){ .manager = manager, .call = call,
					   .list = list_of(call) };
		return change;
	}
	free(change);
	call_finish(call, hvd_err(&err, ENOMEM, "out of memory"), &err);
	return NULL;
}

static void give_up(struct change *change, struct vm_config *config, const struct hvd_error *err)
{
	schema_clear(&vm_schema, config);
	finish(change, err->code, err);
}

void handle_vm_patch(struct manager *manager, struct vm *vm, struct call *call)
{
	struct hvd_error err = { 0 };
	struct vm_config config;
	struct change *change = begin(manager, vm, call, &config);

	if (!change)
		return;
	schema_clear(&vm_schema, &config);
	if (json_merge_obj(&vm_schema, vm_config(vm), call->args, &config, &err) < 0)
		give_up(change, &config, &err);
	else
		apply(change, vm, &config);
}

void handle_part_get(struct manager *manager, struct vm *vm, struct call *call)
{
	const struct op *op = call->op;

	call->generation = vm_generation(vm);
	call_finish_json(call, json_from_obj(op->result_schema, part_of(op, vm_config(vm))));
}

/* Those members of config that the operation is about become what the patch makes of them. */
static int patch_part(const struct change *change, struct vm_config *config, struct hvd_error *err)
{
	const struct op *op = change->call->op;
	const struct schema *schema = op->result_schema;
	AUTO(free) void *patched = malloc(schema->size);
	void *part = part_of(op, config);
	int r;

	if (!patched)
		return hvd_err(err, ENOMEM, "out of memory");
	r = json_merge_obj(schema, part, change->call->args, patched, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < schema->n_fields && r >= 0; i++) {
		field_clear(&schema->fields[i], part);
		r = field_copy(&schema->fields[i], part, patched);
	}
	schema_clear(schema, patched);
	return r < 0 ? hvd_err(err, -r, "out of memory") : schema_check(&vm_schema, config, err);
}

void handle_part_patch(struct manager *manager, struct vm *vm, struct call *call)
{
	struct hvd_error err = { 0 };
	struct vm_config config;
	struct change *change = begin(manager, vm, call, &config);

	if (!change)
		return;
	if (patch_part(change, &config, &err) < 0)
		give_up(change, &config, &err);
	else
		apply(change, vm, &config);
}

void handle_item_list(struct manager *manager, struct vm *vm, struct call *call)
{
	bool disks = call->op->result_schema == &disk_schema;

	call->generation = vm_generation(vm);
	list_answer(call, disks ? &resource_disk_kind : &resource_nic_kind, vm_config(vm));
}

static int no_item(const struct call *call, const struct vm *vm, struct hvd_error *err)
{
	char kind[16];

	op_parameter(call->op, 1, kind);
	return hvd_err(err, ENOENT, "VM %s has no %s %s; see hvcli %s list %s", vm_config(vm)->name,
		       kind, call->item, kind, vm_config(vm)->name);
}

void handle_item_get(struct manager *manager, struct vm *vm, struct call *call)
{
	struct hvd_error err = { 0 };
	int r = 0;

	if (!field_list_find(list_of(call), vm_config(vm), call->item)) {
		r = no_item(call, vm, &err);
	} else {
		call->result = resource_item(vm, list_of(call), call->item);
		call->generation = vm_generation(vm);
		if (!call->result)
			r = hvd_err(&err, ENOMEM, "out of memory");
	}
	call_finish(call, r, &err);
}

static int append(const struct change *change, struct vm_config *config, struct hvd_error *err)
{
	const struct field *list = change->list;
	void *item = field_list_append(list, config);

	if (!item)
		return *field_count(list, config) >= list->max
			       ? hvd_err(err, ERANGE, "a VM has at most %llu %s",
					 (unsigned long long)list->max, list->name)
			       : hvd_err(err, ENOMEM, "out of memory");
	schema_clear(list->sub, item);
	return json_to_obj(list->sub, change->call->args, item, err);
}

void handle_item_attach(struct manager *manager, struct vm *vm, struct call *call)
{
	struct hvd_error err = { 0 };
	struct vm_config config;
	struct change *change = begin(manager, vm, call, &config);
	int r;

	if (!change)
		return;
	change->at = *field_count(change->list, &config);
	r = append(change, &config, &err);
	if (r >= 0)
		r = schema_check(&vm_schema, &config, &err);
	if (r < 0)
		give_up(change, &config, &err);
	else
		apply(change, vm, &config);
}

/* Where the item of the call is in its list. -ENOENT. */
static int find(struct change *change, const struct vm *vm, const struct vm_config *config,
		struct hvd_error *err)
{
	const struct field *list = change->list;

	for (size_t i = 0; i < *field_count(list, config); i++)
		if (strcmp(schema_key(list->sub, field_list_item(list, config, i)),
			   change->call->item) == 0) {
			change->at = i;
			return 0;
		}
	return no_item(change->call, vm, err);
}

static int patch(const struct change *change, const struct vm *vm, struct vm_config *config,
		 struct hvd_error *err)
{
	const struct schema *schema = change->list->sub;
	const void *old = field_list_item(change->list, vm_config(vm), change->at);
	void *item = field_list_item(change->list, config, change->at);
	int r;

	schema_clear(schema, item);
	r = json_merge_obj(schema, old, change->call->args, item, err);
	if (r < 0)
		return r;
	/* another id would be another thing */
	if (strcmp(schema_key(schema, old), schema_key(schema, item)) != 0)
		return hvd_err_field(err, EINVAL, schema->key, "cannot be changed");
	return schema_check(&vm_schema, config, err);
}

void handle_item_patch(struct manager *manager, struct vm *vm, struct call *call)
{
	struct hvd_error err = { 0 };
	struct vm_config config;
	struct change *change = begin(manager, vm, call, &config);
	int r;

	if (!change)
		return;
	r = find(change, vm, &config, &err);
	if (r >= 0)
		r = patch(change, vm, &config, &err);
	if (r < 0)
		give_up(change, &config, &err);
	else
		apply(change, vm, &config);
}

void handle_item_detach(struct manager *manager, struct vm *vm, struct call *call)
{
	struct hvd_error err = { 0 };
	struct vm_config config;
	struct change *change = begin(manager, vm, call, &config);

	if (!change)
		return;
	if (find(change, vm, &config, &err) < 0) {
		give_up(change, &config, &err);
		return;
	}
	field_list_remove(change->list, &config, call->item);
	apply(change, vm, &config);
}
