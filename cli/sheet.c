/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/sheet.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#include "api/json.h"
#include "cli/text.h"
#include "cli/value.h"
#include "vmm/base/cleanup.h"

#define LABEL_COLUMN 2
#define VALUE_COLUMN 18

void sheet_heading(const struct sheet *sheet, const char *text)
{
	fprintf(sheet->f, "%s%c%s%s\n", sheet->colour ? "\033[1m" : "", toupper(*text), text + 1,
		sheet->colour ? "\033[0m" : "");
}

int sheet_line(const struct sheet *sheet, const char *label, const char *value)
{
	AUTO(free) char *clean = text_clean(value);
	int at;

	if (!clean)
		return -ENOMEM;
	at = fprintf(sheet->f, "%*s%s ", LABEL_COLUMN, "", label);
	text_wrap(sheet->f, clean, at < 0 ? 0 : (unsigned)at, VALUE_COLUMN,
		  sheet->width ? sheet->width : (unsigned)-1);
	return 0;
}

static int plain_field(const struct sheet *sheet, const struct field *field, const json_t *value)
{
	AUTO(free) char *text = NULL;
	char label[64];
	int r;

	r = value_line(field, value, &text);
	if (r < 0 || !text)
		return r;
	value_label(field, label);
	return sheet_line(sheet, label, text);
}

/* The label of an item is its id, which is then no part of its line; without one, its place. */
static int item_line(const struct sheet *sheet, const struct schema *schema, size_t index,
		     const json_t *item)
{
	struct field one = { .type = FIELD_STRUCT, .sub = schema };
	AUTO(json_decref) json_t *rest = json_copy((json_t *)item);
	AUTO(free) char *text = NULL;
	const char *key = schema->key ? value_string_at(item, schema->key) : NULL;
	char label[64];
	int r;

	snprintf(label, sizeof(label), "%zu", index);
	if (key) {
		AUTO(free) char *clean = text_clean(key);

		snprintf(label, sizeof(label), "%s", clean ? clean : "?");
		json_object_del(rest, schema->key);
	}
	r = rest ? value_line(&one, rest, &text) : -ENOMEM;
	return r < 0 ? r : sheet_line(sheet, label, text ? text : "-");
}

/* Disks, NICs: one line for each. */
static int list_field(const struct sheet *sheet, const struct field *field, const json_t *list)
{
	size_t index;
	json_t *item;
	int r = 0;

	if (json_array_size(list))
		sheet_heading(sheet, field->name);
	json_array_foreach(list, index, item)
		r = r < 0 ? r : item_line(sheet, field->sub, index, item);
	return r;
}

/* One line is enough: scalars, and lists of them. */
static bool is_plain(const struct field *field)
{
	return field->type == FIELD_LIST ? field->sub->n_fields == 1 : field->type != FIELD_STRUCT;
}

/* True when at least one plain field has something to show. */
static bool has_plain(const struct schema *schema, const json_t *obj)
{
	for (size_t i = 0; i < schema->n_fields; i++) {
		const struct field *field = &schema->fields[i];
		AUTO(free) char *text = NULL;

		if (is_plain(field) &&
		    value_line(field, json_object_get(obj, field->name), &text) == 0 && text)
			return true;
	}
	return false;
}

int sheet_object(const struct sheet *sheet, const char *heading, const struct schema *schema,
		 const json_t *obj)
{
	int r = 0;

	if (has_plain(schema, obj))
		sheet_heading(sheet, heading);
	for (size_t i = 0; i < schema->n_fields && r == 0; i++) {
		const struct field *field = &schema->fields[i];

		if (is_plain(field))
			r = plain_field(sheet, field, json_object_get(obj, field->name));
	}
	for (size_t i = 0; i < schema->n_fields && r == 0; i++) {
		const struct field *field = &schema->fields[i];
		const json_t *value = json_object_get(obj, field->name);

		if (field->type == FIELD_STRUCT && value)
			r = sheet_object(sheet, field->name, field->sub, value);
		else if (!is_plain(field) && value)
			r = list_field(sheet, field, value);
	}
	return r;
}
