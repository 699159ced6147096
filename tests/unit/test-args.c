/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/args.h"
#include "api/errors.h"
#include "api/json.h"
#include "api/vm_schema.h"
#include "tests/unit/fill.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/macro.h"

#define MAX_ARGS 128

/* An argument vector that is made up. */
struct words {
	char *argv[MAX_ARGS];
	int argc;
};

static void add(struct words *words, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add(struct words *words, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	assert_true(words->argc < MAX_ARGS - 1);
	assert_true(vasprintf(&words->argv[words->argc++], fmt, ap) >= 0);
	va_end(ap);
}

static void clear(struct words *words)
{
	for (int i = 0; i < words->argc; i++)
		free(words->argv[i]);
	memset(words, 0, sizeof(*words));
}

/* "a,b" -> "a,,b" */
static void add_escaped(char *to, const char *text)
{
	to += strlen(to);
	for (; *text; text++) {
		*to++ = *text;
		if (*text == ',')
			*to++ = ',';
	}
	*to = '\0';
}

static void add_keys(const struct schema *schema, const char *obj, char *item);

static void add_items(const struct field *list, const char *obj, char *item)
{
	const char *array = *(char **)field_ptr(list, obj);

	for (size_t i = 0; i < *field_count(list, obj); i++) {
		char inner[256] = "";

		add_keys(list->sub, array + i * list->sub->size, inner);
		sprintf(item + strlen(item), "%s%s=", item[0] ? "," : "", list->name);
		add_escaped(item, inner);
	}
}

static void add_keys(const struct schema *schema, const char *obj, char *item)
{
	for (size_t i = 0; i < schema->n_fields; i++) {
		const struct field *key = &schema->fields[i];
		AUTO(free) char *text = NULL;

		if (key->type == FIELD_STRUCT) {
			add_keys(key->sub, field_ptr(key, obj), item);
			continue;
		}
		if (key->type == FIELD_LIST) {
			add_items(key, obj, item);
			continue;
		}
		assert_int_equal(field_get_text(key, obj, &text), 0);
		if (!text)
			continue;
		sprintf(item + strlen(item), "%s%s=", item[0] ? "," : "", key->name);
		add_escaped(item, text);
	}
}

static void add_list(struct words *words, const struct field *field, const void *obj,
		     const char *flag)
{
	const char *array = *(char **)field_ptr(field, obj);

	for (size_t i = 0; i < *field_count(field, obj); i++) {
		char item[1024] = "";

		add_keys(field->sub, array + i * field->sub->size, item);
		add(words, "%s", flag);
		add(words, "%s", item);
	}
}

struct walk {
	struct words *words;
	const struct schema *schema;
	const void *obj;
	unsigned flags;
};

/* The object that a flag's field is a member of: the whole one, or a struct in it. */
static const void *owner(const struct schema *schema, const void *obj, const struct field *field)
{
	for (size_t i = 0; i < schema->n_fields; i++) {
		const struct field *f = &schema->fields[i];
		const void *found;

		if (f == field)
			return obj;
		found = f->type == FIELD_STRUCT ? owner(f->sub, field_ptr(f, obj), field) : NULL;
		if (found)
			return found;
	}
	return NULL;
}

static void add_flag(void *ctx, const char *flag, const char *hint, const struct field *field)
{
	struct walk *walk = ctx;
	const void *obj = owner(walk->schema, walk->obj, field);
	AUTO(free) char *text = NULL;

	walk->flags++;
	assert_non_null(obj);
	assert_int_equal(hint == NULL, field->type == FIELD_BOOL);
	if (field->type == FIELD_LIST) {
		add_list(walk->words, field, obj, flag);
		return;
	}
	assert_int_equal(field_get_text(field, obj, &text), 0);
	if (field->type == FIELD_BOOL) {
		add(walk->words, "--%s%s", strcmp(text, "yes") == 0 ? "" : "no-", flag + 2);
	} else if (walk->flags % 2) {
		add(walk->words, "%s", flag);
		add(walk->words, "%s", text ? text : "");
	} else {
		add(walk->words, "%s=%s", flag, text ? text : "");
	}
}

/* struct -> arguments -> JSON -> struct, with every flag that there is. */
static void test_round_trip(void **state)
{
	AUTO(json_decref) json_t *json = json_object();
	struct words words = { 0 };
	struct vm_config vm, back;
	struct walk walk = { &words, &vm_schema, &vm, 0 };
	struct hvd_error err = { 0 };
	int i = 0;

	fill_obj(&vm_schema, &vm, 1);
	args_each(&vm_schema, add_flag, &walk);
	while (i < words.argc) {
		int before = i;

		if (args_take(&vm_schema, words.argc, words.argv, &i, json, &err) != 1)
			fail_msg("%s: %s", words.argv[i], err.msg);
		assert_true(i > before);
	}
	if (json_to_obj(&vm_schema, json, &back, &err) < 0)
		fail_msg("%s: %s", err.field, err.msg);
	assert_true(schema_equal(&vm_schema, &vm, &back));
	schema_clear(&vm_schema, &vm);
	schema_clear(&vm_schema, &back);
	clear(&words);
}

struct seen {
	char flags[64][64];
	size_t n;
};

static void check_flag(void *ctx, const char *flag, const char *hint, const struct field *field)
{
	struct seen *seen = ctx;

	assert_true(strspn(flag, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(flag));
	for (size_t i = 0; i < seen->n; i++)
		assert_string_not_equal(seen->flags[i], flag);
	snprintf(seen->flags[seen->n++], 64, "%s", flag);
}

/* Nested names lose those of their structs, so that two could be the same. */
static void test_unique(void **state)
{
	struct seen seen = { .n = 0 };

	args_each(&vm_schema, check_flag, &seen);
	assert_true(seen.n > vm_schema.n_fields);
}

static int take(json_t *json, struct hvd_error *err, int argc, const char *const *argv, int *index)
{
	char *copy[8];

	for (int i = 0; i < argc; i++)
		copy[i] = (char *)argv[i];
	return args_take(&vm_schema, argc, copy, index, json, err);
}

static void test_not_ours(void **state)
{
	static const char *const argv[] = { "demo",       "-x",    "--",      "--start",
					    "--no-vcpus", "--no-", "--disks", "--state" };
	AUTO(json_decref) json_t *json = json_object();

	for (int i = 0; i < (int)ARRAY_SIZE(argv); i++) {
		int index = i;

		assert_int_equal(take(json, NULL, ARRAY_SIZE(argv), argv, &index), 0);
		assert_int_equal(index, i);
	}
	assert_int_equal(json_object_size(json), 0);
}

static void test_short_forms(void **state)
{
	static const char *const argv[] = { "--disk",      "root.img,read-only,cache=none",
					    "--nic",       "default",
					    "--autostart", "--memory=1G" };
	AUTO(json_decref) json_t *json = json_object();
	AUTO(free) char *dir = getcwd(NULL, 0);
	char path[4200];
	json_t *disk;
	int index = 0;

	while (index < (int)ARRAY_SIZE(argv))
		assert_int_equal(take(json, NULL, ARRAY_SIZE(argv), argv, &index), 1);
	disk = json_array_get(json_object_get(json, "disks"), 0);
	snprintf(path, sizeof(path), "%s/root.img", dir);
	assert_string_equal(json_string_value(json_object_get(disk, "path")), path);
	assert_string_equal(json_string_value(json_object_get(disk, "cache")), "none");
	assert_true(json_is_true(json_object_get(disk, "read_only")));
	assert_string_equal(json_string_value(json_object_get(
				    json_array_get(json_object_get(json, "nics"), 0), "network")),
			    "default");
	assert_true(json_is_true(json_object_get(json, "autostart")));
	assert_string_equal(json_string_value(json_object_get(json, "memory")), "1G");
}

/* A list within an item: its name repeatedly, with commas doubled. */
static void test_list_within(void **state)
{
	static const char *const argv[] = { "--disk", "rbd=vms/a,monitors=10.0.0.1,user=u,"
					    "monitors=fd00::1,,port=3301" };
	AUTO(json_decref) json_t *json = json_object();
	AUTO(json_decref) json_t *want = json_pack(
		"{s:[{s:{s:s, s:[{s:s}, {s:s, s:i}], s:s}}]}", "disks", "ceph", "rbd", "vms/a", "monitors", "address",
		"10.0.0.1", "address", "fd00::1", "port", 3301, "user", "u");
	int index = 0;

	assert_int_equal(take(json, NULL, ARRAY_SIZE(argv), argv, &index), 1);
	assert_true(json_equal(json, want));
}

static const struct {
	const char *flag, *value, *error;
} refused[] = {
	{ "--disk", "rbd=vms/a,monitors=10.0.0.1,,10.0.0.2", "--disk: '10.0.0.2' is not KEY=VALUE" },
	{ "--disk", "rbd=vms/a,monitors=a=b", "--disk: unknown key 'a'" },
	{ "--disk", "rbd=vms/a,monitor=10.0.0.1", "--disk: unknown key 'monitor'" },
	{ "--vcpus", "x", "--vcpus: 'x' is not a whole number" },
	{ "--vcpus", NULL, "--vcpus: needs a value" },
	{ "--memory", "5X", "--memory: '5X' is not a size such as 512M or 2G" },
	{ "--autostart=maybe", NULL, "--autostart: 'maybe' is neither yes nor no" },
	{ "--on-reboot", "explode", "--on-reboot: 'explode' is not one of: restart, stop" },
	{ "--disk", "a,b", "--disk: 'b' is not KEY=VALUE" },
	{ "--disk", "a,", "--disk: '' is not KEY=VALUE" },
	{ "--disk", "fmt=raw", "--disk: unknown key 'fmt'" },
	{ "--disk", "a,cache=x", "--disk: cache: 'x' is not one of: none, writeback, unsafe" },
	{ "--nic", "default,mac=1",
	  "--nic: mac: '1' is not a MAC address such as 52:54:00:12:34:56" },
	{ "--name", "\xff", "--name: is not UTF-8 text" },
};

static void test_refused(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		const char *const argv[] = { refused[i].flag, refused[i].value };
		AUTO(json_decref) json_t *json = json_object();
		struct hvd_error err = { 0 };
		char text[ERROR_TEXT_SIZE];
		int index = 0;

		assert_int_equal(take(json, &err, refused[i].value ? 2 : 1, argv, &index), -EINVAL);
		assert_int_equal(index, 0);
		error_text(&err, text);
		assert_string_equal(text, refused[i].error);
		/* and without anyone to tell */
		assert_int_equal(take(json, NULL, refused[i].value ? 2 : 1, argv, &index), -EINVAL);
	}
}

struct help_walk {
	const char *text;
};

static void find_in_help(void *ctx, const char *flag, const char *hint, const struct field *field)
{
	struct help_walk *walk = ctx;
	char want[96];

	snprintf(want, sizeof(want), field->type == FIELD_BOOL ? "  --[no-]%s " : "  --%s ",
		 flag + 2);
	if (!strstr(walk->text, want))
		fail_msg("no '%s' in the help", want);
}

static void test_help(void **state)
{
	static const unsigned widths[] = { 60, 80, 120 };

	for (size_t i = 0; i < ARRAY_SIZE(widths); i++) {
		AUTO(free) char *text = NULL;
		struct help_walk walk;
		size_t size;
		FILE *f = open_memstream(&text, &size);

		assert_non_null(f);
		args_help(&vm_schema, f, widths[i]);
		fclose(f);
		walk.text = text;
		args_each(&vm_schema, find_in_help, &walk);
		for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
			assert_true(strlen(line) <= widths[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip), cmocka_unit_test(test_unique),
		cmocka_unit_test(test_not_ours),   cmocka_unit_test(test_short_forms),
		cmocka_unit_test(test_list_within),
		cmocka_unit_test(test_refused),    cmocka_unit_test(test_help),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
