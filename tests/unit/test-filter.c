/* SPDX-License-Identifier: Apache-2.0 */
/* Filters and projections of lists, and JSON written without a tree. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/event.h"
#include "api/filter.h"
#include "api/json.h"
#include "api/json_text.h"
#include "api/operation.h"
#include "api/vm_schema.h"
#include "tests/unit/fill.h"
#include "vmm/base/macro.h"

static const struct filter_part parts[] = { { "spec", &vm_schema }, { "status", &vm_status_schema } };

static struct vm_config config;
static struct vm_status status;

static int set_up(void **state)
{
	assert_int_equal(schema_init(&vm_schema, &config), 0);
	config.name = strdup("web-1");
	config.vcpus = 4;
	config.memory = 2 * GIB;
	config.autostart = true;
	config.description = strdup("one, two");
	config.boot.kernel = strdup("/boot/vmlinuz");
	config.uuid[0] = 0x52;
	status.state = VM_RUNNING;
	status.generation = 7;
	return 0;
}

static int tear_down(void **state)
{
	schema_clear(&vm_schema, &config);
	return 0;
}

static void expect(const char *text, bool want)
{
	const void *const objs[] = { &config, &status };
	struct hvd_error err = { 0 };
	struct filter filter;

	if (filter_parse(text, parts, ARRAY_SIZE(parts), &filter, &err) < 0)
		fail_msg("%s: %s", text, err.msg);
	if (filter_match(&filter, objs) != want)
		fail_msg("%s: not %d", text, want);
}

static void test_match(void **state)
{
	expect("name==web-1", true);
	expect("name==web", false);
	expect("name!=web", true);
	expect("name==web*", true);
	expect("name==*", true);
	expect("name!=db*", true);
	expect("spec.name==web-1,status.state==running", true);
	expect("state==running", true);
	expect("state==paused", false);
	expect("state!=paused", true);
	expect("state==run*", true);
	expect("vcpus==4,vcpus>=4,vcpus<=4,vcpus>3,vcpus<5", true);
	expect("vcpus>4", false);
	expect("vcpus!=4", false);
	expect("memory==2G,memory<2049M,memory>=2147483648", true);
	expect("autostart==yes,autostart!=false", true);
	expect("boot.kernel==/boot/*", true);
	expect("spec.boot.kernel==/boot/vmlinuz", true);
	expect("description==\"one, two\",generation==7", true);
	expect("resources.cpu_weight==0", true);
	expect("uuid==52*", true);
	expect("uuid==52000000-0000-0000-0000-000000000000", true);
	/* unset */
	expect("reason==", true);
	expect("reason!=", false);
	expect("reason==x", false);
}

static void refuse(const char *text, const char *why)
{
	struct hvd_error err = { 0 };
	struct filter filter;

	assert_true(filter_parse(text, parts, ARRAY_SIZE(parts), &filter, &err) < 0);
	assert_true(strncmp(err.field, "filter", 6) == 0);
	if (!strstr(err.msg, why))
		fail_msg("%s: %s", text, err.msg);
}

static void test_wrong(void **state)
{
	char many[FILTER_MAX * 16 + 32] = "vcpus==1", big[200];

	refuse("", "no member");
	refuse("nome==x", "no member nome");
	refuse("disks==x", "no member disks");
	refuse("boot==x", "no member boot");
	refuse("vcpus.x==1", "no member");
	refuse("status.name==x", "no member status.name");
	refuse("name", "no comparison");
	refuse("name=x", "no comparison at \"=x\"");
	refuse("name==x,", "no member");
	refuse("name>x", "a text is == or !=");
	refuse("vcpus==many", "not a whole number");
	refuse("vcpus==4*", "not a whole number");
	refuse("state==asleep", "not one of: shutoff");
	refuse("uuid==x", "not a UUID");
	refuse("name==\"x", "quote");
	refuse("name==\"x\"y", "quote");
	memset(big, 'x', sizeof(big) - 1);
	memcpy(big, "name==", 6);
	big[sizeof(big) - 1] = '\0';
	refuse(big, "longer than 127");
	for (int i = 0; i < FILTER_MAX; i++)
		strcat(many, ",vcpus==1");
	refuse(many, "more than 16");
}

/* ---- JSON ---- */

/* As jansson would write it. */
static void expect_same(const struct schema *schema, const void *obj)
{
	AUTO(json_decref) json_t *tree = json_from_obj(schema, obj);
	AUTO(free) char *want = json_dumps(tree, JSON_COMPACT);
	struct json_text text = { 0 };
	AUTO(free) char *got = NULL;

	json_text_obj(&text, schema, obj, NULL);
	got = json_text_take(&text);
	assert_string_equal(got, want);
}

