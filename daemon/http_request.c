/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/http_request.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "api/errors.h"
#include "api/json.h"
#include "daemon/http.h"
#include "daemon/http_events.h"
#include "daemon/http_prefer.h"
#include "daemon/http_reply.h"
#include "daemon/manager.h"
#include "daemon/websocket.h"
#include "vmm/base/log.h"

/*
 * A body that will not be used is read up to here, so that the client gets to see why and can keep
 * its connection; beyond, the connection is closed.
 */
#define HTTP_DRAIN_MAX (1024 * 1024)

#define WAIT_DEFAULT 60 /* seconds, for an operation that takes time */

enum request_state { REQUEST_RECEIVING, REQUEST_PENDING, REQUEST_DONE };

struct http_request {
	struct call call;
	struct http_client *client;
	struct MHD_Connection *connection; /* NULL: gone, free when the call is done */
	enum request_state state;
	bool suspended;

	/* the first thing that is wrong (error.code not 0), answered when the body has been read */
	struct hvd_error error;
	struct http_problem problem;

	char *body; /* NUL-terminated */
	size_t n_body, n_received;
	char accept_key[WEBSOCKET_ACCEPT_SIZE];

	bool stream; /* events as they come: after seq, what the filter takes */
	uint64_t seq;
	struct event_filter filter;
};

static struct http_request *request_free(struct http_request *req)
{
	call_clear(&req->call);
	json_decref(req->call.args);
	json_decref(req->call.options);
	free(req->body);
	free(req);
	return NULL;
}

static const char *header(const struct http_request *req, const char *name)
{
	return MHD_lookup_connection_value(req->connection, MHD_HEADER_KIND, name);
}

/* True when a comma-separated header has the token (RFC 9110 §5.6.1), letters of any case. */
static bool has_token(const char *value, const char *token)
{
	size_t n = strlen(token);

	while (value && *value) {
		value += strspn(value, " \t,");
		if (!strncasecmp(value, token, n) && strchr(" \t,;", value[n]))
			return true;
		value += strcspn(value, ",");
	}
	return false;
}

/* The media type without parameters. */
static bool is_type(const char *value, const char *type)
{
	size_t n = strlen(type);

	return !strncasecmp(value, type, n) && strchr("; \t", value[n]);
}

static int check_access(struct http_request *req)
{
	if (req->client->allowed)
		return 0;
	return hvd_err(&req->error, EACCES,
		       "user %u may not manage VMs: use sudo, or become a member of group hvd",
		       req->client->peer.uid);
}

static enum MHD_Result count_framing(void *ctx, enum MHD_ValueKind kind, const char *key,
				     const char *value)
{
	*(unsigned *)ctx += !strcasecmp(key, MHD_HTTP_HEADER_CONTENT_LENGTH) ||
			    !strcasecmp(key, MHD_HTTP_HEADER_TRANSFER_ENCODING);
	return MHD_YES;
}

/*
 * Where the body ends must not depend on who reads (RFC 9112 §6.3): a proxy before hvd may follow
 * another of the headers than libmicrohttpd does.
 */
static int check_framing(struct http_request *req)
{
	const char *encoding = header(req, MHD_HTTP_HEADER_TRANSFER_ENCODING);
	unsigned n = 0;

	MHD_get_connection_values(req->connection, MHD_HEADER_KIND, count_framing, &n);
	if (n <= 1 && (!encoding || !strcasecmp(encoding, "chunked")))
		return 0;
	req->problem.close = true;
	return hvd_err(&req->error, EBADMSG,
		       "one Content-Length, or Transfer-Encoding: chunked, says how long a body is");
}

