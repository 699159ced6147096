/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/bus.h"

#include <errno.h>
#include <string.h>

#include "api/dbus.h"
#include "daemon/bus_call.h"
#include "daemon/bus_path.h"
#include "daemon/bus_table.h"
#include "vmm/base/log.h"
#include "vmm/base/macro.h"

struct bus_server {
	struct manager *manager;
	struct bus_table table;
	struct bus_calls calls;
	struct manager_listener listener;
	struct event_listener event_listener;
	const struct vm *removed; /* no longer in the manager, while its removal is announced */
	sd_bus_slot *manager_slot, *vm_slot, *enumerator_slot, *object_manager_slot;
	bool named;
};

/* NULL: no VM has this object path. A UUID is not one: each VM is one object. */
static const struct vm *vm_of_path(const struct bus_server *server, const char *path)
{
	AUTO(free) char *name = NULL;
	const struct vm *vm;

	if (sd_bus_path_decode(path, BUS_VM_PATH, &name) <= 0)
		return NULL;
	if (server->removed && strcmp(vm_config(server->removed)->name, name) == 0)
		return server->removed;
	vm = manager_find_vm(server->manager, name);
	return vm && strcmp(vm_config(vm)->name, name) == 0 ? vm : NULL;
}

static int find_vm(sd_bus *bus, const char *path, const char *interface, void *data, void **found,
		   sd_bus_error *error)
{
	*found = data;
	return vm_of_path(data, path) != NULL;
}

static int enumerate(sd_bus *bus, const char *prefix, void *data, char ***ret, sd_bus_error *error)
{
	const struct bus_server *server = data;
	size_t n = 0;
	char **paths;
	int r;

	for (const struct vm *vm = vm_next(server->manager, NULL); vm;
	     vm = vm_next(server->manager, vm))
		n++;
	paths = calloc(n + 1, sizeof(*paths));
	if (!paths)
		return -ENOMEM;
	n = 0;
	for (const struct vm *vm = vm_next(server->manager, NULL); vm;
	     vm = vm_next(server->manager, vm)) {
		r = bus_path_of(vm_config(vm)->name, &paths[n]);
		if (r < 0) {
			while (n)
				free(paths[--n]);
			free(paths);
			return r;
		}
		n++;
	}
	*ret = paths;
	return 0;
}

/* ---- methods and properties ---- */

static int on_method(sd_bus_message *m, void *data, sd_bus_error *error)
{
	struct bus_server *server = data;
	const struct vm *vm = vm_of_path(server, sd_bus_message_get_path(m));
	const struct op *op = bus_op(vm != NULL, sd_bus_message_get_member(m));

	if (!op)
		return 0;
	return bus_call_begin(&server->calls, m, op, vm ? vm_config(vm)->name : NULL);
}

static int get_spec(sd_bus *bus, const char *path, const char *interface, const char *property,
		    sd_bus_message *reply, void *data, sd_bus_error *error)
{
	const struct vm *vm = vm_of_path(data, path);
	const struct field *field = bus_field(&vm_schema, property);

	return vm && field ? dbus_append_field(reply, field, vm_config(vm)) : -ENOENT;
}

static int get_status(sd_bus *bus, const char *path, const char *interface, const char *property,
		      sd_bus_message *reply, void *data, sd_bus_error *error)
{
	const struct vm *vm = vm_of_path(data, path);
	const struct field *field = bus_field(&vm_status_schema, property);
	struct vm_status status = { 0 };
	int r;

	if (!vm || !field)
		return -ENOENT;
	r = vm_get_status(vm, &status);
	if (r >= 0)
		r = dbus_append_field(reply, field, &status);
	schema_clear(&vm_status_schema, &status);
	return r;
}

static int get_version(sd_bus *bus, const char *path, const char *interface, const char *property,
		       sd_bus_message *reply, void *data, sd_bus_error *error)
{
	return sd_bus_message_append(reply, "s", PACKAGE_VERSION);
}

/* ---- signals ---- */

static int emit_added(struct bus_server *server, const char *name, const char *path)
{
	int r;

	r = sd_bus_emit_object_added(server->manager->bus, path);
	if (r < 0)
		return r;
	return sd_bus_emit_signal(server->manager->bus, BUS_PATH, BUS_MANAGER, "VMAdded", "so",
				  name, path);
}

static int emit_removed(struct bus_server *server, const struct vm *vm, const char *name,
			const char *path)
{
	int r;

	/* sd-bus asks find_vm() once more which interfaces there were */
	server->removed = vm;
	r = sd_bus_emit_object_removed(server->manager->bus, path);
	server->removed = NULL;
	if (r < 0)
		return r;
	return sd_bus_emit_signal(server->manager->bus, BUS_PATH, BUS_MANAGER, "VMRemoved", "so",
				  name, path);
}

static int emit_state(struct bus_server *server, const struct vm *vm, const char *path)
{
	struct vm_status status = { 0 };
	int r;

	r = sd_bus_emit_properties_changed_strv(server->manager->bus, path, BUS_VM,
						server->table.status);
	if (r < 0)
		return r;
	r = vm_get_status(vm, &status);
	if (r < 0)
		return r;
	r = sd_bus_emit_signal(server->manager->bus, path, BUS_VM, "StateChanged", "ss",
			       vm_state_names[status.state], status.reason ? status.reason : "");
	schema_clear(&vm_status_schema, &status);
	return r;
}

static int emit_spec(struct bus_server *server, const char *path)
{
	int r;

	r = sd_bus_emit_properties_changed_strv(server->manager->bus, path, BUS_VM,
						server->table.spec);
	if (r < 0)
		return r;
	/* of status, it counts changes of the spec */
	return sd_bus_emit_properties_changed(server->manager->bus, path, BUS_VM, "Generation",
					      NULL);
}

