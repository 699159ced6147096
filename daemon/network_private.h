/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the network module (network*.c) share; nobody else includes this.
 *
 *	network.c         life: start, stop, what is left of a former hvd
 *	network_define.c  definitions and their store
 *	network_choose.c  what is chosen, and what the host says to what is given
 *	network_status.c  status, leases, users
 */
#pragma once

#include "daemon/network.h"
#include "daemon/networkd.h"
#include "daemon/vm.h"

#define NETWORK_REASON_MAX 256
#define NETWORK_ALIAS      "hvd:network/"

struct network {
	struct list node; /* in manager->networks, by name */
	struct manager *manager;
	struct network_config config;
	uint64_t generation;

	enum network_state state; /* of mode bridge: not looked at */
	char reason[NETWORK_REASON_MAX];

	struct list waiters; /* not empty: being started or changed */
	sd_bus_slot *reload;
	sd_event_source *poll;
	unsigned polls;

	struct networkd_watch *watch; /* while active, with DHCP */
	struct lease *leases;
	size_t n_leases;
};
DEFINE_AUTO(struct network *, network_free);

/* network.c */
int network_new(struct manager *manager, struct network **ret);
/* -EBUSY while it is being started or changed. */
int network_check_idle(const struct network *network, struct hvd_error *err);
/* Take away what networkd and the kernel have of it; networkd is told, what it says is logged. */
int network_take_down(struct network *network, struct hvd_error *err);
/* An active network's spec has changed. */
void network_apply(struct network *network, network_done_fn fn, void *ctx);

/* network_choose.c: give config what it lacks; of old (NULL: a new one) where that has it. */
int network_complete(const struct manager *manager, struct network_config *config,
		     const struct network_config *old, struct hvd_error *err);
/* Against the other networks; self (NULL: a new one) is not among them. */
int network_check_others(const struct manager *manager, const struct network_config *config,
			 const struct network *self, struct hvd_error *err);
/* Against the routes of the host. -EBUSY. */
int network_check_routes(const struct network_config *config, struct hvd_error *err);

/* network_status.c: DHCP begins to be watched, or ends. */
void network_watch(struct network *network);
void network_unwatch(struct network *network);
/* -EBUSY when VMs have it (running: whose process has it); err names them. */
int network_check_users(const struct network *network, bool running, struct hvd_error *err);
