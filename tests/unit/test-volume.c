/* SPDX-License-Identifier: Apache-2.0 */
/* Images and volumes in their folders, made by the real qemu-img. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/event_log.h"
#include "daemon/qemu_img.h"
#include "daemon/vm_private.h"
#include "daemon/volume.h"
#include "tests/unit/scene.h"
#include "vmm/base/macro.h"

static struct {
	struct scene *scene;
	int calls, r;
	struct hvd_error err;
	uint64_t done, total;
} t;

static void on_progress(void *ctx, uint64_t done, uint64_t total)
{
	assert_ptr_equal(ctx, &t);
	assert_true(done >= t.done && done <= total);
	t.done = done;
	t.total = total;
}

static void on_done(void *ctx, int r, struct pool_item *item, const struct hvd_error *err)
{
	assert_ptr_equal(ctx, &t);
	assert_int_equal(r < 0, item == NULL);
	assert_int_equal(r < 0, err != NULL);
	t.calls++;
	t.r = r;
	t.err = err ? *err : (struct hvd_error){ 0 };
}

static const struct volume_ops ops = { .progress = on_progress, .done = on_done };

static int set_up(void **state)
{
	int r = scene_set_up(state);

	memset(&t, 0, sizeof(t));
	t.scene = *state;
	if (access(QEMU_IMG, X_OK) < 0)
		skip();
	return r;
}

static void wait_done(void)
{
	while (!t.calls)
		assert_true(sd_event_run(t.scene->event, UINT64_MAX) >= 0);
	assert_int_equal(t.calls, 1);
}

static int shell(const char *format, const char *a, const char *b)
{
	char command[700];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(command, sizeof(command), format, a, b);
#pragma GCC diagnostic pop
	return system(command);
}

static struct volume_config config_of(const char *name, enum disk_format format)
{
	struct volume_config config = { .name = strdup(name), .format = format };

	assert_non_null(config.name);
	return config;
}

static void begin_import(const char *name, const char *path, enum disk_format format)
{
	struct volume_config config = config_of(name, format);

	config.path = path ? strdup(path) : NULL;
	t.calls = 0;
	t.done = 0;
	image_import(t.scene->manager, &config, &ops, &t);
	assert_null(config.name);
}

static int import(const char *name, const char *path, enum disk_format format)
{
	begin_import(name, path, format);
	wait_done();
	return t.r;
}

/* A file of the scene: some data, then a hole, then some. */
static const char *source(uint64_t size)
{
	static char path[256];
	AUTO(close) int fd = -1;

	scene_path(t.scene, "source", path);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	assert_int_equal(pwrite(fd, "begin", 5, 0), 5);
	assert_int_equal(pwrite(fd, "end", 3, (off_t)size - 512), 3);
	return path;
}

static bool in_images(const char *file)
{
	char name[300];

	snprintf(name, sizeof(name), "state/images/%s", file);
	return scene_exists(t.scene, name);
}

static struct pool_item *image(const char *name)
{
	return pool_find(t.scene->manager->images, name);
}

static void test_import_raw(void **state)
{
	const char *path = source(8 * MIB);
	struct volume_status status = { 0 };

	assert_int_equal(import("base.img", path, DISK_FORMAT_RAW), 0);
	assert_int_equal(t.total, 8 * MIB);
	assert_int_equal(pool_config(image("base.img"))->size, 8 * MIB);
	assert_null(pool_config(image("base.img"))->path);
	assert_int_equal(shell("cmp -s %s %s", path, pool_path(image("base.img"))), 0);
	assert_int_equal(volume_get_status(image("base.img"), &status), 0);
	assert_string_equal(status.path, pool_path(image("base.img")));
	assert_true(status.allocation > 0 && status.allocation < 4 * MIB);
	schema_clear(&volume_status_schema, &status);

	/* nothing of it is only in memory */
	scene_restart(t.scene);
	assert_non_null(image("base.img"));
	assert_int_equal(pool_config(image("base.img"))->size, 8 * MIB);
	assert_int_equal(import("base.img", path, DISK_FORMAT_RAW), -EEXIST);
	assert_string_equal(t.err.field, "name");
	assert_int_equal(pool_remove(image("base.img"), NULL), 0);
	assert_false(in_images("base.img.raw"));
	assert_false(in_images("base.img.xml"));
	scene_restart(t.scene);
	assert_null(image("base.img"));
}

