/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "api/event.h"
#include "vmm/base/macro.h"

const char *const event_type_names[_EVENT_TYPE_MAX + 1] = {
	[EVENT_STARTED] = "started",
	[EVENT_ADDED] = "added",
	[EVENT_CHANGED] = "changed",
	[EVENT_REMOVED] = "removed",
	[EVENT_STATE] = "state",
	[EVENT_OPERATION] = "operation",
	[EVENT_GAP] = "gap",
};

const char *const outcome_names[_OUTCOME_MAX + 1] = {
	[OUTCOME_RUNNING] = "running",
	[OUTCOME_SUCCEEDED] = "succeeded",
	[OUTCOME_FAILED] = "failed",
	[OUTCOME_CANCELLED] = "cancelled",
};

int event_types_parse(const char *text, unsigned *ret, struct hvd_error *err)
{
	unsigned types = 0;

	for (;;) {
		size_t len = strcspn(text, ",");
		unsigned type = 0;

		while (type < EVENT_GAP && (strlen(event_type_names[type]) != len ||
					    strncmp(event_type_names[type], text, len) != 0))
			type++;
		if (type == EVENT_GAP)
			return hvd_err(err, EINVAL,
				       "'%.*s' is none of started, added, changed, removed, state, "
				       "operation", (int)MIN(len, 40u), text);
		types |= 1u << type;
		if (!text[len])
			break;
		text += len + 1;
	}
	*ret = types;
	return 0;
}

static int check_types(const char *text, struct hvd_error *err)
{
	return event_types_parse(text, &(unsigned){ 0 }, err);
}

static int check_cursor(const char *text, struct hvd_error *err)
{
	if (number_parse(text, &(uint64_t){ 0 }) < 0)
		return hvd_err(err, EINVAL, "'%.40s' is the next of no answer of events", text);
	return 0;
}

static const struct field actor_fields[] = {
	{ "front", NULL, STR(struct actor, front), .read_only = true,
	  .help = "The interface: rest or dbus" },
	{ "uid", NULL, U32(struct actor, uid), .read_only = true, 
	  .help = "User id of the caller; of a remote one 4294967295, which nobody has" },
	{ "pid", NULL, U32(struct actor, pid), .read_only = true, .omit_zero = true,
	  .help = "Process id of the caller" },
	{ "name", NULL, STR(struct actor, name), .read_only = true,
	  .help = "Of a remote caller: its token (token:NAME) or certificate (certificate:NAME)" },
};
const struct schema actor_schema = {
	.name = "Actor",
	.size = sizeof(struct actor),
	SCHEMA_FIELDS(actor_fields),
	.key = "front",
};

static const struct field event_fields[] = {
	{ "seq", NULL, U64(struct event, seq), .read_only = true,
	  .help = "Number of the event: each is larger than all before, over restarts of hvd as well" },
	{ "time_usec", NULL, U64(struct event, time_usec), .read_only = true,
	  .help = "When it happened", .unit = "microseconds since 1970" },
	{ "type", NULL, ENUM(struct event, type), .names = event_type_names, .read_only = true,
	  .help = "What happened" },
	{ "resource", NULL, STR(struct event, resource), .read_only = true,
	  .help = "Path of what it happened to" },
	{ "vm", NULL, STR(struct event, vm), .read_only = true, .help = "Name of the VM" },
	{ "vm_uuid", NULL, UUID(struct event, vm_uuid), .read_only = true,
	  .help = "UUID of the VM" },
	{ "state", NULL, STR(struct event, state), .read_only = true,
	  .help = "State that the VM is in now" },
	{ "generation", NULL, U64(struct event, generation), .read_only = true, .omit_zero = true,
	  .help = "Generation that the spec is of now" },
	{ "operation", NULL, STR(struct event, operation), .read_only = true,
	  .help = "Operation that was asked for, such as vm.start" },
	{ "operation_id", NULL, STR(struct event, operation_id), .read_only = true,
	  .help = "Its id, when it takes time: /v1/operations/ID" },
	{ "outcome", NULL, STR(struct event, outcome), .read_only = true,
	  .help = "What became of it: running, succeeded, failed or cancelled" },
	{ "code", NULL, STR(struct event, code), .read_only = true,
	  .help = "Code of the problem, when it failed" },
	{ "detail", NULL, STR(struct event, detail), .read_only = true,
	  .help = "Reason of the state, or of the failure, for a person" },
	{ "by", NULL, STRUCT(struct event, by, actor_schema), .read_only = true,
	  .help = "Who asked for the operation" },
};
const struct schema event_schema = {
	.name = "Event",
	.size = sizeof(struct event),
	SCHEMA_FIELDS(event_fields),
};

static const struct field event_options_fields[] = {
	{ "since", NULL, U64(struct event_options, since),
	  .help = "Only events after this number; without it the latest" },
	{ "limit", NULL, U32(struct event_options, limit), .min = 1, .max = EVENT_LIST_MAX,
	  .def = "100", .help = "How many events at most; next in the answer is the cursor of later ones" },
	{ "cursor", NULL, STR(struct event_options, cursor), .max = 20, .check = check_cursor,
	  .help = "Go on behind the events of the answer whose next this is" },
	{ "fields", NULL, STR(struct event_options, fields), .max = 1023,
	  .help = "Only these members of the events, such as seq,vm,state,by.name" },
	{ "type", NULL, STR(struct event_options, type), .max = 127, .check = check_types,
	  .help = "Only events of these types, separated by commas" },
	{ "vm", NULL, STR(struct event_options, vm), .max = 63,
	  .help = "Only events of this VM, by name or UUID" },
};
const struct schema event_options_schema = {
	.name = "EventOptions",
	.size = sizeof(struct event_options),
	SCHEMA_FIELDS(event_options_fields),
};
