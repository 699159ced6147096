/* SPDX-License-Identifier: Apache-2.0 */
/* The head of a request: request line and header fields. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "api/json.h"
#include "daemon/http.h"
#include "daemon/http_access.h"
#include "daemon/http_events.h"
#include "daemon/http_prefer.h"
#include "daemon/http_request_private.h"
#include "daemon/hash.h"
#include "daemon/manager.h"
#include "daemon/pool.h"

#define WAIT_DEFAULT 60 /* seconds, for an operation that takes time */

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
	const char *encoding = http_request_header(req, MHD_HTTP_HEADER_TRANSFER_ENCODING);
	unsigned n = 0;

	MHD_get_connection_values(req->connection, MHD_HEADER_KIND, count_framing, &n);
	if (n <= 1 && (!encoding || !strcasecmp(encoding, "chunked")))
		return 0;
	req->close = true;
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
	r = op_route(method, url, &call->op, &names, &req->allow);
	if (!strcmp(method, MHD_HTTP_METHOD_OPTIONS) && !strcmp(url, "*")) {
		req->allow = (1u << _HTTP_METHOD_MAX) - 1;
		r = -ENOTSUP;
	}
	if (r == -ENOTSUP && !strcmp(method, MHD_HTTP_METHOD_OPTIONS)) {
		req->answer.status = MHD_HTTP_NO_CONTENT;
		req->answer.allow = req->allow;
		return 0;
	}
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

/* RFC 9110 §13.1 */
static int take_conditions(struct http_request *req)
{
	const char *tag = http_request_header(req, MHD_HTTP_HEADER_IF_MATCH);
	const struct op *op = req->call.op;
	char number[HTTP_NUMBER_SIZE];
	int r;

	if (op->method == HTTP_GET)
		return 0;
	if (http_request_header(req, MHD_HTTP_HEADER_IF_NONE_MATCH))
		return hvd_err(&req->error, EBADMSG, "%s takes no If-None-Match", op->name);
	if (!tag)
		return 0;
	r = http_if_match(tag, number, &req->error);
	if (r < 0 || !number[0])
		return r;
	if (!op->options || !schema_field(op->options, "generation"))
		return hvd_err(&req->error, EBADMSG, "%s takes no If-Match", op->name);
	return take_option(req, "generation", number);
}

static int check_accept(struct http_request *req)
{
	const char *accept = http_request_header(req, MHD_HTTP_HEADER_ACCEPT);
	const struct op *op = req->call.op;
	const char *type = op->result_type ? op->result_type : HTTP_JSON_TYPE;

	if (op->result == RESULT_NONE || op->result == RESULT_STREAM || http_accepts(accept, type) ||
	    (op->stream && http_accepts(accept, EVENT_STREAM_TYPE)))
		return 0;
	return hvd_err(&req->error, EPROTOTYPE, "%s answers with %s: send Accept: %s", op->name,
		       type, type);
}

/* Only what changes something is done twice when it comes twice. */
static int take_key(struct http_request *req)
{
	const char *key = http_request_header(req, "Idempotency-Key");

	return !key || req->call.op->method == HTTP_GET
		       ? 0
		       : http_idempotency_key(key, req->key, &req->error);
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
	const char *v = http_request_header(req, "Sec-WebSocket-Version");
	const char *key = http_request_header(req, "Sec-WebSocket-Key");

	if (strcmp(method, MHD_HTTP_METHOD_GET) || strcmp(version, MHD_HTTP_VERSION_1_1) ||
	    !http_has_token(http_request_header(req, MHD_HTTP_HEADER_CONNECTION), "upgrade") ||
	    !http_has_token(http_request_header(req, MHD_HTTP_HEADER_UPGRADE), "websocket"))
		return hvd_err(&req->error, ENOPROTOOPT,
			       "%s is a WebSocket: ask with Connection: Upgrade and "
			       "Upgrade: websocket", req->call.op->name);
	if (!v || strcmp(v, "13"))
		return hvd_err(&req->error, ENOPROTOOPT, "only Sec-WebSocket-Version 13 is spoken");
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
	const char *last = http_request_header(req, "Last-Event-ID");
	const struct event_log *log = http_server_manager(req->client->server)->events;
	struct event_options options;
	int r;

	r = call_options(&req->call, &options, &req->error);
	if (r < 0)
		return r;
	if (options.cursor || options.fields)
		r = hvd_err_field(&req->error, EINVAL, options.cursor ? "cursor" : "fields",
				  "a stream begins behind since, and its events are whole");
	req->stream = true;
	req->seq = json_object_get(req->call.options, "since") ? options.since
							       : event_log_newest(log);
	if (r >= 0)
		r = event_filter_init(&req->filter, &options, &req->error);
	if (r >= 0 && last && number_parse(last, &req->seq) < 0)
		r = hvd_err(&req->error, EBADMSG, "Last-Event-ID: \"%.40s\" is no event's number",
			    last);
	schema_clear(&event_options_schema, &options);
	return r;
}

