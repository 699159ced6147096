/* SPDX-License-Identifier: Apache-2.0 */
#include "api/json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api/suggest.h"

/*
 * Jansson recurses for each level, 2048 deep at most, and so does everything that walks the result.
 * Brackets are counted before: strings are skipped, and what is not JSON is found by Jansson.
 */
static int check_depth(const char *text, size_t len, struct hvd_error *err)
{
	bool in_string = false;
	size_t depth = 0;

	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (in_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
		} else if (c == '"') {
			in_string = true;
		} else if (c == '[' || c == '{') {
			if (++depth > JSON_DEPTH_MAX)
				return hvd_err(err, EBADMSG, "JSON is nested deeper than %d levels",
					       JSON_DEPTH_MAX);
		} else if ((c == ']' || c == '}') && depth) {
			depth--;
		}
	}
	return 0;
}

int json_parse(const char *text, size_t len, json_t **ret, struct hvd_error *err)
{
	json_error_t error;
	json_t *json;
	int r;

	r = check_depth(text, len, err);
	if (r < 0)
		return r;
	json = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	if (!json)
		return hvd_err(err, EBADMSG, "not valid JSON: line %d, column %d: %s", error.line,
			       error.column, error.text);
	*ret = json;
	return 0;
}

static const char *type_name(const json_t *json)
{
	static const char *const names[] = {
		[JSON_OBJECT] = "an object", [JSON_ARRAY] = "an array",
		[JSON_STRING] = "a string",  [JSON_INTEGER] = "an integer",
		[JSON_REAL] = "a fraction",  [JSON_TRUE] = "a boolean",
		[JSON_FALSE] = "a boolean",  [JSON_NULL] = "null",
	};

	return names[json_typeof(json)];
}

static int wrong_type(const struct field *field, const json_t *json, const char *want,
		      struct hvd_error *err)
{
	return hvd_err_field(err, EINVAL, field->name, "must be %s, not %s", want, type_name(json));
}

static int read_text(const struct field *field, const json_t *json, void *obj,
		     struct hvd_error *err)
{
	if (!json_is_string(json))
		return wrong_type(field, json, "a string", err);
	return field_set_text(field, obj, json_string_value(json), err);
}

static int read_number(const struct field *field, const json_t *json, void *obj,
		       struct hvd_error *err)
{
	if (!json_is_integer(json))
		return wrong_type(field, json, "an integer", err);
	if (json_integer_value(json) < 0)
		return hvd_err_field(err, ERANGE, field->name, "must not be negative");
	return field_set_number(field, obj, (uint64_t)json_integer_value(json), err);
}

static int read_size(const struct field *field, const json_t *json, void *obj,
		     struct hvd_error *err)
{
	if (json_is_string(json))
		return read_text(field, json, obj, err);
	if (json_is_integer(json))
		return read_number(field, json, obj, err);
	return wrong_type(field, json, "a number of bytes or a text such as \"512M\"", err);
}

/* Whose members: a client's, which may not set all of them. */
enum writer { CLIENT, HVD };

static int read_object(const struct schema *schema, const json_t *json, enum writer writer,
		       void *obj, struct hvd_error *err);

static int read_list(const struct field *field, const json_t *json, enum writer writer, void *obj,
		     struct hvd_error *err)
{
	size_t n = json_array_size(json);

	if (!json_is_array(json))
		return wrong_type(field, json, "an array", err);
	if (field->max && n > field->max)
		return hvd_err_field(err, ERANGE, field->name,
				     "has %zu items: at most %" PRIu64 " are possible", n,
				     field->max);

	for (size_t i = 0; i < n; i++) {
		void *element = field_list_append(field, obj);
		int r;

		if (!element)
			return hvd_err_field(err, ENOMEM, field->name, "out of memory");
		r = read_object(field->sub, json_array_get(json, i), writer, element, err);
		if (r < 0)
			return hvd_err_in(err, r, "%s[%zu]", field->name, i);
	}
	return 0;
}

