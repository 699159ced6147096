/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots of a VM. */
#include <errno.h>
#include <stdio.h>

#include "api/json.h"
#include "daemon/handlers_private.h"
#include "daemon/operation.h"
#include "daemon/resource.h"
#include "daemon/snapshot.h"

static void on_progress(void *ctx, unsigned done, unsigned total)
{
	operation_progress(ctx, done, total, "steps");
}

static void on_done(void *ctx, int r, const struct hvd_error *err)
{
	call_finish(ctx, r, err);
}

static void on_created(void *ctx, int r, const struct hvd_error *err)
{
	struct call *call = ctx;
	const struct vm *vm;

	if (r < 0) {
		call_finish(call, r, err);
		return;
	}
	vm = manager_find_vm(call->manager, call->name);
	call_finish_json(call, json_from_obj(&snapshot_schema, snapshot_info(snapshot_find(vm, call->item))));
}

void handle_snapshot_create(struct manager *manager, struct vm *vm, struct call *call)
{
	struct snapshot wanted;
	struct hvd_error err = { 0 };
	int r = json_to_obj(&snapshot_schema, call->args, &wanted, &err);

	if (r < 0) {
		call_finish(call, r, &err);
		return;
	}
	snprintf(call->item, sizeof(call->item), "%s", wanted.name);
	snapshot_create(vm, &wanted, on_progress, on_created, call);
}

void handle_snapshot_list(struct manager *manager, struct vm *vm, struct call *call)
{
	list_answer(call, &resource_snapshot_kind, vm);
}

/* NULL: the call is finished. */
static const struct snapshot *find(const struct vm *vm, struct call *call)
{
	const struct vm_snapshot *snapshot = snapshot_find(vm, call->item);
	struct hvd_error err = { 0 };

	if (snapshot)
		return snapshot_info(snapshot);
	call_finish(call, hvd_err(&err, ENOENT, "VM %s has no snapshot %s; see hvcli snapshot list %s",
				  call->name, call->item, call->name), &err);
	return NULL;
}

void handle_snapshot_get(struct manager *manager, struct vm *vm, struct call *call)
{
	const struct snapshot *snapshot = find(vm, call);

	if (snapshot)
		call_finish_json(call, json_from_obj(&snapshot_schema, snapshot));
}

void handle_snapshot_xml(struct manager *manager, struct vm *vm, struct call *call)
{
	const struct snapshot *snapshot = find(vm, call);

	if (snapshot)
		call_finish_xml(call, &snapshot_schema, snapshot);
}

void handle_snapshot_revert(struct manager *manager, struct vm *vm, struct call *call)
{
	snapshot_revert(vm, call->item, on_progress, on_done, call);
}

void handle_snapshot_delete(struct manager *manager, struct vm *vm, struct call *call)
{
	snapshot_delete(vm, call->item, on_progress, on_done, call);
}
