/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The storage daemons of a VM (daemon/storage.h): one for each disk that needs it, for as long as the VM's
 * process has the disk.
 *
 * One that ends while the VM runs is started anew, and hvd-vmm is given a socket to it; so it is when only
 * the connection was lost. Tries become rarer until one of them has lasted.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "daemon/storage.h"
#include "daemon/vm_private.h"
#include "vmm/base/log.h"

#define RETRY_FIRST_USEC 200000ULL
#define RETRY_MAX_USEC   (30 * 1000000ULL)
#define STEADY_USEC      (60 * 1000000ULL)
#define POLL_USEC        50000ULL

struct vm_storage {
	struct list node; /* in vm->storages */
	struct vm *vm;
	char id[VM_ID_MAX + 1];
	struct storage *storage; /* NULL: there is none just now */
	/* What it is being started for: somebody waits for it, or it replaces one; or it was found. */
	enum { FOR_WORK, FOR_GUEST, FOUND } purpose;
	unsigned tries;
	uint64_t since; /* when it was ready */
	sd_event_source *retry;
	struct unit_query *query; /* is its unit gone? */
	sd_event_source *poll;
	char why[64]; /* it has ended */
};

/* Starting some, or changing one after the other: one at a time. */
struct vm_storage_work {
	struct vm *vm;
	unsigned n_starting;
	const struct vm_config *config;
	size_t next; /* disk to change */
	sd_event_source *timer;
	vm_done_fn fn;
	void *ctx;
};

static void entry_free(struct vm_storage *entry)
{
	list_remove(&entry->node);
	storage_free(entry->storage);
	sd_event_source_disable_unref(entry->retry);
	sd_event_source_disable_unref(entry->poll);
	unit_query_free(entry->query);
	free(entry);
}

static struct vm_storage *find_entry(struct vm *vm, const char *id)
{
	struct vm_storage *entry;

	list_for_each(entry, &vm->storages, node)
		if (strcmp(entry->id, id) == 0)
			return entry;
	return NULL;
}

static struct vm_storage *new_entry(struct vm *vm, const char *id)
{
	struct vm_storage *entry = calloc(1, sizeof(*entry));

	if (!entry)
		return NULL;
	entry->vm = vm;
	snprintf(entry->id, sizeof(entry->id), "%s", id);
	list_append(&vm->storages, &entry->node);
	return entry;
}

/* fn may start the next work. */
static void work_finish(struct vm *vm, int r, const struct hvd_error *err)
{
	struct vm_storage_work *work = TAKE(vm->storage_work);
	vm_done_fn fn = work->fn;
	void *ctx = work->ctx;

	sd_event_source_disable_unref(work->timer);
	free(work);
	fn(ctx, r, err);
}

static void try_again(struct vm_storage *entry);

/* --- the connection of hvd-vmm */

static void on_disk_reply(void *ctx, int r, const struct control_message *reply,
			  const struct hvd_error *err)
{
	struct vm *vm = ctx;

	if (r == -ECANCELED || r == -EPIPE)
		return; /* its end is dealt with elsewhere, and a new connection tells again */
	if (r < 0)
		log_warning("VM %s: %s", vm->config.name, err->msg);
}

/* What has become of the guest's disk, for a person. */
static void tell_recovered(struct vm_storage *entry)
{
	struct vm *vm = entry->vm;
	int at = vm_config_find_disk(&vm->running, entry->id);
	const struct disk_config *disk = at < 0 ? NULL : &vm->running.disks[at];
	char reason[VM_REASON_MAX];

	if (!entry->why[0])
		return;
	log_warning("VM %s: disk %s: its storage daemon %s, and was started anew", vm->config.name,
		    entry->id, entry->why);
	snprintf(reason, sizeof(reason), "disk %s: its storage daemon %s; reset the VM: writes that the "
		 "guest had not flushed are lost", entry->id, entry->why);
	if (disk && disk->format == DISK_FORMAT_QCOW2 && !disk->read_only)
		vm_set_state(vm, vm->state, reason);
	else
		vm_set_state(vm, vm->state, NULL);
	entry->why[0] = '\0';
}

static void reconnect(struct vm_storage *entry)
{
	struct vm *vm = entry->vm;
	AUTO(close) int sock = storage_connect(entry->storage);
	struct hvd_error err = { 0 };
	int r = sock;

	entry->retry = sd_event_source_disable_unref(entry->retry);
	if (!vm->control)
		return; /* a new connection to hvd-vmm tells what is lost */
	if (r >= 0)
		r = control_client_send_disk(vm->control, entry->id, sock, on_disk_reply, vm, &err);
	if (r < 0) {
		log_warning("VM %s: disk %s: %s", vm->config.name, entry->id, strerror(-r));
		try_again(entry);
		return;
	}
	tell_recovered(entry);
}

