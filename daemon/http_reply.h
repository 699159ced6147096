/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What answers look like in HTTP. Each function queues one response on a connection that waits
 * for it and returns what MHD_queue_response() returned; MHD_NO closes the connection.
 */
#pragma once

#include <microhttpd.h>

#include "daemon/call.h"

#define HTTP_SERVER_NAME "hvd/" PACKAGE_VERSION
#define HTTP_PROBLEM_TYPE "application/problem+json"

/* A finished call without error, but not RESULT_STREAM. Takes call->document. */
enum MHD_Result http_reply_call(struct MHD_Connection *connection, struct call *call);

/* What goes with an error. */
struct http_problem {
	unsigned status; /* 0: the error's own; 426: the resource is a WebSocket */
	unsigned allow;  /* the methods that the path has, for 405 */
	bool close;      /* where the next request would begin is not to be trusted */
};

/* An RFC 9457 problem. */
enum MHD_Result http_reply_error(struct MHD_Connection *connection, const struct hvd_error *err,
				 const struct http_problem *problem);

/* 101 with the accept key (RFC 6455 §4.2.2); then upgraded is called with ctx. */
enum MHD_Result http_reply_upgrade(struct MHD_Connection *connection, const char *accept_key,
				   MHD_UpgradeHandler upgraded, void *ctx);

/*
 * Refuse a connection that libmicrohttpd has not seen: one write of status and problem, whether or
 * not the client takes it.
 */
void http_refuse(int fd, unsigned status, const char *code, const char *title, const char *detail);
