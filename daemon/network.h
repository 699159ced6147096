/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtual networks: bridges of the host with addresses, DHCP and a way to the world, which systemd-networkd
 * makes and serves (daemon/networkd.h); or, in mode bridge, a name for a bridge that the host has.
 * A definition is a file of the store. `default` is written when hvd starts for the first time, on a
 * subnet that the host does not use; who changes or deletes it keeps what he has made.
 *
 *	INACTIVE/FAILED --start, or a VM that starts--> STARTING --bridge is up--> ACTIVE
 *	ACTIVE --stop, delete--> INACTIVE
 *
 * An active network is one that networkd has files of, in /run: the bridge outlives hvd, guests go on
 * when hvd stops, and the next hvd finds what is active by the files.
 */
#pragma once

#include "api/network_schema.h"
#include "daemon/manager.h"
#include "vmm/base/list.h"

struct network;

typedef void (*network_done_fn)(void *ctx, int r, const struct hvd_error *err);

/*
 * Load all definitions into manager->networks; those that cannot be read are logged and left out. Then
 * network_start_all() clears what a former hvd has left half-done, and starts those that are active, and
 * after a boot of the host those that have autostart set.
 */
int network_load_all(struct manager *manager, struct hvd_error *err);
void network_start_all(struct manager *manager);
struct network *network_free(struct network *network);

const struct network_config *network_config(const struct network *network);
uint64_t network_generation(const struct network *network);
struct network *network_next(const struct manager *manager, const struct network *network);

/* Define: takes config over (zeroed) on success. Chooses UUID, bridge and subnet where unset. */
int network_define(struct manager *manager, struct network_config *config, struct network **ret,
		   struct hvd_error *err);

/*
 * Replace the spec, of this generation (0: any; -ESTALE); an active network is changed at once. Takes
 * config over (zeroed) in either outcome.
 */
void network_update(struct network *network, struct network_config *config, uint64_t generation,
		    network_done_fn fn, void *ctx);

/* Stop it and forget it; frees network on success. -EBUSY: VMs have it, which err names; -ESTALE. */
int network_undefine(struct network *network, uint64_t generation, struct hvd_error *err);

/*
 * Have the bridge made and up; fn is called once, before return or from the event loop. At most
 * 10 seconds. -ENOTCONN: no system bus, or networkd does not run; -EBUSY: the host has the subnet.
 */
void network_start(struct network *network, network_done_fn fn, void *ctx);

/* Not to be called back any more. */
void network_forget(struct network *network, void *ctx);

/* -EBUSY: VMs that run use it, which err names. */
int network_stop(struct network *network, struct hvd_error *err);

/* IPv4 address of the guest with this MAC as text, or NULL. Belongs to the network. */
const char *network_address(const struct network *network, const uint8_t mac[static 6]);

/* Fill a zeroed status; schema_clear(&network_status_schema, …) frees it. 0 or -ENOMEM. */
int network_get_status(const struct network *network, struct network_status *ret);

/* Each lease; the strings are lent for the time of the call. Stops when fn returns a negative errno. */
int network_each_lease(const struct network *network,
		       int (*fn)(void *ctx, const struct network_lease *lease), void *ctx);
