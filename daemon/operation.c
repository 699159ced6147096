/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/operation.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-id128.h>
#include <time.h>

#include "api/errors.h"
#include "api/json.h"
#include "daemon/event.h"
#include "daemon/handlers.h"
#include "daemon/operation_private.h"
#include "daemon/pool.h"
#include "daemon/snapshot.h"
#include "daemon/store.h"
#include "vmm/base/log.h"

#define USEC_PER_SEC 1000000ULL

struct waiter {
	struct list node;
	struct operation *operation;
	sd_event_source *timer;
	operation_wait_fn fn;
	void *ctx;
};

static uint64_t now_usec(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * USEC_PER_SEC + (uint64_t)now.tv_nsec / 1000;
}

/* ---- lists ---- */

struct operation *operation_next(const struct operations *operations,
				 const struct operation *operation)
{
	const struct list *next = operation ? operation->node.next : operations->list.next;

	return next == &operations->list ? NULL : list_entry(next, struct operation, node);
}

struct operation *operation_find(const struct operations *operations, const char *id)
{
	struct operation *operation = operation_next(operations, NULL);

	while (operation && strcmp(operation->info.id, id) != 0)
		operation = operation_next(operations, operation);
	return operation;
}

const struct operation_info *operation_info(const struct operation *operation)
{
	return &operation->info;
}

static struct operation *operation_new(struct operations *operations)
{
	struct operation *operation = calloc(1, sizeof(*operation));

	if (!operation)
		return NULL;
	operation->operations = operations;
	list_init(&operation->node);
	list_init(&operation->waiters);
	operation->run.stream = -1;
	return operation;
}

static struct operation *operation_free(struct operation *operation)
{
	list_remove(&operation->node);
	sd_event_source_disable_unref(operation->patience);
	call_clear(&operation->run);
	json_decref(operation->run.args);
	json_decref(operation->run.options);
	schema_clear(&operation_schema, &operation->info);
	free(operation);
	return NULL;
}

/* Those that have ended are forgotten in the order in which they began. */
static void forget_old(struct operations *operations)
{
	struct operation *operation;

	list_for_each(operation, &operations->list, node) {
		if (operations->n_ended <= OPERATIONS_KEPT)
			return;
		if (operation->info.state == OUTCOME_RUNNING)
			continue;
		operation_unlink(operation);
		operation_free(operation);
		operations->n_ended--;
	}
}

/* ---- waiting ---- */

static void waiter_done(struct waiter *waiter, const struct operation *operation)
{
	operation_wait_fn fn = waiter->fn;
	void *ctx = waiter->ctx;

	list_remove(&waiter->node);
	sd_event_source_disable_unref(waiter->timer);
	free(waiter);
	fn(ctx, operation);
}

static void waiters_done(struct operation *operation, const struct operation *told)
{
	while (!list_empty(&operation->waiters))
		waiter_done(list_entry(operation->waiters.next, struct waiter, node), told);
}

static int on_waited(sd_event_source *source, uint64_t usec, void *data)
{
	struct waiter *waiter = data;

	waiter_done(waiter, waiter->operation);
	return 0;
}

int operation_wait(struct operation *operation, unsigned seconds, operation_wait_fn fn, void *ctx,
		   struct hvd_error *err)
{
	struct waiter *waiter;

	if (operation->info.state != OUTCOME_RUNNING || !seconds) {
		fn(ctx, operation);
		return 0;
	}
	waiter = calloc(1, sizeof(*waiter));
	if (!waiter)
		return hvd_err(err, ENOMEM, "out of memory");
	*waiter = (struct waiter){ .operation = operation, .fn = fn, .ctx = ctx };
	list_append(&operation->waiters, &waiter->node);
	if (sd_event_add_time_relative(operation->operations->manager->event, &waiter->timer,
				       CLOCK_MONOTONIC, seconds * USEC_PER_SEC, 0, on_waited,
				       waiter) < 0) {
		list_remove(&waiter->node);
		free(waiter);
		return hvd_err(err, ENOMEM, "out of memory");
	}
	return 0;
}

/* ---- the client's call ---- */

