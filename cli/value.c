/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/value.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "vmm/base/cleanup.h"

#define SIZE_TEXT_MAX 6 /* characters of an exact size */

static bool is_moment(const struct field *field)
{
	return field->type == FIELD_U64 && field->unit &&
	       !strncmp(field->unit, "microseconds", 12);
}

static int date_text(json_int_t usec, char **ret)
{
	time_t seconds = (time_t)(usec / 1000000);
	char buf[64];
	struct tm tm;

	if (!localtime_r(&seconds, &tm) || !strftime(buf, sizeof(buf), "%F %T %Z", &tm))
		snprintf(buf, sizeof(buf), "%lld", (long long)usec);
	*ret = strdup(buf);
	return *ret ? 0 : -ENOMEM;
}

/* Exact where that is short ("1536M"), else rounded ("23.5G"). */
static int size_text(uint64_t bytes, char **ret)
{
	static const char units[] = "KMGT";
	char exact[24];
	double size = (double)bytes / 1024;
	size_t unit = 0;

	size_format(bytes, exact);
	if (strlen(exact) <= SIZE_TEXT_MAX) {
		*ret = strdup(exact);
		return *ret ? 0 : -ENOMEM;
	}
	for (; size >= 1024 && units[unit + 1]; unit++)
		size /= 1024;
	return asprintf(ret, "%.1f%c", size, units[unit]) < 0 ? -ENOMEM : 0;
}

static int number_text(const struct field *field, json_int_t n, char **ret)
{
	const char *unit = field->unit;
	int r;

	if (n == 0 && !field->def && (field->min || is_moment(field))) {
		*ret = NULL;
		return 0;
	}
	if (is_moment(field))
		return date_text(n, ret);
	if (field->type == FIELD_SIZE)
		return size_text((uint64_t)n, ret);
	r = asprintf(ret, "%lld%s%s", (long long)n, unit ? " " : "", unit ? unit : "");
	return r < 0 ? -ENOMEM : 0;
}

int value_text(const struct field *field, const json_t *value, char **ret)
{
	const char *text = NULL;

	if (json_is_integer(value))
		return number_text(field, json_integer_value(value), ret);
	if (json_is_boolean(value))
		text = json_is_true(value) ? "yes" : "no";
	else if (json_is_string(value) && json_string_length(value))
		text = json_string_value(value);
	*ret = text ? strdup(text) : NULL;
	return text && !*ret ? -ENOMEM : 0;
}

void value_label(const struct field *field, char buf[static 64])
{
	char *end;

	snprintf(buf, 64, "%s", field->name);
	end = strrchr(buf, '_');
	if (end && is_moment(field))
		*end = '\0';
	for (char *p = buf; *p; p++)
		if (*p == '_')
			*p = ' ';
}

/* Add a piece to *line, behind a separator unless it is the first. */
static int append(char **line, const char *separator, const char *fmt, ...)
{
	AUTO(free) char *piece = NULL;
	char *longer;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&piece, fmt, ap);
	va_end(ap);
	if (n < 0) {
		piece = NULL;
		return -ENOMEM;
	}
	n = asprintf(&longer, "%s%s%s", *line ? *line : "", *line ? separator : "", piece);
	if (n < 0)
		return -ENOMEM;
	free(*line);
	*line = longer;
	return 0;
}

/* The text is what it would be when nobody had asked for anything. */
static bool is_default(const struct field *field, const char *text)
{
	if (field->def)
		return !strcmp(text, field->def);
	return field->type == FIELD_BOOL && !strcmp(text, "no");
}

/*
 * The first member stands alone when it is text, others behind their names; those of a struct within
 * stand beside them.
 */
static int object_line(const struct schema *schema, const json_t *obj, char **ret)
{
	AUTO(free) char *line = NULL;

	for (size_t i = 0; i < schema->n_fields; i++) {
		const struct field *field = &schema->fields[i];
		AUTO(free) char *text = NULL;
		char label[64];
		int r;

		r = value_line(field, json_object_get(obj, field->name), &text);
		if (r < 0)
			return r;
		if (!text || is_default(field, text))
			continue;
		value_label(field, label);
		if (field->type == FIELD_STRUCT || (i == 0 && field->type == FIELD_STR))
			r = append(&line, ", ", "%s", text);
		else
			r = append(&line, ", ", "%s %s", label, text);
		if (r < 0)
			return r;
	}
	*ret = TAKE(line);
	return 0;
}

static int list_line(const struct schema *schema, const json_t *list, char **ret)
{
	AUTO(free) char *line = NULL;
	size_t index;
	json_t *item;
	int r = 0;

	json_array_foreach(list, index, item) {
		AUTO(free) char *text = NULL;

		r = object_line(schema, item, &text);
		if (r == 0 && text)
			r = append(&line, "; ", "%s", text);
		if (r < 0)
			return r;
	}
	*ret = TAKE(line);
	return 0;
}

int value_line(const struct field *field, const json_t *value, char **ret)
{
	switch (field->type) {
	case FIELD_STRUCT:
		return object_line(field->sub, value, ret);
	case FIELD_LIST:
		return list_line(field->sub, value, ret);
	default:
		return value_text(field, value, ret);
	}
}

const json_t *value_at(const json_t *obj, const char *place)
{
	while (obj && *place) {
		size_t len = strcspn(place, ".");
		char name[64];

		snprintf(name, sizeof(name), "%.*s", (int)len, place);
		obj = json_object_get(obj, name);
		place += len + (place[len] == '.');
	}
	return obj;
}

const char *value_string_at(const json_t *obj, const char *place)
{
	return json_string_value(value_at(obj, place));
}
