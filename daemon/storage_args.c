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

static json_t *file_node(const struct disk_config *disk, const char *path, bool read_only)
{
	return json_pack("{s:s, s:s, s:s, s:b, s:s, s:{s:b, s:b}}", "driver", "file", "filename", path,
			 "locking", "on", "read-only", read_only, "discard", "unmap", "cache", "direct",
			 disk->cache == DISK_CACHE_NONE, "no-flush", disk->cache == DISK_CACHE_UNSAFE);
}

/* The image as a node; its backing file is the node named so, or none. */
static json_t *image_node(const struct disk_config *disk)
{
	json_t *node = json_pack("{s:s, s:s, s:b, s:s, s:{s:b, s:b}, s:o}", "driver",
				 drivers[disk->format], "node-name", "image", "read-only",
				 disk->read_only, "discard", "unmap", "cache", "direct",
				 disk->cache == DISK_CACHE_NONE, "no-flush",
				 disk->cache == DISK_CACHE_UNSAFE, "file",
				 disk_is_nbd(disk) ? nbd_node(disk)
						   : file_node(disk, STORAGE_IMAGE, disk->read_only));

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
	if (disk->backing)
		add_json(args, "--blockdev", backing_node(disk));
	add_json(args, "--blockdev", image_node(disk));
	add_json(args, "--object", json_pack("{s:s, s:s, s:o}", "qom-type", "throttle-group", "id",
					     STORAGE_LIMITS, "limits", storage_limits(&disk->limits)));
	add_json(args, "--blockdev", json_pack("{s:s, s:s, s:s, s:s, s:b}", "driver", "throttle",
					       "node-name", STORAGE_NODE, "throttle-group",
					       STORAGE_LIMITS, "file", "image", "read-only",
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

void storage_explain(const char *output, const struct disk_config *disk, char *buf, size_t size)
{
	const struct qemu_path paths[] = {
		{ STORAGE_IMAGE, disk->path },
		{ STORAGE_BACKING, disk->backing },
		{ STORAGE_SECRET, disk->secret },
		{ STORAGE_NBD, disk->nbd.socket },
	};

	qemu_explain(output, "qemu-storage-daemon: ", paths, ARRAY_SIZE(paths), buf, size);
}
