/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/device_table.h"

#include <errno.h>
#include <string.h>

#include "api/snapshot_schema.h"
#include "api/vm_schema.h"
#include "cli/resource_table.h"
#include "cli/value.h"
#include "vmm/base/macro.h"

/* Where its data is: "/srv/a.img", "volume root", "nbd 192.0.2.1", "rbd vms/root". */
static int disk_cell(const json_t *disk, char **ret)
{
	static const struct {
		const char *kind, *place;
	} places[] = {
		{ "volume", "volume" }, { "nbd", "nbd.server" }, { "nbd", "nbd.socket" }, { "rbd", "ceph.rbd" },
	};
	const char *path = value_string_at(disk, "path");

	*ret = path ? strdup(path) : NULL;
	if (path)
		return *ret ? 0 : -ENOMEM;
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		const char *name = value_string_at(disk, places[i].place);

		if (name)
			return asprintf(ret, "%s %s", places[i].kind, name) < 0 ? -ENOMEM : 0;
	}
	return 0;
}

static const struct resource_column disk_columns[] = {
	{ .column.heading = "ID", .place = "id" },
	{ .column.heading = "PATH", .fn = disk_cell },
	{ .column.heading = "FORMAT", .place = "format" },
	{ .column.heading = "CACHE", .place = "cache" },
	{ .column.heading = "READ ONLY", .place = "read_only" },
};

int disk_table(const json_t *items, FILE *f, unsigned width, bool colour)
{
	return resource_table(disk_columns, ARRAY_SIZE(disk_columns), items, false, f, width, colour);
}

/* Exactly one of these is set: "network default", "bridge br0". */
static int place_cell(const json_t *nic, char **ret)
{
	static const char *const places[] = { "network", "bridge", "interface", "tap" };

	*ret = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		const char *name = value_string_at(nic, places[i]);

		if (name)
			return asprintf(ret, "%s %s", places[i], name) < 0 ? -ENOMEM : 0;
	}
	return 0;
}

static const struct resource_column nic_columns[] = {
	{ .column.heading = "ID", .place = "id" },
	{ .column.heading = "ON", .fn = place_cell },
	{ .column.heading = "MAC", .place = "mac" },
	{ .column.heading = "LINK", .place = "link" },
	{ .column.heading = "BACKEND", .place = "backend" },
};

int nic_table(const json_t *items, FILE *f, unsigned width, bool colour)
{
	return resource_table(nic_columns, ARRAY_SIZE(nic_columns), items, false, f, width, colour);
}

static int created_cell(const json_t *snapshot, char **ret)
{
	return value_text(schema_field(&snapshot_schema, "created_usec"),
			  json_object_get(snapshot, "created_usec"), ret);
}

static int disks_cell(const json_t *snapshot, char **ret)
{
	AUTO(free) char *text = NULL;
	size_t size, index;
	FILE *f = open_memstream(&text, &size);
	json_t *disk;

	if (!f)
		return -ENOMEM;
	json_array_foreach(json_object_get(snapshot, "disks"), index, disk) {
		const char *id = value_string_at(disk, "id");

		fprintf(f, "%s%s", index ? ", " : "", id ? id : "?");
	}
	if (fclose(f) != 0)
		return -ENOMEM;
	*ret = TAKE(text);
	return 0;
}

static const char *snapshot_colour(const char *state)
{
	return strcmp(state, snapshot_state_names[SNAPSHOT_READY]) ? "31" : NULL;
}

static const struct resource_column snapshot_columns[] = {
	{ .column.heading = "NAME", .place = "name" },
	{ .column = { "STATE", .colour = snapshot_colour }, .place = "state" },
	{ .column.heading = "CREATED", .fn = created_cell },
	{ .column.heading = "VM WAS", .place = "vm_state" },
	{ .column.heading = "DISKS", .fn = disks_cell },
	{ .column.heading = "DESCRIPTION", .place = "description" },
};

int snapshot_table(const json_t *items, FILE *f, unsigned width, bool colour)
{
	return resource_table(snapshot_columns, ARRAY_SIZE(snapshot_columns), items, false, f, width, colour);
}
