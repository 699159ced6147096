/* SPDX-License-Identifier: Apache-2.0 */
#include "api/json_text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/utf8.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/macro.h"

#define FIRST_SIZE 1024

/* Room for n more bytes; NULL: out of memory. */
static char *reserve(struct json_text *text, size_t n)
{
	size_t size = text->size ? text->size : FIRST_SIZE;
	char *data;

	if (text->failed)
		return NULL;
	if (text->len + n <= text->size)
		return text->data + text->len;
	while (size < text->len + n)
		size *= 2;
	data = realloc(text->data, size);
	if (!data) {
		text->failed = true;
		return NULL;
	}
	text->data = data;
	text->size = size;
	return data + text->len;
}

void json_text_raw(struct json_text *text, const char *data, size_t len)
{
	char *at = reserve(text, len);

	if (!at)
		return;
	memcpy(at, data, len);
	text->len += len;
}

/* A string literal: its length is known. */
#define put(text, literal) json_text_raw(text, literal, sizeof(literal) - 1)

char *json_text_take(struct json_text *text)
{
	char *data;

	json_text_raw(text, "", 1);
	if (text->failed) {
		json_text_clear(text);
		return NULL;
	}
	data = text->data;
	*text = (struct json_text){ 0 };
	return data;
}

void json_text_clear(struct json_text *text)
{
	free(text->data);
	*text = (struct json_text){ 0 };
}

/* ---- values ---- */

static void put_escaped(struct json_text *text, unsigned char c)
{
	static const char *const shorts[32] = {
		['\b'] = "\\b", ['\t'] = "\\t", ['\n'] = "\\n", ['\f'] = "\\f", ['\r'] = "\\r",
	};
	char code[8];

	if (c == '"' || c == '\\') {
		json_text_raw(text, (char[]){ '\\', (char)c }, 2);
	} else if (shorts[c]) {
		json_text_raw(text, shorts[c], 2);
	} else {
		snprintf(code, sizeof(code), "\\u%04X", c);
		json_text_raw(text, code, strlen(code));
	}
}

/* Of well-formed text. */
static void put_text(struct json_text *text, const char *value, size_t len)
{
	size_t plain = 0;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)value[i];

		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		json_text_raw(text, value + plain, i - plain);
		put_escaped(text, c);
		plain = i + 1;
	}
	json_text_raw(text, value + plain, len - plain);
}

static bool is_ascii(const char *value, size_t len)
{
	unsigned char all = 0;

	for (size_t i = 0; i < len; i++)
		all |= (unsigned char)value[i];
	return all < 0x80;
}

void json_text_string(struct json_text *text, const char *value)
{
	size_t len = strlen(value);

	put(text, "\"");
	if (is_ascii(value, len) || utf8_is_text(value, len)) {
		put_text(text, value, len);
	} else {
		AUTO(free) char *copy = strdup(value);

		if (copy)
			utf8_clean(copy);
		else
			text->failed = true;
		put_text(text, copy ? copy : "", copy ? len : 0);
	}
	put(text, "\"");
}

static void put_number(struct json_text *text, uint64_t value)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	json_text_raw(text, digits + at, sizeof(digits) - at);
}

static void put_list(struct json_text *text, const struct field *field, const void *obj,
		     const struct projection *wanted)
{
	size_t n = *field_count(field, obj);

	put(text, "[");
	for (size_t i = 0; i < n; i++) {
		if (i)
			put(text, ",");
		json_text_obj(text, field->sub, field_list_item(field, obj, i), wanted);
	}
	put(text, "]");
}

/* wanted: of what is in a STRUCT or LIST; NULL: all. */
static void put_value(struct json_text *text, const struct field *field, const void *obj,
		      const struct projection *wanted)
{
	const void *at = field_ptr(field, obj);
	char buf[UUID_TEXT_SIZE];

	switch (field->type) {
	case FIELD_STR:
		json_text_string(text, *(char *const *)at);
		break;
	case FIELD_BOOL:
		if (*(const bool *)at)
			put(text, "true");
		else
			put(text, "false");
		break;
	case FIELD_U32:
	case FIELD_U64:
	case FIELD_SIZE:
		put_number(text, field_get_number(field, obj));
		break;
	case FIELD_ENUM:
		json_text_string(text, field->names[field_get_number(field, obj)]);
		break;
	case FIELD_UUID:
		uuid_format(at, buf);
		json_text_string(text, buf);
		break;
	case FIELD_MAC:
		mac_format(at, buf);
		json_text_string(text, buf);
		break;
	case FIELD_STRUCT:
		json_text_obj(text, field->sub, at, wanted);
		break;
	case FIELD_LIST:
		put_list(text, field, obj, wanted);
		break;
	}
}

