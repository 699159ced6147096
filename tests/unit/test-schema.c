/* SPDX-License-Identifier: Apache-2.0 */
/* The tables are sound, and init, copy, equal, check and applies walk them right. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/errors.h"
#include "api/vm_schema.h"
#include "tests/unit/fill.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/macro.h"

static const struct schema *const all[] = { &vm_schema, &vm_status_schema, &host_schema,
					    &network_schema };

/* Room for the largest of them. */
union any {
	struct vm_config vm;
	struct vm_status status;
	struct host_info host;
	struct network_config network;
};

static void check_table(const struct schema *schema, bool read_only, bool in_xml)
{
	assert_true(schema->name && schema->name[0]);
	for (size_t i = 0; i < schema->n_fields; i++) {
		const struct field *f = &schema->fields[i];

		assert_ptr_equal(schema_field(schema, f->name), f);
		assert_true(strspn(f->name, "abcdefghijklmnopqrstuvwxyz0123456789_") ==
			    strlen(f->name));
		assert_true(f->help && f->help[0] && f->help[strlen(f->help) - 1] != '.');
		assert_true(f->offset < schema->size);
		assert_int_equal(f->read_only, read_only);
		assert_true(!in_xml || f->xml);
		assert_int_equal(f->type == FIELD_ENUM, f->names != NULL);
		assert_int_equal(f->type == FIELD_STRUCT || f->type == FIELD_LIST, f->sub != NULL);
		if (f->sub)
			check_table(f->sub, read_only, in_xml);
		if (f->type == FIELD_LIST)
			assert_true(read_only || (f->max && f->sub->xml));
	}
}

static void test_tables(void **state)
{
	check_table(&vm_schema, false, true);
	check_table(&network_schema, false, true);
	check_table(&vm_status_schema, true, false);
	check_table(&host_schema, true, false);
}

/* Every default is a valid text of its field, and what schema_init() sets. */
static void check_defaults(const struct schema *schema)
{
	AUTO(free) void *obj = malloc(schema->size);

	assert_non_null(obj);
	assert_int_equal(schema_init(schema, obj), 0);
	for (size_t i = 0; i < schema->n_fields; i++) {
		const struct field *f = &schema->fields[i];
		struct hvd_error err = { 0 };

		if (f->def && field_set_text(f, obj, f->def, &err) < 0)
			fail_msg("%s.%s: default '%s': %s", schema->name, f->name, f->def, err.msg);
		assert_true(field_is_default(f, obj));
		if (f->sub)
			check_defaults(f->sub);
	}
	schema_clear(schema, obj);
}

static void test_defaults(void **state)
{
	struct vm_config vm;

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		check_defaults(all[i]);

	assert_int_equal(schema_init(&vm_schema, &vm), 0);
	assert_string_equal(vm.machine, "hvd-1.0");
	assert_int_equal(vm.vcpus, 1);
	assert_int_equal(vm.memory, 512 * MIB);
	assert_true(vm.rng);
	assert_false(vm.virtio_console);
	assert_null(vm.name);
	schema_clear(&vm_schema, &vm);
}

/* A full object has no field at its default, so the other walks do see every field. */
static void check_filled(const struct schema *schema, const void *obj)
{
	for (size_t i = 0; i < schema->n_fields; i++) {
		const struct field *f = &schema->fields[i];

		if (f->type == FIELD_STRUCT)
			check_filled(f->sub, field_ptr(f, obj));
		else if (!fill_is_constant(f))
			assert_false(field_is_default(f, obj));
	}
}

static void test_copy_equal(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		static const union any zero;
		union any a, b, other;

		fill_obj(all[i], &a, 1);
		check_filled(all[i], &a);
		assert_int_equal(schema_copy(all[i], &b, &a), 0);
		assert_true(schema_equal(all[i], &a, &b));
		fill_obj(all[i], &other, 2);
		assert_false(schema_equal(all[i], &a, &other));

		schema_clear(all[i], &a);
		assert_memory_equal(&a, &zero, all[i]->size);
		schema_clear(all[i], &a);
		schema_clear(all[i], &b);
		schema_clear(all[i], &other);
	}
}

