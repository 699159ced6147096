/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of a storage daemon, and what is made of its words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/json.h"
#include "daemon/storage.h"

/* The n-th argument behind this option, as JSON. */
static json_t *option(char **argv, const char *name, unsigned n)
{
	for (size_t i = 0; argv[i]; i++)
		if (strcmp(argv[i], name) == 0 && n-- == 0)
			return json_loads(argv[i + 1], 0, NULL);
	return NULL;
}

static const char *text(json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static void every_driver_and_file_is_named(void **state)
{
	const struct disk_config disk = { .id = "vda", .path = "/a.img", .format = DISK_FORMAT_QCOW2,
					  .cache = DISK_CACHE_WRITEBACK };
	AUTO(storage_args_free) char **argv = storage_args(&disk, 8);
	AUTO(json_decref) json_t *image = option(argv, "--blockdev", 0);
	AUTO(json_decref) json_t *throttle = option(argv, "--blockdev", 1);
	AUTO(json_decref) json_t *export = option(argv, "--export", 0);

	assert_string_equal(argv[0], STORAGE_DAEMON);
	assert_string_equal(text(image, "driver"), "qcow2");
	/* CVE-2024-4467: nobody asks the image which file is behind it */
	assert_true(json_is_null(json_object_get(image, "backing")));
	assert_string_equal(text(json_object_get(image, "file"), "driver"), "file");
	assert_string_equal(text(json_object_get(image, "file"), "filename"), STORAGE_IMAGE);
	/* "auto" goes without where the daemon cannot find out whether locks work */
	assert_string_equal(text(json_object_get(image, "file"), "locking"), "on");
	assert_string_equal(text(throttle, "file"), "image");
	assert_string_equal(text(export, "node-name"), text(throttle, "node-name"));
	assert_true(json_is_true(json_object_get(export, "writable")));
	assert_int_equal(json_integer_value(json_object_get(export, "num-queues")), 4);
}

static void a_backing_file_is_the_one_that_is_named(void **state)
{
	const struct disk_config disk = { .id = "vda", .path = "/a.img", .format = DISK_FORMAT_QCOW2,
					  .backing = "/b.img", .backing_format = DISK_FORMAT_QCOW2 };
	AUTO(storage_args_free) char **argv = storage_args(&disk, 1);
	AUTO(json_decref) json_t *backing = option(argv, "--blockdev", 0);
	AUTO(json_decref) json_t *image = option(argv, "--blockdev", 1);

	assert_string_equal(text(image, "backing"), text(backing, "node-name"));
	assert_true(json_is_true(json_object_get(backing, "read-only")));
	assert_true(json_is_null(json_object_get(backing, "backing")));
	assert_string_equal(text(json_object_get(backing, "file"), "filename"), STORAGE_BACKING);
}

/* The daemon's view of the host has the socket at a place of its own. */
static void an_nbd_server_is_reached(void **state)
{
	const struct disk_config disks[] = {
		{ .id = "vda", .nbd = { .server = "fd00::7", .export = "one" } },
		{ .id = "vda", .nbd = { .server = "192.0.2.7", .port = 10810 } },
		{ .id = "vda", .nbd = { .socket = "/run/nbd.sock" }, .format = DISK_FORMAT_QCOW2 },
	};
	static const struct {
		const char *type, *key, *value, *port, *export;
	} wanted[] = {
		{ "inet", "host", "fd00::7", "10809", "one" },
		{ "inet", "host", "192.0.2.7", "10810", "" },
		{ "unix", "path", STORAGE_NBD, NULL, "" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(disks); i++) {
		AUTO(storage_args_free) char **argv = storage_args(&disks[i], 1);
		AUTO(json_decref) json_t *image = option(argv, "--blockdev", 0);
		json_t *file = json_object_get(image, "file"), *server = json_object_get(file, "server");

		assert_true(disk_needs_storage(&disks[i]));
		assert_string_equal(text(image, "driver"), i == 2 ? "qcow2" : "raw");
		assert_string_equal(text(file, "driver"), "nbd");
		assert_string_equal(text(file, "export"), wanted[i].export);
		assert_string_equal(text(server, "type"), wanted[i].type);
		assert_string_equal(text(server, wanted[i].key), wanted[i].value);
		assert_int_equal(!text(server, "port"), !wanted[i].port);
		if (wanted[i].port)
			assert_string_equal(text(server, "port"), wanted[i].port);
	}
}

static void settings_reach_it(void **state)
{
	const struct disk_config disk = {
		.id = "vda", .path = "/a.img", .format = DISK_FORMAT_LUKS, .secret = "/key",
		.cache = DISK_CACHE_NONE, .read_only = true, .queues = 2,
		.limits = { .iops = 100, .bytes_per_second = 4096, .bytes_burst = 8192 },
	};
	AUTO(storage_args_free) char **argv = storage_args(&disk, 8);
	AUTO(json_decref) json_t *secret = option(argv, "--object", 0);
	AUTO(json_decref) json_t *group = option(argv, "--object", 1);
	AUTO(json_decref) json_t *image = option(argv, "--blockdev", 0);
	AUTO(json_decref) json_t *export = option(argv, "--export", 0);
	json_t *limits = json_object_get(group, "limits");

	/* the passphrase is nowhere on the command line */
	assert_string_equal(text(secret, "file"), STORAGE_SECRET);
	assert_string_equal(text(image, "key-secret"), text(secret, "id"));
	assert_true(json_is_true(json_object_get(json_object_get(image, "cache"), "direct")));
	assert_true(json_is_true(json_object_get(image, "read-only")));
	assert_true(json_is_false(json_object_get(export, "writable")));
	assert_int_equal(json_integer_value(json_object_get(export, "num-queues")), 2);
	assert_int_equal(json_integer_value(json_object_get(limits, "iops-total")), 100);
	assert_int_equal(json_integer_value(json_object_get(limits, "iops-total-max")), 100);
	assert_int_equal(json_integer_value(json_object_get(limits, "bps-total")), 4096);
	assert_int_equal(json_integer_value(json_object_get(limits, "bps-total-max")), 8192);
}

/* All of it as QEMU 7.2 writes it. */
static void errors_are_for_a_person(void **state)
{
	const struct disk_config disk = { .path = "/srv/a b.img", .secret = "/etc/key" };
	static const struct {
		const char *said, *told;
	} rows[] = {
		{ "qemu-storage-daemon: --blockdev {\"driver\":\"qcow2\",\"file\":{\"a\":{}}}: Image is not in "
		  "qcow2 format\n", "Image is not in qcow2 format" },
		{ "qemu-storage-daemon: --blockdev {\"a\":1}: Could not open '/disk': Permission denied\n",
		  "Could not open '/srv/a b.img': Permission denied" },
		{ "qemu-storage-daemon: --blockdev {\"a\":1}: Failed to get \"write\" lock\n"
		  "Is another process using the image [/disk]?\n", "Failed to get \"write\" lock" },
		{ "one\nqemu-storage-daemon: Unable to read /secret: \x1b[31mno\n",
		  "Unable to read /etc/key: ?[31mno" },
		{ "/diskette", "/diskette" },
		{ "", "" },
		{ "\n\n", "" },
		{ "}: ", "}:" },
	};
	char buf[128];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		storage_explain(rows[i].said, &disk, buf, sizeof(buf));
		assert_string_equal(buf, rows[i].told);
	}
	storage_explain(rows[1].said, &disk, buf, 20);
	assert_int_equal(strlen(buf), 19);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_driver_and_file_is_named),
		cmocka_unit_test(a_backing_file_is_the_one_that_is_named),
		cmocka_unit_test(an_nbd_server_is_reached),
		cmocka_unit_test(settings_reach_it),
		cmocka_unit_test(errors_are_for_a_person),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
