/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/resource.h"

#include "api/json.h"
#include "daemon/network.h"

json_t *resource_vm(const struct vm *vm)
{
	AUTO(json_decref) json_t *spec = json_from_obj(&vm_schema, vm_config(vm));
	AUTO(json_decref) json_t *status = NULL;
	struct vm_status values;

	if (!spec || vm_get_status(vm, &values) < 0)
		return NULL;
	status = json_from_obj(&vm_status_schema, &values);
	schema_clear(&vm_status_schema, &values);
	if (!status)
		return NULL;

	return json_pack("{s:O, s:O, s:O, s:O}", "name", json_object_get(spec, "name"), "uuid",
			 json_object_get(spec, "uuid"), "spec", spec, "status", status);
}

json_t *resource_items(const struct vm *vm, const struct field *list)
{
	const struct vm_config *config = vm_config(vm);
	AUTO(json_decref) json_t *items = json_array();

	for (size_t i = 0; items && i < *field_count(list, config); i++)
		if (json_array_append_new(items, json_from_obj(list->sub,
							       field_list_item(list, config, i))) < 0)
			return NULL;
	return TAKE(items);
}

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

json_t *resource_network(const struct network *network)
{
	return json_from_obj(&network_schema, network_config(network));
}