/* equal sees a change of each single field, and applies tells when it works. */
static void test_every_field_counts(void **state)
{
	for (size_t i = 0; i < vm_schema.n_fields; i++) {
		const struct field *f = &vm_schema.fields[i];
		struct vm_config a, b;
		const char *name;

		fill_obj(&vm_schema, &a, 1);
		fill_obj(&vm_schema, &b, 1);
		fill_reset(f, &b);
		assert_int_equal(schema_equal(&vm_schema, &a, &b), fill_is_constant(f));
		if (!fill_is_constant(f) && f->type != FIELD_STRUCT) {
			assert_int_equal(schema_applies(&vm_schema, &a, &b, &name), f->applies);
			assert_string_equal(name, f->name);
		}
		schema_clear(&vm_schema, &a);
		schema_clear(&vm_schema, &b);
	}
}

static void test_applies(void **state)
{
	struct vm_config a, b;
	const char *name = "";

	fill_obj(&vm_schema, &a, 1);
	fill_obj(&vm_schema, &b, 1);
	assert_int_equal(schema_applies(&vm_schema, &a, &b, &name), APPLIES_LIVE);
	assert_null(name);

	b.resources.cpu_weight++;
	assert_int_equal(schema_applies(&vm_schema, &a, &b, &name), APPLIES_LIVE);
	assert_string_equal(name, "cpu_weight");
	b.vcpus++;
	assert_int_equal(schema_applies(&vm_schema, &a, &b, &name), APPLIES_NEXT_BOOT);
	assert_string_equal(name, "vcpus");
	b.disks[0].read_only = !b.disks[0].read_only;
	assert_int_equal(schema_applies(&vm_schema, &a, &b, &name), APPLIES_NEXT_BOOT);
	assert_string_equal(name, "vcpus");
	b.uuid[3]++;
	assert_int_equal(schema_applies(&vm_schema, &a, &b, &name), APPLIES_NEVER);
	assert_string_equal(name, "uuid");

	schema_clear(&vm_schema, &a);
	schema_clear(&vm_schema, &b);
}

/* What each rule refuses, as text put into a full object. */
static const struct refusal {
	const char *field, *text, *message;
} refusals[] = {
	{ "vcpus", "0", "vcpus: must be between 1 and 512" },
	{ "vcpus", "513", "vcpus: must be between 1 and 512" },
	{ "memory", "30M", "memory: must be between 32M and 16T" },
	{ "memory", "33M", "memory: must be a multiple of 2M" },
	{ "memory", "17T", "memory: must be between 32M and 16T" },
	{ "name", "", "name: is required" },
	{ "name", "Demo",
	  "name: 'Demo' is no name: use 1 to 63 of a-z, 0-9 and '-', not '-' first" },
	{ "name", "-a", "name: '-a' is no name: use 1 to 63 of a-z, 0-9 and '-', not '-' first" },
	{ "name", "a/b", "name: 'a/b' is no name: use 1 to 63 of a-z, 0-9 and '-', not '-' first" },
	{ "name", "4dea22b3-1d52-d8f3-2516-782e98ab3fa0", "name: must not look like a UUID" },
	{ "description", "a\x01", "description: must be UTF-8 text without control characters" },
	{ "description", "a\xff", "description: must be UTF-8 text without control characters" },
	{ "machine", "virt", "machine: 'virt' is not a machine type of this hvd: use hvd-1.0" },
	{ "machine", "", "machine: is required" },
};

static void test_refusals(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
		const struct field *field = schema_field(&vm_schema, refusals[i].field);
		char text[ERROR_TEXT_SIZE];
		struct hvd_error err = { 0 };
		struct vm_config vm;

		fill_obj(&vm_schema, &vm, 1);
		assert_int_equal(field_set_text(field, &vm, refusals[i].text, &err), 0);
		assert_true(schema_check(&vm_schema, &vm, &err) < 0);
		error_text(&err, text);
		assert_string_equal(text, refusals[i].message);
		schema_clear(&vm_schema, &vm);
	}
}

static void expect_refusal(struct vm_config *vm, const char *field)
{
	struct hvd_error err = { 0 };

	assert_true(schema_check(&vm_schema, vm, &err) < 0);
	assert_true(err.code < 0);
	assert_string_equal(err.field, field);
	assert_true(err.msg[0]);
	schema_clear(&vm_schema, vm);
}

