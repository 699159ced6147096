/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/list.h"

#include <errno.h>
#include <string.h>

#include "api/json.h"
#include "vmm/base/macro.h"

/* What the options say, understood. */
struct choice {
	struct list_options options;
	struct filter filter;
	struct projection wanted;
	bool needed[FILTER_PARTS];
};

#define LITERAL(text, constant) json_text_raw(text, constant, sizeof(constant) - 1)

/* ---- one item ---- */

/* Members that stand in front of the parts, too, so that a client finds an item by them. */
static const char *const leading[] = { "name", "uuid" };

static void write_leading(struct json_text *text, const struct schema *spec, const void *obj,
			  const struct projection *wanted, bool *begun)
{
	for (size_t i = 0; i < sizeof(leading) / sizeof(leading[0]); i++) {
		const struct field *field = schema_field(spec, leading[i]);
		struct projection rest;

		if (!field || field_is_unset(field, obj) ||
		    (wanted && projection_of(wanted, leading[i], &rest) == PROJECTED_NO))
			continue;
		json_text_member(text, leading[i], begun);
		json_text_value(text, field, obj);
	}
}

void list_write(struct json_text *text, const struct list_kind *kind,
		const void *const objs[FILTER_PARTS], const struct projection *wanted)
{
	bool begun = false;

	if (!kind->parts[0].name) {
		json_text_obj(text, kind->parts[0].schema, objs[0], wanted);
		return;
	}
	LITERAL(text, "{");
	write_leading(text, kind->parts[0].schema, objs[0], wanted, &begun);
	for (size_t i = 0; i < kind->n_parts; i++) {
		enum projected projected = PROJECTED_ALL;
		struct projection part;

		if (wanted)
			projected = projection_of(wanted, kind->parts[i].name, &part);
		if (projected == PROJECTED_NO)
			continue;
		json_text_member(text, kind->parts[i].name, &begun);
		json_text_obj(text, kind->parts[i].schema, objs[i],
			      projected == PROJECTED_PART ? &part : NULL);
	}
	LITERAL(text, "}");
}

/* ---- options ---- */

/* All paths are of members that there are. */
static int check_wanted(const struct list_kind *kind, const struct projection *wanted,
			struct hvd_error *err)
{
	struct projection own = { 0 }, part;
	int r = 0;

	if (!kind->parts[0].name)
		return projection_check(wanted, kind->parts[0].schema, err);
	for (size_t i = 0; i < wanted->n; i++) {
		const char *at = wanted->paths[i].at;
		size_t len = strcspn(at, ".,");
		bool known = false;

		for (size_t j = 0; j < kind->n_parts; j++)
			known |= strlen(kind->parts[j].name) == len &&
				 memcmp(kind->parts[j].name, at, len) == 0;
		if (!known)
			own.paths[own.n++] = wanted->paths[i];
	}
	/* name and uuid; what is none of these is no member of the spec either */
	for (size_t i = 0; i < own.n; i++)
		if (own.paths[i].len != 4 || (memcmp(own.paths[i].at, leading[0], 4) != 0 &&
					      memcmp(own.paths[i].at, leading[1], 4) != 0))
			return hvd_err_field(err, EINVAL, "fields",
					     "there is no member %.*s; is it spec.%.*s?",
					     (int)MIN(own.paths[i].len, (size_t)40), own.paths[i].at,
					     (int)MIN(own.paths[i].len, (size_t)40),
					     own.paths[i].at);
	for (size_t i = 0; i < kind->n_parts && r == 0; i++)
		if (projection_of(wanted, kind->parts[i].name, &part) == PROJECTED_PART)
			r = projection_check(&part, kind->parts[i].schema, err);
	return r;
}

static int understand(const struct list_kind *kind, struct choice *choice, struct hvd_error *err)
{
	const struct list_options *options = &choice->options;
	struct projection part;
	int r = 0;

	if (options->filter)
		r = filter_parse(options->filter, kind->parts, kind->n_parts, &choice->filter, err);
	if (r >= 0 && options->fields)
		r = projection_parse(options->fields, &choice->wanted, err);
	if (r >= 0 && options->fields)
		r = check_wanted(kind, &choice->wanted, err);
	for (size_t i = 0; i < kind->n_parts; i++)
		choice->needed[i] = !options->fields || !kind->parts[i].name || i == 0 ||
				    filter_needs(&choice->filter, (unsigned)i) ||
				    projection_of(&choice->wanted, kind->parts[i].name, &part) !=
					    PROJECTED_NO;
	return r;
}

/* The first item behind the cursor. */
static int find_first(const void *ctx, const struct list_kind *kind, const char *cursor,
		      const void **ret, struct hvd_error *err)
{
	const void *item = kind->next(ctx, NULL);

	for (; cursor && item; item = kind->next(ctx, item)) {
		int order = strcmp(kind->key(item), cursor);

		if (order == 0) {
			*ret = kind->next(ctx, item);
			return 0;
		}
		if (kind->sorted && order > 0)
			break;
	}
	if (cursor && !item && !kind->sorted)
		return hvd_err_field(err, EINVAL, "cursor",
				     "the item that it stands for has gone: begin anew");
	*ret = item;
	return 0;
}

/* ---- the list ---- */

/* 1: written, 0: not wanted. */
static int write_item(struct json_text *text, const struct list_kind *kind, const void *item,
		      const struct choice *choice, bool first)
{
	const void *objs[FILTER_PARTS] = { NULL };
	bool wanted;
	int r;

	r = kind->load(item, choice->needed, objs);
	if (r < 0)
		return r;
	wanted = filter_match(&choice->filter, objs);
	if (wanted) {
		if (!first)
			LITERAL(text, ",");
		list_write(text, kind, objs, choice->options.fields ? &choice->wanted : NULL);
	}
	if (kind->unload)
		kind->unload(choice->needed, objs);
	return wanted;
}

static int write_list(const void *ctx, const struct list_kind *kind,
		      const struct choice *choice, struct json_text *text, struct hvd_error *err)
{
	uint32_t limit = choice->options.limit ? choice->options.limit : UINT32_MAX, n = 0;
	const void *item = NULL, *last = NULL;
	int r;

	r = find_first(ctx, kind, choice->options.cursor, &item, err);
	if (r < 0)
		return r;
	LITERAL(text, "{\"items\":[");
	for (; item && n < limit; item = kind->next(ctx, item)) {
		r = write_item(text, kind, item, choice, n == 0);
		if (r < 0)
			return hvd_err(err, -r, "out of memory");
		n += (uint32_t)r;
		last = item;
	}
	LITERAL(text, "]");
	if (item) {
		LITERAL(text, ",\"next\":");
		json_text_string(text, kind->key(last));
	}
	LITERAL(text, "}\n");
	return 0;
}

void list_answer(struct call *call, const struct list_kind *kind, const void *ctx)
{
	struct json_text text = { 0 };
	struct choice choice = { 0 };
	struct hvd_error err = { 0 };
	int r;

	r = call_options(call, &choice.options, &err);
	if (r >= 0)
		r = understand(kind, &choice, &err);
	if (r >= 0)
		r = write_list(ctx, kind, &choice, &text, &err);
	if (r >= 0) {
		call->json = json_text_take(&text);
		if (!call->json)
			r = hvd_err(&err, ENOMEM, "out of memory");
	}
	json_text_clear(&text);
	schema_clear(&list_options_schema, &choice.options);
	call_finish(call, r, r < 0 ? &err : NULL);
}
