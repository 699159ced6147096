/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The manager: everything that hvd knows. One per process, owned by main.c.
 */
#pragma once

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "api/vm_schema.h"
#include "daemon/event_log.h"
#include "daemon/vm.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/err.h"
#include "vmm/base/list.h"

struct idempotency;
struct metrics;
struct network;
struct operations;
struct pool;
struct pool_item;
struct tls;
struct tokens;
struct xml_client;

struct manager_paths {
	const char *state;   /* /var/lib/hvd */
	const char *runtime; /* /run/hvd */
	const char *worker;  /* hvd-vmm */
	const char *networkd; /* /run/systemd/network */
	const char *xml;     /* hvd-xml */
};

/* Who may use hvd's sockets, beside root, where there is such a group. */
#define HVD_GROUP "hvd"

enum manager_event {
	MANAGER_VM_ADDED,
	MANAGER_VM_REMOVED, /* the VM is still there to be asked for its name */
	MANAGER_VM_STATE,   /* anything of its status: state, reason, process, addresses */
	MANAGER_VM_SPEC,
};

/* Told of every change, after it has happened. Front ends embed one and add it. */
struct manager_listener {
	struct list node;
	void (*fn)(struct manager_listener *listener, enum manager_event event, struct vm *vm);
	/* The same of networks: added, changed, removed, state; or NULL. */
	void (*network)(struct manager_listener *listener, enum event_type event,
			struct network *network);
	/* And of images and volumes: added, changed, removed; or NULL. */
	void (*pool)(struct manager_listener *listener, enum event_type event, struct pool_item *item);
};

/* Told when there is a token or a certificate less that remote clients are known by. */
struct access_listener {
	struct list node;
	void (*fn)(struct access_listener *listener);
};

/* What front ends have seen, for metrics. */
struct traffic {
	uint64_t answers[600]; /* by HTTP status */
	unsigned connections;
	uint64_t dbus_calls;
	uint64_t since_usec; /* CLOCK_REALTIME */
};

struct manager {
	sd_event *event;
	sd_bus *bus; /* system bus; NULL: none (VMs can be defined, not started) */
	bool has_systemd; /* on the bus, to run what takes a sandbox */
	struct manager_paths paths;
	struct xml_client *xml;
	struct list vms;       /* struct vm, by name */
	struct list networks;  /* struct network */
	struct pool *images, *volumes;
	struct list volume_jobs; /* daemon/volume.h: what is under way */
	struct list farewells; /* daemon/unit_farewell.h */
	struct list listeners; /* struct manager_listener */
	struct list access_listeners;
	struct host_info host; /* probed once */
	struct event_log *events;
	struct operations *operations;
	struct idempotency *idempotency;
	struct tls *tls;       /* of remote clients, as are tokens */
	struct tokens *tokens;
	struct metrics *metrics;
	struct traffic traffic;
	bool stopping; /* hvd ends: what is pending is called back, and goes on without it */
	unsigned adopting;     /* VMs of which it is not known yet whether they run */
};

/*
 * bus may be NULL. Loads definitions and networks, and adopts running VMs: runs the event loop
 * until it is known which do. Definitions that cannot be read are logged and left alone.
 */
int manager_new(sd_event *event, sd_bus *bus, const struct manager_paths *paths,
		struct manager **ret, struct hvd_error *err);
struct manager *manager_free(struct manager *manager);
DEFINE_AUTO(struct manager *, manager_free);

/* By name or UUID text. NULL: none. */
struct vm *manager_find_vm(const struct manager *manager, const char *name);
struct network *manager_find_network(const struct manager *manager, const char *name);

/*
 * For the one hvd of the host, which owns its name on the bus: clear what a former one has left in the
 * host's network, start networks, and once after a boot the VMs that have autostart set.
 */
void manager_autostart(struct manager *manager);

void manager_notify(struct manager *manager, enum manager_event event, struct vm *vm);
void manager_notify_network(struct manager *manager, enum event_type event, struct network *network);
void manager_notify_pool(struct manager *manager, enum event_type event, struct pool_item *item);
void manager_access_changed(struct manager *manager);
