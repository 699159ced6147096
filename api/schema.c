/* SPDX-License-Identifier: Apache-2.0 */
#include "api/schema.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of the member itself; for a LIST those of the pointer. */
static size_t field_size(const struct field *field)
{
	switch (field->type) {
	case FIELD_STR:
	case FIELD_LIST:
		return sizeof(void *);
	case FIELD_BOOL:
		return sizeof(bool);
	case FIELD_U32:
		return sizeof(uint32_t);
	case FIELD_U64:
	case FIELD_SIZE:
		return sizeof(uint64_t);
	case FIELD_ENUM:
		return sizeof(unsigned);
	case FIELD_UUID:
		return 16;
	case FIELD_MAC:
		return 6;
	case FIELD_STRUCT:
		return field->sub->size;
	}
	return 0;
}

static char **str_ptr(const struct field *field, const void *obj)
{
	return field_ptr(field, obj);
}

void *field_list_item(const struct field *field, const void *obj, size_t i)
{
	char *array = *(char **)field_ptr(field, obj);

	return array + i * field->sub->size;
}

static int field_init(const struct field *field, void *obj)
{
	int r;

	if (field->type == FIELD_STRUCT)
		return schema_init(field->sub, field_ptr(field, obj));
	if (!field->def)
		return 0;

	/* only memory can be short: a test sets every default of every table */
	r = field_set_text(field, obj, field->def, NULL);
	return r < 0 ? -ENOMEM : 0;
}

int schema_init(const struct schema *schema, void *obj)
{
	int r;

	memset(obj, 0, schema->size);
	for (size_t i = 0; i < schema->n_fields; i++) {
		r = field_init(&schema->fields[i], obj);
		if (r < 0) {
			schema_clear(schema, obj);
			return r;
		}
	}
	return 0;
}

void field_clear(const struct field *field, void *obj)
{
	switch (field->type) {
	case FIELD_STR:
		free(*str_ptr(field, obj));
		break;
	case FIELD_STRUCT:
		schema_clear(field->sub, field_ptr(field, obj));
		break;
	case FIELD_LIST:
		for (size_t i = 0; i < *field_count(field, obj); i++)
			schema_clear(field->sub, field_list_item(field, obj, i));
		free(*(void **)field_ptr(field, obj));
		*field_count(field, obj) = 0;
		break;
	default:
		break;
	}
	memset(field_ptr(field, obj), 0, field_size(field));
}

void schema_clear(const struct schema *schema, void *obj)
{
	for (size_t i = 0; i < schema->n_fields; i++)
		field_clear(&schema->fields[i], obj);
	memset(obj, 0, schema->size);
}

static int list_copy(const struct field *field, void *dst, const void *src)
{
	size_t n = *field_count(field, src);
	char *array;

	if (!n)
		return 0;
	array = calloc(n, field->sub->size);
	if (!array)
		return -ENOMEM;
	*(char **)field_ptr(field, dst) = array;

	for (size_t i = 0; i < n; i++) {
		int r = schema_copy(field->sub, field_list_item(field, dst, i), field_list_item(field, src, i));

		if (r < 0)
			return r;
		*field_count(field, dst) = i + 1;
	}
	return 0;
}

int field_copy(const struct field *field, void *dst, const void *src)
{
	char *text;

	switch (field->type) {
	case FIELD_STR:
		text = *str_ptr(field, src);
		if (!text)
			return 0;
		*str_ptr(field, dst) = strdup(text);
		return *str_ptr(field, dst) ? 0 : -ENOMEM;
	case FIELD_STRUCT:
		return schema_copy(field->sub, field_ptr(field, dst), field_ptr(field, src));
	case FIELD_LIST:
		return list_copy(field, dst, src);
	default:
		memcpy(field_ptr(field, dst), field_ptr(field, src), field_size(field));
		return 0;
	}
}

int schema_copy(const struct schema *schema, void *dst, const void *src)
{
	memset(dst, 0, schema->size);
	for (size_t i = 0; i < schema->n_fields; i++) {
		int r = field_copy(&schema->fields[i], dst, src);

		if (r < 0) {
			schema_clear(schema, dst);
			return r;
		}
	}
	return 0;
}

