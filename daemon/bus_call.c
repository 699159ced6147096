/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/bus_call.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api/dbus.h"
#include "api/errors.h"
#include "api/json.h"
#include "daemon/bus_object.h"
#include "daemon/bus_path.h"
#include "daemon/bus_table.h"
#include "daemon/call.h"
#include "daemon/polkit.h"

#define CALLS_MAX 256
#define CALLS_PER_USER_MAX 32

struct bus_call {
	struct list node;
	struct bus_calls *calls; /* NULL: the server is gone */
	sd_bus_message *message;
	sd_bus_slot *question; /* to the bus driver or to polkit */
	struct polkit_query query;
	struct call call;
};

static struct bus_call *bus_call_free(struct bus_call *bc)
{
	if (bc->calls) {
		list_remove(&bc->node);
		bc->calls->n_calls--;
	}
	sd_bus_slot_unref(bc->question);
	sd_bus_message_unref(bc->message);
	call_clear(&bc->call);
	json_decref(bc->call.args);
	json_decref(bc->call.options);
	free(bc);
	return NULL;
}

DEFINE_AUTO(struct bus_call *, bus_call_free);

static int reply_error(sd_bus_message *m, const struct hvd_error *err)
{
	char text[ERROR_TEXT_SIZE];

	error_text(err, text);
	return sd_bus_reply_method_errorf(m, error_class_of_error(err)->dbus, "%s", text);
}

/* ---- answers ---- */

static int append_list(sd_bus_message *m, json_t *list)
{
	size_t i;
	json_t *item;
	int r;

	r = sd_bus_message_open_container(m, 'a', "a{sv}");
	if (r < 0)
		return r;
	json_array_foreach(list, i, item) {
		r = dbus_append_json_object(m, item);
		if (r < 0)
			return r;
	}
	return sd_bus_message_close_container(m);
}

static int append_path(sd_bus_message *m, const struct call *call)
{
	AUTO(free) char *path = NULL;
	int r;

	r = bus_path_of(bus_kind_made(call->op), call->name, &path);
	return r < 0 ? r : sd_bus_message_append(m, "o", path);
}

/* The answer as a tree, whichever way the core gives it. */
static int take_tree(struct call *call)
{
	json_t *tree;

	if (!call->json)
		return 0;
	tree = json_loads(call->json, 0, NULL);
	if (!tree)
		return -ENOMEM;
	call->result = call->op->result == RESULT_LIST ? json_incref(json_object_get(tree, "items"))
						       : json_incref(tree);
	json_decref(tree);
	return 0;
}

static int reply_result(struct bus_call *bc)
{
	AUTO(sd_bus_message_unref) sd_bus_message *m = NULL;
	struct call *call = &bc->call;
	int r;

	r = take_tree(call);
	if (r >= 0)
		r = sd_bus_message_new_method_return(bc->message, &m);
	if (r < 0)
		return r;
	switch (bus_result_of(call->op)) {
	case BUS_RESULT_PATH:
		r = append_path(m, call);
		break;
	case BUS_RESULT_IMPORT:
		r = append_path(m, call);
		if (r >= 0)
			r = append_list(m, json_object_get(call->result, "ignored"));
		break;
	case BUS_RESULT_OBJECT:
		r = dbus_append_json_object(m, call->result);
		break;
	case BUS_RESULT_LIST:
		r = append_list(m, call->result);
		break;
	case BUS_RESULT_TEXT:
		r = sd_bus_message_append(m, "s", call->document);
		break;
	case BUS_RESULT_FD:
		r = sd_bus_message_append(m, "h", call->stream);
		break;
	default:
		break;
	}
	return r < 0 ? r : sd_bus_send(sd_bus_message_get_bus(m), m, NULL);
}

static void on_done(struct call *call, int r, const struct hvd_error *err)
{
	AUTO(bus_call_free) struct bus_call *bc = call->front_data;
	struct hvd_error error = { 0 };

	if (!bc->calls)
		return;
	if (r >= 0) {
		r = reply_result(bc);
		if (r >= 0)
			return;
		hvd_err_prefix(&error, r, "the answer of %s", call->op->name);
	} else if (err) {
		error = *err;
	} else {
		hvd_err_prefix(&error, r, "%s", call->op->name);
	}
	reply_error(bc->message, &error);
}

/* ---- the way to the core ---- */

static void dispatch(struct bus_call *bc)
{
	bc->question = sd_bus_slot_unref(bc->question);
	bc->call.done = on_done;
	bc->call.front_data = bc;
	call_dispatch(bc->calls->manager, &bc->call);
}

static void refuse(struct bus_call *bc, const struct hvd_error *err)
{
	reply_error(bc->message, err);
	bus_call_free(bc);
}

static void on_authorised(void *ctx, int r, const struct hvd_error *err)
{
	struct bus_call *bc = ctx;

	if (r < 0)
		refuse(bc, err);
	else
		dispatch(bc);
}

static unsigned calls_of(const struct bus_calls *calls, uid_t uid)
{
	const struct bus_call *bc;
	unsigned n = 0;

	list_for_each(bc, &calls->calls, node)
		n += bc->call.peer.uid == uid;
	return n;
}

