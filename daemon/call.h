/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One call of one operation: what a front end (REST, D-Bus) hands to the core, and gets back.
 *
 * The front end finds the operation, authenticates the peer and has its access class checked, then
 * calls call_dispatch(). The core validates, acts, and calls call->done exactly once, at
 * once or later from the event loop (starting a VM waits for systemd and the VMM process). The core
 * owns no part of the call; it lives until done has been called. hvd is single-threaded.
 */
#pragma once

#include <jansson.h>
#include <sys/types.h>

#include "api/ops.h"
#include "vmm/base/err.h"

struct manager;
struct operation;
struct call;

typedef void (*call_done_fn)(struct call *call, int r, const struct hvd_error *err);

/* "certificate:" and the longest common name */
#define PEER_NAME_SIZE 80

struct peer {
	const char *front; /* "rest", "dbus" */
	uid_t uid; /* (uid_t)-1: none of this host */
	pid_t pid; /* 0 when unknown */
	char name[PEER_NAME_SIZE]; /* of a remote one: "token:ci", "certificate:alice"; or "" */
};

struct call {
	const struct op *op;
	struct manager *manager; /* the core's, as is vm_uuid */
	uint8_t vm_uuid[16];     /* of the VM that it is about, once that is known */
	struct peer peer;
	/* {vm} (name or UUID) or {network} of the path, or ""; the core makes it the VM's name. */
	char name[OP_NAME_SIZE];
	/* {disk}, {nic} or {snapshot} of the path, or ""; the core makes it that of a new one. */
	char item[OP_NAME_SIZE];
	json_t *args;     /* body, or NULL */
	json_t *options;  /* as op->options has them, or NULL */
	const char *text; /* body of a text operation (XML), or NULL */
	int upload;       /* of one that takes an upload: a descriptor of it, for reading, at its begin */
	/* Of an operation that takes time: answer after this many seconds though it has not ended. */
	bool respond_async;
	unsigned wait;

	/*
	 * Answers, set on success: result (an object; an array of objects for RESULT_LIST), the whole
	 * answer as text where that is much or asked for often ({"items": […]} for RESULT_LIST, a line,
	 * heap), document (heap), or stream.
	 */
	json_t *result;
	char *json;
	bool planned;        /* dry_run: result is a plan */
	uint64_t generation; /* of the spec that result is or is a part of; 0: none */
	char *document;
	int stream; /* RESULT_STREAM: the front end's end of a stream socket, or -1 */
	bool accepted; /* it has not ended: result is the operation (api/operation.h) */

	/*
	 * Set by a handler whose call can be taken back while it is pending: the call then ends with
	 * -ECANCELED, at once or later, unless its end is quicker.
	 */
	void (*cancel)(struct call *call);
	struct operation *operation; /* the core's */

	/* Of the front end; may be NULL. It has become the operation of this id. */
	void (*began)(struct call *call, const char *id);
	call_done_fn done;
	void *front_data;
};

void call_dispatch(struct manager *manager, struct call *call);

/* The call's options, or their defaults, into a struct of op->options, which has some. */
int call_options(const struct call *call, void *options, struct hvd_error *err);

/* For handlers. r == 0: success. */
void call_finish(struct call *call, int r, const struct hvd_error *err);

/* Free the answers, not args, options and text, which are the front end's; after done. */
void call_clear(struct call *call);
