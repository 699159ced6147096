/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/body.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int file_read(const char *path, char **ret, struct hvd_error *err)
{
	AUTO(fclose) FILE *opened = NULL;
	AUTO(free) char *text = malloc(FILE_MAX + 2);
	FILE *f = stdin;
	size_t n;

	if (!text)
		return hvd_err(err, ENOMEM, "out of memory");
	if (strcmp(path, "-")) {
		f = opened = fopen(path, "re");
		if (!f)
			return hvd_err(err, errno, "%s: %s", path, strerror(errno));
	}
	n = fread(text, 1, FILE_MAX + 1, f);
	if (ferror(f))
		return hvd_err(err, errno, "%s: %s", path, strerror(errno));
	if (n > FILE_MAX)
		return hvd_err(err, EFBIG, "%s: larger than %d KiB", path, FILE_MAX / 1024);
	text[n] = '\0';
	if (strlen(text) != n)
		return hvd_err(err, EINVAL, "%s: is not text", path);
	*ret = TAKE(text);
	return 0;
}

static int make_absolute(json_t *obj, const struct field *field, struct hvd_error *err)
{
	const char *path = json_string_value(json_object_get(obj, field->name));
	AUTO(free) char *cwd = NULL;
	json_t *absolute;

	if (!path || !field_is_relative_path(field, path))
		return 0;
	cwd = getcwd(NULL, 0);
	if (!cwd)
		return hvd_err(err, errno, "current folder: %s", strerror(errno));
	absolute = json_sprintf("%s/%s", strcmp(cwd, "/") ? cwd : "",
				strncmp(path, "./", 2) ? path : path + 2);
	if (!absolute || json_object_set_new(obj, field->name, absolute) < 0)
		return hvd_err(err, ENOMEM, "%s: cannot make it absolute", path);
	return 0;
}

int body_make_absolute(const struct schema *schema, json_t *obj, struct hvd_error *err)
{
	int r = 0;

	for (size_t i = 0; i < schema->n_fields && r == 0; i++) {
		const struct field *field = &schema->fields[i];
		json_t *value = json_object_get(obj, field->name), *item;
		size_t index;

		if (field->path)
			r = make_absolute(obj, field, err);
		else if (field->type == FIELD_STRUCT && value)
			r = body_make_absolute(field->sub, value, err);
		else if (field->type == FIELD_LIST)
			json_array_foreach(value, index, item)
				r = r ? r : body_make_absolute(field->sub, item, err);
	}
	return r;
}

/* What --file says. */
static int read_settings(const char *path, json_t **ret, struct hvd_error *err)
{
	AUTO(free) char *text = NULL;
	json_t *json;
	int r;

	r = file_read(path, &text, err);
	if (r < 0)
		return r;
	r = json_parse(text, strlen(text), &json, err);
	if (r < 0)
		return hvd_err_prefix(err, r, "%s", path);
	if (!json_is_object(json)) {
		json_decref(json);
		return hvd_err(err, EINVAL, "%s: is no JSON object", path);
	}
	*ret = json;
	return 0;
}

int body_build(const struct invocation *inv, char **ret, struct hvd_error *err)
{
	const struct command *command = inv->command;
	AUTO(json_decref) json_t *body = NULL;
	int r = 0;

	if (inv->options.file)
		r = read_settings(inv->options.file, &body, err);
	else
		body = json_object();
	if (r < 0)
		return hvd_err_in(err, r, "--file");
	if (!body || json_object_update_recursive(body, inv->body) < 0)
		return hvd_err(err, ENOMEM, "out of memory");
	if (!strchr(command->op->path, '{') && inv->operand &&
	    json_object_set_new(body, "name", json_string(inv->operand)) < 0)
		return hvd_err(err, EINVAL, "name: \"%s\" is not UTF-8", inv->operand);

	r = body_make_absolute(command->settings, body, err);
	if (r < 0)
		return r;
	*ret = json_dumps(body, JSON_COMPACT);
	return *ret ? 0 : hvd_err(err, ENOMEM, "out of memory");
}
