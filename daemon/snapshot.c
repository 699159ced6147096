/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/snapshot_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/store.h"
#include "vmm/base/log.h"

/* STATE/snapshots/VM */
static int folder_of(const struct vm *vm, char path[static PATH_MAX], struct hvd_error *err)
{
	const char *state = vm->manager->paths.state;

	if (snprintf(path, PATH_MAX, "%s/snapshots/%s", state, vm->config.name) >= PATH_MAX)
		return hvd_err(err, ENAMETOOLONG, "%s: %s", state, strerror(ENAMETOOLONG));
	return 0;
}

static struct vm_snapshot *snapshot_free(struct vm_snapshot *snapshot)
{
	list_remove(&snapshot->node);
	schema_clear(&snapshot_schema, &snapshot->info);
	free(snapshot);
	return NULL;
}

const struct snapshot *snapshot_info(const struct vm_snapshot *snapshot)
{
	return &snapshot->info;
}

static bool is_shown(const struct vm_snapshot *snapshot)
{
	return snapshot->info.state == SNAPSHOT_READY || snapshot->info.state == SNAPSHOT_REVERTING ||
	       snapshot->unresolved;
}

static struct vm_snapshot *next_of(const struct vm *vm, const struct vm_snapshot *snapshot)
{
	const struct list *next = snapshot ? snapshot->node.next : vm->snapshots.next;

	return next == &vm->snapshots ? NULL : list_entry(next, struct vm_snapshot, node);
}

const struct vm_snapshot *snapshot_next(const struct vm *vm, const struct vm_snapshot *snapshot)
{
	do
		snapshot = next_of(vm, snapshot);
	while (snapshot && !is_shown(snapshot));
	return snapshot;
}

struct vm_snapshot *snapshot_find_any(const struct vm *vm, const char *name)
{
	struct vm_snapshot *snapshot = next_of(vm, NULL);

	while (snapshot && strcmp(snapshot->info.name, name) != 0)
		snapshot = next_of(vm, snapshot);
	return snapshot;
}

const struct vm_snapshot *snapshot_find(const struct vm *vm, const char *name)
{
	const struct vm_snapshot *snapshot = snapshot_find_any(vm, name);

	return snapshot && is_shown(snapshot) ? snapshot : NULL;
}

static int save(const struct vm *vm, const struct snapshot *info, struct hvd_error *err)
{
	char folder[PATH_MAX];
	int r;

	r = folder_of(vm, folder, err);
	if (r >= 0)
		r = store_make_folder(folder, err);
	return r < 0 ? r
		     : store_save(vm->manager->xml, folder, info->name, &snapshot_schema, info, 1, err);
}

static void insert(struct vm *vm, struct vm_snapshot *snapshot)
{
	struct list *after = vm->snapshots.prev;

	while (after != &vm->snapshots &&
	       list_entry(after, struct vm_snapshot, node)->info.created_usec >
		       snapshot->info.created_usec)
		after = after->prev;
	list_append(after->next, &snapshot->node);
}

int snapshot_add(struct vm *vm, struct snapshot *info, struct vm_snapshot **ret, struct hvd_error *err)
{
	struct vm_snapshot *snapshot = calloc(1, sizeof(*snapshot));
	int r;

	if (!snapshot)
		return hvd_err(err, ENOMEM, "out of memory");
	r = save(vm, info, err);
	if (r < 0) {
		free(snapshot);
		return r;
	}
	snapshot->info = *info;
	*info = (struct snapshot){ 0 };
	insert(vm, snapshot);
	*ret = snapshot;
	return 0;
}

int snapshot_set_state(struct vm *vm, struct vm_snapshot *snapshot, enum snapshot_state state,
		       struct hvd_error *err)
{
	enum snapshot_state before = snapshot->info.state;
	int r;

	snapshot->info.state = state;
	r = save(vm, &snapshot->info, err);
	if (r < 0)
		snapshot->info.state = before;
	return r;
}

/* And the one that it is in, with the last VM that has some. */
static int remove_folder(char *folder)
{
	if (rmdir(folder) < 0 && errno != ENOENT)
		return -errno;
	*strrchr(folder, '/') = '\0';
	rmdir(folder);
	return 0;
}

int snapshot_remove(struct vm *vm, struct vm_snapshot *snapshot, struct hvd_error *err)
{
	char folder[PATH_MAX];
	int r;

	r = folder_of(vm, folder, err);
	if (r >= 0)
		r = store_remove(folder, snapshot->info.name, err);
	if (r < 0)
		return r;
	snapshot_free(snapshot);
	if (list_empty(&vm->snapshots))
		remove_folder(folder);
	return 0;
}

static int load_one(void *ctx, const char *name)
{
	struct vm_snapshot *snapshot = calloc(1, sizeof(*snapshot));
	struct hvd_error err = { 0 };
	struct vm *vm = ctx;
	char folder[PATH_MAX];
	uint64_t generation;
	int r;

	if (!snapshot)
		return -ENOMEM;
	r = folder_of(vm, folder, &err);
	if (r >= 0)
		r = store_load(vm->manager->xml, folder, name, &snapshot_schema, &snapshot->info, &generation, &err);
	if (r >= 0 && strcmp(snapshot->info.name, name) != 0) {
		r = hvd_err(&err, EINVAL, "%s/%s.xml: the name in it is %s", folder, name,
			    snapshot->info.name);
		schema_clear(&snapshot_schema, &snapshot->info);
	}
	if (r < 0) {
		/* the file stays: a person may mend it */
		log_err("VM %s: %s", vm->config.name, err.msg);
		free(snapshot);
		return r == -ENOMEM ? r : 0;
	}
	insert(vm, snapshot);
	return 0;
}

int snapshot_load_all(struct vm *vm, struct hvd_error *err)
{
	char folder[PATH_MAX];
	int r;

	r = folder_of(vm, folder, err);
	if (r < 0)
		return r;
	r = store_each(folder, load_one, vm);
	return r < 0 ? hvd_err(err, -r, "%s: %s", folder, strerror(-r)) : 0;
}

static int remove_file(void *ctx, const char *name)
{
	return store_remove(ctx, name, NULL);
}

int snapshot_forget_all(struct vm *vm, struct hvd_error *err)
{
	char folder[PATH_MAX];
	int r;

	r = folder_of(vm, folder, err);
	if (r < 0)
		return r;
	/* also those that could not be read */
	r = store_each(folder, remove_file, folder);
	if (r >= 0)
		r = remove_folder(folder);
	if (r < 0)
		return hvd_err(err, -r, "%s: %s", folder, strerror(-r));
	while (!list_empty(&vm->snapshots))
		snapshot_free(next_of(vm, NULL));
	return 0;
}

void snapshot_clear(struct vm *vm)
{
	while (!list_empty(&vm->snapshots))
		snapshot_free(next_of(vm, NULL));
}