void json_text_value(struct json_text *text, const struct field *field, const void *obj)
{
	put_value(text, field, obj, NULL);
}

void json_text_member(struct json_text *text, const char *name, bool *begun)
{
	size_t len = strlen(name);
	char *at = reserve(text, len + 4);

	if (!at)
		return;
	if (*begun)
		*at++ = ',';
	*at++ = '"';
	memcpy(at, name, len);
	memcpy(at + len, "\":", 2);
	text->len += len + 3 + *begun;
	*begun = true;
}

void json_text_obj(struct json_text *text, const struct schema *schema, const void *obj,
		   const struct projection *wanted)
{
	bool begun = false;

	put(text, "{");
	for (size_t i = 0; i < schema->n_fields; i++) {
		const struct field *field = &schema->fields[i];
		enum projected projected = PROJECTED_ALL;
		struct projection part;

		if (wanted)
			projected = projection_of(wanted, field->name, &part);
		if (projected == PROJECTED_NO || field_is_unset(field, obj))
			continue;
		json_text_member(text, field->name, &begun);
		put_value(text, field, obj, projected == PROJECTED_PART ? &part : NULL);
	}
	put(text, "}");
}

/* ---- projections ---- */

int projection_parse(const char *text, struct projection *ret, struct hvd_error *err)
{
	ret->n = 0;
	for (;;) {
		size_t len = strcspn(text, ",");

		if (!len)
			return hvd_err_field(err, EINVAL, "fields", "names of members are missing");
		if (ret->n == PROJECTION_MAX)
			return hvd_err_field(err, EINVAL, "fields", "more than %d members",
					     PROJECTION_MAX);
		ret->paths[ret->n].at = text;
		ret->paths[ret->n++].len = len;
		if (!text[len])
			return 0;
		text += len + 1;
	}
}

enum projected projection_of(const struct projection *projection, const char *name,
			     struct projection *ret)
{
	size_t len = strlen(name);

	ret->n = 0;
	for (size_t i = 0; i < projection->n; i++) {
		const char *at = projection->paths[i].at;
		size_t n = projection->paths[i].len;

		if (n < len || memcmp(at, name, len) != 0)
			continue;
		if (n == len)
			return PROJECTED_ALL;
		if (at[len] != '.')
			continue;
		ret->paths[ret->n].at = at + len + 1;
		ret->paths[ret->n++].len = n - len - 1;
	}
	return ret->n ? PROJECTED_PART : PROJECTED_NO;
}

static int check_path(const char *at, size_t len, const struct schema *schema, struct hvd_error *err)
{
	const char *whole = at;
	size_t whole_len = len;

	for (;;) {
		const char *dot = memchr(at, '.', len);
		size_t n = dot ? (size_t)(dot - at) : len;
		const struct field *found = schema ? schema_field_n(schema, at, n) : NULL;

		if (!found)
			return hvd_err_field(err, EINVAL, "fields", "there is no member %.*s",
					     (int)MIN(whole_len, (size_t)64), whole);
		if (!dot)
			return 0;
		len -= n + 1;
		at = dot + 1;
		schema = found->sub;
	}
}

int projection_check(const struct projection *projection, const struct schema *schema,
		     struct hvd_error *err)
{
	int r = 0;

	for (size_t i = 0; i < projection->n && r == 0; i++)
		r = check_path(projection->paths[i].at, projection->paths[i].len, schema, err);
	return r;
}

void projection_apply(const struct projection *projection, json_t *object)
{
	struct projection part;
	const char *name;
	json_t *value;
	void *next;

	json_object_foreach_safe(object, next, name, value)
		switch (projection_of(projection, name, &part)) {
		case PROJECTED_NO:
			json_object_del(object, name);
			break;
		case PROJECTED_PART:
			projection_apply(&part, value);
			break;
		case PROJECTED_ALL:
			break;
		}
}
