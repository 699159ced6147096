/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/call.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/json.h"
#include "daemon/event.h"
#include "daemon/handlers.h"
#include "daemon/manager.h"
#include "daemon/operation.h"
#include "daemon/snapshot.h"

/* What to do about a VM in this state when an operation wants it in one of those. */
static void advise(enum vm_state state, unsigned wanted, const char *name, char *buf, size_t size)
{
	if (state == VM_STARTING || state == VM_STOPPING)
		snprintf(buf, size, "wait until it is done, or: hvcli vm stop %s", name);
	else if (wanted & OP_STATE(VM_SHUTOFF))
		snprintf(buf, size, "stop it first: hvcli vm stop %s", name);
	else if (state == VM_PAUSED && (wanted & OP_STATE(VM_RUNNING)))
		snprintf(buf, size, "resume it first: hvcli vm resume %s", name);
	else if (state == VM_SHUTOFF || state == VM_FAILED)
		snprintf(buf, size, "start it first: hvcli vm start %s", name);
	else
		snprintf(buf, size, "it is not paused");
}

static int check_state(const struct vm *vm, const struct op *op, struct hvd_error *err)
{
	const char *name = vm_config(vm)->name;
	enum vm_state state = vm_state(vm);
	char advice[128];

	if (op->states == OP_ANY_STATE || (op->states & OP_STATE(state)))
		return 0;
	advise(state, op->states, name, advice, sizeof(advice));
	return hvd_err(err, EBUSY, "VM %s is %s; %s", name, vm_state_names[state], advice);
}

void call_dispatch(struct manager *manager, struct call *call)
{
	struct hvd_error err = { 0 };
	struct vm *vm = NULL;
	int r = 0;

	call->stream = -1;
	call->manager = manager;
	if (strstr(call->op->path, "{vm}")) {
		vm = manager_find_vm(manager, call->name);
		r = vm ? check_state(vm, call->op, &err)
		       : hvd_err(&err, ENOENT, "there is no VM %s; see hvcli vm list", call->name);
	}
	if (r >= 0 && vm)
		r = snapshot_allows(vm, call->op, &err);
	if (r >= 0 && call->op->args && !call->args)
		r = hvd_err(&err, EBADMSG, "%s needs a body", call->op->name);
	if (vm) { /* also when it was named by its UUID */
		snprintf(call->name, sizeof(call->name), "%s", vm_config(vm)->name);
		memcpy(call->vm_uuid, vm_config(vm)->uuid, sizeof(call->vm_uuid));
	}

	if (r < 0)
		call_finish(call, r, &err);
	else if (call->op->effect != EFFECT_NONE)
		operation_run(manager->operations, vm, call);
	else
		handlers[op_id(call->op)](manager, vm, call);
}

void call_finish(struct call *call, int r, const struct hvd_error *err)
{
	bool goes_on = call->operation && call->manager->stopping;

	if (call->op->access != ACCESS_READ && !call->planned && !goes_on)
		event_call(call, r, err);
	call->done(call, r, err);
}

int call_options(const struct call *call, void *options, struct hvd_error *err)
{
	AUTO(json_decref) json_t *none = json_object();
	json_t *given = call->options ? call->options : none;

	return given ? json_to_obj(call->op->options, given, options, err)
		     : hvd_err(err, ENOMEM, "out of memory");
}

void call_clear(struct call *call)
{
	json_decref(call->result);
	free(call->json);
	free(call->document);
	if (call->stream >= 0)
		close(call->stream);
	call->result = NULL;
	call->json = NULL;
	call->document = NULL;
	call->stream = -1;
}
