/* SPDX-License-Identifier: Apache-2.0 */
/* Intrusive doubly linked list with a sentinel head: `struct list` is both head and node. */
#pragma once

#include <stdbool.h>

#include "vmm/base/macro.h"

struct list {
	struct list *prev, *next;
};

#define LIST_INIT(head) { .prev = &(head), .next = &(head) }

static inline void list_init(struct list *head)
{
	head->prev = head->next = head;
}

static inline bool list_empty(const struct list *head)
{
	return head->next == head;
}

static inline void list_append(struct list *head, struct list *node)
{
	node->prev = head->prev;
	node->next = head;
	head->prev->next = node;
	head->prev = node;
}

/* Safe on a node that has only been list_init()ed; the node is left so. */
static inline void list_remove(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

/* Move all of from to the end of head. */
static inline void list_splice(struct list *head, struct list *from)
{
	if (list_empty(from))
		return;
	from->next->prev = head->prev;
	head->prev->next = from->next;
	from->prev->next = head;
	head->prev = from->prev;
	list_init(from);
}

#define list_entry(node, type, member) container_of(node, type, member)

/* pos may be removed from the list in the body. */
#define list_for_each(pos, head, member)                                                           \
	for (__typeof__(pos) next_##pos = (pos = list_entry((head)->next, __typeof__(*pos), member), \
					   list_entry(pos->member.next, __typeof__(*pos), member)); \
	     &pos->member != (head);                                                               \
	     pos = next_##pos, next_##pos = list_entry(pos->member.next, __typeof__(*pos), member))
