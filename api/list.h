/* SPDX-License-Identifier: Apache-2.0 */
/* The query of lists: how much of them is wanted. */
#pragma once

#include "api/schema.h"

struct list_options {
	uint32_t limit; /* 0: all */
	char *cursor;   /* what "next" of the answer before was */
	char *filter;   /* api/filter.h */
	char *fields;   /* api/json_text.h */
};
extern const struct schema list_options_schema;
