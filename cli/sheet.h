/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One object as a sheet of "label  value" lines under headings, made by walking its field table:
 * plain fields under the sheet's own heading, each STRUCT and LIST under one of its own. Settings
 * that are not set are left out.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "api/schema.h"

struct sheet {
	FILE *f;
	unsigned width; /* of the terminal; 0: lines are not wrapped */
	bool colour;
};

void sheet_heading(const struct sheet *sheet, const char *text);

/* One line; value is cleaned (cli/text.h) and wrapped. 0 or -ENOMEM. */
int sheet_line(const struct sheet *sheet, const char *label, const char *value);

/* obj: an object of schema. 0 or -ENOMEM. */
int sheet_object(const struct sheet *sheet, const char *heading, const struct schema *schema,
		 const json_t *obj);
