/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations that take time: requests that wait for their end, with a line of progress on a terminal, and
 * the commands about those that are under way.
 */
#pragma once

#include "cli/command.h"

/*
 * client_call() of op; when it takes time, until it has ended. no_wait: *ret is the operation then
 * (ret->status 202). An operation that has failed is an error, as if the answer had said so.
 */
int operation_call(struct client *client, const struct op *op, const char *path,
		   const struct client_body *body, bool no_wait, struct client_answer *ret,
		   struct hvd_error *err);

/* A line of progress of what is being sent; ctx: an unsigned, 0 before the first call. Is to be cleared. */
void operation_show_sent(void *ctx, uint64_t done, uint64_t total);

/* operation list, wait, cancel */
int operation_list(struct client *client, const struct invocation *inv, struct hvd_error *err);
int operation_wait(struct client *client, const struct invocation *inv, struct hvd_error *err);
int operation_cancel(struct client *client, const struct invocation *inv, struct hvd_error *err);
