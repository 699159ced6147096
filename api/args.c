/* SPDX-License-Identifier: Apache-2.0 */
#include "api/args.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/json.h"
#include "vmm/base/cleanup.h"

#define DEPTH_MAX 4 /* of structs within structs */

/* Where a flag's value goes: the field, and the structs around it. */
struct target {
	const struct field *field;
	const struct field *within[DEPTH_MAX];
	size_t depth;
	bool singular; /* what is a list has the name of one of its items */
};

/* Is name (of len bytes) the flag or key of this field? '-' and '_' are the same. */
static bool named(const struct field *field, bool singular, const char *name, size_t len)
{
	size_t want = strlen(field->name);

	if (singular && field->name[want - 1] == 's')
		want--;
	if (len != want)
		return false;
	for (size_t i = 0; i < len; i++)
		if (name[i] != field->name[i] && !(name[i] == '-' && field->name[i] == '_'))
			return false;
	return true;
}

/* Structs have no flag of their own: their members are looked for as if they stood outside. */
static bool find(const struct schema *schema, const char *name, size_t len, struct target *ret)
{
	for (size_t i = 0; i < schema->n_fields; i++) {
		const struct field *field = &schema->fields[i];

		if (field->read_only)
			continue;
		if (field->type == FIELD_STRUCT) {
			if (ret->depth == DEPTH_MAX)
				continue;
			ret->within[ret->depth++] = field;
			if (find(field->sub, name, len, ret))
				return true;
			ret->depth--;
		} else if (named(field, field->type == FIELD_LIST && ret->singular, name, len)) {
			ret->field = field;
			return true;
		}
	}
	return false;
}

static int path_to_json(const struct field *field, const char *text, json_t **ret,
			struct hvd_error *err)
{
	AUTO(free) char *dir = NULL;
	AUTO(free) char *path = NULL;

	dir = getcwd(NULL, 0);
	if (!dir)
		return hvd_err_field(err, errno, field->name, "working directory: %s",
				     strerror(errno));
	if (asprintf(&path, "%s/%s", dir, text) < 0) {
		path = NULL;
		return hvd_err_field(err, ENOMEM, field->name, "out of memory");
	}
	return json_from_text(field, path, ret, err);
}

static int list_item_to_json(const struct schema *schema, const char *text, json_t **ret,
			     struct hvd_error *err);

/* Takes value over. */
static int append(json_t *object, const char *name, json_t *value)
{
	if (!json_is_array(json_object_get(object, name)))
		json_object_set_new(object, name, json_array());
	return json_array_append_new(json_object_get(object, name), value);
}

static int scalar_to_json(const struct field *field, const char *text, json_t **ret,
			  struct hvd_error *err)
{
	return field_is_relative_path(field, text) ? path_to_json(field, text, ret, err)
						   : json_from_text(field, text, ret, err);
}

/* Cut the next item off *text ("a,,b,c": "a,b"), in place. */
static char *next_item(char **text)
{
	char *start = *text, *out = start, *in = start;

	for (; *in; in++) {
		if (*in == ',' && *++in != ',')
			break;
		*out++ = *in;
	}
	*text = *in || in[-1] == ',' ? in : NULL;
	*out = '\0';
	return start;
}

/* The object that the field is a member of, made as far as it is missing. */
static json_t *container(json_t *json, const struct target *target)
{
	for (size_t i = 0; json && i < target->depth; i++) {
		const char *name = target->within[i]->name;

		if (!json_is_object(json_object_get(json, name)))
			json_object_set_new(json, name, json_object());
		json = json_object_get(json, name);
	}
	return json;
}

/* "key=value", "bool", or in the first place a bare value. */
static int add_item(const struct schema *schema, const char *item, bool first, json_t *object,
		    struct hvd_error *err)
{
	size_t len = strspn(item, "abcdefghijklmnopqrstuvwxyz0123456789-_");
	struct target target = { 0 };
	const struct field *field = find(schema, item, len, &target) ? target.field : NULL;
	const char *value = item + len + 1;
	json_t *json = NULL;
	int r;

