/* SPDX-License-Identifier: Apache-2.0 */
#include "api/dbus.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/json.h"
#include "vmm/base/cleanup.h"

const char *dbus_field_signature(const struct field *field)
{
	static const char *const signatures[] = {
		[FIELD_STR] = "s",       [FIELD_BOOL] = "b", [FIELD_U32] = "u",
		[FIELD_U64] = "t",       [FIELD_SIZE] = "t", [FIELD_ENUM] = "s",
		[FIELD_UUID] = "s",      [FIELD_MAC] = "s",  [FIELD_STRUCT] = "a{sv}",
		[FIELD_LIST] = "aa{sv}",
	};

	return signatures[field->type];
}

static int append_list(sd_bus_message *m, const struct field *field, const void *obj)
{
	const char *array = *(char **)field_ptr(field, obj);
	int r;

	r = sd_bus_message_open_container(m, 'a', "a{sv}");
	for (size_t i = 0; r >= 0 && i < *field_count(field, obj); i++)
		r = dbus_append_obj(m, field->sub, array + i * field->sub->size);
	return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_text(sd_bus_message *m, const struct field *field, const void *obj)
{
	AUTO(free) char *text = NULL;
	int r;

	r = field_get_text(field, obj, &text);
	return r < 0 ? r : sd_bus_message_append_basic(m, 's', text ? text : "");
}

int dbus_append_field(sd_bus_message *m, const struct field *field, const void *obj)
{
	uint64_t number = field_get_number(field, obj);
	uint32_t number32 = (uint32_t)number;
	int truth = number != 0;

	switch (field->type) {
	case FIELD_BOOL:
		return sd_bus_message_append_basic(m, 'b', &truth);
	case FIELD_U32:
		return sd_bus_message_append_basic(m, 'u', &number32);
	case FIELD_U64:
	case FIELD_SIZE:
		return sd_bus_message_append_basic(m, 't', &number);
	case FIELD_STRUCT:
		return dbus_append_obj(m, field->sub, field_ptr(field, obj));
	case FIELD_LIST:
		return append_list(m, field, obj);
	case FIELD_STR:
	case FIELD_ENUM:
	case FIELD_UUID:
	case FIELD_MAC:
		break;
	}
	return append_text(m, field, obj);
}

static int append_entry(sd_bus_message *m, const struct field *field, const void *obj)
{
	int r;

	r = sd_bus_message_open_container(m, 'e', "sv");
	if (r >= 0)
		r = sd_bus_message_append_basic(m, 's', field->name);
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'v', dbus_field_signature(field));
	if (r >= 0)
		r = dbus_append_field(m, field, obj);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	return r < 0 ? r : sd_bus_message_close_container(m);
}

int dbus_append_obj(sd_bus_message *m, const struct schema *schema, const void *obj)
{
	int r;

	r = sd_bus_message_open_container(m, 'a', "{sv}");
	for (size_t i = 0; r >= 0 && i < schema->n_fields; i++)
		if (!field_is_unset(&schema->fields[i], obj))
			r = append_entry(m, &schema->fields[i], obj);
	return r < 0 ? r : sd_bus_message_close_container(m);
}

static const char *json_signature(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return "a{sv}";
	case JSON_ARRAY:
		return "av";
	case JSON_STRING:
		return "s";
	case JSON_INTEGER:
		return json_integer_value(value) < 0 ? "x" : "t";
	case JSON_REAL:
		return "d";
	case JSON_TRUE:
	case JSON_FALSE:
	case JSON_NULL:
		break;
	}
	return "b";
}

static int append_array(sd_bus_message *m, const json_t *array)
{
	int r;

	r = sd_bus_message_open_container(m, 'a', "v");
	for (size_t i = 0; r >= 0 && i < json_array_size(array); i++)
		r = dbus_append_json(m, json_array_get(array, i));
	return r < 0 ? r : sd_bus_message_close_container(m);
}

int dbus_append_json_object(sd_bus_message *m, const json_t *object)
{
	const char *key;
	json_t *value;
	int r;

	r = sd_bus_message_open_container(m, 'a', "{sv}");
	if (r < 0)
		return r;
	json_object_foreach((json_t *)object, key, value)
	{
		if (json_is_null(value))
			continue;
		r = sd_bus_message_open_container(m, 'e', "sv");
		if (r >= 0)
			r = sd_bus_message_append_basic(m, 's', key);
		if (r >= 0)
			r = dbus_append_json(m, value);
		if (r >= 0)
			r = sd_bus_message_close_container(m);
		if (r < 0)
			return r;
	}
	return sd_bus_message_close_container(m);
}

static int append_value(sd_bus_message *m, const json_t *value, char type)
{
	json_int_t integer = json_integer_value(value);
	double real = json_real_value(value);
	int truth = json_is_true(value);

	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return dbus_append_json_object(m, value);
	case JSON_ARRAY:
		return append_array(m, value);
	case JSON_STRING:
		return sd_bus_message_append_basic(m, 's', json_string_value(value));
	case JSON_INTEGER:
		return sd_bus_message_append_basic(m, type, &integer);
	case JSON_REAL:
		return sd_bus_message_append_basic(m, 'd', &real);
	case JSON_TRUE:
	case JSON_FALSE:
		return sd_bus_message_append_basic(m, 'b', &truth);
	case JSON_NULL:
		break;
	}
	return -EINVAL;
}

int dbus_append_json(sd_bus_message *m, const json_t *value)
{
	const char *signature = json_signature(value);
	int r;

	r = sd_bus_message_open_container(m, 'v', signature);
	if (r >= 0)
		r = append_value(m, value, *signature);
	return r < 0 ? r : sd_bus_message_close_container(m);
}
