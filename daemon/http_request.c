/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/http_request_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "api/errors.h"
#include "api/json.h"
#include "daemon/atomic_file.h"
#include "daemon/hash.h"
#include "daemon/http.h"
#include "daemon/http_events.h"
#include "daemon/idempotency.h"
#include "daemon/manager.h"
#include "daemon/operation.h"
#include "vmm/base/log.h"

/*
 * A body that will not be used is read up to here, so that the client gets to see why and can keep
 * its connection; beyond, the connection is closed.
 */
#define HTTP_DRAIN_MAX (1024 * 1024)

/* So much of an upload has a request timeout to arrive. */
#define HTTP_UPLOAD_PART (1024 * 1024)

static struct http_request *request_free(struct http_request *req)
{
	call_clear(&req->call);
	json_decref(req->call.args);
	json_decref(req->call.options);
	if (req->upload)
		close(req->call.upload);
	free(req->body);
	http_answer_clear(&req->answer);
	free(req);
	return NULL;
}

/* Each part of it has the request timeout to arrive. What cannot be kept is read all the same, and told. */
static void receive_upload(struct http_request *req, const char *data, size_t n)
{
	int r;

	if (req->n_received / HTTP_UPLOAD_PART != (req->n_received - n) / HTTP_UPLOAD_PART)
		http_client_phase(req->client, HTTP_PHASE_UPLOAD);
	if (req->error.code)
		return;
	req->upload_hash = hash_add(req->upload_hash, data, n);
	r = req->n_received > VOLUME_SIZE_MAX ? -EFBIG : file_write_all(req->call.upload, data, n);
	if (r < 0)
		hvd_err(&req->error, -r, "keeping what is sent: %s", strerror(-r));
}

static void request_receive(struct http_request *req, const char *data, size_t n)
{
	char *body;

	req->n_received += n;
	if (req->upload) {
		receive_upload(req, data, n);
		return;
	}
	if (req->error.code)
		return;
	if (req->n_received > HTTP_BODY_MAX) {
		http_body_too_large(req);
		return;
	}
	body = realloc(req->body, req->n_body + n + 1);
	if (!body) {
		hvd_err(&req->error, ENOMEM, "out of memory");
		return;
	}
	memcpy(body + req->n_body, data, n);
	req->body = body;
	req->n_body += n;
	body[req->n_body] = '\0';
}

static int take_body(struct http_request *req)
{
	struct call *call = &req->call;
	const struct op *op = call->op;
	int r;

	if (op->upload)
		return req->n_received ? 0 : hvd_err(&req->error, EBADMSG, "%s needs a body of %s", op->name,
						     op->body_type);
	if (op->body_type) {
		if (!req->n_body || strlen(req->body) != req->n_body)
			return hvd_err(&req->error, EBADMSG, "%s needs a body of %s", op->name,
				       op->body_type);
		call->text = req->body;
		return 0;
	}
	if (!req->n_body)
		return op->args ? hvd_err(&req->error, EBADMSG, "%s needs a JSON body", op->name)
				: 0;
	r = json_parse(req->body, req->n_body, &call->args, &req->error);
	if (r < 0)
		return r;
	/* some clients send {} with every POST */
	if (!op->args && (!json_is_object(call->args) || json_object_size(call->args)))
		return hvd_err(&req->error, EINVAL, "%s takes no body", op->name);
	return 0;
}

/* ---- the answer ---- */

/* -ENOMEM */
static int make_answer(struct http_request *req)
{
	if (req->answer.status)
		return 0;
	if (req->error.code)
		return http_answer_error(&req->error, req->allow, &req->answer);
	return http_answer_call(&req->call, &req->answer);
}

/* What is not known, or has changed nothing, is not kept. */
static void keep_answer(struct http_request *req)
{
	bool begun = *idempotent_operation_id(req->idempotent);
	/* when hvd ends it goes on without this answer */
	bool known = begun ? !req->call.manager->stopping : !req->error.code;

	if (req->call.op->secret)
		known = false;
	if (known && make_answer(req) < 0)
		known = false;
	idempotent_end(req->idempotent, known ? &req->answer : NULL);
}

static void request_done(struct call *call, int r, const struct hvd_error *err)
{
	struct http_request *req = call->front_data;

	if (r < 0 && err)
		req->error = *err;
	else if (r < 0)
		hvd_err_prefix(&req->error, r, "%s", call->op->name);
	req->state = REQUEST_DONE;
	if (req->idempotent)
		keep_answer(req);

	if (!req->connection) {
		request_free(req);
	} else if (req->suspended) {
		req->suspended = false;
		req->client->pending = NULL;
		MHD_resume_connection(req->connection);
		http_server_wake(req->client->server);
	}
}