static int check_type(struct http_request *req)
{
	const char *type = http_request_header(req, MHD_HTTP_HEADER_CONTENT_TYPE);
	const struct op *op = req->call.op;
	const char *want = op->body_type ? op->body_type : "application/json";

	if (http_is_type(type, want) ||
	    (op->method == HTTP_PATCH && http_is_type(type, "application/merge-patch+json")))
		return 0;
	return hvd_err(&req->error, EMEDIUMTYPE, "%s takes %s: send Content-Type: %s", op->name,
		       want, want);
}

uint64_t http_head_length(const struct http_request *req)
{
	const char *length = http_request_header(req, MHD_HTTP_HEADER_CONTENT_LENGTH);

	if (http_request_header(req, MHD_HTTP_HEADER_TRANSFER_ENCODING))
		return UINT64_MAX;
	return length ? strtoull(length, NULL, 10) : 0;
}

int http_body_too_large(struct http_request *req)
{
	return hvd_err(&req->error, EFBIG, "the body is larger than %u bytes", HTTP_BODY_MAX);
}

/* What can be said before anything of it has come is said now. */
static int begin_upload(struct http_request *req, uint64_t length)
{
	const struct pool *images = http_server_manager(req->client->server)->images;
	const char *name = req->call.name;
	int r = check_type(req);

	if (r >= 0)
		r = rule_volume_name(name, &req->error);
	/* the request of a key may be the one that has made it */
	if (r >= 0 && !req->key[0] && pool_find(images, name))
		r = hvd_err_field(&req->error, EEXIST, "name", "image %s exists already", name);
	if (r < 0)
		return r;
	if (length != UINT64_MAX && length > pool_room(images))
		return hvd_err(&req->error, ENOSPC, "%" PRIu64 " bytes are more than there is room for", length);
	r = pool_scratch(images);
	if (r < 0)
		return hvd_err(&req->error, -r, "a file for what is sent: %s", strerror(-r));
	req->call.upload = r;
	req->upload = true;
	req->upload_hash = HASH_SEED;
	http_client_phase(req->client, HTTP_PHASE_UPLOAD);
	return 0;
}

int http_head_check(struct http_request *req, const char *url, const char *method,
		    const char *version)
{
	uint64_t length = http_head_length(req);
	enum role role = ROLE_READER;
	int r;

	r = check_framing(req);
	if (r >= 0)
		r = http_access_authenticate(req->client, req->connection, &req->call.peer, &role,
					     &req->error);
	if (r >= 0)
		r = check_route(req, url, method);
	if (r >= 0 && !req->answer.status)
		r = http_access_authorise(&req->call.peer, role, req->call.op, &req->error);
	if (r < 0 || req->answer.status)
		return r;
	if (req->call.op->effect != EFFECT_NONE)
		take_preferences(req);
	r = take_query(req);
	if (r >= 0)
		r = take_conditions(req);
	if (r >= 0)
		r = check_accept(req);
	if (r >= 0)
		r = take_key(req);
	if (r < 0)
		return r;
	if (req->call.op->result == RESULT_STREAM)
		return check_handshake(req, method, version);
	if (req->call.op->stream && !strcmp(method, MHD_HTTP_METHOD_GET) &&
	    http_has_token(http_request_header(req, MHD_HTTP_HEADER_ACCEPT), EVENT_STREAM_TYPE))
		return check_stream(req);
	if (req->call.op->upload)
		return begin_upload(req, length);
	if (length != UINT64_MAX && length > HTTP_BODY_MAX)
		return http_body_too_large(req);
	return length ? check_type(req) : 0;
}
