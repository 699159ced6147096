/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of resources ({"name", "uuid", "spec", "status"}), one line for each. */
#pragma once

#include <jansson.h>
#include <stdio.h>

#include "cli/table.h"

/* Where a column's cell comes from: a place in the resource, or what fn makes of it. */
struct resource_column {
	struct column column;
	const char *place;
	int (*fn)(const json_t *resource, char **ret); /* *ret NULL: nothing to show */
	bool wide;
};

#define RESOURCE_COLUMNS_MAX 16

/* items: an array of resources. Who asks for wide gets all columns, and no line cut. */
int resource_table(const struct resource_column *columns, size_t n_columns, const json_t *items,
		   bool wide, FILE *f, unsigned width, bool colour);