static void on_event(struct manager_listener *listener, enum manager_event event, struct vm *vm)
{
	struct bus_server *server = container_of(listener, struct bus_server, listener);
	const char *name = vm_config(vm)->name;
	AUTO(free) char *path = NULL;
	int r;

	r = bus_path_of(name, &path);
	if (r >= 0) {
		switch (event) {
		case MANAGER_VM_ADDED:
			r = emit_added(server, name, path);
			break;
		case MANAGER_VM_REMOVED:
			r = emit_removed(server, vm, name, path);
			break;
		case MANAGER_VM_STATE:
			r = emit_state(server, vm, path);
			break;
		case MANAGER_VM_SPEC:
			r = emit_spec(server, path);
			break;
		}
	}
	/* without the bus there is nobody to tell */
	if (r < 0 && r != -ENOTCONN)
		log_warning("D-Bus signal about %s: %s", name, strerror(-r));
}

static int emit_event(struct bus_server *server, const struct event *event)
{
	AUTO(sd_bus_message_unref) sd_bus_message *m = NULL;
	int r;

	r = sd_bus_message_new_signal(server->manager->bus, &m, BUS_PATH, BUS_MANAGER, "Event");
	if (r >= 0)
		r = dbus_append_obj(m, &event_schema, event);
	return r < 0 ? r : sd_bus_send(server->manager->bus, m, NULL);
}

/* What becomes of networks, which are no objects of their own. */
static int emit_network(struct bus_server *server, const struct event *event)
{
	static const char *const signals[_EVENT_TYPE_MAX] = {
		[EVENT_ADDED] = "NetworkAdded",
		[EVENT_CHANGED] = "NetworkChanged",
		[EVENT_REMOVED] = "NetworkRemoved",
		[EVENT_STATE] = "NetworkStateChanged",
	};
	const char *path = ops[OP_NETWORK_LIST].path, *signal = signals[event->type];
	size_t len = strlen(path);

	if (!signal || strncmp(event->resource, path, len) != 0)
		return 0;
	if (event->type == EVENT_STATE)
		return sd_bus_emit_signal(server->manager->bus, BUS_PATH, BUS_MANAGER, signal, "sss",
					  event->resource + len + 1, event->state,
					  event->detail ? event->detail : "");
	return sd_bus_emit_signal(server->manager->bus, BUS_PATH, BUS_MANAGER, signal, "s",
				  event->resource + len + 1);
}

static void on_logged(struct event_listener *listener, const struct event *event)
{
	struct bus_server *server = container_of(listener, struct bus_server, event_listener);
	int r = emit_event(server, event);

	if (r >= 0)
		r = emit_network(server, event);
	if (r < 0 && r != -ENOTCONN)
		log_warning("D-Bus signal of an event: %s", strerror(-r));
}

/* ---- set-up ---- */

static int register_objects(struct bus_server *server)
{
	sd_bus *bus = server->manager->bus;
	int r;

	r = sd_bus_add_object_vtable(bus, &server->manager_slot, BUS_PATH, BUS_MANAGER,
				     server->table.manager, server);
	if (r < 0)
		return r;
	r = sd_bus_add_fallback_vtable(bus, &server->vm_slot, BUS_VM_PATH, BUS_VM,
				       server->table.vm, find_vm, server);
	if (r < 0)
		return r;
	r = sd_bus_add_node_enumerator(bus, &server->enumerator_slot, BUS_VM_PATH, enumerate,
				       server);
	if (r < 0)
		return r;
	return sd_bus_add_object_manager(bus, &server->object_manager_slot, BUS_PATH);
}

int bus_server_new(struct manager *manager, struct bus_server **ret, struct hvd_error *err)
{
	static const struct bus_handlers handlers = {
		.method = on_method, .spec = get_spec, .status = get_status, .version = get_version,
	};
	AUTO(bus_server_free) struct bus_server *server = calloc(1, sizeof(*server));
	int r;

	if (!server)
		return hvd_err(err, ENOMEM, "out of memory");
	server->manager = manager;
	bus_calls_init(&server->calls, manager);
	server->listener.fn = on_event;
	list_init(&server->listener.node);
	server->event_listener.fn = on_logged;
	list_init(&server->event_listener.node);

	r = bus_table_init(&server->table, &handlers);
	if (r >= 0)
		r = register_objects(server);
	if (r < 0)
		return hvd_err(err, -r, "cannot register D-Bus objects: %s", strerror(-r));

	r = sd_bus_request_name(manager->bus, BUS_NAME, 0);
	if (r < 0)
		return hvd_err(err, -r, "cannot own " BUS_NAME " on the system bus: %s%s",
			       strerror(-r),
			       r == -EEXIST ? "; another hvd runs"
			       : r == -EACCES ? "; is its policy in /usr/share/dbus-1/system.d?"
					      : "");
	server->named = true;
	list_append(&manager->listeners, &server->listener.node);
	event_log_listen(manager->events, &server->event_listener);
	*ret = TAKE(server);
	return 0;
}

struct bus_server *bus_server_free(struct bus_server *server)
{
	if (!server)
		return NULL;
	list_remove(&server->listener.node);
	list_remove(&server->event_listener.node);
	if (server->named)
		sd_bus_release_name(server->manager->bus, BUS_NAME);
	bus_calls_clear(&server->calls);
	sd_bus_slot_unref(server->object_manager_slot);
	sd_bus_slot_unref(server->enumerator_slot);
	sd_bus_slot_unref(server->vm_slot);
	sd_bus_slot_unref(server->manager_slot);
	bus_table_clear(&server->table);
	free(server);
	return NULL;
}
