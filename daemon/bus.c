/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/bus.h"

#include <errno.h>
#include <string.h>

#include "api/dbus.h"
#include "daemon/bus_call.h"
#include "daemon/bus_object.h"
#include "daemon/bus_path.h"
#include "daemon/bus_table.h"
#include "daemon/pool.h"
#include "vmm/base/log.h"
#include "vmm/base/macro.h"

struct bus_server {
	struct manager *manager;
	struct bus_table table;
	struct bus_calls calls;
	struct manager_listener listener;
	struct event_listener event_listener;
	struct bus_object removed; /* no longer in the manager, while its removal is announced */
	sd_bus_slot *slots[_BUS_KIND_MAX], *object_manager;
	struct enumerator {
		const struct manager *manager;
		enum bus_kind kind;
		sd_bus_slot *slot;
	} enumerators[_BUS_KIND_MAX];
	bool named;
};

static bool find(const struct bus_server *server, const char *path, struct bus_object *ret)
{
	AUTO(free) char *removed = NULL;

	if (server->removed.resource &&
	    bus_path_of(server->removed.kind, bus_object_name(&server->removed), &removed) >= 0 &&
	    !strcmp(removed, path)) {
		*ret = server->removed;
		return true;
	}
	return bus_object_find(server->manager, path, ret);
}

static int on_find(sd_bus *bus, const char *path, const char *interface, void *data, void **found,
		   sd_bus_error *error)
{
	struct bus_object object;

	*found = data;
	return find(data, path, &object);
}

/* prefix does not tell of which: it is also that of the ObjectManager. */
static int enumerate(sd_bus *bus, const char *prefix, void *data, char ***ret, sd_bus_error *error)
{
	const struct enumerator *enumerator = data;

	return bus_object_paths(enumerator->manager, enumerator->kind, ret);
}

/* ---- methods and properties ---- */

static int on_method(sd_bus_message *m, void *data, sd_bus_error *error)
{
	struct bus_server *server = data;
	struct bus_object object = { .kind = BUS_KIND_MANAGER };
	bool found = find(server, sd_bus_message_get_path(m), &object);
	const struct op *op = bus_op(object.kind, sd_bus_message_get_member(m));

	if (!op)
		return 0;
	return bus_call_begin(&server->calls, m, op, found ? bus_object_name(&object) : NULL);
}

static int get_property(sd_bus *bus, const char *path, const char *interface, const char *property,
			sd_bus_message *reply, void *data, sd_bus_error *error)
{
	struct bus_object object;

	return find(data, path, &object) ? bus_object_append(&object, property, reply) : -ENOENT;
}

static int get_version(sd_bus *bus, const char *path, const char *interface, const char *property,
		       sd_bus_message *reply, void *data, sd_bus_error *error)
{
	return sd_bus_message_append(reply, "s", PACKAGE_VERSION);
}

/* ---- signals ---- */

static int emit_added(struct bus_server *server, const struct bus_object *object, const char *path)
{
	int r;

	r = sd_bus_emit_object_added(server->manager->bus, path);
	if (r < 0)
		return r;
	return sd_bus_emit_signal(server->manager->bus, BUS_PATH, BUS_MANAGER,
				  bus_kinds[object->kind].added, "so", bus_object_name(object), path);
}

static int emit_removed(struct bus_server *server, const struct bus_object *object, const char *path)
{
	int r;

	/* sd-bus asks on_find() once more which interfaces there were */
	server->removed = *object;
	r = sd_bus_emit_object_removed(server->manager->bus, path);
	server->removed = (struct bus_object){ 0 };
	if (r < 0)
		return r;
	return sd_bus_emit_signal(server->manager->bus, BUS_PATH, BUS_MANAGER,
				  bus_kinds[object->kind].removed, "so", bus_object_name(object), path);
}

static int emit_state(struct bus_server *server, const struct bus_object *object, const char *path)
{
	AUTO(free) char *reason = NULL;
	const char *interface = bus_kinds[object->kind].interface, *state;
	int r;

	r = sd_bus_emit_properties_changed_strv(server->manager->bus, path, interface,
						server->table.kinds[object->kind].status);
	if (r >= 0)
		r = bus_object_state(object, &state, &reason);
	if (r < 0)
		return r;
	return sd_bus_emit_signal(server->manager->bus, path, interface, "StateChanged", "ss", state,
				  reason);
}

static int emit_spec(struct bus_server *server, const struct bus_object *object, const char *path)
{
	const char *interface = bus_kinds[object->kind].interface;
	int r;

	r = sd_bus_emit_properties_changed_strv(server->manager->bus, path, interface,
						server->table.kinds[object->kind].spec);
	if (r < 0)
		return r;
	/* of status, it counts changes of the spec */
	if (!bus_field(bus_kinds[object->kind].status, "Generation"))
		return 0;
	return sd_bus_emit_properties_changed(server->manager->bus, path, interface, "Generation",
					      NULL);
}

