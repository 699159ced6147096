/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/http_reply.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "api/errors.h"
#include "api/json.h"
#include "daemon/hash.h"
#include "vmm/base/macro.h"

#define BEARER "Bearer realm=\"hvd\"" /* RFC 6750 §3 */

void http_answer_clear(struct http_answer *answer)
{
	free(answer->body);
	*answer = (struct http_answer){ 0 };
}

/* ---- what is said ---- */

/* One line of compact JSON and a newline, heap. NULL: out of memory. */
static char *json_line(const json_t *json)
{
	size_t n = json_dumpb(json, NULL, 0, JSON_COMPACT);
	char *text = n ? malloc(n + 2) : NULL;

	if (!text || json_dumpb(json, text, n, JSON_COMPACT) != n) {
		free(text);
		return NULL;
	}
	memcpy(text + n, "\n", 2);
	return text;
}

/* The body of an object or a list; NULL: out of memory. */
static char *body_of(struct call *call)
{
	AUTO(json_decref) json_t *list = NULL;

	if (call->json)
		return TAKE(call->json);
	if (call->op->result != RESULT_LIST)
		return json_line(call->result);
	list = json_pack("{sO}", "items", call->result);
	return list ? json_line(list) : NULL;
}

/*
 * The generation of the spec, which is all that the answer depends on, unless there is a status in it: that
 * is told apart by a hash. What has no generation has the hash alone, and lists of all have none.
 */
static void set_etag(const struct call *call, struct http_answer *answer)
{
	bool whole = call->op->result != RESULT_LIST && (call->op->status_schema || !call->generation);
	size_t n = 0;

	if (call->planned || !(whole || call->generation))
		return;
	if (call->generation)
		n = (size_t)snprintf(answer->etag, sizeof(answer->etag), "\"%" PRIu64 "%s",
				     call->generation, whole ? "-" : "\"");
	if (whole)
		snprintf(answer->etag + n, sizeof(answer->etag) - n, "%s%016" PRIx64 "\"",
			 n ? "" : "\"x", hash_add(HASH_SEED, answer->body, strlen(answer->body)));
}

/* It goes on: where it can be looked at. */
static void accepted(const struct call *call, struct http_answer *answer)
{
	const char *id = json_string_value(json_object_get(call->result, "id"));

	answer->status = MHD_HTTP_ACCEPTED;
	answer->async = true;
	answer->body = json_line(call->result);
	op_resource(&ops[OP_OPERATION_GET], id, "", answer->location);
}

int http_answer_call(struct call *call, struct http_answer *ret)
{
	const struct op *op = call->op;

	*ret = (struct http_answer){
		.status = call->planned ? MHD_HTTP_OK : op_success_status(op),
		.type = op->result == RESULT_DOCUMENT ? op->result_type : HTTP_JSON_TYPE,
	};
	if (call->accepted)
		accepted(call, ret);
	else if (op->result == RESULT_NONE)
		return 0;
	else
		ret->body = op->result == RESULT_DOCUMENT ? TAKE(call->document) : body_of(call);
	if (!ret->body)
		return -ENOMEM;
	if (!call->accepted)
		set_etag(call, ret);
	if (ret->status == MHD_HTTP_CREATED)
		op_resource(op, call->name, call->item, ret->location);
	return 0;
}

int http_answer_error(const struct hvd_error *err, unsigned allow, struct http_answer *ret)
{
	AUTO(json_decref) json_t *problem = problem_to_json(err);

	*ret = (struct http_answer){ .status = error_class_of_error(err)->status,
				     .type = HTTP_PROBLEM_TYPE };
	if (ret->status == MHD_HTTP_METHOD_NOT_ALLOWED)
		ret->allow = allow;
	if (ret->status == MHD_HTTP_UNAUTHORIZED)
		ret->challenge = err->code == -EKEYREJECTED ? BEARER ", error=\"invalid_token\""
							    : BEARER;
	ret->body = problem ? json_line(problem) : NULL;
	return ret->body ? 0 : -ENOMEM;
}

/* ---- and sent ---- */

static void allow_header(unsigned allow, char *buf, size_t size)
{
	size_t n = 0;

	for (unsigned m = 0; m < _HTTP_METHOD_MAX; m++)
		if (allow & (1u << m))
			n += (size_t)snprintf(buf + n, size - n, "%s%s, ", http_method_names[m],
					      m == HTTP_GET ? ", HEAD" : "");
	snprintf(buf + n, size - n, "OPTIONS");
}

