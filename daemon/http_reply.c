/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/http_reply.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "api/errors.h"
#include "api/json.h"

#define HEADERS_MAX 3

struct header {
	const char *name, *value; /* NULL: none */
};

/* Takes body over (heap). */
static enum MHD_Result reply(struct MHD_Connection *connection, unsigned status, char *body,
			     const char *type, const struct header extra[HEADERS_MAX])
{
	struct MHD_Response *response;
	enum MHD_Result r;

	response = MHD_create_response_from_buffer(body ? strlen(body) : 0, body,
						   body ? MHD_RESPMEM_MUST_FREE
							: MHD_RESPMEM_PERSISTENT);
	if (!response) {
		free(body);
		return MHD_NO;
	}
	r = MHD_add_response_header(response, MHD_HTTP_HEADER_SERVER, HTTP_SERVER_NAME);
	if (type && r)
		r = MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	for (size_t i = 0; extra && i < HEADERS_MAX && extra[i].name && r; i++)
		r = MHD_add_response_header(response, extra[i].name, extra[i].value);
	if (r)
		r = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return r;
}

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

/* Takes text over; NULL: out of memory. */
static enum MHD_Result reply_text(struct MHD_Connection *connection, unsigned status, char *text,
				  const struct header extra[HEADERS_MAX])
{
	return text ? reply(connection, status, text, "application/json", extra) : MHD_NO;
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

/* With the generation of the spec as its ETag; 201 says where the new resource is. */
static enum MHD_Result reply_object(struct MHD_Connection *connection, struct call *call)
{
	unsigned status = call->planned ? MHD_HTTP_OK : op_success_status(call->op);
	struct header extra[HEADERS_MAX] = { 0 };
	char location[OP_RESOURCE_SIZE], tag[32];
	size_t n = 0;

	snprintf(tag, sizeof(tag), "\"%" PRIu64 "\"", call->generation);
	if (call->generation)
		extra[n++] = (struct header){ MHD_HTTP_HEADER_ETAG, tag };
	if (status == MHD_HTTP_CREATED) {
		op_resource(call->op, call->name, call->item, location);
		extra[n++] = (struct header){ MHD_HTTP_HEADER_LOCATION, location };
	}
	return reply_text(connection, status, body_of(call), extra);
}

/* It goes on: where it can be looked at. */
static enum MHD_Result reply_accepted(struct MHD_Connection *connection, const struct call *call)
{
	const char *id = json_string_value(json_object_get(call->result, "id"));
	char location[OP_RESOURCE_SIZE];
	const struct header extra[HEADERS_MAX] = {
		{ MHD_HTTP_HEADER_LOCATION, location },
		{ "Preference-Applied", "respond-async" },
	};

	op_resource(&ops[OP_OPERATION_GET], id, "", location);
	return reply_text(connection, MHD_HTTP_ACCEPTED, json_line(call->result), extra);
}

enum MHD_Result http_reply_call(struct MHD_Connection *connection, struct call *call)
{
	unsigned status = op_success_status(call->op);

	if (call->accepted)
		return reply_accepted(connection, call);
	switch (call->op->result) {
	case RESULT_OBJECT:
	case RESULT_LIST:
		return reply_object(connection, call);
	case RESULT_DOCUMENT:
		return reply(connection, status, TAKE(call->document), call->op->result_type, NULL);
	default:
		return reply(connection, status, NULL, NULL, NULL);
	}
}

static void allow_header(unsigned allow, char *buf, size_t size)
{
	size_t n = 0;

	buf[0] = '\0';
	for (unsigned m = 0; m < _HTTP_METHOD_MAX; m++)
		if (allow & (1u << m))
			n += (size_t)snprintf(buf + n, size - n, "%s%s%s", n ? ", " : "",
					      http_method_names[m],
					      m == HTTP_GET ? ", HEAD" : "");
}

enum MHD_Result http_reply_error(struct MHD_Connection *connection, const struct hvd_error *err,
				 const struct http_problem *problem)
{
	AUTO(json_decref) json_t *json = problem_to_json(err);
	unsigned status = problem->status;
	struct header extra[HEADERS_MAX] = { 0 };
	char allowed[64], *text;
	size_t n = 0;

	if (!json)
		return MHD_NO;
	if (status == MHD_HTTP_UPGRADE_REQUIRED) {
		json_object_set_new(json, "type", json_string("about:blank"));
		json_object_set_new(json, "status", json_integer(status));
		json_object_set_new(json, "code", json_string("upgrade-required"));
		json_object_set_new(json, "title", json_string("Upgrade Required"));
		/* also the answer to a wrong Sec-WebSocket-Version (RFC 6455 §4.4) */
		extra[n++] = (struct header){ "Sec-WebSocket-Version", "13" };
	} else {
		status = error_class_of_error(err)->status;
		if (status == MHD_HTTP_METHOD_NOT_ALLOWED) {
			allow_header(problem->allow, allowed, sizeof(allowed));
			extra[n++] = (struct header){ MHD_HTTP_HEADER_ALLOW, allowed };
		}
	}
	if (problem->close)
		extra[n++] = (struct header){ MHD_HTTP_HEADER_CONNECTION, "close" };
	text = json_line(json);
	return text ? reply(connection, status, text, HTTP_PROBLEM_TYPE, extra) : MHD_NO;
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
		     "Retry-After: 1\r\nContent-Type: " HTTP_PROBLEM_TYPE "\r\n"
		     "Content-Length: %d\r\n\r\n%s",
		     status, title, n, body);
	send(fd, text, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
}
