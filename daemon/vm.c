/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/vm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/event.h"
#include "daemon/network.h"
#include "daemon/snapshot.h"
#include "daemon/store.h"
#include "daemon/vm_private.h"
#include "vmm/base/log.h"
#include "vmm/base/macro.h"

int vm_runtime_path(const struct manager *manager, const char *name, const char *file,
		    char path[static PATH_MAX])
{
	int n = snprintf(path, PATH_MAX, "%s/vms%s%s%s%s", manager->paths.runtime, name ? "/" : "",
			 name ? name : "", file ? "/" : "", file ? file : "");

	return n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

void vm_remove_runtime(struct vm *vm)
{
	static const char *const files[] = {
		"control",
		VM_SPEC_FILE ".xml",
		VM_NEXT_SPEC_FILE ".xml",
		VM_NEXT_FILE ".xml",
	};
	char path[PATH_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (vm_runtime_path(vm->manager, vm->config.name, files[i], path) >= 0)
			unlink(path);
	if (vm_runtime_path(vm->manager, vm->config.name, NULL, path) >= 0 && rmdir(path) < 0 &&
	    errno != ENOENT)
		log_warning("%s: %s", path, strerror(errno));
	vm_vsock_close(vm);
	schema_clear(&vm_schema, &vm->running);
	vm_prune_links(vm);
	vm->unsettled = false;
}

int vm_save_runtime(const struct vm *vm, const char *file, const struct vm_config *config,
		    uint64_t generation, struct hvd_error *err)
{
	char folder[PATH_MAX];
	int r;

	r = vm_runtime_path(vm->manager, vm->config.name, NULL, folder);
	if (r < 0)
		return hvd_err(err, -r, "%s: %s", vm->manager->paths.runtime, strerror(-r));
	return store_save(vm->manager->xml, folder, file, &vm_schema, config, generation, err);
}

int vm_new(struct manager *manager, struct vm **ret)
{
	struct vm *vm = calloc(1, sizeof(*vm));

	if (!vm)
		return -ENOMEM;
	vm->manager = manager;
	vm->generation = 1;
	vm->state = VM_SHUTOFF;
	list_init(&vm->node);
	list_init(&vm->stop_waiters);
	list_init(&vm->storages);
	list_init(&vm->snapshots);
	*ret = vm;
	return 0;
}

struct vm *vm_free(struct vm *vm)
{
	if (!vm)
		return NULL;

	vm_start_drop(vm);
	vm_update_drop(vm);
	snapshot_drop(vm);
	vm_storages_forget(vm);
	control_client_free(vm->control);
	vm->control = NULL;
	vm_stop_finish(vm);
	unit_query_free(vm->query);
	sd_bus_slot_unref(vm->limits_slot);
	sd_event_source_disable_unref(vm->poll);
	sd_event_source_disable_unref(vm->kill_timer);
	list_remove(&vm->node);
	schema_clear(&vm_schema, &vm->config);
	schema_clear(&vm_schema, &vm->running);
	free(vm->reason);
	free(vm->cgroup);
	free(vm->end_text);
	free(vm);
	return NULL;
}

const struct vm_config *vm_config(const struct vm *vm)
{
	return &vm->config;
}

const struct vm_config *vm_running(const struct vm *vm)
{
	return &vm->running;
}

enum vm_state vm_state(const struct vm *vm)
{
	return vm->state;
}

bool vm_is_unsettled(const struct vm *vm)
{
	return vm->unsettled;
}

uint32_t vm_pid(const struct vm *vm)
{
	return vm->pid;
}

uint64_t vm_generation(const struct vm *vm)
{
	return vm->generation;
}

struct vm *vm_next(const struct manager *manager, const struct vm *vm)
{
	const struct list *next = vm ? vm->node.next : manager->vms.next;

	return next == &manager->vms ? NULL : list_entry(next, struct vm, node);
}

bool vm_has_process(const struct vm *vm)
{
	return vm->state != VM_SHUTOFF && vm->state != VM_FAILED;
}

void vm_set_text(char **text, const char *value)
{
	char *copy = value && *value ? strndup(value, VM_REASON_MAX - 1) : NULL;

	free(*text);
	*text = copy;
}

void vm_set_state(struct vm *vm, enum vm_state state, const char *reason)
{
	if (vm->state == state && strcmp(vm->reason ? vm->reason : "", reason ? reason : "") == 0)
		return;

	if (vm->state == VM_FAILED)
		vm_failure_forget(vm);
	vm->state = state;
	vm_set_text(&vm->reason, reason);
	if (state == VM_FAILED)
		vm_failure_keep(vm);
	event_vm(vm, EVENT_STATE);
	manager_notify(vm->manager, MANAGER_VM_STATE, vm);
}

static int add_address(struct vm_status *status, const char *text)
{
	struct vm_address *more;

	more = realloc(status->addresses, (status->n_addresses + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	status->addresses = more;
	more[status->n_addresses].address = strdup(text);
	return more[status->n_addresses++].address ? 0 : -ENOMEM;
}

static int add_addresses(const struct vm *vm, struct vm_status *status)
{
	for (size_t i = 0; i < vm->running.n_nics; i++) {
		const struct nic_config *nic = &vm->running.nics[i];
		const struct network *network;
		const char *address = NULL;

		network = nic->network ? manager_find_network(vm->manager, nic->network) : NULL;
		if (network)
			address = network_address(network, nic->mac);
		if (address && add_address(status, address) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int add_pending(const struct vm *vm, struct vm_status *status)
{
	struct plan plan;

	if (vm_find_pending(vm, &plan) < 0)
		return -ENOMEM;
	status->pending = calloc(plan.n_changes, sizeof(*status->pending));
	for (size_t i = 0; status->pending && i < plan.n_changes; i++)
		status->pending[status->n_pending++].field = TAKE(plan.changes[i].field);
	schema_clear(&plan_schema, &plan);
	return status->pending ? 0 : -ENOMEM;
}

int vm_get_status(const struct vm *vm, struct vm_status *ret)
{
	struct vm_status status = { .state = vm->state, .generation = vm->generation };
	char unit[UNIT_NAME_MAX];
	bool ok = true;

	if (vm->reason)
		ok = (status.reason = strdup(vm->reason)) != NULL;
	if (ok && vm->pid) {
		unit_name(vm->config.name, unit);
		status.pid = vm->pid;
		status.started_usec = vm->started_usec;
		status.unit = strdup(unit);
		status.cgroup = strdup(vm->cgroup ? vm->cgroup : "");
		ok = status.unit && status.cgroup && add_addresses(vm, &status) >= 0;
	}
	if (ok && vm->running.name) {
		status.memory = vm->memory;
		/* without a balloon */
		if (!status.memory.actual)
			status.memory.actual = vm->running.memory;
		ok = add_pending(vm, &status) >= 0;
	}
	if (!ok) {
		schema_clear(&vm_status_schema, &status);
		return -ENOMEM;
	}
	*ret = status;
	return 0;
}
