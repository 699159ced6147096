/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "api/json.h"
#include "daemon/handlers_private.h"
#include "daemon/operation.h"
#include "daemon/resource.h"

/* How long the answer to a cancellation waits for the end that it brings about. */
#define CANCEL_SECONDS 10

static json_t *to_json(const struct operation *operation)
{
	return json_from_obj(&operation_schema, operation_info(operation));
}

/* The operation_wait_fn of a call. */
static void on_waited(void *ctx, const struct operation *operation)
{
	struct hvd_error err = { 0 };
	struct call *call = ctx;
	int r = 0;

	if (operation) {
		call->result = to_json(operation);
		if (!call->result)
			r = hvd_err(&err, ENOMEM, "out of memory");
	} else {
		r = hvd_err(&err, EAGAIN, "hvd is stopping");
	}
	call_finish(call, r, r < 0 ? &err : NULL);
}

static struct operation *find(const struct manager *manager, const struct call *call,
			      struct hvd_error *err)
{
	struct operation *operation = operation_find(manager->operations, call->name);

	if (!operation)
		hvd_err(err, ENOENT, "there is no operation %s; see hvcli operation list",
			call->name);
	return operation;
}

void handle_operation_list(struct manager *manager, struct vm *vm, struct call *call)
{
	list_answer(call, &resource_operation_kind, manager);
}

void handle_operation_get(struct manager *manager, struct vm *vm, struct call *call)
{
	struct operation_options options;
	struct hvd_error err = { 0 };
	struct operation *operation = find(manager, call, &err);
	int r = operation ? call_options(call, &options, &err) : err.code;

	if (r >= 0)
		r = operation_wait(operation, options.wait, on_waited, call, &err);
	if (r < 0)
		call_finish(call, r, &err);
}

void handle_operation_cancel(struct manager *manager, struct vm *vm, struct call *call)
{
	struct hvd_error err = { 0 };
	struct operation *operation = find(manager, call, &err);
	int r = operation ? operation_cancel(operation, &err) : err.code;

	if (r >= 0)
		r = operation_wait(operation, CANCEL_SECONDS, on_waited, call, &err);
	if (r < 0)
		call_finish(call, r, &err);
}
