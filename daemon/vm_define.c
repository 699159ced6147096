/* SPDX-License-Identifier: Apache-2.0 */
/* Definitions: taken on, kept on disk, forgotten. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/event.h"
#include "daemon/snapshot.h"
#include "daemon/store.h"
#include "daemon/vm_private.h"

static int definitions_folder(const struct manager *manager, char path[static PATH_MAX])
{
	return snprintf(path, PATH_MAX, "%s/vms", manager->paths.state) >= PATH_MAX ? -ENAMETOOLONG
										    : 0;
}

/* In the order of names. Definitions are loaded in that order, so look from the end. */
static void insert(struct manager *manager, struct vm *vm)
{
	struct list *after = manager->vms.prev;

	while (after != &manager->vms &&
	       strcmp(list_entry(after, struct vm, node)->config.name, vm->config.name) > 0)
		after = after->prev;
	/* Appending to a list is inserting before its head: any node may be that head. */
	list_append(after->next, &vm->node);
}

static int check_unique(const struct manager *manager, const struct vm_config *config,
			struct hvd_error *err)
{
	for (const struct vm *vm = vm_next(manager, NULL); vm; vm = vm_next(manager, vm)) {
		if (strcmp(vm->config.name, config->name) == 0)
			return hvd_err_field(err, EEXIST, "name", "VM %s exists already",
					     config->name);
		if (memcmp(vm->config.uuid, config->uuid, sizeof(config->uuid)) == 0)
			return hvd_err_field(err, EEXIST, "uuid", "VM %s has this UUID",
					     vm->config.name);
	}
	return 0;
}

int vm_prepare(const struct vm *vm, const struct vm_config *config, uint64_t generation,
	       struct hvd_error *err)
{
	char folder[PATH_MAX];
	int r = definitions_folder(vm->manager, folder);

	if (r < 0)
		return hvd_err(err, -r, "%s: %s", vm->manager->paths.state, strerror(-r));
	return store_prepare(vm->manager->xml, folder, config->name, &vm_schema, config, generation, err);
}

/* The folder's name was short enough when it was prepared. */
int vm_commit(const struct vm *vm, struct hvd_error *err)
{
	char folder[PATH_MAX];

	definitions_folder(vm->manager, folder);
	return store_commit(folder, vm->config.name, err);
}

void vm_discard(const struct vm *vm)
{
	char folder[PATH_MAX];

	if (definitions_folder(vm->manager, folder) >= 0)
		store_discard(folder, vm->config.name);
}

int vm_save(const struct vm *vm, const struct vm_config *config, uint64_t generation,
	    struct hvd_error *err)
{
	char folder[PATH_MAX];
	int r = definitions_folder(vm->manager, folder);

	if (r < 0)
		return hvd_err(err, -r, "%s: %s", vm->manager->paths.state, strerror(-r));
	return store_save(vm->manager->xml, folder, config->name, &vm_schema, config, generation, err);
}

int vm_define(struct manager *manager, struct vm_config *config, struct vm **ret,
	      struct hvd_error *err)
{
	AUTO(vm_free) struct vm *vm = NULL;
	int r;

	r = vm_complete(manager, config, NULL, err);
	if (r < 0)
		return r;
	r = vm_firmware_complete(manager, config, err);
	if (r < 0)
		return r;
	r = check_unique(manager, config, err);
	if (r < 0)
		return r;
	r = vm_check(manager, config, NULL, err);
	if (r < 0)
		return r;
	r = vm_new(manager, &vm);
	if (r < 0)
		return hvd_err(err, -r, "out of memory");
	r = vm_save(vm, config, vm->generation, err);
	if (r < 0)
		return r;

	vm->config = *config;
	*config = (struct vm_config){ 0 };
	insert(manager, vm);
	*ret = TAKE(vm);
	event_vm(*ret, EVENT_ADDED);
	manager_notify(manager, MANAGER_VM_ADDED, *ret);
	return 0;
}

int vm_undefine(struct vm *vm, const struct delete_options *options, struct hvd_error *err)
{
	char folder[PATH_MAX];
	int r;

	if (vm_has_process(vm) || vm->update || vm->snapshot_work)
		return hvd_err(err, EBUSY, "VM %s is %s", vm->config.name,
			       vm_state_names[vm->state]);
	r = vm_check_generation(vm, options->generation, err);
	if (r < 0)
		return r;

	r = definitions_folder(vm->manager, folder);
	if (r < 0)
		return hvd_err(err, -r, "%s: %s", vm->manager->paths.state, strerror(-r));
	/* Before the definition, so that no other VM of this name can come to have it. */
	r = options->keep_nvram ? 0 : vm_firmware_forget(vm, err);
	if (r >= 0)
		r = snapshot_forget_all(vm, err);
	if (r >= 0)
		r = store_remove(folder, vm->config.name, err);
	if (r < 0)
		return r;

	vm_failure_forget(vm);
	vm_vsock_forget(vm);
	event_vm(vm, EVENT_REMOVED);
	manager_notify(vm->manager, MANAGER_VM_REMOVED, vm);
	vm_free(vm);
	return 0;
}

static int load_from(struct manager *manager, const char *folder, const char *file,
		     const char *name, struct vm **ret, struct hvd_error *err)
{
	AUTO(vm_free) struct vm *vm = NULL;
	int r;

	r = vm_new(manager, &vm);
	if (r < 0)
		return hvd_err(err, -r, "out of memory");
	r = store_load(manager->xml, folder, file, &vm_schema, &vm->config, &vm->generation, err);
	if (r < 0)
		return r;
	if (strcmp(vm->config.name, name) != 0)
		return hvd_err(err, EINVAL, "%s/%s.xml: the name in it is %s, not %s", folder, file,
			       vm->config.name, name);
	r = vm_complete(manager, &vm->config, NULL, err);
	if (r < 0)
		return r;
	/* a host without the firmware has the definition all the same; starting the VM tells */
	vm_firmware_complete(manager, &vm->config, NULL);
	r = check_unique(manager, &vm->config, err);
	if (r < 0)
		return hvd_err_prefix(err, r, "%s/%s.xml", folder, file);

	r = snapshot_load_all(vm, err);
	if (r < 0)
		return r;
	vm_failure_recall(vm);
	insert(manager, vm);
	*ret = TAKE(vm);
	return 0;
}

int vm_load(struct manager *manager, const char *name, struct hvd_error *err)
{
	char folder[PATH_MAX];
	struct vm *vm;
	int r;

	r = definitions_folder(manager, folder);
	return r < 0 ? r : load_from(manager, folder, name, name, &vm, err);
}

int vm_restore(struct manager *manager, const char *name, struct hvd_error *err)
{
	char folder[PATH_MAX];
	struct vm *vm;
	int r;

	r = vm_runtime_path(manager, name, NULL, folder);
	if (r < 0)
		return hvd_err(err, -r, "%s: %s", name, strerror(-r));
	r = load_from(manager, folder, VM_SPEC_FILE, name, &vm, err);
	return r < 0 ? r : vm_save(vm, &vm->config, vm->generation, err);
}
