/* SPDX-License-Identifier: Apache-2.0 */
/* The smallest HTTP client that lets a test send any bytes: one connection, answers one by one. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct http_received {
	unsigned status; /* 0: the connection ended instead */
	char head[4096]; /* status line and headers, each with CR LF */
	char body[512 * 1024];
	size_t n_body;
};

struct http_conn {
	int fd;
	char buf[512 * 1024]; /* received and not yet read */
	size_t n;
	struct http_received answer;
};

void http_connect(struct http_conn *conn, const char *path);
void http_close(struct http_conn *conn);

/* All of it, unless the server has closed the connection: false. */
bool http_write(struct http_conn *conn, const void *data, size_t n);

/* Wait for one answer (no_body: to HEAD). Returns its status, 0 at the end of the connection. */
unsigned http_read(struct http_conn *conn, bool no_body);

/* A request with Host and Content-Length (body may be NULL), and its answer. headers: with CR LF.
 */
unsigned http_ask(struct http_conn *conn, const char *method, const char *path, const char *headers,
		  const char *body);

/* Value of a header of the last answer, valid until the next call, or NULL. */
const char *http_header(struct http_conn *conn, const char *name);
