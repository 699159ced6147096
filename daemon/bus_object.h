/* SPDX-License-Identifier: Apache-2.0 */
/* What is an object on the bus: VMs, networks, images and volumes, by their paths. */
#pragma once

#include "api/network_schema.h"
#include "daemon/bus_table.h"
#include "daemon/manager.h"

struct bus_object {
	enum bus_kind kind;
	const void *resource; /* struct vm, struct network, struct pool_item */
};

/* name is the resource's; valid as long as that. */
const char *bus_object_name(const struct bus_object *object);

/* Path of the object of this kind and name, heap. -EINVAL: a kind without objects. */
int bus_path_of(enum bus_kind kind, const char *name, char **ret);

/* False: there is none of this path. A UUID is in no path: each resource is one object. */
bool bus_object_find(const struct manager *manager, const char *path, struct bus_object *ret);

/* All paths of a kind, NULL-terminated, all of it heap. */
int bus_object_paths(const struct manager *manager, enum bus_kind kind, char ***ret);

/* The value of one of its properties. -ENOENT: it has none of this name. */
int bus_object_append(const struct bus_object *object, const char *property, sd_bus_message *reply);

/* Of its status: the name of its state, and the reason, "" when there is none, heap. */
int bus_object_state(const struct bus_object *object, const char **ret_state, char **ret_reason);
