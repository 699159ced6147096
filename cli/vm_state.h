/* SPDX-License-Identifier: Apache-2.0 */
/* Doing something to a VM, and waiting until it is in some state. */
#pragma once

#include "api/ops.h"
#include "cli/client.h"

/* An operation on one VM that needs nothing but its name. */
int vm_action(struct client *client, enum op_id id, const char *vm, struct hvd_error *err);

/* The VM's resource. */
int vm_get(struct client *client, const char *vm, json_t **ret, struct hvd_error *err);

/* Its state by what it says; _VM_STATE_MAX when this client does not know it. */
enum vm_state vm_resource_state(const json_t *vm);

/*
 * Ask until the VM is in the state. On a terminal a line says what is waited for. -ETIMEDOUT after
 * so many seconds; -EIO when the VM fails instead.
 */
int vm_wait_for(struct client *client, const char *vm, enum vm_state wanted, unsigned seconds,
		struct hvd_error *err);
