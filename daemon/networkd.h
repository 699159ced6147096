/* SPDX-License-Identifier: Apache-2.0 */
/*
 * systemd-networkd, which makes hvd's bridges and serves their DHCP and NAT: configuration files
 * below /run/systemd/network, and its D-Bus interface (org.freedesktop.network1(5)).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

#include "api/network_schema.h"
#include "vmm/base/err.h"

/* Priorities of the rules of isolated networks; the host's own are before (0, local) and behind (32766, main). */
#define NETWORKD_RULE_FROM_HOST 1701
#define NETWORKD_RULE_FROM_ANY  1702

/* The subnet of an address with its prefix length: "10.0.0.0/24" of "10.0.0.1/24". */
#define NETWORKD_SUBNET_SIZE (46 + 4)
void networkd_subnet(const char *cidr, char subnet[static NETWORKD_SUBNET_SIZE]);

#define NETWORKD_FOLDER "/run/systemd/network"

/* One guest of a DHCP server. */
struct lease {
	uint8_t mac[6];
	char address[16]; /* IPv4 text */
	uint64_t expires_usec; /* CLOCK_BOOTTIME */
};

typedef void (*networkd_done_fn)(void *ctx, int r, const struct hvd_error *err);
/* leases are the callee's to free(). */
typedef void (*networkd_leases_fn)(void *ctx, struct lease *leases, size_t n);

/* The two files of a network that is not in mode bridge; heap memory in *ret. 0 or -ENOMEM. */
int networkd_netdev_text(const struct network_config *config, char **ret);
int networkd_network_text(const struct network_config *config, char **ret);

/* Write them below folder. Returns 1 when anything has changed, 0 when not. */
int networkd_write(const char *folder, const struct network_config *config, struct hvd_error *err);

/* Remove them. Returns 1 when there were any. */
int networkd_remove(const char *folder, const char *name, struct hvd_error *err);

/* Is there a .network file of this network? */
bool networkd_has(const char *folder, const char *name);

/* Call fn with the network's name for each file of hvd's, until it returns a negative errno. */
int networkd_each(const char *folder, int (*fn)(void *ctx, const char *name), void *ctx);

/* Make networkd read its files again. Slots as in daemon/unit.h. */
int networkd_reload(sd_bus *bus, networkd_done_fn fn, void *ctx, sd_bus_slot **ret,
		    struct hvd_error *err);

/* The same after files have been removed; what becomes of it is only logged. bus may be NULL. */
void networkd_forget(sd_bus *bus);

/*
 * Call fn with the leases that the DHCP server on interface ifindex has given, now and after
 * every change, until *ret is freed. 0 or -errno.
 */
struct networkd_watch;
int networkd_watch(sd_bus *bus, int ifindex, networkd_leases_fn fn, void *ctx,
		   struct networkd_watch **ret);
struct networkd_watch *networkd_watch_free(struct networkd_watch *watch);