static void test_import_qcow2(void **state)
{
	char path[256];

	scene_path(t.scene, "q", path);
	assert_int_equal(shell("qemu-img convert -c -f raw -O qcow2 %s %s", source(4 * MIB), path), 0);
	assert_int_equal(import("q", path, DISK_FORMAT_QCOW2), 0);
	assert_int_equal(pool_config(image("q"))->size, 4 * MIB);
	assert_int_equal(shell("qemu-img compare -q -f qcow2 -F raw %s %s", pool_path(image("q")),
			       source(4 * MIB)), 0);
}

/* What an image says of other files is not followed, CVE-2024-4467 among others. */
static void test_hostile(void **state)
{
	char base[256], path[256];

	scene_path(t.scene, "base", base);
	scene_path(t.scene, "q", path);
	assert_int_equal(shell("qemu-img create -q -f qcow2 %s 1M", base, ""), 0);
	assert_int_equal(shell("qemu-img create -q -f qcow2 -b %s -F qcow2 %s", base, path), 0);
	assert_int_equal(import("q", path, DISK_FORMAT_QCOW2), -EINVAL);
	assert_string_equal(t.err.field, "path");
	assert_non_null(strstr(t.err.msg, "is a change of another image"));

	unlink(path);
	assert_int_equal(shell("qemu-img create -q -f qcow2 -o data_file=%s.data,data_file_raw=on %s 1M", base,
			       path), 0);
	assert_int_equal(import("q", path, DISK_FORMAT_QCOW2), -EINVAL);
	assert_non_null(strstr(t.err.msg, "has its data in another file"));

	/* what hvd looks at is fine, but its table of clusters is nowhere */
	unlink(path);
	assert_int_equal(shell("cp %s %s", base, path), 0);
	assert_int_equal(shell("printf '\\377\\377\\377\\377' | dd of=%s bs=1 seek=40 conv=notrunc status=none", path,
			       ""), 0);
	assert_true(import("q", path, DISK_FORMAT_QCOW2) < 0);
	assert_null(strstr(t.err.msg, "/proc/"));
	assert_false(in_images("q.qcow2.new"));
	assert_false(in_images("q.qcow2"));
	assert_null(image("q"));
}

static void test_no_image(void **state)
{
	char fifo[256], empty[256];

	scene_path(t.scene, "fifo", fifo);
	scene_path(t.scene, "empty", empty);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	scene_write(t.scene, "empty", "");
	assert_int_equal(import("a", NULL, DISK_FORMAT_RAW), -EINVAL);
	assert_int_equal(import("a", "/nonexistent", DISK_FORMAT_RAW), -EINVAL);
	assert_int_equal(import("a", "/", DISK_FORMAT_RAW), -EINVAL);
	assert_int_equal(import("a", "/dev/zero", DISK_FORMAT_RAW), -EINVAL);
	assert_int_equal(import("a", fifo, DISK_FORMAT_RAW), -EINVAL);
	assert_int_equal(import("a", empty, DISK_FORMAT_RAW), -EINVAL);
	assert_int_equal(import("a", "/bin/sh", DISK_FORMAT_QCOW2), -EINVAL);
	assert_string_equal(t.err.field, "path");
	assert_null(image("a"));
}

/* Two of one name, one of which is under way; the other is taken back. */
static void test_cancel(void **state)
{
	const char *path = source(512 * MIB);

	begin_import("a", path, DISK_FORMAT_RAW);
	assert_int_equal(t.calls, 0);
	assert_true(in_images("a.raw.new"));
	assert_null(pool_next(t.scene->manager->images, NULL));
	assert_int_equal(import("a", path, DISK_FORMAT_RAW), -EEXIST);
	assert_non_null(strstr(t.err.msg, "is being made"));

	t.calls = 0;
	volume_cancel(t.scene->manager, &t);
	assert_int_equal(t.calls, 1);
	assert_int_equal(t.r, -ECANCELED);
	assert_false(in_images("a.raw.new"));
	assert_int_equal(import("a", path, DISK_FORMAT_RAW), 0);
}

