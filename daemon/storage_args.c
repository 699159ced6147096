/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of qemu-storage-daemon(1), and what it says about it. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/qemu_text.h"
#include "daemon/storage.h"
#include "vmm/base/macro.h"

#define MAX_ARGS    32
#define DISK_QUEUES 4 /* at most, where nobody has asked for more: as hvd-vmm does */

/* By enum disk_format: names of QEMU's drivers. */
static const char *const drivers[_DISK_FORMAT_MAX] = {
	[DISK_FORMAT_RAW] = "raw",     [DISK_FORMAT_QCOW2] = "qcow2", [DISK_FORMAT_VMDK] = "vmdk",
	[DISK_FORMAT_VDI] = "vdi",     [DISK_FORMAT_VHDX] = "vhdx",   [DISK_FORMAT_LUKS] = "luks",
};

struct args {
	char **argv;
	size_t n;
	bool failed;
};

static void add(struct args *args, const char *text)
{
	if (args->n + 1 < MAX_ARGS)
		args->argv[args->n] = text ? strdup(text) : NULL;
	if (args->n + 1 >= MAX_ARGS || !args->argv[args->n])
		args->failed = true;
	else
		args->n++;
}

/* Takes object over. */
static void add_json(struct args *args, const char *option, json_t *object)
{
	AUTO(free) char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;

	json_decref(object);
	add(args, option);
	add(args, text);
}

/* QEMU's *-max, for its default length of one second. */
json_t *storage_limits(const struct disk_limits_config *limits)
{
	return json_pack("{s:I, s:I, s:I, s:I}", "iops-total", (json_int_t)limits->iops,
			 "iops-total-max", (json_int_t)MAX(limits->iops, limits->iops_burst),
			 "bps-total", (json_int_t)limits->bytes_per_second, "bps-total-max",
			 (json_int_t)MAX(limits->bytes_per_second, limits->bytes_burst));
}

/* What it has been asked while the server is away waits so long, and then fails. */
#define NBD_RECONNECT_SEC 60

static json_t *nbd_server(const struct nbd_config *nbd)
{
	char port[12];

	if (nbd->socket)
		return json_pack("{s:s, s:s}", "type", "unix", "path", STORAGE_NBD);
	snprintf(port, sizeof(port), "%" PRIu32, nbd->port ? nbd->port : NBD_PORT);
	return json_pack("{s:s, s:s, s:s}", "type", "inet", "host", nbd->server, "port", port);
}

static json_t *nbd_node(const struct disk_config *disk)
{
	return json_pack("{s:s, s:o, s:s, s:i, s:b, s:s, s:{s:b, s:b}}", "driver", "nbd", "server",
			 nbd_server(&disk->nbd), "export", disk->nbd.export ? disk->nbd.export : "",
			 "reconnect-delay", NBD_RECONNECT_SEC, "read-only", disk->read_only, "discard",
			 "unmap", "cache", "direct", disk->cache == DISK_CACHE_NONE, "no-flush",
			 disk->cache == DISK_CACHE_UNSAFE);
}

/* Port 0 has Ceph try both that are its own. */
static json_t *ceph_monitors(const struct ceph_config *ceph)
{
	json_t *monitors = json_array();
	char port[12];

	for (size_t i = 0; monitors && i < ceph->n_monitors; i++) {
		snprintf(port, sizeof(port), "%" PRIu32, ceph->monitors[i].port);
		json_array_append_new(monitors, json_pack("{s:s, s:s}", "host", ceph->monitors[i].address,
							  "port", port));
	}
	return monitors;
}

/* "pool/image" or "pool/namespace/image" */
static void set_rbd_image(json_t *node, const char *rbd)
{
	const char *space = strchr(rbd, '/') + 1, *image = strrchr(rbd, '/') + 1;

	json_object_set_new(node, "pool", json_stringn(rbd, (size_t)(space - 1 - rbd)));
	if (image != space)
		json_object_set_new(node, "namespace", json_stringn(space, (size_t)(image - 1 - space)));
	json_object_set_new(node, "image", json_string(image));
}

/*
 * No configuration of the host's is read. Direct: librbd's cache acknowledges writes before they are in the
 * cluster, so that they would be lost with the daemon, and the guest could not go on.
 */
static json_t *rbd_node(const struct disk_config *disk)
{
	const struct ceph_config *ceph = &disk->ceph;
	json_t *node = json_pack("{s:s, s:s, s:o, s:[s], s:b, s:s, s:{s:b, s:b}}", "driver", "rbd", "conf",
				 "/dev/null", "server", ceph_monitors(ceph), "auth-client-required",
				 ceph->keyfile ? "cephx" : "none", "read-only", disk->read_only, "discard",
				 "unmap", "cache", "direct", 1, "no-flush", disk->cache == DISK_CACHE_UNSAFE);

	set_rbd_image(node, ceph->rbd);
	if (ceph->user)
		json_object_set_new(node, "user", json_string(ceph->user));
	if (ceph->keyfile)
		json_object_set_new(node, "key-secret", json_string("key"));
	return node;
}

static json_t *file_node(const struct disk_config *disk, const char *path, bool read_only)
{
	return json_pack("{s:s, s:s, s:s, s:b, s:s, s:{s:b, s:b}}", "driver", "file", "filename", path,
			 "locking", "on", "read-only", read_only, "discard", "unmap", "cache", "direct",
			 disk->cache == DISK_CACHE_NONE, "no-flush", disk->cache == DISK_CACHE_UNSAFE);
}

