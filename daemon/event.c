/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/event.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api/errors.h"
#include "daemon/journal.h"
#include "daemon/network_private.h"
#include "daemon/operation.h"
#include "daemon/pool.h"
#include "daemon/vm_private.h"

static void add(struct manager *manager, struct event *event)
{
	event_log_add(manager->events, event);
	journal_event(event);
}

void event_started(struct manager *manager)
{
	struct event event = { .type = EVENT_STARTED, .detail = (char[]){ PACKAGE_VERSION } };

	add(manager, &event);
}

void event_vm(struct vm *vm, enum event_type type)
{
	char resource[OP_RESOURCE_SIZE];
	struct event event = { .type = type, .resource = resource, .vm = vm->config.name };

	op_resource(&ops[OP_VM_GET], vm->config.name, "", resource);
	memcpy(event.vm_uuid, vm->config.uuid, sizeof(event.vm_uuid));
	if (type == EVENT_STATE) {
		event.state = (char *)vm_state_names[vm->state];
		event.detail = vm->reason;
	} else if (type != EVENT_REMOVED) {
		event.generation = vm->generation;
	}
	add(vm->manager, &event);
}

void event_network(struct network *network, enum event_type type)
{
	char resource[OP_RESOURCE_SIZE];
	struct event event = { .type = type, .resource = resource };

	op_resource(&ops[OP_NETWORK_GET], network->config.name, "", resource);
	if (type == EVENT_STATE) {
		event.state = (char *)network_state_names[network->state];
		event.detail = network->reason[0] ? network->reason : NULL;
	} else if (type != EVENT_REMOVED) {
		event.generation = network->generation;
	}
	add(network->manager, &event);
	manager_notify_network(network->manager, type, network);
}

void event_volume(struct pool_item *item, enum event_type type)
{
	char resource[OP_RESOURCE_SIZE];
	struct event event = { .type = type, .resource = resource };

	snprintf(resource, sizeof(resource), "/v1/%ss/%s", pool_noun(item), pool_config(item)->name);
	add(pool_manager(item), &event);
	manager_notify_pool(pool_manager(item), type, item);
}

enum event_outcome outcome_of(int r)
{
	if (r >= 0)
		return OUTCOME_SUCCEEDED;
	return r == -ECANCELED ? OUTCOME_CANCELLED : OUTCOME_FAILED;
}

static void add_call(const struct call *call, enum event_outcome outcome,
		     const struct hvd_error *err)
{
	char resource[OP_RESOURCE_SIZE], front[16], detail[ERROR_TEXT_SIZE];
	const struct operation *operation = call->operation;
	struct event event = {
		.type = EVENT_OPERATION,
		.resource = resource,
		.vm = op_is_about_vm(call->op) && call->name[0] ? (char *)call->name : NULL,
		.operation = (char *)call->op->name,
		.operation_id = operation ? operation_info(operation)->id : NULL,
		.outcome = (char *)outcome_names[outcome],
		.by = { .front = front, .uid = call->peer.uid, .pid = (uint32_t)call->peer.pid,
			.name = call->peer.name[0] ? (char *)call->peer.name : NULL },
	};

	op_resource(call->op, call->name, call->item, resource);
	snprintf(front, sizeof(front), "%s", call->peer.front);
	memcpy(event.vm_uuid, call->vm_uuid, sizeof(event.vm_uuid));
	if (err) {
		error_text(err, detail);
		event.code = (char *)error_class_of_error(err)->name;
		event.detail = detail;
	}
	add(call->manager, &event);
}

void event_call_begun(const struct call *call)
{
	add_call(call, OUTCOME_RUNNING, NULL);
}

void event_call(const struct call *call, int r, const struct hvd_error *err)
{
	struct hvd_error error = { .code = r };

	if (r < 0 && !(err && err->code))
		hvd_err_prefix(&error, r, "%s", call->op->name);
	else if (r < 0)
		error = *err;
	add_call(call, outcome_of(r), r < 0 ? &error : NULL);
}

void event_operation(struct manager *manager, const struct operation_info *info)
{
	struct event event = {
		.type = EVENT_OPERATION,
		.resource = info->resource,
		.vm = info->vm,
		.operation = info->kind,
		.operation_id = info->id,
		.outcome = (char *)outcome_names[info->state],
		.code = info->error.code,
		.detail = info->error.detail,
		.by = info->by,
	};

	memcpy(event.vm_uuid, info->vm_uuid, sizeof(event.vm_uuid));
	add(manager, &event);
}