/* hvd ends in the middle. */
static void test_stop(void **state)
{
	begin_import("a", source(512 * MIB), DISK_FORMAT_RAW);
	scene_restart(t.scene);
	assert_int_equal(t.calls, 1);
	assert_int_equal(t.r, -ECANCELED);
	assert_false(in_images("a.raw.new"));
	assert_null(image("a"));
}

/* What a hvd leaves that is killed: before the data has its name, before there is a definition, after it went. */
static void test_left_over(void **state)
{
	static const struct {
		const char *file;
		bool stays;
	} files[] = {
		{ "a.raw.new", false },   { "b.qcow2.new", false }, { "c.raw", false },
		{ "d.qcow2", false },     { "e.xml.new", false },
		/* of a definition that cannot be read; and what is not hvd's */
		{ "f.xml", true },        { "f.raw", true },        { "notes.txt", true },
		{ ".raw", true },         { "raw", true },
	};
	char name[64];

	assert_int_equal(import("good", source(MIB), DISK_FORMAT_RAW), 0);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(name, sizeof(name), "state/images/%s", files[i].file);
		scene_write(t.scene, name, "x");
	}
	scene_restart(t.scene);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (in_images(files[i].file) != files[i].stays)
			fail_msg("%s %s", files[i].file, files[i].stays ? "has gone" : "is still there");
	assert_non_null(image("good"));
	assert_null(image("f"));
}

/* A link in the folder leads nowhere. */
static void test_links(void **state)
{
	struct volume_status status = { 0 };
	char path[256];

	assert_int_equal(import("a", source(MIB), DISK_FORMAT_RAW), 0);
	assert_int_equal(unlink(pool_path(image("a"))), 0);
	assert_int_equal(symlink(source(2 * MIB), pool_path(image("a"))), 0);
	assert_int_equal(pool_look(image("a"), &status), -ELOOP);
	assert_int_equal(pool_config(image("a"))->size, MIB);
	scene_restart(t.scene);
	assert_int_equal(pool_config(image("a"))->size, MIB);

	scene_path(t.scene, "state/images/b.raw.new", path);
	assert_int_equal(symlink("/nonexistent/target", path), 0);
	assert_true(import("b", source(MIB), DISK_FORMAT_RAW) < 0);
	assert_null(image("b"));
}

static int make(const char *name, enum disk_format format, uint64_t size, const char *from, bool backed)
{
	struct volume_config config = config_of(name, format);

	config.size = size;
	config.image = from ? strdup(from) : NULL;
	config.backed = backed;
	t.calls = 0;
	t.done = 0;
	volume_create(t.scene->manager, &config, &ops, &t);
	assert_null(config.name);
	wait_done();
	return t.r;
}

static struct pool_item *volume(const char *name)
{
	return pool_find(t.scene->manager->volumes, name);
}

static int resize(const char *name, uint64_t size)
{
	t.calls = 0;
	volume_resize(volume(name), size, &ops, &t);
	wait_done();
	return t.r;
}

/* What a guest would see of it is the image's data, then zeros. */
static void compare(const char *name)
{
	const char *format = pool_config(volume(name))->format == DISK_FORMAT_RAW ? "raw" : "qcow2";
	char command[128];

	snprintf(command, sizeof(command), "qemu-img compare -q -f raw -F %s %%s %%s", format);
	assert_int_equal(shell(command, pool_path(image("base")), pool_path(volume(name))), 0);
}

