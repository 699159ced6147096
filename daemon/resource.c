/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/resource.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/json.h"
#include "daemon/network.h"
#include "daemon/operation.h"
#include "daemon/snapshot.h"
#include "daemon/volume.h"

static const void *next_vm(const void *manager, const void *item)
{
	return vm_next(manager, item);
}

static const char *vm_key(const void *item)
{
	return vm_config(item)->name;
}

static int load_vm(const void *item, const bool needed[FILTER_PARTS],
		   const void *objs[FILTER_PARTS])
{
	AUTO(free) struct vm_status *status = NULL;
	int r;

	objs[0] = vm_config(item);
	if (!needed[1])
		return 0;
	status = calloc(1, sizeof(*status));
	r = status ? vm_get_status(item, status) : -ENOMEM;
	if (r >= 0)
		objs[1] = TAKE(status);
	return r;
}

static void unload_vm(const bool needed[FILTER_PARTS], const void *objs[FILTER_PARTS])
{
	struct vm_status *status = (struct vm_status *)objs[1];

	if (!needed[1])
		return;
	schema_clear(&vm_status_schema, status);
	free(status);
}

const struct list_kind resource_vm_kind = {
	.next = next_vm,
	.key = vm_key,
	.sorted = true,
	.parts = { { "spec", &vm_schema }, { "status", &vm_status_schema } },
	.n_parts = 2,
	.load = load_vm,
	.unload = unload_vm,
};

static const void *next_operation(const void *ctx, const void *item)
{
	const struct manager *manager = ctx;

	return operation_next(manager->operations, item);
}

static const char *operation_key(const void *item)
{
	return operation_info(item)->id;
}

static int load_operation(const void *item, const bool needed[FILTER_PARTS],
			  const void *objs[FILTER_PARTS])
{
	objs[0] = operation_info(item);
	return 0;
}

const struct list_kind resource_operation_kind = {
	.next = next_operation,
	.key = operation_key,
	.parts = { { NULL, &operation_schema } },
	.n_parts = 1,
	.load = load_operation,
};

static const void *next_network(const void *manager, const void *item)
{
	return network_next(manager, item);
}

static const char *network_key(const void *item)
{
	return network_config(item)->name;
}

static int load_network(const void *item, const bool needed[FILTER_PARTS],
			const void *objs[FILTER_PARTS])
{
	AUTO(free) struct network_status *status = NULL;
	int r;

	objs[0] = network_config(item);
	if (!needed[1])
		return 0;
	status = calloc(1, sizeof(*status));
	r = status ? network_get_status(item, status) : -ENOMEM;
	if (r >= 0)
		objs[1] = TAKE(status);
	return r;
}

static void unload_network(const bool needed[FILTER_PARTS], const void *objs[FILTER_PARTS])
{
	struct network_status *status = (struct network_status *)objs[1];

	if (!needed[1])
		return;
	schema_clear(&network_status_schema, status);
	free(status);
}

const struct list_kind resource_network_kind = {
	.next = next_network,
	.key = network_key,
	.sorted = true,
	.parts = { { "spec", &network_schema }, { "status", &network_status_schema } },
	.n_parts = 2,
	.load = load_network,
	.unload = unload_network,
};

static const void *next_image(const void *ctx, const void *item)
{
	const struct manager *manager = ctx;

	return pool_next(manager->images, item);
}

static const void *next_volume(const void *ctx, const void *item)
{
	const struct manager *manager = ctx;

	return pool_next(manager->volumes, item);
}

static const char *volume_key(const void *item)
{
	return pool_config(item)->name;
}

/* Its size is what its file says, which is looked at in any case. */
static int load_volume(const void *item, const bool needed[FILTER_PARTS], const void *objs[FILTER_PARTS])
{
	struct volume_status *status = calloc(1, sizeof(*status));

	if (!status || volume_get_status((struct pool_item *)item, status) < 0) {
		free(status);
		return -ENOMEM;
	}
	objs[0] = pool_config(item);
	objs[1] = status;
	return 0;
}

static void unload_volume(const bool needed[FILTER_PARTS], const void *objs[FILTER_PARTS])
{
	struct volume_status *status = (struct volume_status *)objs[1];

	schema_clear(&volume_status_schema, status);
	free(status);
}

const struct list_kind resource_image_kind = {
	.next = next_image,
	.key = volume_key,
	.sorted = true,
	.parts = { { "spec", &image_schema }, { "status", &volume_status_schema } },
	.n_parts = 2,
	.load = load_volume,
	.unload = unload_volume,
};

const struct list_kind resource_volume_kind = {
	.next = next_volume,
	.key = volume_key,
	.sorted = true,
	.parts = { { "spec", &volume_schema }, { "status", &volume_status_schema } },
	.n_parts = 2,
	.load = load_volume,
	.unload = unload_volume,
};

/* A resource of two parts, whole. */
static char *whole(const struct list_kind *kind, const void *item)
{
	static const bool needed[FILTER_PARTS] = { true, true };
	const void *objs[FILTER_PARTS] = { NULL };
	struct json_text text = { 0 };

	if (kind->load(item, needed, objs) < 0)
		return NULL;
	list_write(&text, kind, objs, NULL);
	kind->unload(needed, objs);
	json_text_raw(&text, "\n", 1);
	return json_text_take(&text);
}