	if (item[len] == '=' && !field)
		return hvd_err(err, EINVAL, "unknown key '%.*s'", (int)len, item);
	if (item[len] != '=' && field && field->type == FIELD_BOOL && !item[len]) {
		value = "yes";
	} else if (item[len] != '=') {
		if (!first)
			return hvd_err(err, EINVAL, "'%.64s' is not KEY=VALUE", item);
		target = (struct target){ .field = &schema->fields[0] };
		value = item;
	}
	field = target.field;

	/* a list within: its commas were doubled, and are single now */
	r = field->type == FIELD_LIST ? list_item_to_json(field->sub, value, &json, err)
				      : scalar_to_json(field, value, &json, err);
	if (r < 0)
		return r;
	object = container(object, &target);
	r = field->type == FIELD_LIST ? append(object, field->name, json)
				      : json_object_set_new(object, field->name, json);
	return r < 0 ? hvd_err(err, ENOMEM, "out of memory") : 0;
}

static int list_item_to_json(const struct schema *schema, const char *text, json_t **ret,
			     struct hvd_error *err)
{
	AUTO(json_decref) json_t *object = json_object();
	AUTO(free) char *copy = strdup(text);
	char *rest = copy;
	bool first = true;
	int r;

	if (!object || !copy)
		return hvd_err(err, ENOMEM, "out of memory");
	while (rest && *text) {
		r = add_item(schema, next_item(&rest), first, object, err);
		if (r < 0)
			return r;
		first = false;
	}
	*ret = TAKE(object);
	return 0;
}

static int store(const struct target *target, const char *text, json_t *json, struct hvd_error *err)
{
	const struct field *field = target->field;
	json_t *object = container(json, target);
	json_t *value = NULL;
	int r;

	if (field->type != FIELD_LIST) {
		r = scalar_to_json(field, text, &value, err);
		if (r < 0)
			return r;
		return json_object_set_new(object, field->name, value) < 0 ? -ENOMEM : 0;
	}

	r = list_item_to_json(field->sub, text, &value, err);
	if (r < 0)
		return r;
	return append(object, field->name, value) < 0 ? -ENOMEM : 0;
}

/* Names the flag instead of the field: "--vcpus: …", "--disk: cache: …". */
static int blame_flag(const struct target *target, const char *flag, size_t len, int r,
		      struct hvd_error *err)
{
	if (!err)
		return r;
	if (!err->code)
		hvd_err(err, -r, "%s", strerror(-r));
	if (target->field->type == FIELD_LIST && err->field[0])
		hvd_err_prefix(err, r, "%s", err->field);
	err->field[0] = '\0';
	return hvd_err_in(err, r, "%.*s", (int)len, flag);
}

int args_take(const struct schema *schema, int argc, char **argv, int *index, json_t *json,
	      struct hvd_error *err)
{
	struct target target = { .singular = true };
	const char *flag = argv[*index], *value;
	const char *name = flag + 2;
	bool negated = false;
	int used = 1;
	size_t len;
	int r;

	if (strncmp(flag, "--", 2) != 0)
		return 0;
	len = strcspn(name, "=");
	value = name[len] ? name + len + 1 : NULL;
	if (!find(schema, name, len, &target)) {
		negated = strncmp(name, "no-", 3) == 0 && !value &&
			  find(schema, name + 3, len - 3, &target);
		if (!negated || target.field->type != FIELD_BOOL)
			return 0;
	}

	if (!value && target.field->type == FIELD_BOOL)
		value = negated ? "no" : "yes";
	if (!value) {
		if (*index + 1 >= argc)
			return hvd_err_field(err, EINVAL, flag, "needs a value");
		value = argv[*index + 1];
		used = 2;
	}
	r = store(&target, value, json, err);
	if (r < 0)
		return blame_flag(&target, flag, len + 2, r, err);
	*index += used;
	return 1;
}
