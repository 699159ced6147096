/* SPDX-License-Identifier: Apache-2.0 */
/* Images and volumes as people want to read them. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "api/schema.h"

/* NAME FORMAT SIZE ALLOCATION USED BY; wide adds more. spec is theirs; items: an array of resources. */
int volume_table(const struct schema *spec, const json_t *items, bool wide, FILE *f, unsigned width,
		 bool colour);
