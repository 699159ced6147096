/* SPDX-License-Identifier: Apache-2.0 */
/* What clients see of hvd's objects, as JSON. NULL: out of memory. */
#pragma once

#include <jansson.h>

#include "daemon/manager.h"

/* {"name", "uuid", "spec", "status"} */
json_t *resource_vm(const struct vm *vm);
json_t *resource_host(const struct manager *manager);
/* What was asked of a network. */
json_t *resource_network(const struct network *network);