/* What the image is in. */
static json_t *place_node(const struct disk_config *disk)
{
	if (disk_is_rbd(disk))
		return rbd_node(disk);
	return disk_is_nbd(disk) ? nbd_node(disk) : file_node(disk, STORAGE_IMAGE, disk->read_only);
}

/* The image as a node; its backing file is the node named so, or none. */
static json_t *image_node(const struct disk_config *disk)
{
	json_t *node = json_pack("{s:s, s:s, s:b, s:s, s:{s:b, s:b}, s:o}", "driver",
				 drivers[disk->format], "node-name", STORAGE_IMAGE_NODE, "read-only",
				 disk->read_only, "discard", "unmap", "cache", "direct",
				 disk->cache == DISK_CACHE_NONE, "no-flush",
				 disk->cache == DISK_CACHE_UNSAFE, "file", place_node(disk));

	if (disk->format == DISK_FORMAT_QCOW2)
		json_object_set_new(node, "backing", disk->backing
				    ? json_string(STORAGE_BACKING_NODE) : json_null());
	if (disk->format == DISK_FORMAT_LUKS)
		json_object_set_new(node, "key-secret", json_string("secret"));
	else if (disk->secret)
		json_object_set_new(node, "encrypt", json_pack("{s:s, s:s}", "format", "luks",
							       "key-secret", "secret"));
	return node;
}

static json_t *backing_node(const struct disk_config *disk)
{
	json_t *node = json_pack("{s:s, s:s, s:b, s:o}", "driver", drivers[disk->backing_format],
				 "node-name", STORAGE_BACKING_NODE, "read-only", 1, "file",
				 file_node(disk, STORAGE_BACKING, true));

	if (disk->backing_format == DISK_FORMAT_QCOW2)
		json_object_set_new(node, "backing", json_null());
	return node;
}

static void add_nodes(struct args *args, const struct disk_config *disk)
{
	if (disk->secret)
		add_json(args, "--object", json_pack("{s:s, s:s, s:s}", "qom-type", "secret", "id",
						     "secret", "file", STORAGE_SECRET));
	/* a key of Ceph's is base64, of which QEMU takes nothing but the bytes */
	if (disk->ceph.keyfile)
		add_json(args, "--object", json_pack("{s:s, s:s, s:s, s:s}", "qom-type", "secret", "id", "key",
						     "format", "base64", "file", STORAGE_KEY));
	if (disk->backing)
		add_json(args, "--blockdev", backing_node(disk));
	add_json(args, "--blockdev", image_node(disk));
	add_json(args, "--object", json_pack("{s:s, s:s, s:o}", "qom-type", "throttle-group", "id",
					     STORAGE_LIMITS, "limits", storage_limits(&disk->limits)));
	add_json(args, "--blockdev", json_pack("{s:s, s:s, s:s, s:s, s:b}", "driver", "throttle",
					       "node-name", STORAGE_NODE, "throttle-group",
					       STORAGE_LIMITS, "file", STORAGE_IMAGE_NODE, "read-only",
					       disk->read_only));
}

char **storage_args(const struct disk_config *disk, uint32_t vcpus)
{
	AUTO(storage_args_free) char **argv = calloc(MAX_ARGS, sizeof(*argv));
	uint32_t queues = disk->queues ? disk->queues : MIN(vcpus, (uint32_t)DISK_QUEUES);
	struct args args = { .argv = argv };

	if (!argv)
		return NULL;
	add(&args, STORAGE_DAEMON);
	add(&args, "--chardev");
	add(&args, "socket,id=qmp,fd=0,server=on,wait=off");
	add(&args, "--monitor");
	add(&args, "chardev=qmp");
	add_nodes(&args, disk);
	add_json(&args, "--export",
		 json_pack("{s:s, s:s, s:s, s:b, s:I, s:{s:s, s:s}}", "type", "vhost-user-blk", "id",
			   "export", "node-name", STORAGE_NODE, "writable", !disk->read_only,
			   "num-queues", (json_int_t)queues, "addr", "type", "fd", "str", "1"));
	return args.failed ? NULL : TAKE(argv);
}

char **storage_args_free(char **argv)
{
	for (size_t i = 0; argv && i < MAX_ARGS; i++)
		free(argv[i]);
	free(argv);
	return NULL;
}

/* What the daemon says where it could say more. */
static const struct {
	const char *said, *meant;
} explained[] = {
	{ "Unknown driver 'rbd'", "QEMU's driver for Ceph is not installed: it is in Debian's package "
				  "qemu-block-extra" },
	{ "Base64 data ", "the key file has no key in it: it is to hold what 'ceph auth print-key' prints" },
	{ "error connecting: Permission denied", "the Ceph cluster does not take the user or its key" },
	{ "error connecting: Operation not supported", "the Ceph cluster asks for a user and its key: see "
						       "user and keyfile" },
};

void storage_explain(const char *output, const struct disk_config *disk, char *buf, size_t size)
{
	const struct qemu_path paths[] = {
		{ STORAGE_IMAGE, disk->path },
		{ STORAGE_BACKING, disk->backing },
		{ STORAGE_SECRET, disk->secret },
		{ STORAGE_NBD, disk->nbd.socket },
		{ STORAGE_KEY, disk->ceph.keyfile },
	};

	qemu_explain(output, "qemu-storage-daemon: ", paths, ARRAY_SIZE(paths), buf, size);
	for (size_t i = 0; i < ARRAY_SIZE(explained); i++)
		if (strncmp(buf, explained[i].said, strlen(explained[i].said)) == 0)
			snprintf(buf, size, "%s", explained[i].meant);
}