static int ask_polkit(struct bus_call *bc, struct hvd_error *err)
{
	sd_bus_slot *question;
	int r;

	/* a dialog may stay open for minutes */
	if (calls_of(bc->calls, bc->call.peer.uid) > CALLS_PER_USER_MAX)
		return hvd_err(err, EAGAIN, "user %u has too many calls under way",
			       bc->call.peer.uid);
	r = polkit_authorise(bc->message, &bc->query, &question);
	if (r < 0)
		return hvd_err_prefix(err, r, "asking polkit");
	sd_bus_slot_unref(bc->question);
	bc->question = question;
	return 0;
}

static void on_identified(void *ctx, int r, const struct hvd_error *err, uid_t uid, pid_t pid)
{
	struct bus_call *bc = ctx;
	struct hvd_error error = { 0 };

	if (r < 0) {
		refuse(bc, err);
		return;
	}
	bc->call.peer.uid = uid;
	bc->call.peer.pid = pid;
	if (uid == 0)
		dispatch(bc);
	else if (ask_polkit(bc, &error) < 0)
		refuse(bc, &error);
}

/* ---- arguments ---- */

static int read_name(struct bus_call *bc, char name[static OP_NAME_SIZE], struct hvd_error *err)
{
	const char *text;
	int r;

	r = sd_bus_message_read(bc->message, "s", &text);
	if (r < 0)
		return hvd_err_prefix(err, r, "name");
	if (strlen(text) >= OP_NAME_SIZE)
		return hvd_err(err, ENOENT, "there is no %.64s…", text);
	strcpy(name, text);
	return 0;
}

static int read_argument(struct bus_call *bc, enum bus_argument argument, struct hvd_error *err)
{
	int r = 0;

	switch (argument) {
	case BUS_ARGUMENT_NAME:
		return read_name(bc, bc->call.name, err);
	case BUS_ARGUMENT_ITEM:
		return read_name(bc, bc->call.item, err);
	case BUS_ARGUMENT_OPTIONS:
		return dbus_read_json(bc->message, &bc->call.options, err);
	case BUS_ARGUMENT_OBJECT:
		return dbus_read_json(bc->message, &bc->call.args, err);
	case BUS_ARGUMENT_TEXT:
		r = sd_bus_message_read(bc->message, "s", &bc->call.text);
		break;
	case BUS_ARGUMENT_FD: /* the message's */
		r = sd_bus_message_read(bc->message, "h", &bc->call.upload);
		break;
	default:
		break;
	}
	return r < 0 ? hvd_err_prefix(err, r, "arguments") : 0;
}

static int read_arguments(struct bus_call *bc, const char *name, struct hvd_error *err)
{
	enum bus_argument arguments[BUS_MAX_ARGUMENTS];
	size_t n = bus_arguments_of(bc->call.op, arguments);
	int r;

	if (name)
		snprintf(bc->call.name, sizeof(bc->call.name), "%s", name);
	for (size_t i = 0; i < n; i++) {
		r = read_argument(bc, arguments[i], err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int begin(struct bus_calls *calls, sd_bus_message *message, const struct op *op,
		 const char *name, struct hvd_error *err)
{
	AUTO(bus_call_free) struct bus_call *bc = NULL;
	int r;

	calls->manager->traffic.dbus_calls++;
	if (calls->n_calls >= CALLS_MAX)
		return hvd_err(err, EAGAIN, "too many calls are under way; try again");
	bc = calloc(1, sizeof(*bc));
	if (!bc)
		return hvd_err(err, ENOMEM, "out of memory");
	bc->calls = calls;
	list_append(&calls->calls, &bc->node);
	calls->n_calls++;

	bc->message = sd_bus_message_ref(message);
	bc->call.op = op;
	bc->call.stream = -1;
	bc->call.peer = (struct peer){ .front = "dbus", .uid = (uid_t)-1 };
	bc->query = (struct polkit_query){ .peer = on_identified, .done = on_authorised, .ctx = bc,
					   .action = polkit_actions[op->access] };
	r = read_arguments(bc, name, err);
	if (r < 0)
		return r;
	r = polkit_identify(message, &bc->query, &bc->question);
	if (r < 0)
		return hvd_err_prefix(err, r, "asking the bus who is calling");
	bc = NULL; /* on its way */
	return 0;
}

int bus_call_begin(struct bus_calls *calls, sd_bus_message *message, const struct op *op,
		   const char *name)
{
	struct hvd_error err = { 0 };

	if (begin(calls, message, op, name, &err) < 0)
		return reply_error(message, &err);
	return 1;
}

void bus_calls_init(struct bus_calls *calls, struct manager *manager)
{
	calls->manager = manager;
	calls->n_calls = 0;
	list_init(&calls->calls);
}

void bus_calls_clear(struct bus_calls *calls)
{
	struct bus_call *bc;

	list_for_each(bc, &calls->calls, node) {
		if (bc->question) {
			bus_call_free(bc);
		} else {
			list_remove(&bc->node);
			bc->calls = NULL;
		}
	}
	calls->n_calls = 0;
}