/* --- one of them */

static void on_ready(void *ctx, struct storage *storage, int r, const struct hvd_error *err)
{
	struct vm_storage *entry = ctx;
	struct vm *vm = entry->vm;
	struct hvd_error own = err ? *err : (struct hvd_error){ 0 };
	int purpose = entry->purpose;

	entry->purpose = FOR_GUEST;
	if (r >= 0)
		sd_event_now(vm->manager->event, CLOCK_MONOTONIC, &entry->since);
	if (r >= 0 && purpose == FOR_GUEST)
		reconnect(entry);
	if (r < 0 && purpose != FOR_WORK) {
		log_warning("VM %s: disk %s: %s", vm->config.name, entry->id, own.msg);
		entry->storage = storage_free(entry->storage);
		storage_end(vm->manager, vm->config.name, entry->id);
		try_again(entry);
	}
	if (purpose != FOR_WORK || !vm->storage_work)
		return;
	if (r < 0) {
		int at = vm_config_find_disk(vm->storage_work->config, entry->id);

		if (own.field[0] && at >= 0)
			hvd_err_in(&own, r, "disks[%d]", at);
		storage_end(vm->manager, vm->config.name, entry->id);
		entry_free(entry);
		work_finish(vm, own.code, &own);
		return;
	}
	if (--vm->storage_work->n_starting == 0)
		work_finish(vm, 0, NULL);
}

static void on_ended(void *ctx, struct storage *storage, const char *why)
{
	struct vm_storage *entry = ctx;
	struct vm *vm = entry->vm;
	char reason[VM_REASON_MAX];

	uint64_t now = entry->since;

	entry->storage = storage_free(entry->storage);
	sd_event_now(vm->manager->event, CLOCK_MONOTONIC, &now);
	if (now - entry->since > STEADY_USEC)
		entry->tries = 0;
	if (vm->stop_wanted || vm->end != VMM_REASON_NONE)
		return; /* with the VM */
	snprintf(entry->why, sizeof(entry->why), "%s", why);
	snprintf(reason, sizeof(reason), "disk %s: its storage daemon %s; it is started anew", entry->id,
		 why);
	if (vm->state == VM_RUNNING || vm->state == VM_PAUSED)
		vm_set_state(vm, vm->state, reason);
	try_again(entry);
}

static const struct storage_ops ops = { .ready = on_ready, .ended = on_ended };

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct vm_storage *entry = userdata;
	struct vm *vm = entry->vm;
	int at = vm_config_find_disk(&vm->running, entry->id);
	struct hvd_error err = { 0 };
	char unit[UNIT_NAME_MAX];

	entry->retry = sd_event_source_disable_unref(entry->retry);
	if (at < 0 || vm->stop_wanted)
		return 0;
	if (entry->storage && storage_is_ready(entry->storage)) {
		reconnect(entry);
		return 0;
	}
	if (entry->storage)
		return 0; /* being started, or about to be found dead */
	unit_storage_name(vm->config.name, entry->id, unit);
	unit_reset_failed_name(vm->manager->bus, unit);
	if (storage_start(vm->manager, &vm->running, &vm->running.disks[at], &ops, entry, &entry->storage,
			  &err) < 0) {
		log_warning("VM %s: disk %s: %s", vm->config.name, entry->id, err.msg);
		try_again(entry);
	}
	return 0;
}

static void try_again(struct vm_storage *entry)
{
	uint64_t delay = RETRY_FIRST_USEC << MIN(entry->tries, 10u);

	if (entry->retry)
		return;
	entry->tries++;
	if (sd_event_add_time_relative(entry->vm->manager->event, &entry->retry, CLOCK_MONOTONIC,
				       MIN(delay, RETRY_MAX_USEC), 0, on_retry, entry) < 0)
		log_err("VM %s: out of memory, disk %s stays as it is", entry->vm->config.name, entry->id);
}

void vm_storage_lost(struct vm *vm, const char *id)
{
	struct vm_storage *entry = find_entry(vm, id);

	if (entry && !vm->stop_wanted)
		try_again(entry);
}

/* --- all of them */

static bool is_new(const struct vm_config *running, const struct disk_config *disk)
{
	return disk_needs_storage(disk) && !(running && vm_config_find_disk(running, disk->id) >= 0);
}