static bool list_equal(const struct field *field, const void *a, const void *b)
{
	size_t n = *field_count(field, a);

	if (n != *field_count(field, b))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!schema_equal(field->sub, field_list_item(field, a, i), field_list_item(field, b, i)))
			return false;
	return true;
}

static bool text_equal(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

bool field_equal(const struct field *field, const void *a, const void *b)
{
	switch (field->type) {
	case FIELD_STR:
		return text_equal(*str_ptr(field, a), *str_ptr(field, b));
	case FIELD_STRUCT:
		return schema_equal(field->sub, field_ptr(field, a), field_ptr(field, b));
	case FIELD_LIST:
		return list_equal(field, a, b);
	default:
		return memcmp(field_ptr(field, a), field_ptr(field, b), field_size(field)) == 0;
	}
}

bool schema_equal(const struct schema *schema, const void *a, const void *b)
{
	for (size_t i = 0; i < schema->n_fields; i++)
		if (!field_equal(&schema->fields[i], a, b))
			return false;
	return true;
}

const struct field *schema_field_n(const struct schema *schema, const char *name, size_t len)
{
	for (size_t i = 0; i < schema->n_fields; i++)
		if (strlen(schema->fields[i].name) == len &&
		    memcmp(schema->fields[i].name, name, len) == 0)
			return &schema->fields[i];
	return NULL;
}

const struct field *schema_field(const struct schema *schema, const char *name)
{
	return schema_field_n(schema, name, strlen(name));
}

static bool struct_is_unset(const struct schema *schema, const void *obj);

bool field_is_unset(const struct field *field, const void *obj)
{
	static const uint8_t zero[16];

	switch (field->type) {
	case FIELD_STR:
		return !*str_ptr(field, obj);
	case FIELD_UUID:
	case FIELD_MAC:
		return memcmp(field_ptr(field, obj), zero, field_size(field)) == 0;
	case FIELD_U32:
	case FIELD_U64:
		return field->omit_zero && !field_get_number(field, obj);
	case FIELD_STRUCT:
		return struct_is_unset(field->sub, field_ptr(field, obj));
	default:
		return false;
	}
}

static bool struct_is_unset(const struct schema *schema, const void *obj)
{
	if (schema->key)
		return !*schema_key(schema, obj);
	for (size_t i = 0; i < schema->n_fields; i++)
		if (!field_is_unset(&schema->fields[i], obj))
			return false;
	return true;
}

static bool struct_is_default(const struct schema *schema, const void *obj)
{
	for (size_t i = 0; i < schema->n_fields; i++)
		if (!field_is_default(&schema->fields[i], obj))
			return false;
	return true;
}

static uint64_t default_number(const struct field *field)
{
	struct field alone = *field;
	uint64_t value = 0;

	alone.offset = 0;
	if (field->def)
		field_set_text(&alone, &value, field->def, NULL);
	return field_get_number(&alone, &value);
}

bool field_is_default(const struct field *field, const void *obj)
{
	switch (field->type) {
	case FIELD_STR:
		return text_equal(*str_ptr(field, obj), field->def);
	case FIELD_STRUCT:
		return struct_is_default(field->sub, field_ptr(field, obj));
	case FIELD_LIST:
		return *field_count(field, obj) == 0;
	case FIELD_UUID:
	case FIELD_MAC:
		return field_is_unset(field, obj);
	default:
		return field_get_number(field, obj) == default_number(field);
	}
}

void *field_list_append(const struct field *field, void *obj)
{
	size_t *n = field_count(field, obj);
	void *array = *(void **)field_ptr(field, obj);

	if (field->max && *n >= field->max)
		return NULL;
	array = reallocarray(array, *n + 1, field->sub->size);
	if (!array)
		return NULL;
	*(void **)field_ptr(field, obj) = array;
	if (schema_init(field->sub, field_list_item(field, obj, *n)) < 0)
		return NULL;
	return field_list_item(field, obj, (*n)++);
}
