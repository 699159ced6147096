/* SPDX-License-Identifier: Apache-2.0 */
/* Commands of remote access: what they tell that no other command does. */
#pragma once

#include <stdio.h>

#include "cli/command.h"

/* NAME ROLE CREATED EXPIRES */
int token_table(const json_t *items, bool wide, FILE *f, unsigned width, bool colour);

/* The token alone on standard output, so that it can be sent to a file; about it on the other. */
int token_create_run(struct client *client, const struct invocation *inv, struct hvd_error *err);

/* By what clients know the certificate. */
int certificate_create_run(struct client *client, const struct invocation *inv,
			   struct hvd_error *err);
