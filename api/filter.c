/* SPDX-License-Identifier: Apache-2.0 */
#include "api/filter.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/base/macro.h"

#define PATH_CHARS "abcdefghijklmnopqrstuvwxyz0123456789_."

static const struct {
	const char *text;
	enum comparison how;
} comparisons[] = {
	{ "==", COMPARE_EQ }, { "!=", COMPARE_NE }, { ">=", COMPARE_GE },
	{ "<=", COMPARE_LE }, { ">", COMPARE_GT },  { "<", COMPARE_LT },
};

static bool is_number(const struct field *field)
{
	return field->type == FIELD_BOOL || field->type == FIELD_U32 || field->type == FIELD_U64 ||
	       field->type == FIELD_SIZE;
}

/* ---- members ---- */

/* Down from schema along a dotted path; false: there is no such scalar. */
static bool find_in(const struct schema *schema, const char *path, size_t len, struct field *ret)
{
	size_t offset = 0;

	while (schema) {
		const char *dot = memchr(path, '.', len);
		size_t n = dot ? (size_t)(dot - path) : len;
		const struct field *found = schema_field_n(schema, path, n);

		if (!found || found->type == FIELD_LIST || (found->type == FIELD_STRUCT) != (dot != NULL))
			return false;
		if (!dot) {
			*ret = *found;
			ret->offset += offset;
			return true;
		}
		offset += found->offset;
		len -= n + 1;
		path = dot + 1;
		schema = found->sub;
	}
	return false;
}

static int find_member(const char *path, size_t len, const struct filter_part *parts,
		       size_t n_parts, struct filter_term *term, struct hvd_error *err)
{
	for (unsigned i = 0; i < n_parts; i++) {
		size_t n = parts[i].name ? strlen(parts[i].name) : 0;

		term->part = i;
		if (n && len > n && memcmp(path, parts[i].name, n) == 0 && path[n] == '.' &&
		    find_in(parts[i].schema, path + n + 1, len - n - 1, &term->field))
			return 0;
		if (find_in(parts[i].schema, path, len, &term->field))
			return 0;
	}
	return hvd_err_field(err, EINVAL, "filter", "there is no member %.*s to compare",
			     (int)MIN(len, (size_t)64), path);
}

/* ---- values ---- */

/* What the value is compared as. */
static int set_value(struct filter_term *term, struct hvd_error *err)
{
	union {
		uint64_t number;
		uint8_t bytes[16];
	} value = { .bytes = { 0 } };
	struct field alone = term->field;
	size_t len = strlen(term->text);
	int r;

	alone.offset = 0;
	term->prefix = len && term->text[len - 1] == '*';
	if (!is_number(&alone)) {
		if (term->how != COMPARE_EQ && term->how != COMPARE_NE)
			return hvd_err_field(err, EINVAL, "filter", "%s: a text is == or !=, no more",
					     alone.name);
		if (term->prefix)
			term->text[len - 1] = '\0';
		/* a state that there is not, a UUID that is none */
		if (term->prefix || alone.type == FIELD_STR || !len)
			return 0;
	}
	r = field_set_text(&alone, &value, term->text, err);
	if (r < 0)
		return hvd_err_in(err, r, "filter");
	if (is_number(&alone))
		term->number = field_get_number(&alone, &value);
	return 0;
}

/* Up to a comma outside of quotes; the quotes themselves are taken off. */
static int take_value(const char **text, char value[static 128], struct hvd_error *err)
{
	bool quoted = **text == '"';
	const char *at = *text + quoted;
	size_t len = quoted ? strcspn(at, "\"") : strcspn(at, ",");

	if (quoted && (at[len] != '"' || (at[len + 1] && at[len + 1] != ',')))
		return hvd_err_field(err, EINVAL, "filter", "a quote is not closed");
	if (len >= 128)
		return hvd_err_field(err, EINVAL, "filter", "a value is longer than 127 bytes");
	memcpy(value, at, len);
	value[len] = '\0';
	*text = at + len + quoted;
	return 0;
}

static int take_comparison(const char **text, enum comparison *how, struct hvd_error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(comparisons); i++) {
		size_t n = strlen(comparisons[i].text);

		if (strncmp(*text, comparisons[i].text, n) != 0)
			continue;
		*how = comparisons[i].how;
		*text += n;
		return 0;
	}
	return hvd_err_field(err, EINVAL, "filter",
			     "no comparison at \"%.20s\": == != >= <= > < are known, as in "
			     "state==running", *text);
}

int filter_parse(const char *text, const struct filter_part *parts, size_t n_parts,
		 struct filter *ret, struct hvd_error *err)
{
	ret->n = 0;
	for (;;) {
		struct filter_term *term = &ret->terms[ret->n];
		size_t len = strspn(text, PATH_CHARS);
		int r;

		if (ret->n == FILTER_MAX)
			return hvd_err_field(err, EINVAL, "filter", "more than %d comparisons",
					     FILTER_MAX);
		*term = (struct filter_term){ 0 };
		r = find_member(text, len, parts, n_parts, term, err);
		text += len;
		if (r >= 0)
			r = take_comparison(&text, &term->how, err);
		if (r >= 0)
			r = take_value(&text, term->text, err);
		if (r >= 0)
			r = set_value(term, err);
		if (r < 0)
			return r;
		ret->n++;
		if (!*text)
			return 0;
		text++;
	}
}

bool filter_needs(const struct filter *filter, unsigned part)
{
	for (size_t i = 0; i < filter->n; i++)
		if (filter->terms[i].part == part)
			return true;
	return false;
}

/* ---- matching ---- */

static bool equals(const struct filter_term *term, const void *obj)
{
	char buf[UUID_TEXT_SIZE] = "";
	const char *text = buf;

	if (!field_is_unset(&term->field, obj)) {
		switch (term->field.type) {
		case FIELD_STR:
			text = *(char *const *)field_ptr(&term->field, obj);
			break;
		case FIELD_ENUM:
			text = term->field.names[field_get_number(&term->field, obj)];
			break;
		case FIELD_UUID:
			uuid_format(field_ptr(&term->field, obj), buf);
			break;
		default:
			mac_format(field_ptr(&term->field, obj), buf);
			break;
		}
	}
	return term->prefix ? strncmp(text, term->text, strlen(term->text)) == 0
			    : strcmp(text, term->text) == 0;
}

static bool holds(const struct filter_term *term, const void *obj)
{
	uint64_t value;

	if (!is_number(&term->field))
		return equals(term, obj) == (term->how == COMPARE_EQ);
	value = field_get_number(&term->field, obj);
	switch (term->how) {
	case COMPARE_EQ:
		return value == term->number;
	case COMPARE_NE:
		return value != term->number;
	case COMPARE_GE:
		return value >= term->number;
	case COMPARE_LE:
		return value <= term->number;
	case COMPARE_GT:
		return value > term->number;
	case COMPARE_LT:
		break;
	}
	return value < term->number;
}

bool filter_match(const struct filter *filter, const void *const objs[FILTER_PARTS])
{
	for (size_t i = 0; i < filter->n; i++)
		if (!holds(&filter->terms[i], objs[filter->terms[i].part]))
			return false;
	return true;
}
