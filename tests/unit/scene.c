/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "vmm/base/log.h"
#include "vmm/base/macro.h"

static void start(struct scene *scene)
{
	const struct manager_paths paths = { .state = scene->state, .runtime = scene->runtime,
					     .networkd = scene->networkd, .worker = "/nonexistent", .xml = BUILT_XML };
	struct hvd_error err = { 0 };

	assert_int_equal(sd_event_new(&scene->event), 0);
	if (manager_new(scene->event, NULL, &paths, &scene->manager, &err) < 0)
		fail_msg("manager_new: %s", err.msg);
}

void scene_stop(struct scene *scene)
{
	scene->manager = manager_free(scene->manager);
	scene->event = sd_event_unref(scene->event);
}

void scene_restart(struct scene *scene)
{
	scene_stop(scene);
	start(scene);
}

int scene_set_up(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));

	assert_non_null(scene);
	log_open(LOG_CRIT);
	strcpy(scene->folder, "/tmp/hvd-test.XXXXXX");
	assert_non_null(mkdtemp(scene->folder));
	snprintf(scene->state, sizeof(scene->state), "%s/state", scene->folder);
	snprintf(scene->runtime, sizeof(scene->runtime), "%s/run", scene->folder);
	snprintf(scene->networkd, sizeof(scene->networkd), "%s/networkd", scene->folder);
	snprintf(scene->kernel, sizeof(scene->kernel), "%s/Image", scene->folder);
	scene_write(scene, "Image", "no kernel, but a file");
	start(scene);
	*state = scene;
	return 0;
}

int scene_tear_down(void **state)
{
	struct scene *scene = *state;
	char command[128];

	scene_stop(scene);
	snprintf(command, sizeof(command), "rm -rf '%s'", scene->folder);
	assert_int_equal(system(command), 0);
	free(scene);
	return 0;
}

void scene_spec(const struct scene *scene, const char *name, struct vm_config *ret)
{
	assert_int_equal(schema_init(&vm_schema, ret), 0);
	free(ret->name);
	free(ret->boot.kernel);
	ret->name = strdup(name);
	ret->boot.kernel = strdup(scene->kernel);
	ret->memory = 64 * MIB;
	ret->vcpus = 1;
	assert_true(ret->name && ret->boot.kernel);
}

struct vm *scene_define(struct scene *scene, const char *name)
{
	struct hvd_error err = { 0 };
	struct vm_config config;
	struct vm *vm = NULL;

	scene_spec(scene, name, &config);
	if (vm_define(scene->manager, &config, &vm, &err) < 0)
		fail_msg("vm_define: %s", err.msg);
	return vm;
}

void scene_path(const struct scene *scene, const char *name, char path[static 256])
{
	snprintf(path, 256, "%s/%s", scene->folder, name);
}

void scene_write(const struct scene *scene, const char *name, const char *text)
{
	char path[256];
	FILE *f;

	scene_path(scene, name, path);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

bool scene_exists(const struct scene *scene, const char *name)
{
	char path[256];

	scene_path(scene, name, path);
	return access(path, F_OK) == 0;
}
