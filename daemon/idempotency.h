/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that may come twice: a client that did not get its answer sends the same request again, with
 * the same Idempotency-Key (draft-ietf-httpapi-idempotency-key-header), and is given the answer of the
 * first time instead of having it done twice.
 *
 * A key is one of the client that has chosen it, and of one request. It is kept for a day; of one client
 * the last IDEMPOTENCY_PER_CLIENT are, and IDEMPOTENCY_MAX of all. The answers are on disk, in
 * STATE/idempotency/TIME.json, where the hvd after a crash finds them. What has failed without having been
 * begun is not kept: it can be asked for again.
 *
 * A request that takes time is found again by its operation: also by the next hvd, when this one has
 * crashed before the answer.
 */
#pragma once

#include "daemon/http_reply.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/err.h"

#define IDEMPOTENCY_PER_CLIENT 512
#define IDEMPOTENCY_MAX        4096
#define IDEMPOTENCY_SECONDS    (24 * 60 * 60)

struct idempotency;
struct idempotent; /* a key and its request */

/* Reads what is in folder, which is made. */
int idempotency_new(const char *folder, struct idempotency **ret, struct hvd_error *err);
struct idempotency *idempotency_free(struct idempotency *store);
DEFINE_AUTO(struct idempotency *, idempotency_free);

/*
 * A request comes with a key; hash is of all that it says. 0: for the first time, *ret is to be ended. 1:
 * it has been done, *ret knows the answer, until the next call. -EBUSY: it is being done; -EINVAL: the key
 * is that of another request.
 */
int idempotency_begin(struct idempotency *store, const char *client, const char *key, uint64_t hash,
		      struct idempotent **ret, struct hvd_error *err);

/* It has become the operation of this id. */
void idempotent_operation(struct idempotent *request, const char *id);

/* That, or "". */
const char *idempotent_operation_id(const struct idempotent *request);

/* The first time is over. NULL: it is not known how, or nothing was done. */
void idempotent_end(struct idempotent *request, const struct http_answer *answer);

/* The answer of the first time. -ENOENT: that is not known, its operation may be. */
int idempotent_answer(const struct idempotent *request, struct http_answer *ret);
