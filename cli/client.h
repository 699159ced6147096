/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The REST API, over hvd's unix socket or TLS: one request at a time, answers read whole.
 */
#pragma once

#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

#include "api/json.h"
#include "api/ops.h"
#include "cli/target.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/err.h"

#define CLIENT_ANSWER_MAX (64 * 1024 * 1024)

struct client;

/* What is sent along. Both NULL: no body. */
struct client_body {
	const char *type; /* media type */
	const char *text;
	FILE *file; /* or all of it, from its begin where it has one */
	void (*sent)(void *ctx, uint64_t done, uint64_t total); /* of file, often; total 0: not known; or NULL */
	void *ctx;
};

struct client_answer {
	unsigned status;
	char *text;   /* the body, terminated; may be empty */
	json_t *json; /* the body as JSON when it is some, or NULL */
};

/* target must outlive the client. Does not connect yet. -ENOMEM. */
int client_new(const struct target *target, struct client **ret, struct hvd_error *err);
struct client *client_free(struct client *client);
DEFINE_AUTO(struct client *, client_free);

const struct target *client_target(const struct client *client);

/* Send the header Prefer with requests, until it is NULL again; a constant. */
void client_prefer(struct client *client, const char *prefer);

/*
 * One request. path starts with "/v1/". An answer of 400 and above is an error: err is what the
 * problem+json says. -ENOTCONN: no daemon; -EACCES: may not talk to it; -EIO: the connection broke
 * or the answer makes no sense. When hvd ends before it has answered, the next hvd is asked once more, with
 * the same Idempotency-Key. *ret (may be NULL) is the caller's to clear.
 */
int client_call(struct client *client, enum http_method method, const char *path,
		const struct client_body *body, struct client_answer *ret, struct hvd_error *err);

/*
 * GET path as server-sent events: fn is called with each line, without its newline, until the server
 * ends the stream (0) or fn returns a negative errno with err set, which is returned. line is
 * terminated.
 */
typedef int (*client_line_fn)(void *ctx, const char *line, size_t len);
int client_follow(struct client *client, const char *path, client_line_fn fn, void *ctx,
		  struct hvd_error *err);

void client_answer_clear(struct client_answer *answer);

static inline void auto_client_answer_clear(struct client_answer *answer)
{
	client_answer_clear(answer);
}

/*
 * Put names, escaped, in the places of the {…} of an operation's path: name in the first, item (may
 * be NULL where there is none) in the second; and query, an object of scalars or NULL, behind it.
 * Heap memory in *ret. -ENOMEM.
 */
int client_path(const char *template, const char *name, const char *item, const json_t *query,
		char **ret, struct hvd_error *err);

/* The error that an answer with this status and body is. Never returns 0. */
int client_problem(unsigned status, const char *text, size_t len, struct hvd_error *err);
