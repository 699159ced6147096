/* SPDX-License-Identifier: Apache-2.0 */
/* What http_request.c and http_head.c share; nobody else includes this. */
#pragma once

#include "daemon/event_log.h"
#include "daemon/http_header.h"
#include "daemon/http_reply.h"
#include "daemon/http_request.h"
#include "daemon/websocket.h"

enum request_state { REQUEST_RECEIVING, REQUEST_PENDING, REQUEST_DONE };

struct http_request {
	struct call call;
	struct http_client *client;
	struct MHD_Connection *connection; /* NULL: gone, free when the call is done */
	enum request_state state;
	bool suspended;

	/* the first thing that is wrong (error.code not 0), answered when the body has been read */
	struct hvd_error error;
	unsigned allow; /* methods of the path, for 405 and OPTIONS */
	bool close;     /* the connection cannot be used again */

	char *body; /* NUL-terminated */
	size_t n_body, n_received;
	bool upload; /* what comes is written to call.upload, as it comes */
	uint64_t upload_hash;
	char accept_key[WEBSOCKET_ACCEPT_SIZE];

	char key[HTTP_KEY_SIZE]; /* Idempotency-Key, "" */
	struct idempotent *idempotent;
	struct http_answer answer; /* status 0: not yet */

	bool stream; /* events as they come: after seq, what the filter takes */
	uint64_t seq;
	struct event_filter filter;
};

/* A header of the request, or NULL. */
static inline const char *http_request_header(const struct http_request *req, const char *name)
{
	return MHD_lookup_connection_value(req->connection, MHD_HEADER_KIND, name);
}

/*
 * All that can be said before the body has come: whether there is such a thing, who may, what the query
 * and the headers ask for. Sets req->error, or req->answer when that is all (OPTIONS).
 */
int http_head_check(struct http_request *req, const char *url, const char *method,
		    const char *version);

/* Bytes of body announced; UINT64_MAX when it comes in chunks. */
uint64_t http_head_length(const struct http_request *req);

/* Fails with -EFBIG. */
int http_body_too_large(struct http_request *req);