typedef int (*emit_fn)(struct bus_server *server, const struct bus_object *object, const char *path);

static void emit(struct manager_listener *listener, const struct bus_object *object, emit_fn fn)
{
	struct bus_server *server = container_of(listener, struct bus_server, listener);
	AUTO(free) char *path = NULL;
	int r;

	r = bus_path_of(object->kind, bus_object_name(object), &path);
	if (r >= 0)
		r = fn(server, object, path);
	/* without the bus there is nobody to tell */
	if (r < 0 && r != -ENOTCONN)
		log_warning("D-Bus signal about %s: %s", bus_object_name(object), strerror(-r));
}

static void on_vm(struct manager_listener *listener, enum manager_event event, struct vm *vm)
{
	static const emit_fn emits[] = {
		[MANAGER_VM_ADDED] = emit_added,
		[MANAGER_VM_REMOVED] = emit_removed,
		[MANAGER_VM_STATE] = emit_state,
		[MANAGER_VM_SPEC] = emit_spec,
	};

	emit(listener, &(struct bus_object){ BUS_KIND_VM, vm }, emits[event]);
}

static void on_network(struct manager_listener *listener, enum event_type event,
		       struct network *network)
{
	static const emit_fn emits[_EVENT_TYPE_MAX] = {
		[EVENT_ADDED] = emit_added,
		[EVENT_REMOVED] = emit_removed,
		[EVENT_STATE] = emit_state,
		[EVENT_CHANGED] = emit_spec,
	};

	emit(listener, &(struct bus_object){ BUS_KIND_NETWORK, network }, emits[event]);
}

static void on_pool(struct manager_listener *listener, enum event_type event, struct pool_item *item)
{
	static const emit_fn emits[_EVENT_TYPE_MAX] = {
		[EVENT_ADDED] = emit_added,
		[EVENT_REMOVED] = emit_removed,
		[EVENT_CHANGED] = emit_spec,
	};

	emit(listener, &(struct bus_object){ bus_kind_named(pool_noun(item)), item }, emits[event]);
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

static void on_logged(struct event_listener *listener, const struct event *event)
{
	struct bus_server *server = container_of(listener, struct bus_server, event_listener);
	int r = emit_event(server, event);

	if (r < 0 && r != -ENOTCONN)
		log_warning("D-Bus signal of an event: %s", strerror(-r));
}

/* ---- set-up ---- */

static int register_kind(struct bus_server *server, enum bus_kind kind)
{
	const struct bus_kind_info *info = &bus_kinds[kind];
	const sd_bus_vtable *vtable = server->table.kinds[kind].vtable;
	struct enumerator *enumerator = &server->enumerators[kind];
	sd_bus *bus = server->manager->bus;
	int r;

	if (kind == BUS_KIND_MANAGER)
		return sd_bus_add_object_vtable(bus, &server->slots[kind], info->path,
						info->interface, vtable, server);
	r = sd_bus_add_fallback_vtable(bus, &server->slots[kind], info->path, info->interface, vtable,
				       on_find, server);
	if (r < 0)
		return r;
	*enumerator = (struct enumerator){ server->manager, kind, NULL };
	return sd_bus_add_node_enumerator(bus, &enumerator->slot, info->path, enumerate, enumerator);
}

static int register_objects(struct bus_server *server)
{
	int r = 0;

	for (enum bus_kind kind = 0; kind < _BUS_KIND_MAX && r >= 0; kind++)
		r = register_kind(server, kind);
	return r < 0 ? r : sd_bus_add_object_manager(server->manager->bus, &server->object_manager,
						     BUS_PATH);
}

int bus_server_new(struct manager *manager, struct bus_server **ret, struct hvd_error *err)
{
	static const struct bus_handlers handlers = {
		.method = on_method, .property = get_property, .version = get_version,
	};
	AUTO(bus_server_free) struct bus_server *server = calloc(1, sizeof(*server));
	int r;

	if (!server)
		return hvd_err(err, ENOMEM, "out of memory");
	server->manager = manager;
	bus_calls_init(&server->calls, manager);
	server->listener.fn = on_vm;
	server->listener.network = on_network;
	server->listener.pool = on_pool;
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
	sd_bus_slot_unref(server->object_manager);
	for (enum bus_kind kind = 0; kind < _BUS_KIND_MAX; kind++) {
		sd_bus_slot_unref(server->enumerators[kind].slot);
		sd_bus_slot_unref(server->slots[kind]);
	}
	bus_table_clear(&server->table);
	free(server);
	return NULL;
}