static void request_began(struct call *call, const char *id)
{
	const struct http_request *req = call->front_data;

	if (req->idempotent)
		idempotent_operation(req->idempotent, id);
}

/* Everything that a request says. */
static uint64_t request_hash(const struct http_request *req)
{
	AUTO(free) char *options = json_dumps(req->call.options, JSON_COMPACT | JSON_SORT_KEYS);
	const struct call *call = &req->call;
	uint64_t hash = HASH_SEED;

	hash = hash_add(hash, call->op->name, strlen(call->op->name) + 1);
	hash = hash_add(hash, call->name, strlen(call->name) + 1);
	hash = hash_add(hash, call->item, strlen(call->item) + 1);
	if (options)
		hash = hash_add(hash, options, strlen(options) + 1);
	if (req->upload)
		return hash_add(hash, &req->upload_hash, sizeof(req->upload_hash));
	return hash_add(hash, req->body, req->n_body);
}

/* The first time is over, its answer is not known: its operation is. */
static int find_operation(struct http_request *req, const char *id)
{
	const struct operations *operations = http_server_manager(req->client->server)->operations;
	const struct operation *operation = *id ? operation_find(operations, id) : NULL;

	if (!operation)
		return hvd_err(&req->error, EBUSY,
			       "the request of this Idempotency-Key was done, and its answer is not "
			       "known any more: look at what it was about");
	req->call.result = json_from_obj(&operation_schema, operation_info(operation));
	req->call.accepted = true;
	if (!req->call.result || make_answer(req) < 0)
		return hvd_err(&req->error, ENOMEM, "out of memory");
	req->answer.replayed = true;
	return 0;
}

/* 0: it is to be done. 1: there is an answer. */
static int check_idempotency(struct http_request *req)
{
	struct idempotency *store = http_server_manager(req->client->server)->idempotency;
	struct idempotent *found;
	char client[40 + PEER_NAME_SIZE];
	int r;

	if (!req->key[0])
		return 0;
	snprintf(client, sizeof(client), "%s:%u%s%s", req->call.peer.front, req->call.peer.uid,
		 req->call.peer.name[0] ? ":" : "", req->call.peer.name);
	r = idempotency_begin(store, client, req->key, request_hash(req), &found, &req->error);
	if (r == 0)
		req->idempotent = found;
	if (r <= 0)
		return r;
	r = idempotent_answer(found, &req->answer);
	if (r < 0)
		r = find_operation(req, idempotent_operation_id(found));
	return r < 0 ? r : 1;
}

static void request_dispatch(struct http_request *req)
{
	req->state = REQUEST_DONE;
	if (req->stream || req->answer.status)
		return;
	if (req->error.code || take_body(req) < 0) {
		log_debug("refused a request of %s: %s",
			  req->call.peer.name[0] ? req->call.peer.name : "a user", req->error.msg);
		return;
	}
	if (check_idempotency(req))
		return;
	req->state = REQUEST_PENDING;
	req->call.done = request_done;
	req->call.began = request_began;
	req->call.front_data = req;
	http_client_phase(req->client, HTTP_PHASE_BUSY);
	call_dispatch(http_server_manager(req->client->server), &req->call);
}

static void websocket_closed(void *ctx)
{
	struct http_client *client = ctx;

	client->websocket = websocket_free(client->websocket);
	client->hangup = sd_event_source_disable_unref(client->hangup);
	http_client_end_upgrade(client);
}

static int on_hangup(sd_event_source *source, int fd, uint32_t events, void *data)
{
	websocket_closed(data);
	return 0;
}

/*
 * Over TLS libmicrohttpd stands between client and session, and does not pass on that the client has
 * gone. After everything else that is to be done: what the client sent last comes first.
 */
static int watch_hangup(struct http_client *client)
{
	int r;

	if (!client->remote)
		return 0;
	r = sd_event_add_io(http_server_manager(client->server)->event, &client->hangup, client->fd,
			    EPOLLRDHUP, on_hangup, client);
	return r < 0 ? r : sd_event_source_set_priority(client->hangup, SD_EVENT_PRIORITY_IDLE);
}

static void request_upgraded(void *cls, struct MHD_Connection *connection, void *slot,
			     const char *early, size_t n_early, MHD_socket sock,
			     struct MHD_UpgradeResponseHandle *upgrade)
{
	struct http_request *req = cls;
	struct http_client *client = req->client;
	const char *mode = json_string_value(json_object_get(req->call.options, "mode"));
	struct websocket_config config = {
		.sock = sock, .stream = req->call.stream,
		.early = early, .n_early = n_early,
		.read_only = mode && !strcmp(mode, "read"),
		.closed = websocket_closed, .ctx = client,
	};
	int r;

