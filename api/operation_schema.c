/* SPDX-License-Identifier: Apache-2.0 */
#include "api/operation.h"

static const struct field progress_fields[] = {
	{ "done", NULL, U64(struct operation_progress, done), .read_only = true,
	  .help = "How much is done" },
	{ "total", NULL, U64(struct operation_progress, total), .read_only = true,
	  .help = "Of how much; 0: not known" },
	{ "unit", NULL, STR(struct operation_progress, unit), .read_only = true,
	  .help = "Of what" },
};
static const struct schema progress_schema = {
	.name = "OperationProgress",
	.size = sizeof(struct operation_progress),
	SCHEMA_FIELDS(progress_fields),
	.key = "unit",
};

static const struct field error_fields[] = {
	{ "code", NULL, STR(struct operation_error, code), .read_only = true,
	  .help = "Code of the problem" },
	{ "detail", NULL, STR(struct operation_error, detail), .read_only = true,
	  .help = "What went wrong, for a person" },
	{ "field", NULL, STR(struct operation_error, field), .read_only = true,
	  .help = "The setting at fault" },
};
static const struct schema error_schema = {
	.name = "OperationError",
	.size = sizeof(struct operation_error),
	SCHEMA_FIELDS(error_fields),
	.key = "code",
};

static const struct field operation_fields[] = {
	{ "id", NULL, STR(struct operation_info, id), .read_only = true,
	  .help = "Id of the operation" },
	{ "kind", NULL, STR(struct operation_info, kind), .read_only = true,
	  .help = "What was asked for, such as vm.start" },
	{ "resource", NULL, STR(struct operation_info, resource), .read_only = true,
	  .help = "Path of what it is about" },
	{ "vm", NULL, STR(struct operation_info, vm), .read_only = true, .help = "Name of the VM" },
	{ "vm_uuid", NULL, UUID(struct operation_info, vm_uuid), .read_only = true,
	  .help = "UUID of the VM" },
	{ "generation", NULL, U64(struct operation_info, generation), .read_only = true,
	  .omit_zero = true, .help = "Generation of the VM's spec when it began" },
	{ "state", NULL, ENUM(struct operation_info, state), .names = outcome_names,
	  .read_only = true, .help = "What has become of it" },
	{ "cancellable", NULL, BOOL(struct operation_info, cancellable), .read_only = true,
	  .help = "Whether DELETE ends it" },
	{ "progress", NULL, STRUCT(struct operation_info, progress, progress_schema),
	  .read_only = true, .help = "How far it is, where that can be told" },
	{ "error", NULL, STRUCT(struct operation_info, error, error_schema), .read_only = true,
	  .help = "Why it failed" },
	{ "created_usec", NULL, U64(struct operation_info, created_usec), .read_only = true,
	  .help = "When it began", .unit = "microseconds since 1970" },
	{ "finished_usec", NULL, U64(struct operation_info, finished_usec), .read_only = true,
	  .omit_zero = true, .help = "When it ended", .unit = "microseconds since 1970" },
	{ "by", NULL, STRUCT(struct operation_info, by, actor_schema), .read_only = true,
	  .help = "Who asked for it" },
};
const struct schema operation_schema = {
	.name = "Operation",
	.size = sizeof(struct operation_info),
	SCHEMA_FIELDS(operation_fields),
	.key = "id",
};

static const struct field operation_options_fields[] = {
	{ "wait", NULL, U32(struct operation_options, wait), .max = OPERATION_WAIT_MAX,
	  .help = "Answer when it has ended, or after this many seconds", .unit = "seconds" },
};
const struct schema operation_options_schema = {
	.name = "OperationOptions",
	.size = sizeof(struct operation_options),
	SCHEMA_FIELDS(operation_options_fields),
};
