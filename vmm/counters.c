/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/counters.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/macro.h"

#define STEP 16

_Static_assert(_VCPU_COUNTER_MAX <= COUNTERS_MAX && _DISK_COUNTER_MAX <= COUNTERS_MAX &&
		       _NIC_COUNTER_MAX <= COUNTERS_MAX && _VM_COUNTER_MAX <= COUNTERS_MAX,
	       "room for each kind");

struct counters *counters_append(struct counters_list *list, enum counters_kind kind, uint32_t index,
				 const char *id)
{
	struct counters *item;

	if (list->n % STEP == 0) {
		item = reallocarray(list->items, list->n + STEP, sizeof(*item));
		if (!item)
			return NULL;
		list->items = item;
	}
	item = &list->items[list->n++];
	*item = (struct counters){ .kind = kind, .index = index };
	snprintf(item->id, sizeof(item->id), "%s", id ? id : "");
	return item;
}

static bool same(const struct counters *a, const struct counters *b)
{
	return a->kind == b->kind && a->index == b->index && strcmp(a->id, b->id) == 0;
}

/* Lists of one VM are in one order, but for what has come and gone. */
static const struct counters *find(const struct counters_list *list, const struct counters *like,
				   size_t guess)
{
	if (guess < list->n && same(&list->items[guess], like))
		return &list->items[guess];
	for (size_t i = 0; i < list->n; i++)
		if (same(&list->items[i], like))
			return &list->items[i];
	return NULL;
}

void counters_add(struct counters_list *list, const struct counters_list *more)
{
	for (size_t i = 0; i < list->n; i++) {
		struct counters *to = &list->items[i];
		const struct counters *from = find(more, to, i);

		for (size_t k = 0; from && k < COUNTERS_MAX; k++)
			if (to->kind != COUNTERS_VCPU || k != VCPU_TID)
				to->values[k] += from->values[k];
	}
}

void counters_clear(struct counters_list *list)
{
	free(list->items);
	*list = (struct counters_list){ 0 };
}
