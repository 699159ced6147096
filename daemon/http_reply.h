/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What answers look like in HTTP. http_reply*() queue one response on a connection that waits
 * for it and return what MHD_queue_response() returned; MHD_NO closes the connection.
 */
#pragma once

#include <microhttpd.h>

#include "daemon/call.h"

#define HTTP_SERVER_NAME "hvd/" PACKAGE_VERSION
#define HTTP_JSON_TYPE "application/json"
#define HTTP_PROBLEM_TYPE "application/problem+json"
#define HTTP_RETRY_AFTER "1" /* seconds: what is short is so for a moment */

/* What is said, before it is sent: it can be kept and said again. */
struct http_answer {
	unsigned status;
	const char *type; /* media type of body, a constant */
	char *body;       /* heap, NULL: none */
	char etag[40];    /* "": none */
	char location[OP_RESOURCE_SIZE];
	bool async;       /* Preference-Applied: respond-async */
	bool replayed;    /* Idempotency-Replayed: true */
	unsigned allow;   /* 405, and of OPTIONS: the methods that the path has */
	const char *challenge; /* of 401: WWW-Authenticate, a constant */
	bool close;       /* where the next request would begin is not to be trusted */
};

/* Of a finished call without error, but not of RESULT_STREAM. Takes what is in call. -ENOMEM. */
int http_answer_call(struct call *call, struct http_answer *ret);

/* An RFC 9457 problem. allow: the methods that the path has, for 405. -ENOMEM. */
int http_answer_error(const struct hvd_error *err, unsigned allow, struct http_answer *ret);

void http_answer_clear(struct http_answer *answer);

/* Takes answer->body. */
enum MHD_Result http_reply(struct MHD_Connection *connection, struct http_answer *answer);

/* 101 with the accept key (RFC 6455 §4.2.2); then upgraded is called with ctx. */
enum MHD_Result http_reply_upgrade(struct MHD_Connection *connection, const char *accept_key,
				   MHD_UpgradeHandler upgraded, void *ctx);

/*
 * Refuse a connection that libmicrohttpd has not seen: one write of status and problem, whether or
 * not the client takes it.
 */
void http_refuse(int fd, unsigned status, const char *code, const char *title, const char *detail);
