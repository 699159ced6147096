/* SPDX-License-Identifier: Apache-2.0 */
/* What VMs have used between two looks at their metrics (api/metrics.h), and as a table. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

enum top_sort { TOP_CPU, TOP_STEAL, TOP_MEMORY, TOP_DISK, TOP_NET, TOP_EXITS, TOP_NAME, _TOP_SORT_MAX };
extern const char *const top_sort_names[_TOP_SORT_MAX + 1]; /* NULL-terminated; each begins with another letter */

/*
 * An array of an object for each VM that has a process, the largest first: name, state, percent of a CPU,
 * bytes, and what happened in a second. before may be NULL: then nothing has happened. NULL: out of memory.
 */
json_t *top_rates(const json_t *before, const json_t *now, double seconds, enum top_sort sort);

struct top_view {
	bool vcpus; /* a line for each */
	bool wide;
	unsigned width; /* 0: no limit */
	bool colour;
};

/* 0 or -ENOMEM. */
int top_print(const json_t *rates, const struct top_view *view, FILE *f);
