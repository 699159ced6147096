/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/manager.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-id128.h>

#include "daemon/event.h"
#include "daemon/host.h"
#include "daemon/idempotency.h"
#include "daemon/metrics.h"
#include "daemon/network.h"
#include "daemon/operation.h"
#include "daemon/snapshot.h"
#include "daemon/store.h"
#include "daemon/tls.h"
#include "daemon/token.h"
#include "daemon/unit_farewell.h"
#include "daemon/unit_properties.h"
#include "daemon/volume.h"
#include "daemon/vm_private.h"
#include "daemon/xml_client.h"
#include "vmm/base/log.h"

#define AUTOSTART_STAMP "autostarted"

struct vm *manager_find_vm(const struct manager *manager, const char *name)
{
	sd_id128_t uuid;
	bool by_uuid = sd_id128_from_string(name, &uuid) >= 0;

	for (struct vm *vm = vm_next(manager, NULL); vm; vm = vm_next(manager, vm)) {
		const struct vm_config *config = vm_config(vm);

		if (strcmp(config->name, name) == 0 ||
		    (by_uuid && memcmp(config->uuid, uuid.bytes, sizeof(config->uuid)) == 0))
			return vm;
	}
	return NULL;
}

struct network *manager_find_network(const struct manager *manager, const char *name)
{
	sd_id128_t uuid;
	bool by_uuid = sd_id128_from_string(name, &uuid) >= 0;

	for (struct network *n = network_next(manager, NULL); n; n = network_next(manager, n)) {
		const struct network_config *config = network_config(n);

		if (strcmp(config->name, name) == 0 ||
		    (by_uuid && memcmp(config->uuid, uuid.bytes, sizeof(config->uuid)) == 0))
			return n;
	}
	return NULL;
}

void manager_notify(struct manager *manager, enum manager_event event, struct vm *vm)
{
	struct manager_listener *listener;

	list_for_each(listener, &manager->listeners, node)
		listener->fn(listener, event, vm);
}

void manager_notify_network(struct manager *manager, enum event_type event, struct network *network)
{
	struct manager_listener *listener;

	list_for_each(listener, &manager->listeners, node)
		if (listener->network)
			listener->network(listener, event, network);
}

void manager_notify_pool(struct manager *manager, enum event_type event, struct pool_item *item)
{
	struct manager_listener *listener;

	list_for_each(listener, &manager->listeners, node)
		if (listener->pool)
			listener->pool(listener, event, item);
}

void manager_access_changed(struct manager *manager)
{
	struct access_listener *listener;

	list_for_each(listener, &manager->access_listeners, node)
		listener->fn(listener);
}

/* STATE/name */
static int state_path(const struct manager *manager, const char *name, char path[static PATH_MAX],
		      struct hvd_error *err)
{
	return snprintf(path, PATH_MAX, "%s/%s", manager->paths.state, name) < PATH_MAX
		       ? 0
		       : hvd_err(err, ENAMETOOLONG, "%s: %s", manager->paths.state,
				 strerror(ENAMETOOLONG));
}

static int on_definition(void *ctx, const char *name)
{
	struct hvd_error err = { 0 };

	if (vm_load(ctx, name, &err) < 0)
		log_err("VM %s is left out: %s", name, err.msg);
	return 0;
}

static int load_definitions(struct manager *manager, struct hvd_error *err)
{
	char folder[PATH_MAX];
	int r;

	r = state_path(manager, "vms", folder, err);
	if (r >= 0)
		r = store_make_folder(folder, err);
	if (r < 0)
		return r;
	r = store_each(folder, on_definition, manager);
	return r < 0 ? hvd_err(err, -r, "%s: %s", folder, strerror(-r)) : 0;
}

/* A process may run whose definition has gone: what it was started with becomes one again. */
static void restore_definition(struct manager *manager, const char *name)
{
	struct hvd_error err = { 0 };

	if (manager_find_vm(manager, name))
		return;
	if (vm_restore(manager, name, &err) < 0)
		log_warning("%s/vms/%s belongs to no definition, and has none in it: %s",
			    manager->paths.runtime, name, err.msg);
	else
		log_warning("VM %s: its definition was lost and is restored from what it was started "
			    "with", name);
}

static int restore_definitions(struct manager *manager, struct hvd_error *err)
{
	AUTO(closedir) DIR *dir = NULL;
	char folder[PATH_MAX];
	struct dirent *entry;
	int r;

	r = vm_runtime_path(manager, NULL, NULL, folder);
	if (r < 0)
		return hvd_err(err, -r, "%s: %s", manager->paths.runtime, strerror(-r));
	r = store_make_folder(folder, err);
	if (r < 0)
		return r;

	dir = opendir(folder);
	if (!dir)
		return hvd_err(err, errno, "%s: %s", folder, strerror(errno));
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			restore_definition(manager, entry->d_name);
	return 0;
}

/* What hvd-vmm processes have as root of their file system. */
static int make_root(struct manager *manager, struct hvd_error *err)
{
	char path[PATH_MAX];
	int r;

	r = unit_root(&manager->paths, path);
	if (r >= 0 && mkdir(path, 0755) < 0 && errno != EEXIST)
		r = -errno;
	return r < 0 ? hvd_err(err, -r, "%s/root: %s", manager->paths.runtime, strerror(-r)) : 0;
}

static int adopt_all(struct manager *manager, struct hvd_error *err)
{
	for (struct vm *vm = vm_next(manager, NULL); vm; vm = vm_next(manager, vm))
		vm_adopt(vm);

	/* Every VM has its own deadline, so this ends. */
	while (manager->adopting > 0) {
		int r = sd_event_run(manager->event, UINT64_MAX);

		if (r < 0)
			return hvd_err(err, -r, "event loop: %s", strerror(-r));
	}
	return 0;
}

