/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "api/dbus.h"
#include "api/json.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/macro.h"

static int read_value(sd_bus_message *m, unsigned depth, json_t **ret, struct hvd_error *err);

/* What is not D-Bus, or cut short. */
static int malformed(struct hvd_error *err, int r)
{
	return hvd_err(err, r == -ENOMEM ? ENOMEM : EBADMSG, "malformed D-Bus message: %s",
		       strerror(-r));
}

static int made(json_t *json, json_t **ret, struct hvd_error *err)
{
	if (!json)
		return hvd_err(err, ENOMEM, "out of memory");
	*ret = json;
	return 0;
}

/* {s…} after {s…}, up to the end of the array that m has been entered. */
static int read_members(sd_bus_message *m, const char *entry, unsigned depth, json_t *object,
			struct hvd_error *err)
{
	int r;

	while ((r = sd_bus_message_enter_container(m, 'e', entry)) > 0) {
		AUTO(json_decref) json_t *value = NULL;
		const char *key;

		r = sd_bus_message_read_basic(m, 's', &key);
		if (r < 0)
			return malformed(err, r);
		if (json_object_get(object, key))
			return hvd_err_field(err, EINVAL, key, "is there twice");
		r = read_value(m, depth, &value, err);
		if (r < 0)
			return hvd_err_in(err, r, "%s", key);
		if (json_object_set_new(object, key, TAKE(value)) < 0)
			return hvd_err(err, ENOMEM, "out of memory");
		r = sd_bus_message_exit_container(m);
		if (r < 0)
			return malformed(err, r);
	}
	return r < 0 ? malformed(err, r) : 0;
}

static int read_items(sd_bus_message *m, unsigned depth, json_t *array, struct hvd_error *err)
{
	int end;

	while ((end = sd_bus_message_at_end(m, false)) == 0) {
		json_t *value;
		int r = read_value(m, depth, &value, err);

		if (r < 0)
			return hvd_err_in(err, r, "[%zu]", json_array_size(array));
		if (json_array_append_new(array, value) < 0)
			return hvd_err(err, ENOMEM, "out of memory");
	}
	return end < 0 ? malformed(err, end) : 0;
}

/* contents: what the array is of. "{s…}" is an object, all else an array. */
static int read_array(sd_bus_message *m, const char *contents, unsigned depth, json_t **ret,
		      struct hvd_error *err)
{
	bool is_object = contents[0] == '{';
	AUTO(json_decref) json_t *json = is_object ? json_object() : json_array();
	char entry[64];
	int r;

	if (!json)
		return hvd_err(err, ENOMEM, "out of memory");
	if (is_object && (contents[1] != 's' || strlen(contents) >= sizeof(entry)))
		return hvd_err(err, EINVAL, "a%s has no form in JSON", contents);

	r = sd_bus_message_enter_container(m, 'a', contents);
	if (r < 0)
		return malformed(err, r);
	if (is_object) {
		memcpy(entry, contents + 1, strlen(contents) - 2);
		entry[strlen(contents) - 2] = '\0';
		r = read_members(m, entry, depth, json, err);
	} else {
		r = read_items(m, depth, json, err);
	}
	if (r < 0)
		return r;
	r = sd_bus_message_exit_container(m);
	if (r < 0)
		return malformed(err, r);
	*ret = TAKE(json);
	return 0;
}

static int read_variant(sd_bus_message *m, const char *contents, unsigned depth, json_t **ret,
			struct hvd_error *err)
{
	AUTO(json_decref) json_t *json = NULL;
	int r;

	r = sd_bus_message_enter_container(m, 'v', contents);
	if (r < 0)
		return malformed(err, r);
	r = read_value(m, depth, &json, err);
	if (r < 0)
		return r;
	r = sd_bus_message_exit_container(m);
	if (r < 0)
		return malformed(err, r);
	*ret = TAKE(json);
	return 0;
}

static int read_text(sd_bus_message *m, char type, json_t **ret, struct hvd_error *err)
{
	const char *text;
	int r = sd_bus_message_read_basic(m, type, &text);

	return r < 0 ? malformed(err, r) : made(json_string(text), ret, err);
}

static int read_basic(sd_bus_message *m, char type, json_t **ret, struct hvd_error *err)
{
	union {
		uint8_t y;
		int b;
		int16_t n;
		uint16_t q;
		int32_t i;
		uint32_t u;
		int64_t x;
		uint64_t t;
		double d;
	} v = { .t = 0 };
	int r = sd_bus_message_read_basic(m, type, &v);

	if (r < 0)
		return malformed(err, r);
	switch (type) {
	case 'y':
		return made(json_integer(v.y), ret, err);
	case 'b':
		return made(json_boolean(v.b), ret, err);
	case 'n':
		return made(json_integer(v.n), ret, err);
	case 'q':
		return made(json_integer(v.q), ret, err);
	case 'i':
		return made(json_integer(v.i), ret, err);
	case 'u':
		return made(json_integer(v.u), ret, err);
	case 'x':
		return made(json_integer(v.x), ret, err);
	case 't':
		if (v.t > INT64_MAX)
			return hvd_err(err, ERANGE, "is too large");
		return made(json_integer((json_int_t)v.t), ret, err);
	default:
		/* jansson has no infinity and no NaN */
		if (v.d - v.d != 0)
			return hvd_err(err, ERANGE, "is no finite number");
		return made(json_real(v.d), ret, err);
	}
}

static int read_value(sd_bus_message *m, unsigned depth, json_t **ret, struct hvd_error *err)
{
	const char *contents;
	char type;
	int r;

	if (depth > JSON_DEPTH_MAX)
		return hvd_err(err, EBADMSG, "is nested deeper than %d levels", JSON_DEPTH_MAX);
	r = sd_bus_message_peek_type(m, &type, &contents);
	if (r <= 0)
		return malformed(err, r < 0 ? r : -ENODATA);

	switch (type) {
	case 'a':
		return read_array(m, contents, depth + 1, ret, err);
	case 'v':
		return read_variant(m, contents, depth + 1, ret, err);
	case 's':
	case 'o':
	case 'g':
		return read_text(m, type, ret, err);
	case 'h':
	case 'r':
	case 'e':
		return hvd_err(err, EINVAL, "type '%c' has no form in JSON", type);
	default:
		return read_basic(m, type, ret, err);
	}
}

int dbus_read_json(sd_bus_message *m, json_t **ret, struct hvd_error *err)
{
	char type;
	const char *contents;
	int r;

	r = sd_bus_message_peek_type(m, &type, &contents);
	if (r <= 0 || type != 'a' || strcmp(contents, "{sv}") != 0)
		return hvd_err(err, EBADMSG, "expected a{sv}");
	return read_value(m, 0, ret, err);
}
