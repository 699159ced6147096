/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of hvd as people or programs want them: tables and sheets, or -o json, yaml, wide, name. */
#pragma once

#include "cli/client.h"
#include "cli/command.h"

/* Formats that print JSON's values whole, for programs. */
static inline bool output_is_data(enum output_format format)
{
	return format == OUTPUT_JSON || format == OUTPUT_YAML;
}

/* value in such a format. 0 or -EIO. */
int output_data(enum output_format format, const json_t *value, FILE *f);

/* On standard error, for a person: the list that is the answer goes on, and how. */
void output_tell_more(const json_t *answer);

/* Print the answer to the operation of inv on standard output. 0 or -errno. */
int output_answer(const struct invocation *inv, const struct client_answer *answer,
		  struct hvd_error *err);

/* A table of objects; where no other is known, of their first fields, or of all with OUTPUT_WIDE. */
int output_list(const struct op *op, const json_t *items, enum output_format format, FILE *f,
		unsigned width, bool colour);
