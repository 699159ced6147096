/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/bus_object.h"

#include <errno.h>
#include <string.h>

#include "api/dbus.h"
#include "daemon/network.h"
#include "daemon/volume.h"

union status {
	struct vm_status vm;
	struct network_status network;
	struct volume_status volume;
};

static const void *next_vm(const struct manager *manager, const void *vm)
{
	return vm_next(manager, vm);
}

static const void *spec_of_vm(const void *vm)
{
	return vm_config(vm);
}

static const char *name_of_vm(const void *vm)
{
	return vm_config(vm)->name;
}

static int status_of_vm(const void *vm, union status *ret)
{
	return vm_get_status(vm, &ret->vm);
}

static const void *next_network(const struct manager *manager, const void *network)
{
	return network_next(manager, network);
}

static const void *spec_of_network(const void *network)
{
	return network_config(network);
}

static const char *name_of_network(const void *network)
{
	return network_config(network)->name;
}

static int status_of_network(const void *network, union status *ret)
{
	return network_get_status(network, &ret->network);
}

static const void *next_image(const struct manager *manager, const void *image)
{
	return pool_next(manager->images, image);
}

static const void *next_volume(const struct manager *manager, const void *volume)
{
	return pool_next(manager->volumes, volume);
}

/* Its size is what its file says. */
static const void *spec_of_item(const void *item)
{
	pool_look((struct pool_item *)item, &(struct volume_status){ 0 });
	return pool_config(item);
}

static const char *name_of_item(const void *item)
{
	return pool_config(item)->name;
}

static int status_of_item(const void *item, union status *ret)
{
	return volume_get_status((struct pool_item *)item, &ret->volume);
}

/* How resources of a kind are asked; NULL: it has no objects. */
static const struct access_of_kind {
	const void *(*next)(const struct manager *manager, const void *resource);
	const char *(*name)(const void *resource);
	const void *(*spec)(const void *resource);
	int (*status)(const void *resource, union status *ret); /* ret is zero */
} access_of[_BUS_KIND_MAX] = {
	[BUS_KIND_VM] = { next_vm, name_of_vm, spec_of_vm, status_of_vm },
	[BUS_KIND_NETWORK] = { next_network, name_of_network, spec_of_network, status_of_network },
	[BUS_KIND_IMAGE] = { next_image, name_of_item, spec_of_item, status_of_item },
	[BUS_KIND_VOLUME] = { next_volume, name_of_item, spec_of_item, status_of_item },
};

const char *bus_object_name(const struct bus_object *object)
{
	return access_of[object->kind].name(object->resource);
}

int bus_path_of(enum bus_kind kind, const char *name, char **ret)
{
	if (!bus_kinds[kind].parameter || !name)
		return -EINVAL;
	return sd_bus_path_encode(bus_kinds[kind].path, name, ret);
}

static bool find_in(const struct manager *manager, enum bus_kind kind, const char *path,
		    struct bus_object *ret)
{
	const struct access_of_kind *access = &access_of[kind];
	AUTO(free) char *name = NULL;

	if (!access->next || sd_bus_path_decode(path, bus_kinds[kind].path, &name) <= 0)
		return false;
	for (const void *resource = access->next(manager, NULL); resource;
	     resource = access->next(manager, resource))
		if (!strcmp(access->name(resource), name)) {
			*ret = (struct bus_object){ kind, resource };
			return true;
		}
	return false;
}

bool bus_object_find(const struct manager *manager, const char *path, struct bus_object *ret)
{
	for (enum bus_kind kind = 0; kind < _BUS_KIND_MAX; kind++)
		if (find_in(manager, kind, path, ret))
			return true;
	return false;
}

int bus_object_paths(const struct manager *manager, enum bus_kind kind, char ***ret)
{
	const struct access_of_kind *access = &access_of[kind];
	char **paths = calloc(1, sizeof(*paths)), **more;
	size_t n = 0;
	int r = paths ? 0 : -ENOMEM;

	for (const void *resource = access->next(manager, NULL); resource && r >= 0;
	     resource = access->next(manager, resource)) {
		more = reallocarray(paths, n + 2, sizeof(*paths));
		if (!more) {
			r = -ENOMEM;
			break;
		}
		paths = more;
		paths[n + 1] = NULL;
		r = bus_path_of(kind, access->name(resource), &paths[n]);
		n += r >= 0;
	}
	if (r >= 0) {
		*ret = paths;
		return 0;
	}
	while (n)
		free(paths[--n]);
	free(paths);
	return r;
}

int bus_object_append(const struct bus_object *object, const char *property, sd_bus_message *reply)
{
	const struct bus_kind_info *info = &bus_kinds[object->kind];
	const struct field *field = bus_field(info->status, property);
	union status status = { 0 };
	int r;

	if (!field) {
		field = bus_field(info->spec, property);
		return field ? dbus_append_field(reply, field, access_of[object->kind].spec(object->resource))
			     : -ENOENT;
	}
	r = access_of[object->kind].status(object->resource, &status);
	if (r >= 0)
		r = dbus_append_field(reply, field, &status);
	schema_clear(info->status, &status);
	return r;
}

int bus_object_state(const struct bus_object *object, const char **ret_state, char **ret_reason)
{
	const struct schema *schema = bus_kinds[object->kind].status;
	const struct field *state = schema_field(schema, "state"), *reason = schema_field(schema, "reason");
	union status status = { 0 };
	const char *text;
	int r;

	r = access_of[object->kind].status(object->resource, &status);
	if (r < 0)
		return r;
	text = *(char *const *)field_ptr(reason, &status);
	*ret_state = state->names[field_get_number(state, &status)];
	*ret_reason = strdup(text ? text : "");
	schema_clear(schema, &status);
	return *ret_reason ? 0 : -ENOMEM;
}
