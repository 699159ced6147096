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

/* Nothing of the host's configuration is read, and no write is acknowledged that is not in the cluster. */
static void an_image_of_ceph_is_reached(void **state)
{
	struct ceph_monitor monitors[] = { { .address = "192.0.2.7" }, { "fd00::7", 3301 } };
	const struct disk_config disk = {
		.id = "vda",
		.ceph = { .rbd = "vms/demo", .monitors = monitors, .n_monitors = 2, .user = "hvd",
			  .keyfile = "/etc/hvd/ceph.key" },
	};
	AUTO(storage_args_free) char **argv = storage_args(&disk, 1);
	AUTO(json_decref) json_t *image = option(argv, "--blockdev", 0);
	AUTO(json_decref) json_t *key = option(argv, "--object", 0);
	json_t *rbd = json_object_get(image, "file"), *servers = json_object_get(rbd, "server");

	assert_true(disk_needs_storage(&disk));
	assert_string_equal(disk_place(&disk), "vms/demo");
	assert_string_equal(text(rbd, "driver"), "rbd");
	assert_string_equal(text(rbd, "conf"), "/dev/null");
	assert_string_equal(text(rbd, "pool"), "vms");
	assert_null(json_object_get(rbd, "namespace"));
	assert_string_equal(text(rbd, "image"), "demo");
	assert_string_equal(text(rbd, "user"), "hvd");
	assert_string_equal(text(rbd, "key-secret"), text(key, "id"));
	assert_string_equal(json_string_value(json_array_get(json_object_get(rbd, "auth-client-required"), 0)),
			    "cephx");
	assert_string_equal(text(key, "file"), STORAGE_KEY);
	assert_string_equal(text(key, "format"), "base64");
	assert_int_equal(json_array_size(servers), 2);
	assert_string_equal(text(json_array_get(servers, 0), "host"), "192.0.2.7");
	assert_string_equal(text(json_array_get(servers, 0), "port"), "0");
	assert_string_equal(text(json_array_get(servers, 1), "host"), "fd00::7");
	assert_string_equal(text(json_array_get(servers, 1), "port"), "3301");
	assert_true(json_is_true(json_object_get(json_object_get(rbd, "cache"), "direct")));
}

static void a_cluster_may_have_namespaces_and_no_users(void **state)
{
	struct ceph_monitor monitor = { .address = "192.0.2.7" };
	const struct disk_config disk = {
		.id = "vda",
		.format = DISK_FORMAT_QCOW2,
		.ceph = { .rbd = "vms/ns/demo", .monitors = &monitor, .n_monitors = 1 },
	};
	AUTO(storage_args_free) char **argv = storage_args(&disk, 1);
	AUTO(json_decref) json_t *image = option(argv, "--blockdev", 0);
	json_t *rbd = json_object_get(image, "file");

	assert_string_equal(text(image, "driver"), "qcow2");
	assert_string_equal(text(rbd, "pool"), "vms");
	assert_string_equal(text(rbd, "namespace"), "ns");
	assert_string_equal(text(rbd, "image"), "demo");
	assert_null(json_object_get(rbd, "user"));
	assert_null(json_object_get(rbd, "key-secret"));
	assert_string_equal(json_string_value(json_array_get(json_object_get(rbd, "auth-client-required"), 0)),
			    "none");
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
		{ "qemu-storage-daemon: --blockdev {\"driver\":\"raw\",\"file\":{}}: Unknown driver 'rbd'\n",
		  "QEMU's driver for Ceph is not installed: it is in Debian's package qemu-block-extra" },
		{ "qemu-storage-daemon: --object {\"id\":\"key\"}: Base64 data contains invalid characters\n",
		  "the key file has no key in it: it is to hold what 'ceph auth print-key' prints" },
		{ "qemu-storage-daemon: --blockdev {\"file\":{}}: error connecting: Permission denied\n",
		  "the Ceph cluster does not take the user or its key" },
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
		cmocka_unit_test(an_image_of_ceph_is_reached),
		cmocka_unit_test(a_cluster_may_have_namespaces_and_no_users),
		cmocka_unit_test(settings_reach_it),
		cmocka_unit_test(errors_are_for_a_person),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
