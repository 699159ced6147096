/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations that take time, as clients see them: GET /v1/operations/ID. daemon/operation.h says how
 * they come to be.
 */
#pragma once

#include "api/event.h"

#define OPERATION_ID_SIZE 13 /* 12 hexadecimal digits */

/* How far it is. Unset without unit. */
struct operation_progress {
	uint64_t done, total; /* total 0: unknown */
	char *unit;           /* "bytes", "steps" */
};

/* Why it failed. Unset without code. */
struct operation_error {
	char *code, *detail; /* as in problem+json */
	char *field;         /* the setting at fault */
};

struct operation_info {
	char *id;
	char *kind;     /* "vm.start" */
	char *resource; /* "/v1/vms/demo" */
	char *vm;
	uint8_t vm_uuid[16];
	uint64_t generation; /* of the VM's spec when it began */
	enum event_outcome state;
	bool cancellable;
	struct operation_progress progress;
	struct operation_error error;
	uint64_t created_usec, finished_usec;
	struct actor by;
};
extern const struct schema operation_schema;

/* Query of GET: how long to wait for its end, in seconds. */
struct operation_options {
	uint32_t wait;
};
extern const struct schema operation_options_schema;

#define OPERATION_WAIT_MAX 600
