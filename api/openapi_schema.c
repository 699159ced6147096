/* SPDX-License-Identifier: Apache-2.0 */
#include "api/openapi_schema.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/json.h"
#include "vmm/base/cleanup.h"

#define MAC_PATTERN  "^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}$"
#define SIZE_PATTERN "^[0-9]+([KMGTkmgt](iB)?)?$"

json_t *openapi_ref(const char *kind, const char *name, const char *suffix)
{
	char target[128];

	snprintf(target, sizeof(target), "#/components/%s/%s%s", kind, name, suffix);
	return json_pack("{s:s}", "$ref", target);
}

static int put(json_t *object, const char *key, json_t *value)
{
	return json_object_set_new(object, key, value) < 0 ? -ENOMEM : 0;
}

static int put_number(json_t *object, const char *key, uint64_t value)
{
	return put(object, key, json_integer((json_int_t)value));
}

/* In a merge patch every member may be null. */
static json_t *type_of(const char *type, const char *other, bool patch)
{
	if (!other && !patch)
		return json_string(type);
	return json_pack("[s, s*, s*]", type, other, patch ? "null" : NULL);
}

static json_t *number_schema(const struct field *field, bool patch)
{
	AUTO(json_decref) json_t *s = json_object();
	const char *text = field->type == FIELD_SIZE && !field->read_only ? "string" : NULL;
	int r;

	r = put(s, "type", type_of("integer", text, patch));
	/* without a default 0 is "not set", so the range begins there */
	if (r == 0)
		r = put_number(s, "minimum", field->def ? field->min : 0);
	if (r == 0 && field->max)
		r = put_number(s, "maximum", field->max);
	if (r == 0 && field->multiple)
		r = put_number(s, "multipleOf", field->multiple);
	if (r == 0 && text)
		r = put(s, "pattern", json_string(SIZE_PATTERN));
	return r == 0 ? TAKE(s) : NULL;
}

static json_t *str_schema(const struct field *field, bool patch)
{
	AUTO(json_decref) json_t *s = json_object();
	int r;

	r = put(s, "type", type_of("string", NULL, patch));
	if (r == 0 && field->max)
		r = put_number(s, "maxLength", field->max);
	return r == 0 ? TAKE(s) : NULL;
}

static json_t *enum_schema(const struct field *field, bool patch)
{
	AUTO(json_decref) json_t *names = json_array();
	int r = 0;

	for (unsigned i = 0; field->names[i] && r == 0; i++)
		r = json_array_append_new(names, json_string(field->names[i]));
	if (r == 0 && patch)
		r = json_array_append_new(names, json_null());
	if (r < 0)
		return NULL;
	return json_pack("{s:o, s:O}", "type", type_of("string", NULL, patch), "enum", names);
}

static json_t *list_schema(const struct field *field, bool patch)
{
	AUTO(json_decref) json_t *s = json_object();
	int r;

	r = put(s, "type", type_of("array", NULL, patch));
	if (r == 0)
		r = put(s, "items", openapi_ref("schemas", field->sub->name, ""));
	if (r == 0 && field->max)
		r = put_number(s, "maxItems", field->max);
	return r == 0 ? TAKE(s) : NULL;
}

static json_t *struct_schema(const struct field *field, bool patch)
{
	if (!patch)
		return openapi_ref("schemas", field->sub->name, "");
	return json_pack("{s:[o, {s:s}]}", "anyOf",
			 openapi_ref("schemas", field->sub->name, OPENAPI_PATCH), "type", "null");
}

