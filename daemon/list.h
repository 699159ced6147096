/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers of many items, written as they are walked over: cursor, filter, fields and limit of
 * api/list.h for any kind of resource.
 *
 * A cursor is the key of the last item that was given. Of items in the order of their keys the next is
 * found though that one has gone meanwhile; of others it must still be there.
 */
#pragma once

#include "api/filter.h"
#include "api/json_text.h"
#include "api/list.h"
#include "daemon/call.h"

/* A kind of resource. */
struct list_kind {
	/* In their order; NULL: the first, the end. ctx is whose they are. */
	const void *(*next)(const void *ctx, const void *item);
	const char *(*key)(const void *item); /* unique */
	bool sorted;                          /* in the order of keys */
	struct filter_part parts[FILTER_PARTS];
	size_t n_parts;
	/* The parts of an item, allocated where they have to be; fill only those that are needed. */
	int (*load)(const void *item, const bool needed[FILTER_PARTS],
		    const void *objs[FILTER_PARTS]);
	void (*unload)(const bool needed[FILTER_PARTS], const void *objs[FILTER_PARTS]);
};

/* Finish call, whose op has list_options_schema, with the items of ctx that its options choose. */
void list_answer(struct call *call, const struct list_kind *kind, const void *ctx);

/*
 * A resource of two parts, {"name", "uuid", "spec", "status"}, name and uuid being the spec's; or of one, itself.
 */
void list_write(struct json_text *text, const struct list_kind *kind,
		const void *const objs[FILTER_PARTS], const struct projection *wanted);