static int on_start_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct vm *vm = userdata;
	struct vm_storage *entry;
	struct hvd_error err = { 0 };

	hvd_err(&err, ETIMEDOUT, "a storage daemon does not answer");
	list_for_each(entry, &vm->storages, node) {
		if (entry->purpose == FOR_WORK) {
			storage_end(vm->manager, vm->config.name, entry->id);
			entry_free(entry);
		}
	}
	work_finish(vm, err.code, &err);
	return 0;
}

static int new_work(struct vm *vm, const struct vm_config *config, vm_done_fn fn, void *ctx,
		    struct hvd_error *err)
{
	struct vm_storage_work *work = calloc(1, sizeof(*work));
	int r = -ENOMEM;

	if (work)
		r = sd_event_add_time_relative(vm->manager->event, &work->timer, CLOCK_MONOTONIC,
					       CONTROL_START_TIMEOUT_USEC, 0, on_start_timeout, vm);
	if (r < 0) {
		free(work);
		return hvd_err(err, ENOMEM, "out of memory");
	}
	work->vm = vm;
	work->config = config;
	work->fn = fn;
	work->ctx = ctx;
	vm->storage_work = work;
	return 0;
}

static void drop_work(struct vm *vm)
{
	if (!vm->storage_work)
		return;
	sd_event_source_disable_unref(vm->storage_work->timer);
	free(TAKE(vm->storage_work));
}

static int start_one(struct vm *vm, const struct vm_config *config, size_t i, struct hvd_error *err)
{
	struct vm_storage *entry = new_entry(vm, config->disks[i].id);
	int r;

	if (!entry)
		return hvd_err(err, ENOMEM, "out of memory");
	entry->purpose = FOR_WORK;
	r = storage_start(vm->manager, config, &config->disks[i], &ops, entry, &entry->storage, err);
	if (r < 0) {
		entry_free(entry);
		return r;
	}
	vm->storage_work->n_starting++;
	return 0;
}

int vm_storages_start(struct vm *vm, const struct vm_config *config, const struct vm_config *running,
		      vm_done_fn fn, void *ctx, struct hvd_error *err)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < config->n_disks; i++) {
		if (!is_new(running, &config->disks[i]))
			continue;
		if (!config->shared_memory)
			r = hvd_err_in(err, hvd_err_field(err, EOPNOTSUPP, "format", "can only be raw in a "
				       "VM that was started without shared_memory: it needs a start"),
				       "disks[%zu]", i);
		if (r >= 0 && !vm->storage_work)
			r = new_work(vm, config, fn, ctx, err);
		if (r >= 0)
			r = start_one(vm, config, i, err);
	}
	if (r >= 0)
		return vm->storage_work ? 0 : 1;
	drop_work(vm);
	vm_storages_prune(vm, running);
	return r;
}

int vm_storages_connect(struct vm *vm, const struct vm_config *config, const struct vm_config *running,
			struct vm_files *files, struct hvd_error *err)
{
	for (size_t i = 0; i < config->n_disks; i++) {
		struct vm_storage *entry;
		int r;

		if (!is_new(running, &config->disks[i]))
			continue;
		entry = find_entry(vm, config->disks[i].id);
		r = entry && entry->storage ? storage_connect(entry->storage) : -ENOTCONN;
		if (r < 0)
			return hvd_err(err, -r, "storage daemon of disk %s: %s", config->disks[i].id,
				       strerror(-r));
		files->disks[i] = r;
	}
	return 0;
}

static void update_next(struct vm *vm);

static void on_updated(void *ctx, int r, const struct hvd_error *err)
{
	struct vm *vm = ctx;
	struct hvd_error own = err ? *err : (struct hvd_error){ 0 };

	if (r >= 0) {
		update_next(vm);
		return;
	}
	if (own.field[0])
		hvd_err_in(&own, r, "disks[%zu]", vm->storage_work->next - 1);
	work_finish(vm, own.code, &own);
}

/* Has its daemon's part of it changed? */
static bool has_changed(const struct disk_config *a, const struct disk_config *b)
{
	return a->size != b->size || !schema_equal(&disk_limits_schema, &a->limits, &b->limits);
}

static void update_next(struct vm *vm)
{
	struct vm_storage_work *work = vm->storage_work;
	struct hvd_error err = { 0 };

	while (work->next < work->config->n_disks) {
		const struct disk_config *disk = &work->config->disks[work->next++];
		int at = vm_config_find_disk(&vm->running, disk->id);
		struct vm_storage *entry = find_entry(vm, disk->id);

		if (at < 0 || !entry || !has_changed(disk, &vm->running.disks[at]))
			continue;
		if (!entry->storage)
			hvd_err(&err, EAGAIN, "the storage daemon of disk %s has ended; try again",
				disk->id);
		else if (storage_update(entry->storage, disk, on_updated, vm, &err) == 0)
			return;
		work_finish(vm, err.code, &err);
		return;
	}
	work_finish(vm, 0, NULL);
}