static void test_same(void **state)
{
	static const struct schema *const schemas[] = {
		&vm_schema, &vm_status_schema, &host_schema, &event_schema, &operation_schema,
		&plan_schema,
	};

	for (size_t i = 0; i < ARRAY_SIZE(schemas); i++) {
		void *obj = malloc(schemas[i]->size);

		assert_int_equal(schema_init(schemas[i], obj), 0);
		expect_same(schemas[i], obj);
		schema_clear(schemas[i], obj);
		fill_obj(schemas[i], obj, 1);
		expect_same(schemas[i], obj);
		schema_clear(schemas[i], obj);
		free(obj);
	}
}

static void expect_nbd(const struct disk_config *disk, const char *want)
{
	AUTO(json_decref) json_t *tree = json_from_obj(&disk_schema, disk);
	AUTO(free) char *got = json_dumps(json_object_get(tree, "nbd"), JSON_COMPACT);

	assert_true(want ? got && !strcmp(got, want) : !got);
	expect_same(&disk_schema, disk);
}

/* An object of which nothing is set is not there. */
static void test_empty_object(void **state)
{
	struct disk_config disk;

	assert_int_equal(schema_init(&disk_schema, &disk), 0);
	expect_nbd(&disk, NULL);
	disk.nbd.socket = strdup("/run/n");
	expect_nbd(&disk, "{\"socket\":\"/run/n\"}");
	disk.nbd.port = 7;
	expect_nbd(&disk, "{\"port\":7,\"socket\":\"/run/n\"}");
	schema_clear(&disk_schema, &disk);
}

static void test_strings(void **state)
{
	static const char *const texts[][2] = {
		{ "", "\"\"" },
		{ "plain", "\"plain\"" },
		{ "\"\\/", "\"\\\"\\\\/\"" },
		{ "a\tb\nc\x01", "\"a\\tb\\nc\\u0001\"" },
		{ "\xc3\xa9 \xe4\xb8\xad", "\"\xc3\xa9 \xe4\xb8\xad\"" },
		{ "bad \xff \xc3", "\"bad ? ?\"" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct json_text text = { 0 };
		AUTO(free) char *got = NULL;

		json_text_string(&text, texts[i][0]);
		got = json_text_take(&text);
		assert_string_equal(got, texts[i][1]);
	}
}

static void expect_fields(const char *fields, const char *want)
{
	struct hvd_error err = { 0 };
	struct json_text text = { 0 };
	AUTO(free) char *got = NULL;
	struct projection wanted;

	assert_int_equal(projection_parse(fields, &wanted, &err), 0);
	if (projection_check(&wanted, &vm_schema, &err) < 0)
		fail_msg("%s: %s", fields, err.msg);
	json_text_obj(&text, &vm_schema, &config, &wanted);
	got = json_text_take(&text);
	assert_string_equal(got, want);
}

static void test_projection(void **state)
{
	struct hvd_error err = { 0 };
	struct projection wanted;
	char many[PROJECTION_MAX * 5 + 8] = "name";

	expect_fields("vcpus,name", "{\"name\":\"web-1\",\"vcpus\":4}");
	expect_fields("boot.kernel,boot.initrd", "{\"boot\":{\"kernel\":\"/boot/vmlinuz\"}}");
	expect_fields("disks.path", "{\"disks\":[]}");
	/* who wants all of it gets it, whatever else is said */
	expect_fields("disks.path,disks", "{\"disks\":[]}");

	assert_int_equal(projection_parse("", &wanted, &err), -EINVAL);
	assert_int_equal(projection_parse("a,,b", &wanted, &err), -EINVAL);
	for (int i = 0; i < PROJECTION_MAX; i++)
		strcat(many, ",name");
	assert_int_equal(projection_parse(many, &wanted, &err), -EINVAL);
	assert_int_equal(projection_parse("name,boot.colonel", &wanted, &err), 0);
	assert_int_equal(projection_check(&wanted, &vm_schema, &err), -EINVAL);
	assert_string_equal(err.field, "fields");
	assert_non_null(strstr(err.msg, "boot.colonel"));
	assert_int_equal(projection_parse("name.x", &wanted, &err), 0);
	assert_int_equal(projection_check(&wanted, &vm_schema, &err), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_match),	cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_same),	cmocka_unit_test(test_strings),
		cmocka_unit_test(test_projection), cmocka_unit_test(test_empty_object),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
