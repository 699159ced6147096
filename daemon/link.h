/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The few things that hvd does to network interfaces itself, by rtnetlink(7) through libmnl; all
 * else is systemd-networkd's. Each call is answered by the kernel at once.
 *
 * What hvd makes and has to take away again (macvtaps, and bridges when a network is stopped) carries
 * hvd's mark in its alias (IFLA_IFALIAS), which `ip link` shows. The kernel's state is the only record.
 */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/base/err.h"
#include "vmm/config.h"

#define LINK_ALIAS_SIZE 160 /* of hvd's own */

/* What an interface has moved, as the host sees it. */
struct link_traffic {
	uint64_t packets, bytes, dropped, errors;
};

struct link {
	int index;
	char name[IFNAMSIZ];
	char kind[16];               /* "bridge", "macvtap", "" for hardware */
	char alias[LINK_ALIAS_SIZE]; /* "": none, or longer than hvd's are */
	int master;                  /* index of the bridge or bond that it is a port of, or 0 */
	bool up;
	struct link_traffic rx, tx;
};

/* By its name. -ENODEV. */
int link_find(const char *name, struct link *ret);

/* Call fn with each interface, until it returns a negative errno. */
int link_each(int (*fn)(void *ctx, const struct link *link), void *ctx);

int link_set_alias(int index, const char *alias);

/* It and what is on top of it. No error when there is none. */
int link_delete(int index);

/* A rule of routing policy. */
struct link_rule {
	uint32_t priority;
	uint8_t protocol;    /* who has made it: RTPROT_… */
	char from[IFNAMSIZ]; /* name of the interface that packets come in by, or "" */
	char to[64];         /* "10.0.0.0/24", or "" */
};

/*
 * Remove the rules of IPv4 and IPv6 with a priority of first to last that keeps() does not want. Returns
 * -errno when that failed for one.
 */
int link_prune_rules(uint32_t first, uint32_t last, bool (*keeps)(void *ctx, const struct link_rule *rule),
		     void *ctx);

/* The interface is a bridge and up. */
bool link_is_bridge_up(const char *name);

/* How a NIC of a guest is on a bridge. */
struct link_port {
	const uint8_t *mac; /* what it sends from another address is dropped; NULL: it may have any */
	bool isolated;      /* nothing passes between it and other isolated ports */
	uint32_t mtu;       /* 0: as it is */
	const char *alias;
};

/*
 * Make interface tap a port of bridge, then set it up, so that no frame passes that should not. err
 * names both. What has been done goes with the tap.
 */
int link_add_port(const char *bridge, const char *tap, const struct link_port *port,
		  struct hvd_error *err);

/*
 * Drop what a guest sends (comes in from a tap, goes out of a macvtap) from another address than this;
 * and no longer. A filter goes with the interface.
 */
enum link_direction { LINK_INGRESS, LINK_EGRESS };
int link_filter_source(int index, enum link_direction direction, const uint8_t *mac);
int link_unfilter(int index);

/*
 * A macvtap on interface parent with the address of the guest, up; *ret gets it. Its character device is
 * /dev/tapINDEX. -ENODEV, -EBUSY (parent is a port of a bridge, or taken in mode passthrough), …; err
 * names parent and, where it is known, what to do.
 */
struct link_macvtap {
	const char *parent;
	enum nic_mode mode;
	const uint8_t *mac;
	bool filter; /* as of struct link_port */
	const char *alias;
};
int link_make_macvtap(const struct link_macvtap *macvtap, struct link *ret, struct hvd_error *err);

/* A route of the host's main table to somewhere. */
struct link_route {
	int family; /* AF_INET, AF_INET6 */
	uint8_t address[16];
	unsigned prefix;
	char interface[IFNAMSIZ]; /* "": none (blackhole, …), or several */
};
int link_each_route(int (*fn)(void *ctx, const struct link_route *route), void *ctx);
