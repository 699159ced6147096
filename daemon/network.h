/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtual networks: a bridge of the host with an address, DHCP and NAT, which systemd-networkd
 * makes and serves (daemon/networkd.h). A definition is a file of the store; `default` is written
 * when hvd starts for the first time, on a subnet that the host does not use.
 *
 * The bridge outlives hvd: guests go on when hvd stops.
 */
#pragma once

#include "api/vm_schema.h"
#include "daemon/manager.h"
#include "vmm/base/list.h"

struct network;

typedef void (*network_done_fn)(void *ctx, int r, const struct hvd_error *err);

/* Load all definitions into manager->networks. Those that cannot be read are logged and left out. */
int network_load_all(struct manager *manager, struct hvd_error *err);
struct network *network_free(struct network *network);

const struct network_config *network_config(const struct network *network);
struct network *network_next(const struct manager *manager, const struct network *network);

/*
 * Have the bridge made and up; fn is called once, before return or from the event loop. At most
 * 10 seconds. -ENOTCONN: no system bus, or networkd does not run.
 */
void network_ready(struct network *network, network_done_fn fn, void *ctx);

/* Not to be called back any more. */
void network_forget(struct network *network, void *ctx);

/* IPv4 address of the guest with this MAC as text, or NULL. Belongs to the network. */
const char *network_address(const struct network *network, const uint8_t mac[static 6]);