static int check_route(struct http_request *req, const char *url, const char *method)
{
	struct call *call = &req->call;
	struct op_names names = { 0 };
	int r;

	/* libmicrohttpd leaves the body out of the answer to HEAD */
	if (!strcmp(method, MHD_HTTP_METHOD_HEAD))
		method = MHD_HTTP_METHOD_GET;
	r = op_route(method, url, &call->op, &names, &req->problem.allow);
	if (r == -ENOTSUP)
		return hvd_err(&req->error, ENOSYS, "%.200s does not take %.16s", url, method);
	if (r < 0)
		return hvd_err(&req->error, ENOENT,
			       "there is no %.200s; /v1/openapi.json lists what there is", url);
	strcpy(call->name, names.name);
	strcpy(call->item, names.item);
	return 0;
}

static int hex_digit(char c)
{
	const char *digits = "0123456789abcdef0123456789ABCDEF";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) % 16 : -1;
}

/* RFC 3986 §2.1. NULL: a broken escape, a NUL, no memory. */
static char *unescape(const char *text)
{
	AUTO(free) char *plain = malloc(strlen(text) + 1);
	size_t n = 0;

	for (; plain && *text; n++) {
		int high, low;

		if (*text != '%') {
			plain[n] = *text++;
			continue;
		}
		high = hex_digit(text[1]);
		low = high < 0 ? -1 : hex_digit(text[2]);
		if (low < 0 || !(high | low))
			return NULL;
		plain[n] = (char)(high << 4 | low);
		text += 3;
	}
	if (plain)
		plain[n] = '\0';
	return TAKE(plain);
}

static enum MHD_Result add_query(void *ctx, enum MHD_ValueKind kind, const char *key,
				 const char *value)
{
	AUTO(free) char *plain = unescape(value ? value : "");

	/* a key that needs an escape is none of those there are; NULL and no UTF-8 end it */
	return plain && json_object_set_new(ctx, key, json_string(plain)) == 0 ? MHD_YES : MHD_NO;
}

static int take_option(struct http_request *req, const char *key, const char *text)
{
	const struct op *op = req->call.op;
	const struct field *field = op->options ? schema_field(op->options, key) : NULL;
	json_t *value;
	int r;

	if (!field)
		return hvd_err_field(&req->error, EINVAL, key, "%s has no such query parameter",
				     op->name);
	if (!req->call.options)
		req->call.options = json_object();
	r = json_from_text(field, text, &value, &req->error);
	if (r < 0)
		return r;
	return json_object_set_new(req->call.options, key, value) < 0
		       ? hvd_err(&req->error, ENOMEM, "out of memory")
		       : 0;
}

static int take_query(struct http_request *req)
{
	AUTO(json_decref) json_t *query = json_object();
	const char *key;
	json_t *value;
	int r = 0;

	if (!query || MHD_get_connection_values(req->connection, MHD_GET_ARGUMENT_KIND, add_query,
						query) != (int)json_object_size(query))
		return hvd_err(&req->error, EBADMSG, "the query is not valid or names one twice");
	json_object_foreach(query, key, value)
		r = r < 0 ? r : take_option(req, key, json_string_value(value));
	return r;
}

/*
 * RFC 9110 §13.1.1. A tag is the number of a spec's generation in quotes; any other is of nothing
 * that there is.
 */
static int take_if_match(struct http_request *req)
{
	const char *tag = header(req, MHD_HTTP_HEADER_IF_MATCH);
	const struct op *op = req->call.op;
	char number[24] = "";
	size_t len;

	if (!tag || op->method == HTTP_GET || !strcmp(tag, "*"))
		return 0;
	if (!op->options || !schema_field(op->options, "generation"))
		return hvd_err(&req->error, EBADMSG, "%s takes no If-Match", op->name);
	if (strchr(tag, ','))
		return hvd_err(&req->error, EBADMSG, "If-Match: one ETag, as GET gave it, or *");
	len = strlen(tag);
	if (len > 2 && len < sizeof(number) && tag[0] == '"' && tag[len - 1] == '"')
		snprintf(number, sizeof(number), "%.*s", (int)len - 2, tag + 1);
	if (number_parse(number, &(uint64_t){ 0 }) < 0 || number[0] == '0')
		return hvd_err(&req->error, ESTALE, "%.40s is not the ETag of any spec", tag);
	return take_option(req, "generation", number);
}

