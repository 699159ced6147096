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
#include "api/network_schema.h"
#include "api/vm_schema.h"
#include "api/volume_schema.h"
#include "tests/unit/fill.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/macro.h"

static const struct schema *const all[] = { &vm_schema, &vm_status_schema, &host_schema,
					    &network_schema, &volume_schema };

/* Room for the largest of them. */
union any {
	struct vm_config vm;
	struct vm_status status;
	struct host_info host;
	struct network_config network;
	struct volume_config volume;
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
		assert_int_equal(f->type == FIELD_ENUM || (f->path && f->names), f->names != NULL);
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
	check_table(&volume_schema, false, true);
	check_table(&volume_status_schema, true, false);
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

/* A full object has no field at its default that need be, so the other walks do see every field. */
static void check_filled(const struct schema *schema, void *obj)
{
	for (size_t i = 0; i < schema->n_fields; i++) {
		const struct field *f = &schema->fields[i];

		if (f->type == FIELD_STRUCT)
			check_filled(f->sub, field_ptr(f, obj));
		else if (!fill_is_constant(f) && !fill_is_excluded(schema, f, obj))
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

struct differences {
	char paths[16][128];
	enum field_applies applies[16];
	size_t n;
};

static int on_difference(void *ctx, const struct field *field, const char *path)
{
	struct differences *d = ctx;

	assert_true(d->n < ARRAY_SIZE(d->paths));
	snprintf(d->paths[d->n], sizeof(d->paths[0]), "%s", path);
	d->applies[d->n++] = field->applies;
	return 0;
}

/* equal sees a change of each single field, and diff tells it and when it works. */
static void test_every_field_counts(void **state)
{
	for (size_t i = 0; i < vm_schema.n_fields; i++) {
		const struct field *f = &vm_schema.fields[i];
		struct differences d = { 0 };
		struct vm_config a, b;

		fill_obj(&vm_schema, &a, 1);
		fill_obj(&vm_schema, &b, 1);
		fill_reset(f, &b);
		assert_int_equal(schema_equal(&vm_schema, &a, &b), fill_is_constant(f));
		assert_int_equal(field_equal(f, &a, &b), fill_is_constant(f));
		if (!fill_is_constant(f) && f->type != FIELD_STRUCT) {
			assert_int_equal(schema_diff(&vm_schema, &a, &b, on_difference, &d), 0);
			assert_memory_equal(d.paths[0], f->name, strlen(f->name));
			assert_int_equal(d.applies[0], f->applies);
		}
		schema_clear(&vm_schema, &a);
		schema_clear(&vm_schema, &b);
	}
}

static void expect_difference(const struct vm_config *a, const struct vm_config *b, size_t at,
			      const char *path, enum field_applies applies)
{
	struct differences d = { 0 };

	assert_int_equal(schema_diff(&vm_schema, a, b, on_difference, &d), 0);
	assert_true(at < d.n);
	assert_string_equal(d.paths[at], path);
	assert_int_equal(d.applies[at], applies);
}

static int stop_at_once(void *ctx, const struct field *field, const char *path)
{
	++*(int *)ctx;
	return -ECANCELED;
}

static void test_diff(void **state)
{
	struct differences d = { 0 };
	struct vm_config a, b;
	char path[64];
	int calls = 0;

	fill_obj(&vm_schema, &a, 1);
	fill_obj(&vm_schema, &b, 1);
	assert_int_equal(schema_diff(&vm_schema, &a, &b, on_difference, &d), 0);
	assert_int_equal(d.n, 0);

	b.resources.cpu_weight++;
	expect_difference(&a, &b, 0, "resources.cpu_weight", APPLIES_LIVE);
	b.disks[1].read_only = !b.disks[1].read_only;
	snprintf(path, sizeof(path), "disks[%s].read_only", a.disks[1].id);
	expect_difference(&a, &b, 0, path, APPLIES_NEXT_BOOT);
	b.vcpus++;
	expect_difference(&a, &b, 0, "vcpus", APPLIES_NEXT_BOOT);
	b.uuid[3]++;
	expect_difference(&a, &b, 0, "uuid", APPLIES_NEVER);
	assert_int_equal(schema_diff(&vm_schema, &a, &b, stop_at_once, &calls), -ECANCELED);
	assert_int_equal(calls, 1);

	schema_clear(&vm_schema, &a);
	schema_clear(&vm_schema, &b);
}

static void swap_disks(struct vm_config *config, size_t i, size_t j)
{
	struct disk_config disk = config->disks[i];

	config->disks[i] = config->disks[j];
	config->disks[j] = disk;
}

/* Items are who they are wherever they stand; one that comes or goes is a change of the list. */
static void test_diff_of_lists(void **state)
{
	struct differences d = { 0 };
	struct vm_config a, b;

	fill_obj(&vm_schema, &a, 1);
	fill_obj(&vm_schema, &b, 1);
	swap_disks(&b, 0, 1);
	assert_false(schema_equal(&vm_schema, &a, &b));
	assert_int_equal(schema_diff(&vm_schema, &a, &b, on_difference, &d), 0);
	assert_int_equal(d.n, 0);

	strcpy(b.disks[1].id, "vdx"); /* that of a.disks[0] */
	assert_int_equal(schema_diff(&vm_schema, &a, &b, on_difference, &d), 0);
	assert_int_equal(d.n, 2);
	assert_int_equal(d.applies[0], APPLIES_LIVE);
	assert_string_equal(d.paths[1], "disks[vdx]");
	schema_clear(&vm_schema, &a);
	schema_clear(&vm_schema, &b);
}

/* Of a change, what can reaches what runs; that was behind already, and stays so. */
static void test_apply_live(void **state)
{
	struct vm_config running, old, new;
	uint32_t vcpus, weight;

	fill_obj(&vm_schema, &running, 1);
	fill_obj(&vm_schema, &old, 1);
	vcpus = running.vcpus;
	weight = running.resources.cpu_weight;
	old.vcpus++;                /* not applied yet */
	old.resources.io_weight++;  /* wanted later, though it could be now */
	strcpy(old.disks[2].id, "old");
	assert_int_equal(schema_copy(&vm_schema, &new, &old), 0);
	new.vcpus++;
	new.resources.cpu_weight++;
	new.disks[0].read_only = !new.disks[0].read_only;
	strcpy(new.disks[1].id, "vdx");
	swap_disks(&new, 0, 2);

	assert_int_equal(schema_apply_live(&vm_schema, &running, &old, &new), 0);
	assert_int_equal(running.vcpus, vcpus);
	assert_int_equal(running.resources.cpu_weight, weight + 1);
	assert_int_equal(running.resources.io_weight + 1, old.resources.io_weight);
	assert_int_equal(running.n_disks, old.n_disks);
	assert_string_equal(running.disks[0].id, old.disks[0].id);
	assert_int_equal(running.disks[0].read_only, old.disks[0].read_only);
	/* the second has gone, one in its place has come, and one was there that nobody mentions */
	assert_string_not_equal(running.disks[1].id, old.disks[1].id);
	assert_string_not_equal(running.disks[1].id, "old");
	assert_string_equal(running.disks[running.n_disks - 1].id, "vdx");

	schema_clear(&vm_schema, &running);
	schema_clear(&vm_schema, &old);
	schema_clear(&vm_schema, &new);
}

static void free_list(const struct field *field, struct vm_config *config)
{
	field_clear(field, config);
	assert_int_equal(*field_count(field, config), 0);
}

/* All go, all come. */
static void test_apply_live_whole_lists(void **state)
{
	const struct field *disks = schema_field(&vm_schema, "disks");
	struct vm_config running, old, new;
	size_t n;

	fill_obj(&vm_schema, &running, 1);
	fill_obj(&vm_schema, &old, 1);
	fill_obj(&vm_schema, &new, 1);
	n = old.n_disks;
	free_list(disks, &new);
	assert_int_equal(schema_apply_live(&vm_schema, &running, &old, &new), 0);
	assert_int_equal(running.n_disks, 0);
	assert_int_equal(schema_apply_live(&vm_schema, &running, &new, &old), 0);
	assert_int_equal(running.n_disks, n);
	assert_true(schema_equal(&vm_schema, &running, &old));
	schema_clear(&vm_schema, &running);
	schema_clear(&vm_schema, &old);
	schema_clear(&vm_schema, &new);
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

static void test_boot_refusals(void **state)
{
	struct vm_config vm;

	fill_obj(&vm_schema, &vm, 1);
	set(&vm.boot.kernel, NULL);
	set(&vm.boot.firmware, NULL);
	expect_refusal(&vm, "boot.kernel");

	fill_obj(&vm_schema, &vm, 1);
	set(&vm.boot.firmware, "automatic");
	expect_refusal(&vm, "boot.firmware");

	fill_obj(&vm_schema, &vm, 1);
	set(&vm.boot.initrd, "relative/initrd");
	expect_refusal(&vm, "boot.initrd");

	fill_obj(&vm_schema, &vm, 1);
	set(&vm.boot.cmdline, "two\nlines");
	expect_refusal(&vm, "boot.cmdline");
}

static void test_disk_refusals(void **state)
{
	struct vm_config vm;

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
	vm.disks[0].limits.iops = 0;
	expect_refusal(&vm, "disks[0].limits.iops_burst");

	fill_obj(&vm_schema, &vm, 1);
	vm.disks[1].limits.bytes_per_second = 0;
	expect_refusal(&vm, "disks[1].limits.bytes_burst");

	fill_obj(&vm_schema, &vm, 1);
	vm.disks[2].boot_order = vm.disks[0].boot_order;
	expect_refusal(&vm, "disks[2].boot_order");
}

static void test_nic_refusals(void **state)
{
	struct vm_config vm;

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
	vm.nics[0].limits = (struct nic_limits_config){ .tx_frames_burst = 1 };
	vm.nics[0].backend = NIC_BACKEND_PROCESS;
	expect_refusal(&vm, "nics[0].limits.tx_frames_burst");

	fill_obj(&vm_schema, &vm, 1);
	vm.nics[0].limits = (struct nic_limits_config){ .rx_bytes_per_second = MIB };
	vm.nics[0].backend = NIC_BACKEND_VHOST;
	expect_refusal(&vm, "nics[0].limits");

	fill_obj(&vm_schema, &vm, 1);
	vm.nics[0].limits = (struct nic_limits_config){ .rx_bytes_per_second = MIB + 1 };
	vm.nics[0].backend = NIC_BACKEND_PROCESS;
	expect_refusal(&vm, "nics[0].limits.rx_bytes_per_second");

	fill_obj(&vm_schema, &vm, 1);
	vm.nics[0].mac[0] |= 1;
	expect_refusal(&vm, "nics[0].mac");

	fill_obj(&vm_schema, &vm, 1);
	memcpy(vm.nics[1].mac, vm.nics[0].mac, 6);
	expect_refusal(&vm, "nics[1].mac");

	fill_obj(&vm_schema, &vm, 1);
	vm.nics[1].boot_order = vm.disks[0].boot_order;
	expect_refusal(&vm, "nics[1].boot_order");
}

static void test_resources_refusal(void **state)
{
	struct vm_config vm;

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
		cmocka_unit_test(test_diff),
		cmocka_unit_test(test_diff_of_lists),
		cmocka_unit_test(test_apply_live),
		cmocka_unit_test(test_apply_live_whole_lists),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_boot_refusals),
		cmocka_unit_test(test_disk_refusals),
		cmocka_unit_test(test_nic_refusals),
		cmocka_unit_test(test_resources_refusal),
		cmocka_unit_test(test_cpuset),
		cmocka_unit_test(test_cidr),
		cmocka_unit_test(test_list_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
