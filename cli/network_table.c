/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/network_table.h"

#include <string.h>

#include "api/network_schema.h"
#include "cli/resource_table.h"
#include "cli/value.h"
#include "vmm/base/macro.h"

static const char *state_colour(const char *state)
{
	static const char *const colours[_NETWORK_STATE_MAX] = {
		[NETWORK_STARTING] = "33", [NETWORK_ACTIVE] = "32", [NETWORK_FAILED] = "31",
	};

	for (size_t i = 0; i < _NETWORK_STATE_MAX; i++)
		if (!strcmp(state, network_state_names[i]))
			return colours[i];
	return NULL;
}

static int vms_cell(const json_t *network, char **ret)
{
	return value_line(schema_field(&network_status_schema, "vms"),
			  value_at(network, "status.vms"), ret);
}

static const struct resource_column columns[] = {
	{ .column.heading = "NAME", .place = "name" },
	{ .column = { "STATE", .colour = state_colour }, .place = "status.state" },
	{ .column.heading = "MODE", .place = "spec.mode" },
	{ .column.heading = "BRIDGE", .place = "spec.bridge" },
	{ .column.heading = "ADDRESS", .place = "spec.address" },
	{ .column.heading = "DHCP", .place = "spec.dhcp" },
	{ .column = { "LEASES", .right = true }, .place = "status.leases" },
	{ .column.heading = "ADDRESS6", .place = "spec.address6", .wide = true },
	{ .column.heading = "AUTOSTART", .place = "spec.autostart", .wide = true },
	{ .column.heading = "VMS", .fn = vms_cell, .wide = true },
	{ .column.heading = "UUID", .place = "uuid", .wide = true },
};

int network_table(const json_t *items, bool wide, FILE *f, unsigned width, bool colour)
{
	return resource_table(columns, ARRAY_SIZE(columns), items, wide, f, width, colour);
}