int vm_storages_update(struct vm *vm, const struct vm_config *config, vm_done_fn fn, void *ctx,
		       struct hvd_error *err)
{
	int r = new_work(vm, config, fn, ctx, err);

	if (r >= 0)
		update_next(vm);
	return r;
}

int vm_storage_command(struct vm *vm, const char *id, const char *command, json_t *arguments,
		       qmp_reply_fn fn, void *ctx, struct hvd_error *err)
{
	struct vm_storage *entry = find_entry(vm, id);

	if (entry && entry->storage)
		return storage_command(entry->storage, command, arguments, fn, ctx, err);
	json_decref(arguments);
	return hvd_err(err, EAGAIN, "its storage daemon cannot be reached just now; try again");
}

void vm_storage_forget_command(struct vm *vm, const char *id)
{
	struct vm_storage *entry = find_entry(vm, id);

	if (entry && entry->storage)
		storage_forget_command(entry->storage);
}

void vm_storages_prune(struct vm *vm, const struct vm_config *config)
{
	struct vm_storage *entry;

	list_for_each(entry, &vm->storages, node) {
		if (config && vm_config_find_disk(config, entry->id) >= 0)
			continue;
		storage_end(vm->manager, vm->config.name, entry->id);
		entry_free(entry);
	}
}

void vm_storages_adopt(struct vm *vm)
{
	for (size_t i = 0; i < vm->running.n_disks; i++) {
		const struct disk_config *disk = &vm->running.disks[i];
		struct vm_storage *entry;
		struct hvd_error err = { 0 };

		if (!disk_needs_storage(disk) || find_entry(vm, disk->id))
			continue;
		entry = new_entry(vm, disk->id);
		if (!entry)
			continue;
		entry->purpose = FOUND;
		if (storage_adopt(vm->manager, &vm->running, disk, &ops, entry, &entry->storage, &err) < 0) {
			log_warning("VM %s: %s", vm->config.name, err.msg);
			entry->purpose = FOR_GUEST;
			snprintf(entry->why, sizeof(entry->why), "has ended");
			try_again(entry);
		}
	}
}

void vm_storages_forget(struct vm *vm)
{
	struct vm_storage *entry;

	drop_work(vm);
	list_for_each(entry, &vm->storages, node)
		entry_free(entry);
}

/* --- the end of the VM */

static void ask_whether_gone(struct vm_storage *entry);

static int on_poll(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct vm_storage *entry = userdata;

	entry->poll = sd_event_source_disable_unref(entry->poll);
	ask_whether_gone(entry);
	return 0;
}

static void on_whether_gone(void *ctx, int r, const struct unit_info *info, const struct hvd_error *err)
{
	struct vm_storage *entry = ctx;
	struct vm *vm = entry->vm;

	entry->query = unit_query_free(entry->query);
	if (r >= 0 && info->state == UNIT_ALIVE &&
	    sd_event_add_time_relative(vm->manager->event, &entry->poll, CLOCK_MONOTONIC, POLL_USEC, 0,
				       on_poll, entry) >= 0)
		return;
	storage_end(vm->manager, vm->config.name, entry->id);
	entry_free(entry);
	if (list_empty(&vm->storages))
		vm->storages_gone(vm);
}

static void ask_whether_gone(struct vm_storage *entry)
{
	char unit[UNIT_NAME_MAX];

	unit_storage_name(entry->vm->config.name, entry->id, unit);
	if (unit_query_name(entry->vm->manager->bus, unit, on_whether_gone, entry, &entry->query, NULL) < 0)
		on_whether_gone(entry, -EIO, NULL, NULL);
}

bool vm_storages_await_end(struct vm *vm, void (*gone)(struct vm *vm))
{
	struct vm_storage *entry;
	struct hvd_error err = { 0 };

	if (vm->storage_work) {
		hvd_err(&err, ECANCELED, "the VM has ended");
		work_finish(vm, err.code, &err);
	}
	if (list_empty(&vm->storages) || !vm->manager->bus) {
		vm_storages_forget(vm);
		return false;
	}
	vm->storages_gone = gone;
	list_for_each(entry, &vm->storages, node) {
		entry->retry = sd_event_source_disable_unref(entry->retry);
		entry->storage = storage_free(entry->storage);
		if (entry->query || entry->poll)
			continue;
		storage_end(vm->manager, vm->config.name, entry->id);
		ask_whether_gone(entry);
	}
	return true;
}