/* What the handler has answered becomes the client's. */
static void answer(struct operation *operation)
{
	struct call *client = TAKE(operation->client), *run = &operation->run;

	operation->patience = sd_event_source_disable_unref(operation->patience);
	if (!client)
		return;
	client->result = TAKE(run->result);
	client->json = TAKE(run->json);
	client->document = TAKE(run->document);
	client->stream = TAKE_FD(run->stream);
	client->planned = run->planned;
	client->generation = run->generation;
	memcpy(client->vm_uuid, run->vm_uuid, sizeof(client->vm_uuid));
	strcpy(client->name, run->name);
	strcpy(client->item, run->item);
	client->done(client, operation->r, operation->r < 0 ? &operation->err : NULL);
}

/* The client does not wait any longer. */
static void accept_call(struct operation *operation)
{
	struct call *client = TAKE(operation->client);
	struct hvd_error err = { 0 };

	operation->patience = sd_event_source_disable_unref(operation->patience);
	client->accepted = true;
	client->operation = operation;
	client->result = json_from_obj(&operation_schema, &operation->info);
	if (client->result)
		client->done(client, 0, NULL);
	else
		client->done(client, hvd_err(&err, ENOMEM, "out of memory"), &err);
}

static int on_impatient(sd_event_source *source, uint64_t usec, void *data)
{
	accept_call(data);
	return 0;
}

static void begin_wait(struct operation *operation)
{
	const struct call *client = operation->client;

	if (!client->respond_async)
		return;
	/* without memory for a timer: at once */
	if (!client->wait ||
	    sd_event_add_time_relative(operation->operations->manager->event, &operation->patience,
				       CLOCK_MONOTONIC, client->wait * USEC_PER_SEC, 0,
				       on_impatient, operation) < 0)
		accept_call(operation);
}

/* ---- a life ---- */

static int new_id(const struct operations *operations, char **ret)
{
	char text[SD_ID128_STRING_MAX];
	sd_id128_t id;
	int r;

	do {
		r = sd_id128_randomize(&id);
		if (r < 0)
			return r;
		sd_id128_to_string(id, text);
		text[OPERATION_ID_SIZE - 1] = '\0';
	} while (operation_find(operations, text));
	*ret = strdup(text);
	return *ret ? 0 : -ENOMEM;
}

static int fill_info(struct operation *operation, const struct vm *vm)
{
	struct operation_info *info = &operation->info;
	const struct call *run = &operation->run;
	char resource[OP_RESOURCE_SIZE];
	int r;

	r = new_id(operation->operations, &info->id);
	if (r < 0)
		return r;
	op_resource(run->op, run->name, run->item, resource);
	info->kind = strdup(run->op->name);
	info->resource = strdup(resource);
	info->vm = vm ? strdup(run->name) : NULL;
	info->by.front = strdup(run->peer.front);
	info->by.uid = run->peer.uid;
	info->by.pid = (uint32_t)run->peer.pid;
	info->by.name = run->peer.name[0] ? strdup(run->peer.name) : NULL;
	memcpy(info->vm_uuid, run->vm_uuid, sizeof(info->vm_uuid));
	info->generation = vm ? vm_generation(vm) : 0;
	info->created_usec = now_usec();
	info->cancellable = run->cancel != NULL;
	return info->kind && info->resource && (info->vm || !vm) && info->by.front ? 0 : -ENOMEM;
}

/* It has not ended when its handler returned: it is a resource now. */
static void begin(struct operation *operation, const struct vm *vm)
{
	struct operations *operations = operation->operations;

	if (fill_info(operation, vm) < 0) {
		/* a call like any other, then */
		log_err("out of memory: %s is no operation", operation->run.op->name);
		return;
	}
	list_append(&operations->list, &operation->node);
	operations->n_running++;
	operation->run.operation = operation;
	operation_save(operation);
	if (operation->client->began)
		operation->client->began(operation->client, operation->info.id);
	event_call_begun(&operation->run);
	begin_wait(operation);
}

static void set_error(struct operation_info *info, const struct hvd_error *err)
{
	info->error.code = strdup(error_class_of_error(err)->name);
	info->error.detail = strdup(err->msg);
	info->error.field = err->field[0] ? strdup(err->field) : NULL;
}

