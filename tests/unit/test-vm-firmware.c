/* SPDX-License-Identifier: Apache-2.0 */
/* Firmware in definitions: paths that hvd chooses, what is refused, whose the variable store is. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/vm_private.h"
#include "tests/unit/scene.h"
#include "vmm/base/macro.h"

/* A spec with the scene's file as firmware, which is as good an image as any. */
static void firmware_spec(const struct scene *scene, const char *name, struct vm_config *ret)
{
	scene_spec(scene, name, ret);
	ret->boot.firmware = TAKE(ret->boot.kernel);
}

static struct vm *define(struct scene *scene, struct vm_config *config)
{
	struct hvd_error err = { 0 };
	struct vm *vm = NULL;

	if (vm_define(scene->manager, config, &vm, &err) < 0)
		fail_msg("%s: %s", err.field, err.msg);
	return vm;
}

static void undefine(struct vm *vm, bool keep_nvram)
{
	const struct delete_options options = { .keep_nvram = keep_nvram };

	assert_int_equal(vm_undefine(vm, &options, NULL), 0);
}

static void expect_refusal(struct scene *scene, struct vm_config *config, const char *field,
			   const char *says)
{
	struct hvd_error err = { 0 };
	struct vm *vm;

	assert_int_equal(vm_define(scene->manager, config, &vm, &err), -EINVAL);
	assert_string_equal(err.field, field);
	if (!strstr(err.msg, says))
		fail_msg("\"%s\" does not say \"%s\"", err.msg, says);
	assert_false(scene_exists(scene, "state/vms/demo.xml"));
	schema_clear(&vm_schema, config);
}

static void hvd_chooses_where_the_store_is(void **state)
{
	struct scene *scene = *state;
	struct vm_config config;
	char path[256];
	struct vm *vm;

	firmware_spec(scene, "demo", &config);
	vm = define(scene, &config);
	scene_path(scene, "state/nvram/demo.fd", path);
	assert_string_equal(vm_config(vm)->boot.nvram, path);
	assert_false(scene_exists(scene, "state/nvram/demo.fd")); /* not before it starts */

	scene_restart(scene);
	vm = manager_find_vm(scene->manager, "demo");
	assert_string_equal(vm_config(vm)->boot.nvram, path);
}

static void its_own_store_goes_with_the_vm(void **state)
{
	struct scene *scene = *state;
	struct vm_config config;
	struct vm *vm;

	firmware_spec(scene, "demo", &config);
	vm = define(scene, &config);
	scene_write(scene, "state/nvram/demo.fd", "variables");
	scene_write(scene, "state/nvram/other.fd", "variables");
	undefine(vm, true);
	assert_true(scene_exists(scene, "state/nvram/demo.fd"));

	scene_spec(scene, "demo", &config); /* also when its VM boots without firmware by now */
	undefine(define(scene, &config), false);
	assert_false(scene_exists(scene, "state/nvram/demo.fd"));
	assert_true(scene_exists(scene, "state/nvram/other.fd"));
}

static void a_store_of_the_user_stays(void **state)
{
	struct scene *scene = *state;
	struct vm_config config;
	char path[256];
	FILE *f;

	scene_path(scene, "mine.fd", path);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(ftruncate(fileno(f), 256 * KIB), 0);
	fclose(f);
	firmware_spec(scene, "demo", &config);
	config.boot.nvram = strdup(path);
	undefine(define(scene, &config), false);
	assert_true(scene_exists(scene, "mine.fd"));
}

static void mistakes_are_named(void **state)
{
	struct scene *scene = *state;
	struct vm_config config;

	firmware_spec(scene, "demo", &config);
	config.boot.kernel = strdup(scene->kernel);
	expect_refusal(scene, &config, "boot.firmware", "beside a kernel");

	firmware_spec(scene, "demo", &config);
	config.boot.cmdline = strdup("quiet");
	expect_refusal(scene, &config, "boot.cmdline", "means nothing without a kernel");

	scene_spec(scene, "demo", &config);
	config.boot.nvram = strdup("/x");
	expect_refusal(scene, &config, "boot.nvram", "means nothing without a firmware");

	firmware_spec(scene, "demo", &config);
	config.boot.nvram = strdup("/nowhere/x");
	expect_refusal(scene, &config, "boot.nvram", "/nowhere/: No such file");

	firmware_spec(scene, "demo", &config);
	config.boot.nvram = strdup(scene->kernel);
	expect_refusal(scene, &config, "boot.nvram", "a multiple of 256 KiB");

	firmware_spec(scene, "demo", &config);
	config.boot.nvram_template = strdup("/nowhere/y");
	expect_refusal(scene, &config, "boot.nvram_template", "/nowhere/y: No such file");

	firmware_spec(scene, "demo", &config);
	free(config.boot.firmware);
	config.boot.firmware = strdup(scene->folder);
	expect_refusal(scene, &config, "boot.firmware", "is not a regular file");
}

static void changed(void *ctx, int r, const struct hvd_error *err)
{
	if (r < 0)
		fail_msg("%s: %s", err->field, err->msg);
	++*(unsigned *)ctx;
}

static void a_vm_changes_over_to_firmware(void **state)
{
	const struct update_options options = { 0 };
	struct scene *scene = *state;
	struct vm_config config;
	unsigned calls = 0;
	struct vm *vm;

	vm = scene_define(scene, "demo");
	assert_null(vm_config(vm)->boot.nvram);
	firmware_spec(scene, "demo", &config);
	vm_update(vm, &config, &options, changed, &calls);
	assert_int_equal(calls, 1);
	assert_null(vm_config(vm)->boot.kernel);
	assert_non_null(strstr(vm_config(vm)->boot.nvram, "/nvram/demo.fd"));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, scene_set_up, scene_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(hvd_chooses_where_the_store_is),
		TEST(its_own_store_goes_with_the_vm),
		TEST(a_store_of_the_user_stays),
		TEST(mistakes_are_named),
		TEST(a_vm_changes_over_to_firmware),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