struct header {
	const char *name, *value; /* NULL: none */
};

static enum MHD_Result add_headers(struct MHD_Response *response, const struct http_answer *answer)
{
	bool again = answer->status == MHD_HTTP_SERVICE_UNAVAILABLE ||
		     answer->status == MHD_HTTP_TOO_MANY_REQUESTS;
	char allowed[64];
	const struct header headers[] = {
		{ MHD_HTTP_HEADER_SERVER, HTTP_SERVER_NAME },
		{ MHD_HTTP_HEADER_CONTENT_TYPE, answer->body ? answer->type : NULL },
		{ MHD_HTTP_HEADER_ETAG, answer->etag[0] ? answer->etag : NULL },
		{ MHD_HTTP_HEADER_LOCATION, answer->location[0] ? answer->location : NULL },
		{ "Preference-Applied", answer->async ? "respond-async" : NULL },
		{ "Idempotency-Replayed", answer->replayed ? "true" : NULL },
		{ MHD_HTTP_HEADER_RETRY_AFTER, again ? HTTP_RETRY_AFTER : NULL },
		{ MHD_HTTP_HEADER_CONNECTION, answer->close ? "close" : NULL },
		{ MHD_HTTP_HEADER_ALLOW, answer->allow ? allowed : NULL },
		{ MHD_HTTP_HEADER_WWW_AUTHENTICATE, answer->challenge },
		/* also the answer to a wrong Sec-WebSocket-Version (RFC 6455 §4.4) */
		{ "Sec-WebSocket-Version",
		  answer->status == MHD_HTTP_UPGRADE_REQUIRED ? "13" : NULL },
	};
	enum MHD_Result r = MHD_YES;

	allow_header(answer->allow, allowed, sizeof(allowed));
	for (size_t i = 0; i < ARRAY_SIZE(headers) && r; i++)
		if (headers[i].value)
			r = MHD_add_response_header(response, headers[i].name, headers[i].value);
	return r;
}

enum MHD_Result http_reply(struct MHD_Connection *connection, struct http_answer *answer)
{
	struct MHD_Response *response;
	enum MHD_Result r;

	response = MHD_create_response_from_buffer(answer->body ? strlen(answer->body) : 0,
						   answer->body,
						   answer->body ? MHD_RESPMEM_MUST_FREE
								: MHD_RESPMEM_PERSISTENT);
	if (!response)
		return MHD_NO;
	r = add_headers(response, answer);
	answer->body = NULL;
	if (r)
		r = MHD_queue_response(connection, answer->status, response);
	MHD_destroy_response(response);
	return r;
}

enum MHD_Result http_reply_upgrade(struct MHD_Connection *connection, const char *accept_key,
				   MHD_UpgradeHandler upgraded, void *ctx)
{
	struct MHD_Response *response = MHD_create_response_for_upgrade(upgraded, ctx);
	enum MHD_Result r = MHD_NO;

	if (!response)
		return MHD_NO;
	if (MHD_add_response_header(response, MHD_HTTP_HEADER_SERVER, HTTP_SERVER_NAME) &&
	    MHD_add_response_header(response, MHD_HTTP_HEADER_UPGRADE, "websocket") &&
	    MHD_add_response_header(response, "Sec-WebSocket-Accept", accept_key))
		r = MHD_queue_response(connection, MHD_HTTP_SWITCHING_PROTOCOLS, response);
	MHD_destroy_response(response);
	return r;
}

void http_refuse(int fd, unsigned status, const char *code, const char *title, const char *detail)
{
	char body[512], text[1024];
	int n;

	n = snprintf(body, sizeof(body),
		     "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%u,\"code\":\"%s\","
		     "\"detail\":\"%s\"}\n",
		     title, status, code, detail);
	n = snprintf(text, sizeof(text),
		     "HTTP/1.1 %u %s\r\nServer: " HTTP_SERVER_NAME "\r\nConnection: close\r\n"
		     "Retry-After: " HTTP_RETRY_AFTER "\r\nContent-Type: " HTTP_PROBLEM_TYPE "\r\n"
		     "Content-Length: %d\r\n\r\n%s",
		     status, title, n, body);
	send(fd, text, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
}
