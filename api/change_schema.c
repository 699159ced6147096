/* SPDX-License-Identifier: Apache-2.0 */
/* Options of operations, and what a change comes to. */
#include "api/vm_rules.h"
#include "api/vm_schema.h"

#define GENERATION(type)                                                                           \
	{ "generation", NULL, U64(struct type, generation), .min = 1,                              \
	  .help = "Only if this is the generation of the spec still; If-Match says the same" }

static const struct field update_options_fields[] = {
	{ "dry_run", NULL, BOOL(struct update_options, dry_run),
	  .help = "Change nothing, tell what would change and when" },
	{ "next_boot", NULL, BOOL(struct update_options, next_boot),
	  .help = "Leave a VM that runs as it is: all changes wait for its next start" },
	GENERATION(update_options),
};
const struct schema update_options_schema = {
	.name = "UpdateOptions",
	.size = sizeof(struct update_options),
	SCHEMA_FIELDS(update_options_fields),
};

static const struct field delete_options_fields[] = {
	{ "keep_nvram", NULL, BOOL(struct delete_options, keep_nvram),
	  .help = "Keep the firmware's variables that hvd has stored for it" },
	GENERATION(delete_options),
};
const struct schema delete_options_schema = {
	.name = "DeleteOptions",
	.size = sizeof(struct delete_options),
	SCHEMA_FIELDS(delete_options_fields),
};

static const struct field generation_options_fields[] = { GENERATION(generation_options) };
const struct schema generation_options_schema = {
	.name = "GenerationOptions",
	.size = sizeof(struct generation_options),
	SCHEMA_FIELDS(generation_options_fields),
};

static const struct field change_fields[] = {
	{ "field", NULL, STR(struct plan_change, field), .read_only = true,
	  .help = "What changes, such as vcpus, disks[vda].cache or disks[vdb]" },
	{ "applies", NULL, ENUM(struct plan_change, applies), .names = field_applies_names,
	  .read_only = true,
	  .help = "When: live (at once), next-boot (at the next start), or immutable (never: the "
		  "change is refused)" },
};
static const struct schema change_schema = {
	.name = "Change",
	.size = sizeof(struct plan_change),
	SCHEMA_FIELDS(change_fields),
};

static const struct field plan_fields[] = {
	{ "changes", NULL, LIST(struct plan, changes, n_changes, change_schema), .read_only = true,
	  .help = "What changes" },
};
const struct schema plan_schema = {
	.name = "Plan",
	.size = sizeof(struct plan),
	SCHEMA_FIELDS(plan_fields),
};

static const struct field console_geometry_fields[] = {
	{ "columns", NULL, U32(struct console_geometry, columns), .required = true, .max = 65535,
	  .help = "Characters in a line; 0 if that is not known" },
	{ "rows", NULL, U32(struct console_geometry, rows), .required = true, .max = 65535,
	  .help = "Lines; 0 if that is not known" },
};
const struct schema console_geometry_schema = {
	.name = "ConsoleGeometry",
	.size = sizeof(struct console_geometry),
	SCHEMA_FIELDS(console_geometry_fields),
};

static const char *const console_mode_names[_CONSOLE_MODE_MAX + 1] = {
	[CONSOLE_WRITE] = "write",
	[CONSOLE_READ] = "read",
};

static const struct field console_options_fields[] = {
	{ "mode", NULL, ENUM(struct console_options, mode), .names = console_mode_names,
	  .def = "write", .help = "Type and read (one at a time may), or only read" },
};
const struct schema console_options_schema = {
	.name = "ConsoleOptions",
	.size = sizeof(struct console_options),
	SCHEMA_FIELDS(console_options_fields),
};

static const struct field import_remark_fields[] = {
	{ "element", NULL, STR(struct import_remark, element), .read_only = true,
	  .check = rule_line,
	  .help = "Element or attribute, by the names on the way to it" },
	{ "lines", NULL, STR(struct import_remark, lines), .read_only = true,
	  .check = rule_line,
	  .help = "Lines of the document that have it, such as 17, 40-63" },
	{ "why", NULL, STR(struct import_remark, why), .read_only = true,
	  .check = rule_line,
	  .help = "Why it makes no difference to the guest" },
};
static const struct schema import_remark_schema = {
	.name = "ImportRemark",
	.size = sizeof(struct import_remark),
	SCHEMA_FIELDS(import_remark_fields),
};

static const struct field import_report_fields[] = {
	{ "ignored", NULL, LIST(struct import_report, ignored, n_ignored, import_remark_schema),
	  .read_only = true, .help = "What of the document was ignored" },
};
const struct schema import_report_schema = {
	.name = "ImportReport",
	.size = sizeof(struct import_report),
	SCHEMA_FIELDS(import_report_fields),
};