static void test_volumes(void **state)
{
	static const struct {
		const char *name;
		enum disk_format format;
		uint64_t size;
		const char *image;
		bool backed;
		uint64_t gets;
	} cases[] = {
		{ "empty", DISK_FORMAT_RAW, 3 * MIB, NULL, false, 3 * MIB },
		{ "empty-q", DISK_FORMAT_QCOW2, 3 * MIB, NULL, false, 3 * MIB },
		{ "copy", DISK_FORMAT_RAW, 0, "base", false, 8 * MIB },
		{ "copy-q", DISK_FORMAT_QCOW2, 0, "base", false, 8 * MIB },
		{ "large", DISK_FORMAT_RAW, 16 * MIB, "base", false, 16 * MIB },
		{ "large-q", DISK_FORMAT_QCOW2, 16 * MIB, "base", false, 16 * MIB },
		{ "overlay", DISK_FORMAT_QCOW2, 0, "base", true, 8 * MIB },
		{ "large-overlay", DISK_FORMAT_QCOW2, 16 * MIB, "base", true, 16 * MIB },
	};

	assert_int_equal(import("base", source(8 * MIB), DISK_FORMAT_RAW), 0);
	for (int again = 0; again < 2; again++) {
		for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
			if (!again && make(cases[i].name, cases[i].format, cases[i].size, cases[i].image,
					   cases[i].backed) < 0)
				fail_msg("%s: %s", cases[i].name, t.err.msg);
			assert_int_equal(pool_config(volume(cases[i].name))->size, cases[i].gets);
			assert_int_equal(pool_config(volume(cases[i].name))->backed, cases[i].backed);
			if (cases[i].image)
				compare(cases[i].name);
		}
		scene_restart(t.scene);
	}

	/* an image is not taken from under a volume, and a copy does not need it */
	assert_int_equal(image_remove(image("base"), &t.err), -EBUSY);
	assert_non_null(strstr(t.err.msg, "and others"));
	assert_int_equal(volume_remove(volume("large-overlay"), NULL), 0);
	assert_int_equal(image_remove(image("base"), &t.err), -EBUSY);
	assert_non_null(strstr(t.err.msg, "volume overlay"));
	assert_int_equal(volume_remove(volume("overlay"), NULL), 0);
	assert_int_equal(image_remove(image("base"), NULL), 0);
	assert_non_null(volume("copy"));
}

static void test_no_volume(void **state)
{
	assert_int_equal(import("base", source(8 * MIB), DISK_FORMAT_RAW), 0);
	assert_int_equal(make("a", DISK_FORMAT_RAW, 0, "none", false), -EINVAL);
	assert_string_equal(t.err.field, "image");
	assert_int_equal(make("a", DISK_FORMAT_RAW, MIB, "base", false), -EINVAL);
	assert_string_equal(t.err.field, "size");
	assert_null(volume("a"));
	assert_int_equal(make("a", DISK_FORMAT_RAW, MIB, NULL, false), 0);
	assert_int_equal(make("a", DISK_FORMAT_QCOW2, MIB, NULL, false), -EEXIST);
}

/* Events that tell of a change. */
static unsigned changes(void)
{
	const struct event_log *log = t.scene->manager->events;
	const struct event_filter filter = { .types = 1u << EVENT_CHANGED };
	const struct event_entry *entry = NULL;
	unsigned n = 0;

	while ((entry = event_log_next(log, entry ? entry->seq : 0, &filter)))
		n++;
	return n;
}

static void test_resize(void **state)
{
	assert_int_equal(import("base", source(8 * MIB), DISK_FORMAT_RAW), 0);
	assert_int_equal(make("r", DISK_FORMAT_RAW, 0, "base", false), 0);
	assert_int_equal(make("o", DISK_FORMAT_QCOW2, 0, "base", true), 0);
	for (int i = 0; i < 2; i++) {
		const char *name = i ? "o" : "r";

		assert_int_equal(resize(name, 12 * MIB), 0);
		assert_int_equal(pool_config(volume(name))->size, 12 * MIB);
		assert_int_equal(changes(), i + 1);
		assert_int_equal(resize(name, 12 * MIB), 0);
		assert_int_equal(changes(), i + 1);
		assert_int_equal(resize(name, 11 * MIB), -EINVAL);
		assert_string_equal(t.err.field, "size");
		compare(name);
	}
	scene_restart(t.scene);
	assert_int_equal(pool_config(volume("o"))->size, 12 * MIB);

	/* while it grows, nothing else is done to it */
	t.calls = 0;
	volume_resize(volume("r"), 20 * MIB, &ops, &t);
	assert_int_equal(volume_remove(volume("r"), NULL), -EBUSY);
	wait_done();
	assert_int_equal(t.r, 0);
	assert_int_equal(volume_remove(volume("r"), NULL), 0);
}