static int on_subscribed(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
	const sd_bus_error *e = sd_bus_message_get_error(m);

	if (e)
		log_warning("systemd: Subscribe: %s", e->message ? e->message : e->name);
	return 0;
}

/* systemd sends signals to those who ask for them only. */
static int subscribe(struct manager *manager, struct hvd_error *err)
{
	int r;

	if (!manager->bus)
		return 0;
	r = sd_bus_call_method_async(manager->bus, NULL, "org.freedesktop.systemd1",
				     "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager",
				     "Subscribe", on_subscribed, NULL, NULL);
	return r < 0 ? hvd_err(err, -r, "system bus: %s", strerror(-r)) : 0;
}

static int open_history(struct manager *manager, struct hvd_error *err)
{
	char folder[PATH_MAX];
	int r;

	r = state_path(manager, "events", folder, err);
	if (r >= 0)
		r = event_log_new(folder, &manager->events, err);
	if (r >= 0)
		r = state_path(manager, "operations", folder, err);
	if (r >= 0)
		r = operations_new(manager, folder, &manager->operations, err);
	if (r >= 0)
		r = state_path(manager, "idempotency", folder, err);
	if (r >= 0)
		r = idempotency_new(folder, &manager->idempotency, err);
	if (r >= 0)
		event_started(manager);
	return r;
}

static int open_access(struct manager *manager, struct hvd_error *err)
{
	char folder[PATH_MAX];
	int r;

	r = tokens_new(manager->paths.state, &manager->tokens, err);
	if (r >= 0)
		r = state_path(manager, "tls", folder, err);
	return r < 0 ? r : tls_new(folder, &manager->tls, err);
}

int manager_new(sd_event *event, sd_bus *bus, const struct manager_paths *paths,
		struct manager **ret, struct hvd_error *err)
{
	AUTO(manager_free) struct manager *manager = calloc(1, sizeof(*manager));
	int r;

	if (!manager)
		return hvd_err(err, ENOMEM, "out of memory");

	manager->event = sd_event_ref(event);
	manager->bus = sd_bus_ref(bus);
	manager->has_systemd = bus != NULL;
	manager->paths = *paths;
	list_init(&manager->vms);
	list_init(&manager->networks);
	list_init(&manager->listeners);
	list_init(&manager->access_listeners);
	list_init(&manager->volume_jobs);
	list_init(&manager->farewells);

	sd_event_now(event, CLOCK_REALTIME, &manager->traffic.since_usec);
	r = metrics_new(manager, &manager->metrics);
	if (r >= 0)
		r = host_probe(&manager->host);
	if (r < 0)
		return hvd_err(err, -r, "out of memory");
	r = xml_client_new(event, paths->xml, &manager->xml, err);
	if (r >= 0)
		r = open_history(manager, err);
	if (r >= 0)
		r = open_access(manager, err);
	if (r >= 0)
		r = network_load_all(manager, err);
	if (r >= 0)
		r = volumes_open(manager, err);
	if (r >= 0)
		r = load_definitions(manager, err);
	if (r >= 0)
		r = restore_definitions(manager, err);
	if (r >= 0)
		r = make_root(manager, err);
	if (r >= 0)
		r = subscribe(manager, err);
	if (r >= 0)
		r = adopt_all(manager, err);
	if (r < 0)
		return r;
	for (struct vm *vm = vm_next(manager, NULL); vm; vm = vm_next(manager, vm))
		snapshot_recover(vm);
	operations_recover(manager->operations);

	*ret = TAKE(manager);
	return 0;
}

struct manager *manager_free(struct manager *manager)
{
	if (!manager)
		return NULL;

	manager->stopping = true;
	xml_client_stop(manager->xml);
	while (!list_empty(&manager->vms))
		vm_free(vm_next(manager, NULL));
	while (!list_empty(&manager->networks))
		network_free(network_next(manager, NULL));
	volumes_close(manager);
	unit_farewells_drop(manager);
	metrics_free(manager->metrics);
	operations_free(manager->operations);
	idempotency_free(manager->idempotency);
	tokens_free(manager->tokens);
	tls_free(manager->tls);
	event_log_free(manager->events);
	xml_client_free(manager->xml);
	schema_clear(&host_schema, &manager->host);
	sd_bus_unref(manager->bus);
	sd_event_unref(manager->event);
	free(manager);
	return NULL;
}

static void on_autostarted(void *ctx, int r, const struct hvd_error *err)
{
	const struct vm *vm = ctx;

	if (r < 0)
		log_err("VM %s was not started: %s", vm_config(vm)->name, err->msg);
}

void manager_autostart(struct manager *manager)
{
	char stamp[PATH_MAX];
	AUTO(close) int fd = -1;

	if (manager->bus) {
		vm_remove_stale_links(manager);
		network_start_all(manager);
	}

	/* /run is empty after a boot: a restart of hvd must not start what was stopped since. */
	if (snprintf(stamp, sizeof(stamp), "%s/" AUTOSTART_STAMP, manager->paths.runtime) >=
	    (int)sizeof(stamp))
		return;
	fd = open(stamp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return;

	for (struct vm *vm = vm_next(manager, NULL); vm; vm = vm_next(manager, vm))
		if (vm_config(vm)->autostart && !vm_has_process(vm))
			vm_start(vm, NULL, on_autostarted, vm);
}
