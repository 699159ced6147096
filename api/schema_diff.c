/* SPDX-License-Identifier: Apache-2.0 */
/* What differs between two objects of one table, and when it matters to a VM that runs. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/schema.h"

#define PATH_SIZE 128

const char *const field_applies_names[_APPLIES_MAX + 1] = {
	[APPLIES_NEXT_BOOT] = "next-boot",
	[APPLIES_LIVE] = "live",
	[APPLIES_NEVER] = "immutable",
};

struct walk {
	schema_diff_fn fn;
	void *ctx;
};

static bool has_key(const struct field *field)
{
	return field->type == FIELD_LIST && field->sub->key;
}

const char *schema_key(const struct schema *schema, const void *item)
{
	const char *key = *(char **)field_ptr(schema_field(schema, schema->key), item);

	return key ? key : "";
}

void *field_list_find(const struct field *list, const void *obj, const char *key)
{
	for (size_t i = 0; i < *field_count(list, obj); i++) {
		void *item = field_list_item(list, obj, i);

		if (strcmp(schema_key(list->sub, item), key) == 0)
			return item;
	}
	return NULL;
}

static int diff(const struct walk *walk, const struct schema *schema, const char *within,
		const void *a, const void *b);

/* Items of a, against those of b; from the other side only what is not in both is new. */
static int diff_items(const struct walk *walk, const struct field *list, const char *path,
		      const void *a, const void *b, bool gone_only)
{
	for (size_t i = 0; i < *field_count(list, a); i++) {
		const void *item = field_list_item(list, a, i);
		const char *key = schema_key(list->sub, item);
		const void *other = field_list_find(list, b, key);
		char item_path[PATH_SIZE];
		int r = 0;

		snprintf(item_path, sizeof(item_path), "%s[%s]", path, key);
		if (!other)
			r = walk->fn(walk->ctx, list, item_path);
		else if (!gone_only)
			r = diff(walk, list->sub, item_path, item, other);
		if (r < 0)
			return r;
	}
	return 0;
}

static int diff_field(const struct walk *walk, const struct field *field, const char *path,
		      const void *a, const void *b)
{
	int r;

	if (field_equal(field, a, b))
		return 0;
	if (field->type == FIELD_STRUCT)
		return diff(walk, field->sub, path, field_ptr(field, a), field_ptr(field, b));
	if (!has_key(field))
		return walk->fn(walk->ctx, field, path);
	r = diff_items(walk, field, path, a, b, false);
	return r < 0 ? r : diff_items(walk, field, path, b, a, true);
}

static int diff(const struct walk *walk, const struct schema *schema, const char *within,
		const void *a, const void *b)
{
	for (size_t i = 0; i < schema->n_fields; i++) {
		const struct field *field = &schema->fields[i];
		char path[PATH_SIZE];
		int r;

		snprintf(path, sizeof(path), "%s%s%s", within, within[0] ? "." : "", field->name);
		r = diff_field(walk, field, path, a, b);
		if (r < 0)
			return r;
	}
	return 0;
}

int schema_diff(const struct schema *schema, const void *a, const void *b, schema_diff_fn fn,
		void *ctx)
{
	const struct walk walk = { fn, ctx };

	return diff(&walk, schema, "", a, b);
}

static void remove_item(const struct field *list, void *obj, void *item)
{
	size_t size = list->sub->size, *n = field_count(list, obj);
	char *next = (char *)item + size, *end = field_list_item(list, obj, *n);

	schema_clear(list->sub, item);
	memmove(item, next, (size_t)(end - next));
	(*n)--;
}

/* A copy of item, at this place or at the end. */
static int insert_item(const struct field *list, void *obj, size_t at, const void *item)
{
	size_t *n = field_count(list, obj), size = list->sub->size;
	void *array = reallocarray(*(void **)field_ptr(list, obj), *n + 1, size);
	char *place;

	if (!array)
		return -ENOMEM;
	*(void **)field_ptr(list, obj) = array;
	if (at > *n)
		at = *n;
	place = field_list_item(list, obj, at);
	memmove(place + size, place, (*n - at) * size);
	if (schema_copy(list->sub, place, item) < 0) {
		memmove(place, place + size, (*n - at) * size);
		return -ENOMEM;
	}
	(*n)++;
	return 0;
}

static int apply_items(const struct field *list, void *obj, const void *a, const void *b)
{
	bool live = list->applies == APPLIES_LIVE;
	int r = 0;

	for (size_t i = *field_count(list, obj); r == 0 && i-- > 0;) {
		void *item = field_list_item(list, obj, i);
		const void *before = field_list_find(list, a, schema_key(list->sub, item));
		const void *after = field_list_find(list, b, schema_key(list->sub, item));

		if (before && after)
			r = schema_apply_live(list->sub, item, before, after);
		else if (before && live)
			remove_item(list, obj, item);
	}
	for (size_t i = 0; live && r == 0 && i < *field_count(list, b); i++) {
		const void *item = field_list_item(list, b, i);
		const char *key = schema_key(list->sub, item);

		if (!field_list_find(list, a, key) && !field_list_find(list, obj, key))
			r = insert_item(list, obj, SIZE_MAX, item);
	}
	return r;
}

static int apply_field(const struct field *field, void *obj, const void *a, const void *b)
{
	if (field_equal(field, a, b))
		return 0;
	if (field->type == FIELD_STRUCT)
		return schema_apply_live(field->sub, field_ptr(field, obj), field_ptr(field, a),
					 field_ptr(field, b));
	if (has_key(field))
		return apply_items(field, obj, a, b);
	if (field->applies != APPLIES_LIVE)
		return 0;
	field_clear(field, obj);
	return field_copy(field, obj, b);
}

int schema_apply_live(const struct schema *schema, void *obj, const void *a, const void *b)
{
	for (size_t i = 0; i < schema->n_fields; i++) {
		int r = apply_field(&schema->fields[i], obj, a, b);

		if (r < 0)
			return r;
	}
	return 0;
}

static int keep_items(const struct field *list, void *obj, const void *src, const void *present)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < *field_count(list, src); i++) {
		const void *item = field_list_item(list, src, i);
		const char *key = schema_key(list->sub, item);

		if (!field_list_find(list, obj, key) && field_list_find(list, present, key))
			r = insert_item(list, obj, i, item);
	}
	return r;
}

int schema_keep(const struct schema *schema, void *obj, const void *src, const void *present)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < schema->n_fields; i++)
		if (has_key(&schema->fields[i]))
			r = keep_items(&schema->fields[i], obj, src, present);
	return r;
}

const void *schema_surplus(const struct schema *schema, const void *obj, const void *wanted,
			   const struct field **list)
{
	for (size_t i = 0; i < schema->n_fields; i++) {
		const struct field *field = &schema->fields[i];

		for (size_t k = 0; has_key(field) && k < *field_count(field, obj); k++) {
			const void *item = field_list_item(field, obj, k);

			if (field_list_find(field, wanted, schema_key(field->sub, item)))
				continue;
			*list = field;
			return item;
		}
	}
	return NULL;
}

void field_list_remove(const struct field *list, void *obj, const char *key)
{
	void *item = field_list_find(list, obj, key);

	if (item)
		remove_item(list, obj, item);
}
