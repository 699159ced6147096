/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/volume_table.h"

#include "api/volume_schema.h"
#include "cli/resource_table.h"
#include "cli/value.h"
#include "vmm/base/macro.h"

static int status_cell(const json_t *item, const char *name, char **ret)
{
	return value_line(schema_field(&volume_status_schema, name),
			  json_object_get(json_object_get(item, "status"), name), ret);
}

static int size_cell(const json_t *item, char **ret)
{
	return value_line(schema_field(&volume_schema, "size"), value_at(item, "spec.size"), ret);
}

static int allocation_cell(const json_t *item, char **ret)
{
	return status_cell(item, "allocation", ret);
}

static int created_cell(const json_t *item, char **ret)
{
	return status_cell(item, "created_usec", ret);
}

static int users_cell(const json_t *item, char **ret)
{
	return status_cell(item, "used_by", ret);
}

static const struct resource_column volume_columns[] = {
	{ .column.heading = "NAME", .place = "name" },
	{ .column.heading = "FORMAT", .place = "spec.format" },
	{ .column = { "SIZE", .right = true }, .fn = size_cell },
	{ .column = { "ALLOCATION", .right = true }, .fn = allocation_cell },
	{ .column.heading = "IMAGE", .place = "spec.image" },
	{ .column.heading = "BACKED", .place = "spec.backed" },
	{ .column.heading = "USED BY", .fn = users_cell },
	{ .column.heading = "CREATED", .fn = created_cell, .wide = true },
	{ .column.heading = "PATH", .place = "status.path", .wide = true },
};

static const struct resource_column image_columns[] = {
	{ .column.heading = "NAME", .place = "name" },
	{ .column.heading = "FORMAT", .place = "spec.format" },
	{ .column = { "SIZE", .right = true }, .fn = size_cell },
	{ .column = { "ALLOCATION", .right = true }, .fn = allocation_cell },
	{ .column.heading = "USED BY", .fn = users_cell },
	{ .column.heading = "CREATED", .fn = created_cell, .wide = true },
	{ .column.heading = "PATH", .place = "status.path", .wide = true },
};

int volume_table(const struct schema *spec, const json_t *items, bool wide, FILE *f, unsigned width,
		 bool colour)
{
	bool volumes = spec == &volume_schema;

	return resource_table(volumes ? volume_columns : image_columns,
			      volumes ? ARRAY_SIZE(volume_columns) : ARRAY_SIZE(image_columns), items, wide, f,
			      width, colour);
}