/* Of one that is a resource: for good. */
static void end(struct operation *operation, int r, const struct hvd_error *err)
{
	struct operations *operations = operation->operations;
	struct operation_info *info = &operation->info;

	info->state = outcome_of(r);
	info->cancellable = false;
	info->finished_usec = now_usec();
	if (info->state == OUTCOME_FAILED)
		set_error(info, err);
	operations->n_running--;
	operations->n_ended++;
	operation_save(operation);
}

static void finish(struct operation *operation)
{
	struct operations *operations = operation->operations;

	if (!operation->run.operation || operations->manager->stopping) {
		answer(operation);
		waiters_done(operation, NULL);
		operation_free(operation);
		return;
	}
	end(operation, operation->r, &operation->err);
	answer(operation);
	waiters_done(operation, operation);
	call_clear(&operation->run);
	forget_old(operations);
}

static void on_run_done(struct call *run, int r, const struct hvd_error *err)
{
	struct operation *operation = run->front_data;

	operation->ended = true;
	operation->r = r;
	if (r < 0 && err)
		operation->err = *err;
	else if (r < 0)
		hvd_err_prefix(&operation->err, r, "%s", run->op->name);
	if (!operation->in_handler)
		finish(operation);
}

void operation_run(struct operations *operations, struct vm *vm, struct call *call)
{
	struct hvd_error err = { 0 };
	struct operation *operation;

	if (operations->n_running >= OPERATIONS_MAX) {
		call_finish(call, hvd_err(&err, EAGAIN, "%u operations are under way",
					  operations->n_running), &err);
		return;
	}
	operation = operation_new(operations);
	if (!operation) {
		call_finish(call, hvd_err(&err, ENOMEM, "out of memory"), &err);
		return;
	}
	operation->client = call;
	operation->run = *call;
	operation->run.args = json_incref(call->args);
	operation->run.options = json_incref(call->options);
	operation->run.done = on_run_done;
	operation->run.front_data = operation;

	operation->in_handler = true;
	handlers[op_id(call->op)](operations->manager, vm, &operation->run);
	operation->in_handler = false;
	if (operation->ended)
		finish(operation);
	else
		begin(operation, vm);
}

int operation_cancel(struct operation *operation, struct hvd_error *err)
{
	const struct operation_info *info = &operation->info;

	if (info->state != OUTCOME_RUNNING)
		return hvd_err(err, EBUSY, "operation %s has ended: it has %s", info->id,
			       outcome_names[info->state]);
	if (!operation->run.cancel)
		return hvd_err(err, EBUSY, "%s cannot be cancelled", info->kind);
	operation->run.cancel(&operation->run);
	return 0;
}

void operation_progress(struct call *call, uint64_t done, uint64_t total, const char *unit)
{
	struct operation *operation = call->done == on_run_done ? call->front_data : NULL;
	struct operation_progress *progress;

	if (!operation)
		return;
	progress = &operation->info.progress;
	progress->done = done;
	progress->total = total;
	if (!progress->unit)
		progress->unit = strdup(unit);
}

/* ---- a former hvd's ---- */

static int add_loaded(struct operations *operations, struct operation_info *info)
{
	struct operation *operation = operation_new(operations);

	if (!operation)
		return -ENOMEM;
	operation->info = *info;
	list_append(&operations->list, &operation->node);
	if (info->state == OUTCOME_RUNNING)
		operations->n_running++;
	else
		operations->n_ended++;
	return 0;
}

static const struct op *op_of(const struct operation_info *info)
{
	for (const struct op *op = ops; op < ops + _OP_MAX; op++)
		if (strcmp(op->name, info->kind) == 0)
			return op;
	return NULL;
}

/* The image or volume of this path. */
static bool is_made(const struct manager *manager, const char *resource)
{
	const char *images = ops[OP_IMAGE_LIST].path, *name = strrchr(resource, '/');
	const struct pool *pool = strncmp(resource, images, strlen(images)) == 0 ? manager->images
										   : manager->volumes;

	return name && pool_find(pool, name + 1);
}

