/* SPDX-License-Identifier: Apache-2.0 */
/* What clients see of hvd's objects, as JSON. NULL: out of memory. */
#pragma once

#include <jansson.h>

#include "api/network_schema.h"
#include "daemon/list.h"
#include "daemon/manager.h"
#include "daemon/pool.h"

/* {"name", "uuid", "spec", "status"} as a line of text, heap. */
char *resource_vm(const struct vm *vm);
char *resource_network(const struct network *network);
char *resource_image(const struct pool_item *image);
char *resource_volume(const struct pool_item *volume);
/* resource, taken over, with the members of a further object behind its own. */
char *resource_and(char *resource, const struct schema *schema, const void *obj);

/* Lists; of whom: the manager, */
extern const struct list_kind resource_vm_kind, resource_network_kind, resource_operation_kind,
	resource_image_kind, resource_volume_kind;
extern const struct list_kind resource_disk_kind, resource_nic_kind; /* a struct vm_config, */
extern const struct list_kind resource_snapshot_kind;                /* a struct vm, */
extern const struct list_kind resource_lease_kind;                   /* a struct leases. */
/* The item of a list of the spec that has this id. */
json_t *resource_item(const struct vm *vm, const struct field *list, const char *id);
json_t *resource_host(const struct manager *manager);

/* The leases of a network, as they are now. */
struct leases {
	struct network_lease *list;
	size_t n;
};
int resource_leases(const struct network *network, struct leases *ret);
void leases_clear(struct leases *leases);
