/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON as YAML 1.2, in the block style that people read; a YAML 1.1 reader takes it as the same. Text that
 * could be taken for something else ("no", "1.0", "12:30"), or holds what is not printable, is quoted.
 */
#pragma once

#include <jansson.h>
#include <stdio.h>

/* A document of value and a newline, without "---". 0 or -EIO. */
int yaml_write(const json_t *value, FILE *f);
