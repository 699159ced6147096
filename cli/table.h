/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables for people: aligned columns, two spaces between them, cut to the terminal's width.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "vmm/base/cleanup.h"

struct column {
	const char *heading;
	bool right;                              /* numbers */
	const char *(*colour)(const char *cell); /* SGR parameter ("32") or NULL for plain */
};

struct table;

/* columns must outlive the table. 0 or -ENOMEM. */
int table_new(const struct column *columns, size_t n_columns, struct table **ret);
struct table *table_free(struct table *table);
DEFINE_AUTO(struct table *, table_free);

/* Add a row of n_columns cells; they are copied and cleaned (cli/text.h). NULL is shown as "-". */
int table_add(struct table *table, const char *const *cells);

/*
 * width: columns of the terminal, 0 for no limit. When the rows are wider, the widest columns are
 * cut with "…" until they fit. 0 or -ENOMEM.
 */
int table_print(const struct table *table, FILE *f, unsigned width, bool colour);
