/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection of the REST front end and the request on it; between http.c (sockets, limits,
 * deadlines) and http_request.c (what is asked).
 *
 * A request is received whole, checked, and handed to the core. While its call is
 * pending the connection is suspended in libmicrohttpd. A request that loses its connection
 * then (only when the server is freed) lives on by itself until the core calls done.
 */
#pragma once

#include <gnutls/gnutls.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "daemon/call.h"
#include "vmm/base/list.h"

struct http_server;
struct http_request;
struct http_streams;
struct tls_identity;
struct websocket;

enum http_phase {
	HTTP_PHASE_IDLE,    /* the next request has the idle timeout to arrive whole */
	HTTP_PHASE_UPLOAD,  /* the request timeout for each part of it */
	HTTP_PHASE_BUSY,    /* with the core, a WebSocket, a quiet stream: until its grant expires */
	HTTP_PHASE_REPLY,   /* the client has the request timeout to take the answer */
};

/* What the last request of a remote client was let in by (daemon/http_access.h). */
struct http_grant {
	char token[OP_NAME_SIZE];    /* its name, or "" */
	uint64_t token_created_usec; /* another may be called the same later */
	gnutls_session_t session;    /* with a client's certificate, or NULL */
	uint64_t expires;            /* CLOCK_MONOTONIC in microseconds; 0: never */
};

struct http_client {
	struct list node;
	struct http_server *server;
	struct http_listener *listener; /* http.c */
	int fd; /* libmicrohttpd's */
	struct peer peer;
	bool allowed;                 /* over the unix socket: root, hvd's user, or in the group */
	bool remote;                  /* over TLS */
	struct http_grant grant;
	struct tls_identity *tls;     /* what its handshake began with */
	uint8_t address[9];           /* over TLS: 4 or 6, and of whom (daemon/http_access.h) */
	enum http_phase phase;
	uint64_t deadline;            /* CLOCK_MONOTONIC in microseconds, 0: none */
	uint64_t waiting;             /* for a whole request since then; 0: one is being served */
	bool evicted;                 /* its place is another's, its end under way */
	bool ending;                  /* after its WebSocket */
	bool begun;                   /* it has sent a request, the first perhaps */
	bool in_request;              /* … and has not got its answer yet */
	bool last;                    /* the answer that it is sent now is the last */
	struct http_request *pending; /* its call is with the core, the connection suspended */
	struct websocket *websocket;  /* after an upgrade */
	struct MHD_UpgradeResponseHandle *upgrade;
	sd_event_source *hangup;      /* of a remote one's WebSocket */
	struct http_stream *stream;   /* of events (daemon/http_events.h) */
};

/* Set the client's deadline. http.c */
void http_client_phase(struct http_client *client, enum http_phase phase);
struct manager *http_server_manager(const struct http_server *server);
struct http_streams *http_server_streams(struct http_server *server);

/* Its WebSocket is over: the client has the request timeout to take what there is for it still. */
void http_client_end_upgrade(struct http_client *client);

/* Have libmicrohttpd run: it does not notice by itself that a connection was resumed. */
void http_server_wake(struct http_server *server);

/* Callbacks of libmicrohttpd. */
enum MHD_Result http_request_handle(void *cls, struct MHD_Connection *connection, const char *url,
				    const char *method, const char *version, const char *data,
				    size_t *size, void **slot);
void http_request_completed(void *cls, struct MHD_Connection *connection, void **slot,
			    enum MHD_RequestTerminationCode code);

/* Before the server is freed: end WebSocket and stream, let go of a pending call. */
void http_client_abandon(struct http_client *client);
