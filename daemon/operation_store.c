/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on disk: STATE/operations/ID.json, an object as of operation_schema. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/json.h"
#include "daemon/atomic_file.h"
#include "daemon/operation_private.h"
#include "vmm/base/log.h"

#define SUFFIX   ".json"
#define FILE_MAX (16 * 1024)

static void file_name(const struct operation *operation, char name[static 32])
{
	snprintf(name, 32, "%.20s" SUFFIX, operation->info.id);
}

void operation_save(const struct operation *operation)
{
	AUTO(json_decref) json_t *json = json_from_obj(&operation_schema, &operation->info);
	AUTO(free) char *text = json ? json_dumps(json, JSON_INDENT(2)) : NULL;
	char name[32];
	int r = -ENOMEM;

	file_name(operation, name);
	if (text)
		r = atomic_write(operation->operations->folder, name, text, strlen(text), false);
	if (r < 0)
		log_warning("%s/%s: %s", operation->operations->folder, name, strerror(-r));
}

void operation_unlink(const struct operation *operation)
{
	char name[32], path[PATH_MAX];

	file_name(operation, name);
	if (snprintf(path, sizeof(path), "%s/%s", operation->operations->folder, name) < PATH_MAX &&
	    unlink(path) < 0 && errno != ENOENT)
		log_warning("%s: %s", path, strerror(errno));
}

/* The fields are read-only for clients; here they come from hvd itself. */
static int set_field(const struct field *field, const json_t *value, void *obj);

static int read_fields(const struct schema *schema, const json_t *json, void *obj)
{
	int r = json_is_object(json) ? 0 : -EINVAL;

	for (size_t i = 0; i < schema->n_fields && r >= 0; i++) {
		const json_t *value = json_object_get(json, schema->fields[i].name);

		if (value)
			r = set_field(&schema->fields[i], value, obj);
	}
	return r;
}

static int set_field(const struct field *field, const json_t *value, void *obj)
{
	if (field->type == FIELD_STRUCT)
		return read_fields(field->sub, value, field_ptr(field, obj));
	if (json_is_string(value))
		return field_set_text(field, obj, json_string_value(value), NULL);
	if (json_is_boolean(value))
		return field_set_number(field, obj, json_is_true(value), NULL);
	return field_set_number(field, obj, (uint64_t)json_integer_value(value), NULL);
}

static int load_one(const char *path, struct operation_info *info)
{
	AUTO(json_decref) json_t *json = NULL;
	AUTO(free) char *text = NULL;
	size_t len;
	int r;

	memset(info, 0, sizeof(*info));
	r = atomic_read(path, FILE_MAX, &text, &len);
	if (r >= 0)
		r = json_parse(text, len, &json, NULL);
	if (r >= 0)
		r = read_fields(&operation_schema, json, info);
	if (r >= 0 && (!info->id || !info->kind || !info->resource || !strchr(info->resource, '/') ||
			strlen(info->id) >= OPERATION_ID_SIZE))
		r = -EINVAL;
	if (r < 0)
		schema_clear(&operation_schema, info);
	return r;
}

static int by_time(const void *a, const void *b)
{
	const struct operation_info *x = a, *y = b;

	return (x->created_usec > y->created_usec) - (x->created_usec < y->created_usec);
}

static bool has_suffix(const char *name, const char *suffix)
{
	size_t len = strlen(name), n = strlen(suffix);

	return len > n && strcmp(name + len - n, suffix) == 0;
}

/* All that can be read; what cannot is of no use to anybody and removed. */
static int load_all(const char *folder, struct operation_info **ret, size_t *ret_n)
{
	AUTO(closedir) DIR *dir = opendir(folder);
	struct dirent *entry;
	char path[PATH_MAX];

	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		struct operation_info *more;

		if (!has_suffix(entry->d_name, SUFFIX) &&
		    !has_suffix(entry->d_name, SUFFIX ATOMIC_SUFFIX))
			continue;
		if (snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name) >= PATH_MAX)
			continue;
		more = reallocarray(*ret, *ret_n + 1, sizeof(*more));
		if (!more)
			return -ENOMEM;
		*ret = more;
		if (has_suffix(entry->d_name, SUFFIX) && load_one(path, &more[*ret_n]) >= 0)
			(*ret_n)++;
		else
			unlink(path);
	}
	return 0;
}

int operation_load(struct operations *operations,
		   int (*fn)(struct operations *operations, struct operation_info *info))
{
	AUTO(free) struct operation_info *infos = NULL;
	size_t n = 0;
	int r;

	r = load_all(operations->folder, &infos, &n);
	if (n)
		qsort(infos, n, sizeof(*infos), by_time);
	for (size_t i = 0; i < n; i++) {
		if (r >= 0)
			r = fn(operations, &infos[i]);
		if (r < 0)
			schema_clear(&operation_schema, &infos[i]);
	}
	return r;
}
