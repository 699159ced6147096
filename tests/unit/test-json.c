/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/errors.h"
#include "api/json.h"
#include "api/vm_schema.h"
#include "tests/unit/fill.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/macro.h"

#define SPEC(more) "{\"name\": \"demo\", \"boot\": {\"kernel\": \"/k\"}" more "}"
#define CEPH(text) SPEC(", \"disks\": [{\"ceph\": {" text "}}]")
#define MONITOR    "\"monitors\": [{\"address\": \"10.0.0.1\"}]"

/* json -> struct -> json, with everything set, and with each field in turn left out. */
static void round_trip(const struct vm_config *vm)
{
	AUTO(json_decref) json_t *json = json_from_obj(&vm_schema, vm);
	AUTO(json_decref) json_t *again = NULL;
	AUTO(free) char *text = json_dumps(json, 0);
	AUTO(json_decref) json_t *parsed = NULL;
	struct hvd_error err = { 0 };
	struct vm_config back;

	assert_non_null(text);
	assert_int_equal(json_parse(text, strlen(text), &parsed, &err), 0);
	if (json_to_obj(&vm_schema, parsed, &back, &err) < 0)
		fail_msg("%s: %s in %s", err.field, err.msg, text);
	assert_true(schema_equal(&vm_schema, vm, &back));
	again = json_from_obj(&vm_schema, &back);
	assert_true(json_equal(json, again));
	schema_clear(&vm_schema, &back);
}

static void test_round_trip(void **state)
{
	for (size_t i = 0; i <= vm_schema.n_fields; i++) {
		struct vm_config vm;

		fill_obj(&vm_schema, &vm, 1);
		if (i < vm_schema.n_fields && !vm_schema.fields[i].required &&
		    vm_schema.fields[i].type != FIELD_STRUCT)
			fill_reset(&vm_schema.fields[i], &vm);
		round_trip(&vm);
		schema_clear(&vm_schema, &vm);
	}
}

/* A member is there for every field of a full object, under its name, with its JSON type. */
static void test_members(void **state)
{
	AUTO(json_decref) json_t *json = NULL;
	struct vm_config vm;

	fill_obj(&vm_schema, &vm, 1);
	json = json_from_obj(&vm_schema, &vm);
	assert_int_equal(json_object_size(json), vm_schema.n_fields);
	assert_int_equal(json_integer_value(json_object_get(json, "memory")), vm.memory);
	assert_int_equal(json_array_size(json_object_get(json, "disks")), vm.n_disks);
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(json, "boot"), "kernel")),
		vm.boot.kernel);
	schema_clear(&vm_schema, &vm);
}

static void test_parse(void **state)
{
	static const char *const bad[] = {
		"",
		" ",
		"{",
		"[1,]",
		"{\"a\":1,\"a\":2}",
		"{} x",
		"{}{}",
		"\"text\"",
		"nul",
		"{\"a\":\"\\u0000\"}",
		"{\"a\":\"\xff\"}",
		"{\"a\":99999999999999999999}",
		"{'a':1}",
		"[\"\\",
		"{\"a\\u0000b\":1}",
	};
	static const char quoted[] = "[\"\\\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"]";
	struct hvd_error err = { 0 };
	json_t *json = NULL;
	char deep[2 * JSON_DEPTH_MAX + 8] = "";

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		memset(&err, 0, sizeof(err));
		assert_int_equal(json_parse(bad[i], strlen(bad[i]), &json, &err), -EBADMSG);
		assert_int_equal(err.code, -EBADMSG);
	}
	assert_int_equal(json_parse("{}\0", 3, &json, &err), -EBADMSG);
	assert_non_null(strstr(err.msg, "line 1, column 3"));

	memset(deep, '[', JSON_DEPTH_MAX + 1);
	memset(deep + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
	assert_int_equal(json_parse(deep, strlen(deep), &json, &err), -EBADMSG);
	assert_non_null(strstr(err.msg, "nested"));
	/* one less, and brackets in a string are none */
	assert_int_equal(json_parse(deep + 1, strlen(deep) - 2, &json, &err), 0);
	json_decref(json);
	assert_int_equal(json_parse(quoted, strlen(quoted), &json, &err), 0);
	json_decref(json);
}

