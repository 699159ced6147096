/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of hvd as people or programs want them: tables and sheets, or -o json, wide, name. */
#pragma once

#include "cli/client.h"
#include "cli/command.h"

/* Print the answer to the operation of inv on standard output. 0 or -errno. */
int output_answer(const struct invocation *inv, const struct client_answer *answer,
		  struct hvd_error *err);

/* A table of objects of a schema without a status: one column for each plain field. */
int output_list(const struct op *op, const json_t *items, enum output_format format, FILE *f,
		unsigned width, bool colour);
