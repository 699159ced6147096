/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events: what clients are told of everything that happens, and the options of asking for it.
 *
 * The same object is an item of GET /v1/events, the data of a server-sent event, the argument of the
 * D-Bus signal Event, a line of the log on disk (daemon/event_log.h) and an entry of the journal.
 */
#pragma once

#include "api/schema.h"

enum event_type {
	EVENT_STARTED,   /* hvd itself; detail is its version */
	EVENT_ADDED,     /* a resource is defined */
	EVENT_CHANGED,   /* its spec is another; generation says which */
	EVENT_REMOVED,
	EVENT_STATE,     /* of a VM: state, detail is the reason */
	EVENT_OPERATION, /* somebody has asked for something: operation, outcome, by */
	EVENT_GAP,       /* in answers only: what came before is not kept any more */
	_EVENT_TYPE_MAX
};
extern const char *const event_type_names[_EVENT_TYPE_MAX + 1];

/* What becomes of what somebody asks for. */
enum event_outcome { OUTCOME_RUNNING, OUTCOME_SUCCEEDED, OUTCOME_FAILED, OUTCOME_CANCELLED, _OUTCOME_MAX };
extern const char *const outcome_names[_OUTCOME_MAX + 1];

/* Who asked, and by which interface. Unset without front. */
struct actor {
	char *front; /* "rest", "dbus" */
	uint32_t uid, pid; /* pid 0: unknown */
	char *name; /* of a remote one: "token:ci", "certificate:alice" */
};
extern const struct schema actor_schema;

/* Strings are NULL where they do not apply. */
struct event {
	uint64_t seq, time_usec; /* CLOCK_REALTIME */
	enum event_type type;
	char *resource; /* "/v1/vms/demo/disks/vda" */
	char *vm;       /* its name */
	uint8_t vm_uuid[16];
	char *state;
	uint64_t generation;
	char *operation;    /* "vm.start" */
	char *operation_id; /* of one that takes time: /v1/operations/ID */
	char *outcome;      /* of outcome_names */
	char *code;         /* of a failure, as in problem+json */
	char *detail;       /* for a person */
	struct actor by;
};
extern const struct schema event_schema;

/* Query of GET /v1/events. */
struct event_options {
	uint64_t since;
	uint32_t limit;
	char *cursor, *fields; /* as in struct list_options; of a list only */
	char *type, *vm;
};
extern const struct schema event_options_schema;

#define EVENT_LIST_MAX    4096
#define EVENT_STREAM_TYPE "text/event-stream"

/*
 * A comma-separated list of types: a bit per event_type. -EINVAL names the one that is none; a gap
 * cannot be asked for, it is told to all.
 */
int event_types_parse(const char *text, unsigned *ret, struct hvd_error *err);
