/* SPDX-License-Identifier: Apache-2.0 */
/* "did you mean …": the nearest of some known names to what a person typed. */
#pragma once

#include <stddef.h>

#define SUGGEST_NAME_MAX 40

/*
 * Edits (insert, delete, replace, swap of neighbours) that turn a into b. More than
 * SUGGEST_NAME_MAX bytes in either: SIZE_MAX.
 */
size_t edit_distance(const char *a, const char *b);

/* Near enough to be worth telling: at most a third of the word, and at most 3 edits. */
struct suggestion {
	const char *name; /* NULL: nothing near */
	size_t distance;
};

/* Offer one known name; the nearest offered so far stays in *best (initially all zero). */
void suggest(struct suggestion *best, const char *typed, const char *known);