/* 1: it is not known yet. */
static int check_snapshot(const struct vm *vm, const struct op *op, const struct operation_info *info,
			  struct hvd_error *err)
{
	const char *name = strrchr(info->resource, '/') + 1;
	const struct vm_snapshot *snapshot = snapshot_find(vm, name);
	bool ready = snapshot && snapshot_info(snapshot)->state == SNAPSHOT_READY;

	if (snapshot_is_recovering(vm))
		return 1;
	if (op->effect == EFFECT_NO_SNAPSHOT ? !snapshot
	    : op->effect == EFFECT_SNAPSHOT  ? ready
					     : ready && snapshot_info(snapshot)->reverted_usec > info->created_usec)
		return 0;
	return hvd_err(err, EIO, "hvd has ended while it was under way, and snapshot %s of VM %s is %s", name,
		       info->vm, snapshot ? snapshot_state_names[snapshot_info(snapshot)->state] : "not there");
}

/* 0: its effect is there. */
static int check_effect(const struct operation *operation, struct hvd_error *err)
{
	const struct operation_info *info = &operation->info;
	const struct op *op = op_of(info);
	const struct manager *manager = operation->operations->manager;
	const struct vm *vm = info->vm ? manager_find_vm(operation->operations->manager, info->vm)
				       : NULL;

	if (op && op->effect == EFFECT_MADE && is_made(manager, info->resource))
		return 0;
	if (!op || !vm || memcmp(vm_config(vm)->uuid, info->vm_uuid, sizeof(info->vm_uuid)) != 0)
		return hvd_err(err, EIO, "hvd has ended while it was under way");
	switch (op->effect) {
	case EFFECT_RUNS:
		if (vm_has_process(vm))
			return 0;
		break;
	case EFFECT_OFF:
		if (!vm_has_process(vm))
			return 0;
		break;
	case EFFECT_SPEC:
		if (vm_generation(vm) > info->generation)
			return 0;
		if (vm_is_unsettled(vm))
			return 1;
		return hvd_err(err, EIO,
			       "hvd has ended while it was under way, and the spec has not changed");
	case EFFECT_SNAPSHOT:
	case EFFECT_NO_SNAPSHOT:
	case EFFECT_REVERTED:
		return check_snapshot(vm, op, info, err);
	case EFFECT_MADE:
	case EFFECT_SIZE:
	case EFFECT_NONE:
		break;
	}
	return hvd_err(err, EIO, "hvd has ended while it was under way, and VM %s is %s", info->vm,
		       vm_state_names[vm_state(vm)]);
}

void operations_recover(struct operations *operations)
{
	struct operation *operation;

	list_for_each(operation, &operations->list, node) {
		struct hvd_error err = { 0 };
		int r;

		/* those that this hvd runs are none of them */
		if (operation->info.state != OUTCOME_RUNNING || operation->run.op)
			continue;
		r = check_effect(operation, &err);
		if (r > 0)
			continue;
		end(operation, r, &err);
		event_operation(operations->manager, &operation->info);
		waiters_done(operation, operation);
	}
	forget_old(operations);
}

int operations_new(struct manager *manager, const char *folder, struct operations **ret,
		   struct hvd_error *err)
{
	AUTO(operations_free) struct operations *operations = calloc(1, sizeof(*operations));
	int r;

	if (!operations)
		return hvd_err(err, ENOMEM, "out of memory");
	operations->manager = manager;
	list_init(&operations->list);
	r = store_make_folder(folder, err);
	if (r < 0)
		return r;
	operations->folder = strdup(folder);
	r = operations->folder ? operation_load(operations, add_loaded) : -ENOMEM;
	if (r < 0)
		return hvd_err(err, -r, "%s: %s", folder, strerror(-r));
	*ret = TAKE(operations);
	return 0;
}

struct operations *operations_free(struct operations *operations)
{
	struct operation *operation;

	if (!operations)
		return NULL;
	list_for_each(operation, &operations->list, node) {
		waiters_done(operation, NULL);
		operation_free(operation);
	}
	free(operations->folder);
	free(operations);
	return NULL;
}
