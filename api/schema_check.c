/* SPDX-License-Identifier: Apache-2.0 */
/* Validation of a complete object against its table. */
#include "api/schema.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/utf8.h"

/* A number for a person, in the unit that the field is read and written in. */
static void show_number(const struct field *field, uint64_t value, char buf[static 24])
{
	if (field->type == FIELD_SIZE)
		size_format(value, buf);
	else
		snprintf(buf, 24, "%" PRIu64, value);
}

static int check_number(const struct field *field, const void *obj, struct hvd_error *err)
{
	uint64_t value = field_get_number(field, obj);
	char min[24], max[24];

	if (!value && !field->def)
		return 0;

	show_number(field, field->min, min);
	show_number(field, field->max, max);
	if (field->max && (value < field->min || value > field->max))
		return hvd_err_field(err, ERANGE, field->name, "must be between %s and %s", min,
				     max);
	if (value < field->min)
		return hvd_err_field(err, ERANGE, field->name, "must be at least %s", min);
	if (value > INT64_MAX)
		return hvd_err_field(err, ERANGE, field->name, "is too large");
	if (field->multiple && value % field->multiple) {
		show_number(field, field->multiple, min);
		return hvd_err_field(err, EINVAL, field->name, "must be a multiple of %s", min);
	}
	return 0;
}

static int check_str(const struct field *field, const void *obj, struct hvd_error *err)
{
	const char *text = *(char **)field_ptr(field, obj);
	size_t len;
	int r;

	if (!text)
		return field->required ? hvd_err_field(err, EINVAL, field->name, "is required") : 0;

	len = strlen(text);
	if (field->max && len > field->max)
		return hvd_err_field(err, ERANGE, field->name, "is longer than %" PRIu64 " bytes",
				     field->max);
	if (len < field->min)
		return hvd_err_field(err, ERANGE, field->name, "is shorter than %" PRIu64 " bytes",
				     field->min);
	/* what XML 1.0 cannot carry would be lost in the stored definition */
	if (!utf8_is_text(text, len))
		return hvd_err_field(err, EINVAL, field->name,
				     "must be UTF-8 text without control characters");
	if (!field->check)
		return 0;
	r = field->check(text, err);
	return r < 0 ? hvd_err_in(err, r, "%s", field->name) : 0;
}

static int check_enum(const struct field *field, const void *obj, struct hvd_error *err)
{
	uint64_t value = field_get_number(field, obj);

	for (uint64_t i = 0; field->names[i]; i++)
		if (i == value)
			return 0;
	return hvd_err_field(err, EINVAL, field->name, "has no value of number %" PRIu64, value);
}

static int check_mac(const struct field *field, const void *obj, struct hvd_error *err)
{
	const uint8_t *mac = field_ptr(field, obj);

	if (mac[0] & 1)
		return hvd_err_field(err, EINVAL, field->name,
				     "is a multicast address: the first byte must be even");
	return 0;
}

/* Items that are told apart by a key have one each; one without it gets it later. */
static int check_key(const struct field *list, const char *array, size_t i, struct hvd_error *err)
{
	const struct schema *sub = list->sub;
	const struct field *key = sub->key ? schema_field(sub, sub->key) : NULL;
	const char *text = key ? *(char **)field_ptr(key, array + i * sub->size) : NULL;

	for (size_t j = 0; text && j < i; j++) {
		const char *other = *(char **)field_ptr(key, array + j * sub->size);

		if (other && strcmp(text, other) == 0)
			return hvd_err_field(err, EINVAL, key->name, "is that of %s[%zu] too",
					     list->name, j);
	}
	return 0;
}

static int check_list(const struct field *field, const void *obj, struct hvd_error *err)
{
	const char *array = *(char **)field_ptr(field, obj);
	size_t n = *field_count(field, obj);
	int r;

	if (field->max && n > field->max)
		return hvd_err_field(err, ERANGE, field->name, "has more than %" PRIu64 " items",
				     field->max);
	for (size_t i = 0; i < n; i++) {
		r = schema_check(field->sub, array + i * field->sub->size, err);
		if (r >= 0)
			r = check_key(field, array, i, err);
		if (r < 0)
			return hvd_err_in(err, r, "%s[%zu]", field->name, i);
	}
	return 0;
}

static int field_check(const struct field *field, const void *obj, struct hvd_error *err)
{
	int r;

	switch (field->type) {
	case FIELD_STR:
		return check_str(field, obj, err);
	case FIELD_U32:
	case FIELD_U64:
	case FIELD_SIZE:
		return check_number(field, obj, err);
	case FIELD_ENUM:
		return check_enum(field, obj, err);
	case FIELD_MAC:
		return check_mac(field, obj, err);
	case FIELD_STRUCT:
		r = schema_check(field->sub, field_ptr(field, obj), err);
		return r < 0 ? hvd_err_in(err, r, "%s", field->name) : 0;
	case FIELD_LIST:
		return check_list(field, obj, err);
	case FIELD_BOOL:
	case FIELD_UUID:
		break;
	}
	return 0;
}

int schema_check(const struct schema *schema, const void *obj, struct hvd_error *err)
{
	int r;

	for (size_t i = 0; i < schema->n_fields; i++) {
		r = field_check(&schema->fields[i], obj, err);
		if (r < 0)
			return r;
	}
	return schema->check ? schema->check(obj, err) : 0;
}