	client->upgrade = upgrade;
	r = websocket_new(http_server_manager(client->server)->event, &config, &client->websocket);
	if (r >= 0)
		req->call.stream = -1;
	if (r >= 0)
		r = watch_hangup(client);
	if (r < 0) {
		log_warning("%s %s: %s", req->call.op->name, req->call.name, strerror(-r));
		websocket_closed(client);
		return;
	}
	http_client_phase(client, HTTP_PHASE_BUSY);
}

static enum MHD_Result queue_reply(struct http_request *req)
{
	http_client_phase(req->client, HTTP_PHASE_REPLY);
	if (!req->error.code && req->stream &&
	    http_stream_open(http_server_streams(req->client->server), req->client,
			     req->connection, &req->filter, req->seq, &req->error) >= 0)
		return MHD_YES;
	if (!req->error.code && req->call.op && req->call.op->result == RESULT_STREAM &&
	    !req->answer.status)
		return http_reply_upgrade(req->connection, req->accept_key, request_upgraded, req);
	if (make_answer(req) < 0)
		return MHD_NO;
	if (req->answer.status == MHD_HTTP_OK && req->call.op->method == HTTP_GET &&
	    http_if_none_match(http_request_header(req, MHD_HTTP_HEADER_IF_NONE_MATCH),
			       req->answer.etag))
		/* libmicrohttpd leaves the body out, and says how long it would be */
		req->answer.status = MHD_HTTP_NOT_MODIFIED;
	req->answer.close = req->close;
	return http_reply(req->connection, &req->answer);
}

static enum MHD_Result request_reply(struct http_request *req)
{
	struct traffic *traffic = &http_server_manager(req->client->server)->traffic;
	enum MHD_Result r = queue_reply(req);
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(req->connection, MHD_CONNECTION_INFO_HTTP_STATUS);

	if (info && info->http_status < ARRAY_SIZE(traffic->answers))
		traffic->answers[info->http_status]++;
	return r;
}

static enum MHD_Result request_begin(struct MHD_Connection *connection, const char *url,
				     const char *method, const char *version, void **slot)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct http_request *req;
	uint64_t length;

	/* no client: the connection was refused, or memory was short */
	if (!info->socket_context || !(req = calloc(1, sizeof(*req))))
		return MHD_NO;
	*slot = req;
	req->connection = connection;
	req->client = info->socket_context;
	req->client->begun = req->client->in_request = true;
	req->call.stream = -1;
	if (http_head_check(req, url, method, version) == 0)
		return MHD_YES;

	/* say no before the body comes when the client waits for that, or would send too much */
	length = http_head_length(req);
	if (req->close || http_request_header(req, MHD_HTTP_HEADER_EXPECT) ||
	    (length != UINT64_MAX && length > HTTP_DRAIN_MAX))
		return request_reply(req);
	return MHD_YES;
}

enum MHD_Result http_request_handle(void *cls, struct MHD_Connection *connection, const char *url,
				    const char *method, const char *version, const char *data,
				    size_t *size, void **slot)
{
	struct http_request *req = *slot;

	if (!req)
		return request_begin(connection, url, method, version, slot);
	if (*size) {
		request_receive(req, data, *size);
		*size = 0;
		return req->upload || req->n_received <= HTTP_DRAIN_MAX ? MHD_YES : MHD_NO;
	}
	if (req->state == REQUEST_RECEIVING)
		request_dispatch(req);
	if (req->state == REQUEST_PENDING) {
		req->suspended = true;
		req->client->pending = req;
		MHD_suspend_connection(connection);
		return MHD_YES;
	}
	return request_reply(req);
}

void http_request_completed(void *cls, struct MHD_Connection *connection, void **slot,
			    enum MHD_RequestTerminationCode code)
{
	struct http_request *req = *slot;

	if (!req)
		return;
	*slot = NULL;
	req->client->in_request = false;
	http_client_phase(req->client, HTTP_PHASE_IDLE);
	if (req->state == REQUEST_PENDING)
		req->connection = NULL;
	else
		request_free(req);
}

void http_client_abandon(struct http_client *client)
{
	if (client->websocket)
		websocket_closed(client);
	if (client->stream)
		http_stream_abandon(client->stream);
	if (client->pending)
		MHD_resume_connection(client->pending->connection);
	client->pending = NULL;
}
