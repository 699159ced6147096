/* SPDX-License-Identifier: Apache-2.0 */
#include "api/suggest.h"

#include <stdint.h>
#include <string.h>

#include "vmm/base/macro.h"

size_t edit_distance(const char *a, const char *b)
{
	/* three rows of the table: the current one and the two before it (for swaps) */
	size_t rows[3][SUGGEST_NAME_MAX + 1];
	size_t *before = rows[0], *last = rows[1], *now = rows[2];
	size_t na = strlen(a), nb = strlen(b);

	if (na > SUGGEST_NAME_MAX || nb > SUGGEST_NAME_MAX)
		return SIZE_MAX;
	for (size_t j = 0; j <= nb; j++)
		last[j] = j;

	for (size_t i = 1; i <= na; i++) {
		size_t *row;

		now[0] = i;
		for (size_t j = 1; j <= nb; j++) {
			size_t cost = last[j - 1] + (a[i - 1] != b[j - 1]);

			cost = MIN(cost, last[j] + 1);
			cost = MIN(cost, now[j - 1] + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				cost = MIN(cost, before[j - 2] + 1);
			now[j] = cost;
		}
		row = before;
		before = last;
		last = now;
		now = row;
	}
	return last[nb];
}

void suggest(struct suggestion *best, const char *typed, const char *known)
{
	size_t distance = edit_distance(typed, known);
	size_t longer = strlen(typed) > strlen(known) ? strlen(typed) : strlen(known);

	if (distance > 3 || distance * 3 > longer)
		return;
	if (best->name && best->distance <= distance)
		return;
	best->name = known;
	best->distance = distance;
}
