/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations: calls that may take more than a second (api/ops.h says which), and their lives.
 *
 * The call of such an operation is given to its handler as a copy that belongs to the operation. When the
 * handler has finished it before it returns, that is the answer and there was no operation. Else the
 * operation is a resource with an id from then on: it is listed, written to disk, can be waited for and,
 * where its handler says how, be cancelled. The call of the client is answered when the operation has
 * ended, or when its patience is over: the operation goes on without it.
 *
 * STATE/operations/ID.json survives a crash of hvd. The next hvd looks at what has become of the VM: the
 * operation has succeeded when its effect is there, and has failed else. Of those that have ended the
 * last OPERATIONS_KEPT are kept.
 */
#pragma once

#include "api/operation.h"
#include "daemon/call.h"
#include "daemon/vm.h"
#include "vmm/base/cleanup.h"

#define OPERATIONS_KEPT 256
#define OPERATIONS_MAX  512 /* under way at the same time */

struct operation;
struct operations;

/* Reads what is in folder, which is made. */
int operations_new(struct manager *manager, const char *folder, struct operations **ret,
		   struct hvd_error *err);
/*
 * hvd ends. All calls have been finished; what is under way stays so on disk, for the next hvd.
 */
struct operations *operations_free(struct operations *operations);
DEFINE_AUTO(struct operations *, operations_free);

/*
 * It is known which VMs run: resolve what a former hvd has left under way. Again when more is known: what of
 * the work on snapshots is being completed stays under way until then.
 */
void operations_recover(struct operations *operations);

/* Have the handler run call. Finishes it. */
void operation_run(struct operations *operations, struct vm *vm, struct call *call);

/* In the order in which they began; NULL: the first. */
struct operation *operation_next(const struct operations *operations,
				 const struct operation *operation);
struct operation *operation_find(const struct operations *operations, const char *id);
const struct operation_info *operation_info(const struct operation *operation);

/* -EBUSY: it has ended, or cannot be cancelled. It may go on for a moment. */
int operation_cancel(struct operation *operation, struct hvd_error *err);

/*
 * Call fn once: when the operation has ended, or after seconds; before return when it has ended
 * already. The operation is valid while fn runs, and NULL when hvd ends.
 */
typedef void (*operation_wait_fn)(void *ctx, const struct operation *operation);
int operation_wait(struct operation *operation, unsigned seconds, operation_wait_fn fn, void *ctx,
		   struct hvd_error *err);

/* For handlers: how far call is. unit is a constant; total 0: not known. */
void operation_progress(struct call *call, uint64_t done, uint64_t total, const char *unit);