/* A VM whose only disk is this volume. */
static int define(const char *name, const char *of, struct vm **ret)
{
	struct vm_config config;
	struct disk_config *disk;
	struct hvd_error err = { 0 };
	int r;

	scene_spec(t.scene, name, &config);
	disk = field_list_append(schema_field(&vm_schema, "disks"), &config);
	disk->volume = strdup(of);
	r = vm_define(t.scene->manager, &config, ret, &err);
	schema_clear(&vm_schema, &config);
	t.err = err;
	return r;
}

static void test_disk(void **state)
{
	struct volume_status status = { 0 };
	struct vm *vm;

	assert_int_equal(define("a", "data", &vm), -EINVAL);
	assert_string_equal(t.err.field, "disks[0].volume");
	assert_int_equal(make("data", DISK_FORMAT_RAW, MIB, NULL, false), 0);
	assert_int_equal(define("a", "data", &vm), 0);
	assert_null(vm_config(vm)->disks[0].path);
	assert_string_equal(vm_config(vm)->disks[0].volume, "data");

	assert_int_equal(volume_get_status(volume("data"), &status), 0);
	assert_int_equal(status.n_used_by, 1);
	assert_string_equal(status.used_by[0].vm, "a");
	schema_clear(&volume_status_schema, &status);
	assert_int_equal(volume_remove(volume("data"), &t.err), -EBUSY);
	assert_non_null(strstr(t.err.msg, "hvcli disk detach a vda"));

	/* it grows because the VM's disk does, and somebody has seen it before it is told */
	vm_volumes_changed(vm);
	assert_int_equal(changes(), 0);
	assert_int_equal(truncate(pool_path(volume("data")), 2 * MIB), 0);
	assert_int_equal(pool_look(volume("data"), &status), 0);
	vm_volumes_changed(vm);
	assert_int_equal(changes(), 1);
	vm_volumes_changed(vm);
	assert_int_equal(changes(), 1);

	scene_restart(t.scene);
	vm = manager_find_vm(t.scene->manager, "a");
	assert_string_equal(vm_config(vm)->disks[0].volume, "data");
	assert_int_equal(vm_undefine(vm, &(struct delete_options){ 0 }, NULL), 0);
	assert_int_equal(volume_remove(volume("data"), NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_import_raw, set_up, scene_tear_down),
		cmocka_unit_test_setup_teardown(test_import_qcow2, set_up, scene_tear_down),
		cmocka_unit_test_setup_teardown(test_hostile, set_up, scene_tear_down),
		cmocka_unit_test_setup_teardown(test_no_image, set_up, scene_tear_down),
		cmocka_unit_test_setup_teardown(test_cancel, set_up, scene_tear_down),
		cmocka_unit_test_setup_teardown(test_stop, set_up, scene_tear_down),
		cmocka_unit_test_setup_teardown(test_left_over, set_up, scene_tear_down),
		cmocka_unit_test_setup_teardown(test_links, set_up, scene_tear_down),
		cmocka_unit_test_setup_teardown(test_volumes, set_up, scene_tear_down),
		cmocka_unit_test_setup_teardown(test_no_volume, set_up, scene_tear_down),
		cmocka_unit_test_setup_teardown(test_resize, set_up, scene_tear_down),
		cmocka_unit_test_setup_teardown(test_disk, set_up, scene_tear_down),
	};

	return cmocka_run_group_tests_name("volume", tests, NULL, NULL);
}
