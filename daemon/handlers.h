/* SPDX-License-Identifier: Apache-2.0 */
/* What each operation of api/ops.h does: one function per operation. For daemon/call.c. */
#pragma once

#include "daemon/call.h"
#include "daemon/manager.h"

/*
 * vm is the VM that the path names, in a state that the operations table allows, or NULL. Calls
 * call_finish() exactly once, at once or later.
 */
typedef void (*handler_fn)(struct manager *manager, struct vm *vm, struct call *call);

extern const handler_fn handlers[_OP_MAX];