static enum MHD_Result add_preference(void *ctx, enum MHD_ValueKind kind, const char *key,
				      const char *value)
{
	if (value && !strcasecmp(key, "Prefer"))
		prefer_parse(value, ctx);
	return MHD_YES;
}

/*
 * How long the answer of an operation that takes time may take: as long as the client says, at once
 * when it says nothing of that but respond-async, else as long as clients are used to wait.
 */
static void take_preferences(struct http_request *req)
{
	struct prefer prefer = { .wait = WAIT_DEFAULT };

	MHD_get_connection_values(req->connection, MHD_HEADER_KIND, add_preference, &prefer);
	req->call.respond_async = true;
	req->call.wait = prefer.respond_async && !prefer.has_wait ? 0 : prefer.wait;
}

/* RFC 6455 §4.2.1 */
static int check_handshake(struct http_request *req, const char *method, const char *version)
{
	const char *v = header(req, "Sec-WebSocket-Version");
	const char *key = header(req, "Sec-WebSocket-Key");

	req->problem.status = MHD_HTTP_UPGRADE_REQUIRED;
	if (strcmp(method, MHD_HTTP_METHOD_GET) || strcmp(version, MHD_HTTP_VERSION_1_1) ||
	    !has_token(header(req, MHD_HTTP_HEADER_CONNECTION), "upgrade") ||
	    !has_token(header(req, MHD_HTTP_HEADER_UPGRADE), "websocket"))
		return hvd_err(&req->error, EPROTO,
			       "%s is a WebSocket: ask with Connection: Upgrade and "
			       "Upgrade: websocket", req->call.op->name);
	if (!v || strcmp(v, "13"))
		return hvd_err(&req->error, EPROTO, "only Sec-WebSocket-Version 13 is spoken");
	req->problem.status = 0;
	if (!key || websocket_accept_key(key, req->accept_key) < 0)
		return hvd_err(&req->error, EBADMSG,
			       "Sec-WebSocket-Key must be 16 bytes in base64");
	return 0;
}

/*
 * Which events a client wants to be sent: those after the last that it has seen, those after since,
 * or those to come.
 */
static int check_stream(struct http_request *req)
{
	const char *last = header(req, "Last-Event-ID");
	const struct event_log *log = http_server_manager(req->client->server)->events;
	struct event_options options;
	int r;

	r = call_options(&req->call, &options, &req->error);
	if (r < 0)
		return r;
	req->stream = true;
	req->seq = json_object_get(req->call.options, "since") ? options.since
							       : event_log_newest(log);
	r = event_filter_init(&req->filter, &options, &req->error);
	if (r >= 0 && last && number_parse(last, &req->seq) < 0)
		r = hvd_err(&req->error, EBADMSG, "Last-Event-ID: \"%.40s\" is no event's number",
			    last);
	schema_clear(&event_options_schema, &options);
	return r;
}

static int check_type(struct http_request *req)
{
	const char *type = header(req, MHD_HTTP_HEADER_CONTENT_TYPE);
	const struct op *op = req->call.op;
	const char *want = op->body_type ? op->body_type : "application/json";

	if (type && (is_type(type, want) ||
		     (op->method == HTTP_PATCH && is_type(type, "application/merge-patch+json"))))
		return 0;
	return hvd_err(&req->error, EMEDIUMTYPE, "%s takes %s: send Content-Type: %s", op->name,
		       want, want);
}

/* Bytes of body announced; UINT64_MAX when it comes in chunks. */
static uint64_t announced(const struct http_request *req)
{
	const char *length = header(req, MHD_HTTP_HEADER_CONTENT_LENGTH);

	if (header(req, MHD_HTTP_HEADER_TRANSFER_ENCODING))
		return UINT64_MAX;
	return length ? strtoull(length, NULL, 10) : 0;
}

static int too_large(struct http_request *req)
{
	return hvd_err(&req->error, EFBIG, "the body is larger than %u bytes", HTTP_BODY_MAX);
}