static void set(char **text, const char *value)
{
	free(*text);
	*text = value ? strdup(value) : NULL;
}

static void test_nested_refusals(void **state)
{
	struct vm_config vm;

	fill_obj(&vm_schema, &vm, 1);
	set(&vm.boot.kernel, NULL);
	expect_refusal(&vm, "boot.kernel");

	fill_obj(&vm_schema, &vm, 1);
	set(&vm.boot.initrd, "relative/initrd");
	expect_refusal(&vm, "boot.initrd");

	fill_obj(&vm_schema, &vm, 1);
	set(&vm.boot.cmdline, "two\nlines");
	expect_refusal(&vm, "boot.cmdline");

	fill_obj(&vm_schema, &vm, 1);
	set(&vm.disks[1].path, vm.disks[0].path);
	vm.disks[0].read_only = true;
	vm.disks[1].read_only = false;
	expect_refusal(&vm, "disks[1].path");

	fill_obj(&vm_schema, &vm, 1);
	set(&vm.disks[1].serial, "more than twenty bytes");
	expect_refusal(&vm, "disks[1].serial");

	fill_obj(&vm_schema, &vm, 1);
	vm.disks[0].cache = _DISK_CACHE_MAX;
	expect_refusal(&vm, "disks[0].cache");

	fill_obj(&vm_schema, &vm, 1);
	set(&vm.nics[0].network, "a");
	set(&vm.nics[0].tap, "b");
	expect_refusal(&vm, "nics[0]");

	fill_obj(&vm_schema, &vm, 1);
	set(&vm.nics[0].network, NULL);
	set(&vm.nics[0].tap, NULL);
	expect_refusal(&vm, "nics[0]");

	fill_obj(&vm_schema, &vm, 1);
	set(&vm.nics[0].network, NULL);
	set(&vm.nics[0].tap, "longer-than-ifnamsiz");
	expect_refusal(&vm, "nics[0].tap");

	fill_obj(&vm_schema, &vm, 1);
	vm.nics[0].mac[0] |= 1;
	expect_refusal(&vm, "nics[0].mac");

	fill_obj(&vm_schema, &vm, 1);
	memcpy(vm.nics[1].mac, vm.nics[0].mac, 6);
	expect_refusal(&vm, "nics[1].mac");

	fill_obj(&vm_schema, &vm, 1);
	vm.resources.cpu_weight = 10001;
	expect_refusal(&vm, "resources.cpu_weight");
}

static void test_cpuset(void **state)
{
	static const char *const good[] = { "0", "0-3", "0-3,8", "1,2,3", "8191" };
	static const char *const bad[] = { ",", "1,", "3-1",  "1-",   "-1",
					   "a", "0 ", "8192", "1,,2", "123456789012345678901" };
	const struct field *field = schema_field(&resources_schema, "cpuset");

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_int_equal(field->check(good[i], NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(field->check(bad[i], NULL), -EINVAL);
}

static void test_cidr(void **state)
{
	static const char *const good[] = { "192.168.133.1/24", "10.0.0.1/8", "10.0.0.1/30" };
	static const char *const bad[] = {
		"192.168.133.1", "192.168.133.1/", "10.0.0.1/31",
		"/24",           "10.0.0.1/7",     "10.0.0.1/24x",
		"10.0.0/24",     "::1/64",         "1111111111111111111111111/24"
	};
	const struct field *field = schema_field(&network_schema, "address");

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_int_equal(field->check(good[i], NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(field->check(bad[i], NULL), -EINVAL);
}

static void test_list_limit(void **state)
{
	const struct field *nics = schema_field(&vm_schema, "nics");
	struct vm_config vm;

	assert_int_equal(schema_init(&vm_schema, &vm), 0);
	for (unsigned i = 0; i < VM_MAX_NICS; i++)
		assert_non_null(field_list_append(nics, &vm));
	assert_null(field_list_append(nics, &vm));
	assert_int_equal(vm.n_nics, VM_MAX_NICS);
	schema_clear(&vm_schema, &vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_copy_equal),
		cmocka_unit_test(test_every_field_counts),
		cmocka_unit_test(test_applies),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_nested_refusals),
		cmocka_unit_test(test_cpuset),
		cmocka_unit_test(test_cidr),
		cmocka_unit_test(test_list_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
