/* SPDX-License-Identifier: Apache-2.0 */
/* What clients see of hvd's objects, as JSON. NULL: out of memory. */
#pragma once

#include <jansson.h>

#include "daemon/list.h"
#include "daemon/manager.h"

/* {"name", "uuid", "spec", "status"} as a line of text, heap. */
char *resource_vm(const struct vm *vm);
char *resource_network(const struct network *network);
/* resource, taken over, with the members of a further object behind its own. */
char *resource_and(char *resource, const struct schema *schema, const void *obj);
extern const struct list_kind resource_vm_kind, resource_network_kind, resource_operation_kind;
/* All items of a list of the spec, or the one of this id. */
json_t *resource_items(const struct vm *vm, const struct field *list);
json_t *resource_item(const struct vm *vm, const struct field *list, const char *id);
json_t *resource_host(const struct manager *manager);
json_t *resource_leases(const struct network *network);