static int read_field(const struct field *field, const json_t *json, enum writer writer, void *obj,
		      struct hvd_error *err)
{
	int r;

	if (field->read_only && writer == CLIENT)
		return hvd_err_field(err, EINVAL, field->name, "is read-only");

	switch (field->type) {
	case FIELD_BOOL:
		if (!json_is_boolean(json))
			return wrong_type(field, json, "true or false", err);
		return field_set_number(field, obj, json_is_true(json), err);
	case FIELD_U32:
	case FIELD_U64:
		return read_number(field, json, obj, err);
	case FIELD_SIZE:
		return read_size(field, json, obj, err);
	case FIELD_STRUCT:
		r = read_object(field->sub, json, writer, field_ptr(field, obj), err);
		return r < 0 ? hvd_err_in(err, r, "%s", field->name) : 0;
	case FIELD_LIST:
		return read_list(field, json, writer, obj, err);
	case FIELD_STR:
	case FIELD_ENUM:
	case FIELD_UUID:
	case FIELD_MAC:
		break;
	}
	return read_text(field, json, obj, err);
}

static int unknown_member(const struct schema *schema, const char *key, struct hvd_error *err)
{
	struct suggestion near = { 0 };

	for (size_t i = 0; i < schema->n_fields; i++)
		suggest(&near, key, schema->fields[i].name);
	if (near.name)
		return hvd_err_field(err, EINVAL, key, "unknown member: did you mean '%s'?",
				     near.name);
	return hvd_err_field(err, EINVAL, key, "unknown member");
}

/* Into an object that has its defaults already. */
static int read_object(const struct schema *schema, const json_t *json, enum writer writer,
		       void *obj, struct hvd_error *err)
{
	const char *key;
	json_t *value;

	if (!json_is_object(json))
		return hvd_err(err, EINVAL, "must be an object, not %s", type_name(json));

	json_object_foreach((json_t *)json, key, value)
	{
		const struct field *field = schema_field(schema, key);
		int r = field ? read_field(field, value, writer, obj, err)
			      : unknown_member(schema, key, err);

		if (r < 0)
			return r;
	}
	return 0;
}

static int to_obj(const struct schema *schema, json_t *json, enum writer writer, void *obj,
		  struct hvd_error *err)
{
	int r;

	r = schema_init(schema, obj);
	if (r < 0)
		return hvd_err(err, ENOMEM, "out of memory");
	r = read_object(schema, json, writer, obj, err);
	if (r == 0)
		r = schema_check(schema, obj, err);
	if (r < 0)
		schema_clear(schema, obj);
	return r;
}

int json_to_obj(const struct schema *schema, json_t *json, void *obj, struct hvd_error *err)
{
	return to_obj(schema, json, CLIENT, obj, err);
}

int json_to_whole_obj(const struct schema *schema, json_t *json, void *obj, struct hvd_error *err)
{
	return to_obj(schema, json, HVD, obj, err);
}

static json_t *write_list(const struct field *field, const void *obj)
{
	const char *array = *(char **)field_ptr(field, obj);
	AUTO(json_decref) json_t *list = json_array();

	for (size_t i = 0; list && i < *field_count(field, obj); i++) {
		json_t *item = json_from_obj(field->sub, array + i * field->sub->size);

		if (json_array_append_new(list, item) < 0)
			return NULL;
	}
	return TAKE(list);
}

static json_t *write_text(const struct field *field, const void *obj)
{
	AUTO(free) char *text = NULL;

	if (field_get_text(field, obj, &text) < 0)
		return NULL;
	return json_string(text);
}