char *resource_vm(const struct vm *vm)
{
	return whole(&resource_vm_kind, vm);
}

char *resource_network(const struct network *network)
{
	return whole(&resource_network_kind, network);
}

char *resource_image(const struct pool_item *image)
{
	return whole(&resource_image_kind, image);
}

char *resource_volume(const struct pool_item *volume)
{
	return whole(&resource_volume_kind, volume);
}

char *resource_and(char *resource, const struct schema *schema, const void *obj)
{
	AUTO(free) char *text = resource, *line = NULL;
	AUTO(json_decref) json_t *all = text ? json_loads(text, 0, NULL) : NULL;
	AUTO(json_decref) json_t *more = json_from_obj(schema, obj);
	char *ret;

	if (!all || !more || json_object_update(all, more) < 0)
		return NULL;
	line = json_dumps(all, JSON_COMPACT);
	return line && asprintf(&ret, "%s\n", line) >= 0 ? ret : NULL;
}

/* The one behind item, of an array. */
static const void *next_of(const struct field *list, const struct vm_config *config,
			   const void *item)
{
	size_t i = 0;

	if (item)
		i = (size_t)((const char *)item - (const char *)field_list_item(list, config, 0)) /
			    list->sub->size + 1;
	return i < *field_count(list, config) ? field_list_item(list, config, i) : NULL;
}

static const void *next_disk(const void *config, const void *item)
{
	return next_of(schema_field(&vm_schema, "disks"), config, item);
}

static const char *disk_key(const void *item)
{
	return schema_key(&disk_schema, item);
}

static const void *next_nic(const void *config, const void *item)
{
	return next_of(schema_field(&vm_schema, "nics"), config, item);
}

static const char *nic_key(const void *item)
{
	return schema_key(&nic_schema, item);
}

/* An item that is its only part. */
static int load_itself(const void *item, const bool needed[FILTER_PARTS],
		       const void *objs[FILTER_PARTS])
{
	objs[0] = item;
	return 0;
}

const struct list_kind resource_disk_kind = {
	.next = next_disk,
	.key = disk_key,
	.parts = { { NULL, &disk_schema } },
	.n_parts = 1,
	.load = load_itself,
};

const struct list_kind resource_nic_kind = {
	.next = next_nic,
	.key = nic_key,
	.parts = { { NULL, &nic_schema } },
	.n_parts = 1,
	.load = load_itself,
};

static const void *next_snapshot(const void *vm, const void *item)
{
	return snapshot_next(vm, item);
}

static const char *snapshot_key(const void *item)
{
	return snapshot_info(item)->name;
}

static int load_snapshot(const void *item, const bool needed[FILTER_PARTS],
			 const void *objs[FILTER_PARTS])
{
	objs[0] = snapshot_info(item);
	return 0;
}

const struct list_kind resource_snapshot_kind = {
	.next = next_snapshot,
	.key = snapshot_key,
	.parts = { { NULL, &snapshot_schema } },
	.n_parts = 1,
	.load = load_snapshot,
};

static const void *next_lease(const void *ctx, const void *item)
{
	const struct leases *leases = ctx;
	size_t i = item ? (size_t)((const struct network_lease *)item - leases->list) + 1 : 0;

	return i < leases->n ? &leases->list[i] : NULL;
}

static const char *lease_key(const void *item)
{
	return ((const struct network_lease *)item)->address;
}

const struct list_kind resource_lease_kind = {
	.next = next_lease,
	.key = lease_key,
	.parts = { { NULL, &network_lease_schema } },
	.n_parts = 1,
	.load = load_itself,
};

json_t *resource_item(const struct vm *vm, const struct field *list, const char *id)
{
	return json_from_obj(list->sub, field_list_find(list, vm_config(vm), id));
}

json_t *resource_host(const struct manager *manager)
{
	struct host_info info = manager->host; /* its strings stay the manager's */

	info.vms_defined = info.vms_running = 0;
	for (const struct vm *vm = vm_next(manager, NULL); vm; vm = vm_next(manager, vm)) {
		info.vms_defined++;
		info.vms_running += vm_has_process(vm);
	}
	return json_from_obj(&host_schema, &info);
}

static int append_lease(void *ctx, const struct network_lease *lease)
{
	struct leases *leases = ctx;
	struct network_lease *more;

	more = reallocarray(leases->list, leases->n + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	leases->list = more;
	if (schema_copy(&network_lease_schema, &more[leases->n], lease) < 0)
		return -ENOMEM;
	leases->n++;
	return 0;
}

int resource_leases(const struct network *network, struct leases *ret)
{
	int r;

	*ret = (struct leases){ 0 };
	r = network_each_lease(network, append_lease, ret);
	if (r < 0)
		leases_clear(ret);
	return r;
}

void leases_clear(struct leases *leases)
{
	for (size_t i = 0; i < leases->n; i++)
		schema_clear(&network_lease_schema, &leases->list[i]);
	free(leases->list);
	*leases = (struct leases){ 0 };
}