/* All that can be said before the body has come. */
static int check_head(struct http_request *req, const char *url, const char *method,
		      const char *version)
{
	uint64_t length = announced(req);
	int r;

	r = check_framing(req);
	if (r >= 0)
		r = check_access(req);
	if (r >= 0)
		r = check_route(req, url, method);
	if (r < 0)
		return r;
	if (req->call.op->effect != EFFECT_NONE)
		take_preferences(req);
	r = take_query(req);
	if (r >= 0)
		r = take_if_match(req);
	if (r < 0)
		return r;
	if (req->call.op->result == RESULT_STREAM)
		return check_handshake(req, method, version);
	if (req->call.op->stream && has_token(header(req, MHD_HTTP_HEADER_ACCEPT), EVENT_STREAM_TYPE))
		return check_stream(req);
	if (length != UINT64_MAX && length > HTTP_BODY_MAX)
		return too_large(req);
	return length ? check_type(req) : 0;
}

static void request_receive(struct http_request *req, const char *data, size_t n)
{
	char *body;

	req->n_received += n;
	if (req->error.code)
		return;
	if (req->n_received > HTTP_BODY_MAX) {
		too_large(req);
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

static void request_done(struct call *call, int r, const struct hvd_error *err)
{
	struct http_request *req = call->front_data;

	if (r < 0 && err)
		req->error = *err;
	else if (r < 0)
		hvd_err_prefix(&req->error, r, "%s", call->op->name);
	req->state = REQUEST_DONE;

	if (!req->connection) {
		request_free(req);
	} else if (req->suspended) {
		req->suspended = false;
		req->client->pending = NULL;
		MHD_resume_connection(req->connection);
		http_server_wake(req->client->server);
	}
}

static void request_dispatch(struct http_request *req)
{
	if (req->stream) {
		req->state = REQUEST_DONE;
		return;
	}
	if (req->error.code || take_body(req) < 0) {
		log_debug("refused a request of user %u: %s", req->client->peer.uid,
			  req->error.msg);
		req->state = REQUEST_DONE;
		return;
	}
	req->state = REQUEST_PENDING;
	req->call.peer = req->client->peer;
	req->call.done = request_done;
	req->call.front_data = req;
	http_client_phase(req->client, HTTP_PHASE_BUSY);
	call_dispatch(http_server_manager(req->client->server), &req->call);
}

static void websocket_closed(void *ctx)
{
	struct http_client *client = ctx;

	client->websocket = websocket_free(client->websocket);
	MHD_upgrade_action(client->upgrade, MHD_UPGRADE_ACTION_CLOSE);
	http_server_wake(client->server);
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
	if (r < 0) {
		log_warning("%s %s: %s", req->call.op->name, req->call.name, strerror(-r));
		websocket_closed(client);
		return;
	}
	req->call.stream = -1;
	http_client_phase(client, HTTP_PHASE_BUSY);
}

static enum MHD_Result request_reply(struct http_request *req)
{
	http_client_phase(req->client, HTTP_PHASE_REPLY);
	if (!req->error.code && req->stream &&
	    http_stream_open(http_server_streams(req->client->server), req->client,
			     req->connection, &req->filter, req->seq, &req->error) >= 0)
		return MHD_YES;
	if (req->error.code)
		return http_reply_error(req->connection, &req->error, &req->problem);
	if (req->call.op->result == RESULT_STREAM)
		return http_reply_upgrade(req->connection, req->accept_key, request_upgraded, req);
	return http_reply_call(req->connection, &req->call);
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
	req->call.stream = -1;
	if (check_head(req, url, method, version) == 0)
		return MHD_YES;

	/* say no before the body comes when the client waits for that, or would send too much */
	length = announced(req);
	if (req->problem.close || header(req, MHD_HTTP_HEADER_EXPECT) ||
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
		return req->n_received <= HTTP_DRAIN_MAX ? MHD_YES : MHD_NO;
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