static json_t *write_field(const struct field *field, const void *obj)
{
	switch (field->type) {
	case FIELD_BOOL:
		return json_boolean(field_get_number(field, obj));
	case FIELD_U32:
	case FIELD_U64:
	case FIELD_SIZE:
		return json_integer((json_int_t)field_get_number(field, obj));
	case FIELD_STRUCT:
		return json_from_obj(field->sub, field_ptr(field, obj));
	case FIELD_LIST:
		return write_list(field, obj);
	case FIELD_STR:
	case FIELD_ENUM:
	case FIELD_UUID:
	case FIELD_MAC:
		break;
	}
	return write_text(field, obj);
}

json_t *json_from_obj(const struct schema *schema, const void *obj)
{
	AUTO(json_decref) json_t *json = json_object();

	for (size_t i = 0; json && i < schema->n_fields; i++) {
		const struct field *field = &schema->fields[i];

		if (field_is_unset(field, obj))
			continue;
		if (json_object_set_new(json, field->name, write_field(field, obj)) < 0)
			return NULL;
	}
	return TAKE(json);
}

/* The text is tried on a value of its own, so that errors come at once. */
int json_from_text(const struct field *field, const char *text, json_t **ret,
		   struct hvd_error *err)
{
	union {
		uint64_t number;
		char *text;
		uint8_t bytes[16];
	} value = { .bytes = { 0 } };
	struct field alone = *field;
	json_t *json;
	int r;

	alone.offset = 0;
	r = *text || field->type != FIELD_STR ? field_set_text(&alone, &value, text, err) : 0;
	if (r < 0)
		return r;

	switch (field->type) {
	case FIELD_STR:
		free(value.text);
		json = json_string(text);
		break;
	case FIELD_BOOL:
		json = json_boolean(field_get_number(&alone, &value));
		break;
	case FIELD_U32:
	case FIELD_U64:
		json = json_integer((json_int_t)field_get_number(&alone, &value));
		break;
	default:
		json = json_string(text);
		break;
	}
	if (!json)
		return hvd_err_field(err, EINVAL, field->name, "is not UTF-8 text");
	*ret = json;
	return 0;
}

/* RFC 7396 §2. target is an object that the caller owns alone. */
static int merge(json_t *target, json_t *patch)
{
	const char *key;
	json_t *value;

	json_object_foreach(patch, key, value)
	{
		json_t *old = json_object_get(target, key);
		int r = 0;

		if (json_is_null(value)) {
			json_object_del(target, key);
		} else if (!json_is_object(value)) {
			r = json_object_set(target, key, value);
		} else {
			if (!json_is_object(old))
				r = json_object_set_new(target, key, json_object());
			if (r == 0)
				r = merge(json_object_get(target, key), value);
		}
		if (r < 0)
			return -ENOMEM;
	}
	return 0;
}

/* null resets what exists; a misspelt member would be ignored without this. */
static int check_patch_names(const struct schema *schema, json_t *patch, struct hvd_error *err)
{
	const char *key;
	json_t *value;
	int r;

	if (!json_is_object(patch))
		return hvd_err(err, EINVAL, "must be an object, not %s", type_name(patch));

	json_object_foreach(patch, key, value)
	{
		const struct field *field = schema_field(schema, key);

		if (!field)
			return unknown_member(schema, key, err);
		if (field->type != FIELD_STRUCT || json_is_null(value))
			continue;
		r = check_patch_names(field->sub, value, err);
		if (r < 0)
			return hvd_err_in(err, r, "%s", field->name);
	}
	return 0;
}

int json_merge_obj(const struct schema *schema, const void *obj, json_t *patch, void *ret_obj,
		   struct hvd_error *err)
{
	AUTO(json_decref) json_t *json = NULL;
	int r;

	memset(ret_obj, 0, schema->size);
	r = check_patch_names(schema, patch, err);
	if (r < 0)
		return r;
	json = json_from_obj(schema, obj);
	if (!json || merge(json, patch) < 0)
		return hvd_err(err, ENOMEM, "out of memory");
	return json_to_obj(schema, json, ret_obj, err);
}
