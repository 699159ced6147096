/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/vm_table.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "api/json.h"
#include "cli/resource_table.h"
#include "cli/text.h"
#include "cli/value.h"
#include "vmm/base/macro.h"

const char *vm_state_colour(const char *state)
{
	static const char *const colours[_VM_STATE_MAX] = {
		[VM_STARTING] = "33", [VM_RUNNING] = "32", [VM_PAUSED] = "33",
		[VM_STOPPING] = "33", [VM_FAILED] = "31",
	};

	for (size_t i = 0; i < _VM_STATE_MAX; i++)
		if (!strcmp(state, vm_state_names[i]))
			return colours[i];
	return NULL;
}

static int memory_cell(const json_t *vm, char **ret)
{
	return value_text(schema_field(&vm_schema, "memory"), value_at(vm, "spec.memory"), ret);
}

static int addresses_cell(const json_t *vm, char **ret)
{
	return value_line(schema_field(&vm_status_schema, "addresses"),
			  value_at(vm, "status.addresses"), ret);
}

static int uptime_cell(const json_t *vm, char **ret)
{
	json_int_t started = json_integer_value(value_at(vm, "status.started_usec")) / 1000000;
	time_t now = time(NULL);
	char buf[32];

	*ret = NULL;
	if (started <= 0)
		return 0;
	text_duration(now > started ? (unsigned long long)(now - started) : 0, buf);
	*ret = strdup(buf);
	return *ret ? 0 : -ENOMEM;
}

static const struct resource_column vm_columns[] = {
	{ .column.heading = "NAME", .place = "name" },
	{ .column = { "STATE", .colour = vm_state_colour }, .place = "status.state" },
	{ .column = { "VCPUS", .right = true }, .place = "spec.vcpus" },
	{ .column = { "MEMORY", .right = true }, .fn = memory_cell },
	{ .column.heading = "ADDRESS", .fn = addresses_cell },
	{ .column.heading = "UPTIME", .fn = uptime_cell },
	{ .column = { "PID", .right = true }, .place = "status.pid", .wide = true },
	{ .column.heading = "UNIT", .place = "status.unit", .wide = true },
	{ .column.heading = "UUID", .place = "uuid", .wide = true },
	{ .column.heading = "DESCRIPTION", .place = "spec.description", .wide = true },
};

int vm_table(const json_t *items, bool wide, FILE *f, unsigned width, bool colour)
{
	return resource_table(vm_columns, ARRAY_SIZE(vm_columns), items, wide, f, width, colour);
}

int vm_sheet(const struct sheet *sheet, const struct op *op, const json_t *vm)
{
	const json_t *spec = json_object_get(vm, "spec"), *status = json_object_get(vm, "status");
	AUTO(free) char *uptime = NULL;
	int r;

	r = sheet_object(sheet, "status", op->status_schema, status);
	if (r == 0)
		r = uptime_cell(vm, &uptime);
	if (r == 0 && uptime)
		r = sheet_line(sheet, "uptime", uptime);
	return r < 0 ? r : sheet_object(sheet, "spec", op->result_schema, spec);
}

/* What a person should know of each mode that hvd reports. */
static const struct {
	const char *mode, *text;
} modes[] = {
	{ "vhe", "KVM runs in VHE mode: the host's kernel is at EL2, the fast way" },
	{ "vhe+nv", "KVM runs in VHE mode, and guests may have EL2 (nested virtualization)" },
	{ "nvhe", "KVM runs without VHE: VMs work, but each exit costs more. CPUs before Armv8.1 "
		  "have no VHE; on others check kvm-arm.mode= on the kernel's command line" },
	{ "protected", "KVM runs in protected mode (pKVM), without VHE: VMs work, but each exit "
		       "costs more. kvm-arm.mode=none or protected on the kernel's command line "
		       "chose it" },
	{ "none", "there is no KVM: VMs can be defined here, not started" },
};

int host_sheet(const struct sheet *sheet, const json_t *host)
{
	const char *mode = value_string_at(host, "virt_mode");
	const char *detail = value_string_at(host, "virt_detail");
	AUTO(json_decref) json_t *rest = json_copy((json_t *)host);
	const char *text = NULL;
	int r;

	if (!rest)
		return -ENOMEM;
	for (size_t i = 0; mode && i < ARRAY_SIZE(modes); i++)
		if (!strcmp(modes[i].mode, mode))
			text = modes[i].text;
	sheet_heading(sheet, "virtualization");
	r = sheet_line(sheet, "mode", mode ? mode : "unknown");
	if (r == 0 && text)
		r = sheet_line(sheet, "meaning", text);
	if (r == 0 && detail)
		r = sheet_line(sheet, "detail", detail);
	if (r < 0)
		return r;

	json_object_del(rest, "virt_mode");
	json_object_del(rest, "virt_detail");
	return sheet_object(sheet, "host", &host_schema, rest);
}