static const struct {
	const char *json, *error;
} refused[] = {
	{ SPEC(", \"vcpu\": 2"), "vcpu: unknown member: did you mean 'vcpus'?" },
	{ SPEC(", \"zzz\": 2"), "zzz: unknown member" },
	{ SPEC(", \"vcpus\": \"2\""), "vcpus: must be an integer, not a string" },
	{ SPEC(", \"vcpus\": 2.5"), "vcpus: must be an integer, not a fraction" },
	{ SPEC(", \"vcpus\": -1"), "vcpus: must not be negative" },
	{ SPEC(", \"vcpus\": 4294967297"), "vcpus: is too large" },
	{ SPEC(", \"vcpus\": 0"), "vcpus: must be between 1 and 512" },
	{ SPEC(", \"vcpus\": null"), "vcpus: must be an integer, not null" },
	{ SPEC(", \"rng\": \"yes\""), "rng: must be true or false, not a string" },
	{ SPEC(", \"memory\": true"),
	  "memory: must be a number of bytes or a text such as \"512M\", not a boolean" },
	{ SPEC(", \"memory\": \"lots\""), "memory: 'lots' is not a size such as 512M or 2G" },
	{ SPEC(", \"uuid\": \"1\""), "uuid: '1' is not a UUID" },
	{ SPEC(", \"disks\": {}"), "disks: must be an array, not an object" },
	{ SPEC(", \"disks\": [3]"), "disks[0]: must be an object, not an integer" },
	{ SPEC(", \"disks\": [{\"path\": \"/a\"}, {\"pth\": \"/b\"}]"),
	  "disks[1].pth: unknown member: did you mean 'path'?" },
	{ SPEC(", \"disks\": [{}]"), "disks[0].path: is required, unless the disk is a volume, on an NBD server (server or socket), or in Ceph (rbd)" },
	{ CEPH("\"rbd\": \"vms\""), "disks[0].ceph.rbd: must be POOL/IMAGE or POOL/NAMESPACE/IMAGE: 'vms'" },
	{ CEPH("\"rbd\": \"a/b/c/d\""),
	  "disks[0].ceph.rbd: must be POOL/IMAGE or POOL/NAMESPACE/IMAGE: 'a/b/c/d'" },
	{ CEPH("\"rbd\": \"vms/a@snap\""), "disks[0].ceph.rbd: must be POOL/IMAGE or POOL/NAMESPACE/IMAGE, of "
	  "names of a-z, A-Z, 0-9 and '-_.+': 'vms/a@snap'" },
	{ CEPH("\"rbd\": \"vms/a:conf=/x\""), "disks[0].ceph.rbd: must be POOL/IMAGE or POOL/NAMESPACE/IMAGE, "
	  "of names of a-z, A-Z, 0-9 and '-_.+': 'vms/a:conf=/x'" },
	{ CEPH("\"rbd\": \"vms//a\""), "disks[0].ceph.rbd: must be POOL/IMAGE or POOL/NAMESPACE/IMAGE, of "
	  "names of a-z, A-Z, 0-9 and '-_.+': 'vms//a'" },
	{ CEPH("\"rbd\": \"vms/a\""),
	  "disks[0].ceph.monitors: are missing: Ceph's own configuration is not read" },
	{ CEPH("\"rbd\": \"vms/a\", \"monitors\": [{\"address\": \"10.0.0.1;x=y\"}]"),
	  "disks[0].ceph.monitors[0].address: must be an IPv4 or IPv6 address, names are not looked up: "
	  "'10.0.0.1;x=y' is none" },
	{ CEPH(MONITOR ", \"rbd\": \"vms/a\", \"user\": \"client.a\", \"keyfile\": \"/k\""),
	  "disks[0].ceph.user: is written without client.: 'client.a'" },
	{ CEPH(MONITOR ", \"rbd\": \"vms/a\", \"user\": \"$host\", \"keyfile\": \"/k\""),
	  "disks[0].ceph.user: must be a name of a-z, A-Z, 0-9 and '-_.+': '$host'" },
	{ CEPH(MONITOR ", \"rbd\": \"vms/a\", \"user\": \"a\""),
	  "disks[0].ceph.keyfile: is missing: the file with the key of user a, as 'ceph auth print-key client.a' "
	  "prints it" },
	{ CEPH(MONITOR ", \"rbd\": \"vms/a\", \"keyfile\": \"/k\""),
	  "disks[0].ceph.user: is missing: whose key is in /k?" },
	{ CEPH(MONITOR), "disks[0].ceph.rbd: is missing: which image of the cluster?" },
	{ SPEC(", \"disks\": [{\"path\": \"/a\", \"ceph\": {" MONITOR ", \"rbd\": \"vms/a\"}}]"),
	  "disks[0].path: is one of four, and they exclude each other: path, volume, an NBD server and rbd" },
	{ SPEC(", \"disks\": [{\"ceph\": {" MONITOR ", \"rbd\": \"vms/a\"}}, "
	       "{\"ceph\": {" MONITOR ", \"rbd\": \"vms/a\"}}]"),
	  "disks[1].ceph.rbd: is the same as that of disks[0]" },
	{ SPEC(", \"disks\": [{\"path\": \"/a\", \"cache\": \"x\"}]"),
	  "disks[0].cache: 'x' is not one of: none, writeback, unsafe" },
	{ SPEC(", \"nics\": [{}, {}, {}, {}, {}, {}, {}, {}, {}]"),
	  "nics: has 9 items: at most 8 are possible" },
	{ SPEC(", \"resources\": {\"cpu_wieght\": 1}"),
	  "resources.cpu_wieght: unknown member: did you mean 'cpu_weight'?" },
	{ SPEC(", \"resources\": []"), "resources: must be an object, not an array" },
	{ "{}", "name: is required" },
	{ "{\"name\": \"demo\"}", "boot.kernel: is required, unless firmware is given "
				   "(\"auto\": the host's UEFI image, to boot from a disk)" },
	{ "[]", "must be an object, not an array" },
};

