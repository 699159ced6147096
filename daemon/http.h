/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The REST front end: HTTP/1.1 over a unix socket, and over TLS where that is wanted, routed by the
 * operations table (api/ops.h).
 *
 * libmicrohttpd runs inside hvd's sd-event loop, without threads. A request is routed, its body
 * read and checked, and handed to call_dispatch(); the connection is suspended until the call is
 * done. A console request becomes a WebSocket (daemon/websocket.h). Every error is an RFC 9457
 * problem, except for what libmicrohttpd answers itself: bytes that are no HTTP, and too long heads.
 *
 * Who may call over the unix socket: the peer's credentials as the kernel recorded them when it
 * connected (unix(7), SO_PEERCRED and SO_PEERGROUPS). Root, hvd's own user and members of the group
 * may everything, others get 403. Over TLS a token or a client's certificate has a role
 * (daemon/http_access.h).
 *
 * A connection is closed when the whole next request has not arrived, or the answer has not been
 * taken, by an absolute deadline: a drip of bytes does not hold a slot. When there are as many
 * connections as there may be, the one that has waited longest for its next request makes room;
 * only when all are in use is a new one refused (429, 503).
 */
#pragma once

#include "daemon/manager.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/err.h"

#define HTTP_BODY_MAX (64 * 1024)

/* Members that are 0 or NULL get the default. */
struct http_config {
	int listen_fd;            /* listening unix socket, taken over; -1: none */
	int tls_fd;               /* listening TCP socket, taken over; 0 or -1: none */
	const char *group;        /* whose members may everything; "hvd" */
	unsigned max_connections; /* 512 of each socket */
	unsigned max_per_peer;    /* 256 of one user or address, who must not keep others out */
	unsigned request_timeout; /* 20: seconds for a request to arrive, or its answer to go */
	unsigned idle_timeout;    /* 60: seconds until a kept connection's next has arrived */
	unsigned max_streams;     /* 64: clients that follow the events */
	unsigned heartbeat;       /* 15: seconds between signs of life on a quiet stream */
};

struct http_server;

/*
 * Serves until freed. The manager must outlive the server; calls that are still pending then are
 * finished by the core as always, their answers dropped. The sockets are taken over on success only.
 */
int http_server_new(struct manager *manager, const struct http_config *config,
		    struct http_server **ret, struct hvd_error *err);
struct http_server *http_server_free(struct http_server *server);
DEFINE_AUTO(struct http_server *, http_server_free);

/* Serve one connected unix stream socket as if accepted. fd is closed on failure, too. */
int http_server_add(struct http_server *server, int fd);
