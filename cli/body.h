/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON body of a request, and the files that it is read from. */
#pragma once

#include <jansson.h>

#include "api/schema.h"
#include "cli/command.h"
#include "vmm/base/err.h"

#define FILE_MAX (1024 * 1024) /* bytes: hvd takes no larger document */

/*
 * The settings of a command line: --file first, then flags, then the operand as name where one is
 * created. Heap memory in *ret.
 */
int body_build(const struct invocation *inv, char **ret, struct hvd_error *err);

/*
 * Relative paths in obj, a (partial) object of schema, are relative to this process and not to
 * the daemon: make them absolute. -ENOMEM, or getcwd(3)'s errors.
 */
int body_make_absolute(const struct schema *schema, json_t *obj, struct hvd_error *err);

/* A whole file, or standard input for "-"; terminated. -EFBIG over FILE_MAX, open(2)'s errors. */
int file_read(const char *path, char **ret, struct hvd_error *err);