static void test_refused(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		static const struct vm_config zero;
		AUTO(json_decref) json_t *json = NULL;
		char text[ERROR_TEXT_SIZE];
		struct hvd_error err = { 0 };
		struct vm_config vm;

		assert_int_equal(json_parse(refused[i].json, strlen(refused[i].json), &json, &err),
				 0);
		assert_true(json_to_obj(&vm_schema, json, &vm, &err) < 0);
		error_text(&err, text);
		assert_string_equal(text, refused[i].error);
		assert_memory_equal(&vm, &zero, sizeof(vm));
	}
}

static void test_read_only(void **state)
{
	AUTO(json_decref) json_t *json = json_pack("{s:s}", "state", "running");
	struct vm_status status;
	struct hvd_error err = { 0 };

	assert_int_equal(json_to_obj(&vm_status_schema, json, &status, &err), -EINVAL);
	assert_string_equal(err.field, "state");
	assert_string_equal(err.msg, "is read-only");
}

static void test_sizes(void **state)
{
	AUTO(json_decref) json_t *json = json_loads(SPEC(", \"memory\": \"1G\""), 0, NULL);
	struct vm_config vm;

	assert_int_equal(json_to_obj(&vm_schema, json, &vm, NULL), 0);
	assert_int_equal(vm.memory, GIB);
	schema_clear(&vm_schema, &vm);
}

static int merge(const char *patch, struct vm_config *ret, struct hvd_error *err)
{
	AUTO(json_decref) json_t *json = json_loads(patch, 0, NULL);
	AUTO(json_decref) json_t *before = json_deep_copy(json);
	struct vm_config vm, copy;
	int r;

	assert_non_null(json);
	fill_obj(&vm_schema, &vm, 1);
	assert_int_equal(schema_copy(&vm_schema, &copy, &vm), 0);
	r = json_merge_obj(&vm_schema, &vm, json, ret, err);
	assert_true(schema_equal(&vm_schema, &vm, &copy));
	assert_true(json_equal(json, before));
	schema_clear(&vm_schema, &vm);
	schema_clear(&vm_schema, &copy);
	return r;
}

static void test_merge(void **state)
{
	struct vm_config vm, full;

	fill_obj(&vm_schema, &full, 1);
	assert_int_equal(merge("{}", &vm, NULL), 0);
	assert_true(schema_equal(&vm_schema, &vm, &full));
	schema_clear(&vm_schema, &vm);

	assert_int_equal(
		merge("{\"vcpus\": 7, \"description\": null, \"boot\": {\"initrd\": null}, "
		      "\"disks\": [{\"path\": \"/only\"}], \"resources\": null}",
		      &vm, NULL),
		0);
	assert_int_equal(vm.vcpus, 7);
	assert_null(vm.description);
	assert_null(vm.boot.initrd);
	assert_string_equal(vm.boot.kernel, full.boot.kernel);
	assert_int_equal(vm.n_disks, 1);
	assert_int_equal(vm.disks[0].cache, DISK_CACHE_WRITEBACK);
	assert_int_equal(vm.resources.cpu_weight, 0);
	assert_int_equal(vm.memory, full.memory);
	assert_int_equal(vm.n_nics, full.n_nics);
	schema_clear(&vm_schema, &vm);

	/* null of a number resets it to the table's default, not to 0 */
	assert_int_equal(merge("{\"vcpus\": null, \"rng\": null}", &vm, NULL), 0);
	assert_int_equal(vm.vcpus, 1);
	assert_true(vm.rng);
	schema_clear(&vm_schema, &vm);
	schema_clear(&vm_schema, &full);
}

static void test_merge_refused(void **state)
{
	static const struct {
		const char *patch, *field;
	} cases[] = {
		{ "{\"vcpus\": 0}", "vcpus" },
		{ "{\"name\": null}", "name" },
		{ "{\"vcpu\": null}", "vcpu" },
		{ "{\"boot\": {\"kernle\": null}}", "boot.kernle" },
		{ "{\"boot\": {\"kernel\": null, \"firmware\": null}}", "boot.kernel" },
		{ "{\"boot\": \"/k\"}", "boot" },
		{ "{\"disks\": {\"0\": {}}}", "disks" },
		{ "[]", "" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		static const struct vm_config zero;
		struct hvd_error err = { 0 };
		struct vm_config vm;

		assert_true(merge(cases[i].patch, &vm, &err) < 0);
		assert_string_equal(err.field, cases[i].field);
		assert_memory_equal(&vm, &zero, sizeof(vm));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip), cmocka_unit_test(test_members),
		cmocka_unit_test(test_parse),      cmocka_unit_test(test_refused),
		cmocka_unit_test(test_read_only),  cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_merge),      cmocka_unit_test(test_merge_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