static json_t *field_type(const struct field *field, bool patch)
{
	switch (field->type) {
	case FIELD_STR:
		return str_schema(field, patch);
	case FIELD_BOOL:
		return json_pack("{s:o}", "type", type_of("boolean", NULL, patch));
	case FIELD_U32:
	case FIELD_U64:
	case FIELD_SIZE:
		return number_schema(field, patch);
	case FIELD_ENUM:
		return enum_schema(field, patch);
	case FIELD_UUID:
		return json_pack("{s:o, s:s}", "type", type_of("string", NULL, patch), "format",
				 "uuid");
	case FIELD_MAC:
		return json_pack("{s:o, s:s}", "type", type_of("string", NULL, patch), "pattern",
				 MAC_PATTERN);
	case FIELD_STRUCT:
		return struct_schema(field, patch);
	case FIELD_LIST:
		break;
	}
	return list_schema(field, patch);
}

json_t *openapi_field_type(const struct field *field)
{
	return field_type(field, false);
}

static int describe(const struct field *field, json_t *s)
{
	char text[256];

	snprintf(text, sizeof(text), "%s%s%s%s", field->help, field->unit ? ", in " : "",
		 field->unit ? field->unit : "",
		 !field->def && field->min && field->type != FIELD_STR ? "; 0: not set" : "");
	return put(s, "description", json_string(text));
}

/* defaults: of the whole object, as JSON. */
static json_t *field_schema(const struct field *field, const json_t *defaults, bool patch)
{
	AUTO(json_decref) json_t *s = field_type(field, patch);
	int r;

	r = describe(field, s);
	if (r == 0 && field->def)
		r = put(s, "default", json_incref(json_object_get(defaults, field->name)));
	if (r == 0 && field->read_only)
		r = put(s, "readOnly", json_true());
	/* the members of a struct and the items of a list have their own */
	if (r == 0 && !field->read_only && field->type != FIELD_STRUCT)
		r = put(s, "x-hvd-applies", json_string(field_applies_names[field->applies]));
	return r == 0 ? TAKE(s) : NULL;
}

static json_t *defaults_of(const struct schema *schema)
{
	AUTO(free) void *obj = malloc(schema->size);
	json_t *json;

	if (!obj || schema_init(schema, obj) < 0)
		return NULL;
	json = json_from_obj(schema, obj);
	schema_clear(schema, obj);
	return json;
}

/* What has a default is not required of a client; a struct is for what is required in it. */
static bool is_required(const struct field *field)
{
	for (size_t i = 0; field->type == FIELD_STRUCT && i < field->sub->n_fields; i++)
		if (is_required(&field->sub->fields[i]))
			return true;
	return field->required && !field->def;
}

static json_t *object_schema(const struct schema *schema, bool patch)
{
	AUTO(json_decref) json_t *defaults = defaults_of(schema);
	AUTO(json_decref) json_t *properties = json_object();
	AUTO(json_decref) json_t *required = json_array();
	AUTO(json_decref) json_t *s = NULL;
	int r = defaults ? 0 : -ENOMEM;

	for (size_t i = 0; i < schema->n_fields && r == 0; i++) {
		const struct field *field = &schema->fields[i];

		r = put(properties, field->name, field_schema(field, defaults, patch));
		if (r == 0 && !patch && is_required(field))
			r = json_array_append_new(required, json_string(field->name));
	}
	s = json_pack("{s:s, s:O, s:b}", "type", "object", "properties", properties,
		      "additionalProperties", 0);
	if (r == 0 && json_array_size(required))
		r = put(s, "required", json_incref(required));
	return r == 0 ? TAKE(s) : NULL;
}

int openapi_add_schema(json_t *schemas, const struct schema *schema, bool patch)
{
	char name[64];
	int r;

	snprintf(name, sizeof(name), "%s%s", schema->name, patch ? OPENAPI_PATCH : "");
	if (json_object_get(schemas, name))
		return 0;
	r = put(schemas, name, object_schema(schema, patch));

	for (size_t i = 0; i < schema->n_fields && r == 0; i++) {
		const struct field *field = &schema->fields[i];

		/* a patch replaces lists whole: their items are no patches */
		if (field->sub)
			r = openapi_add_schema(schemas, field->sub,
					       patch && field->type == FIELD_STRUCT);
	}
	return r;
}
