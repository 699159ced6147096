/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Command-line walker: `--vcpus 2 --memory 512M --kernel Image --disk path=a.img,read_only=yes`.
 *
 * Scalar fields of the schema and of its STRUCT members are `--name value` or `--name=value`
 * (nested names without the struct's: --kernel, --cpu-weight; BOOL: --name, --no-name or
 * --name=yes); LIST members are repeatable `--disk k=v,…` (singular), whose first item may be a
 * bare value for the first field and whose BOOLs may stand alone: `--disk root.img,read_only`,
 * `--nic default`. A comma in a value is written twice; a list within an item is its name, repeatedly:
 * `monitors=192.0.2.1,monitors=192.0.2.2,,port=3301`. Read-only fields have no flag. Flags are
 * unique (a test walks them).
 */
#pragma once

#include <jansson.h>
#include <stdio.h>

#include "api/schema.h"

/*
 * Take the flags that schema knows out of argv[*index …] into the JSON object (as the REST API
 * takes it; ranges are the server's to check). Paths are made absolute from the working directory;
 * an empty value means unset. One call takes one flag: returns 1 when it took it and moved *index
 * behind it, 0 when the flag is not the schema's, -EINVAL, -ENOMEM (err names the flag).
 */
int args_take(const struct schema *schema, int argc, char **argv, int *index, json_t *json,
	      struct hvd_error *err);

/* Help text: one line a flag with type, default and help, wrapped to width columns. */
void args_help(const struct schema *schema, FILE *f, unsigned width);

/* Calls fn for each flag ("--vcpus", what its argument is or NULL): completion, man pages. */
void args_each(const struct schema *schema,
	       void (*fn)(void *ctx, const char *flag, const char *hint, const struct field *field),
	       void *ctx);
