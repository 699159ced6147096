/* SPDX-License-Identifier: Apache-2.0 */
/* What is chosen where a definition says nothing, and what stands against what it says. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "daemon/link.h"
#include "daemon/network_private.h"

/* Of those that are chosen: 192.168.N.1/24. */
#define FIRST_SUBNET 133
#define LAST_SUBNET  254
#define BRIDGES_MAX  4096

struct subnet {
	int family;
	uint8_t address[16];
	unsigned prefix;
};

/* False: text is NULL. */
static bool subnet_of(const char *text, struct subnet *ret)
{
	if (!text)
		return false;
	ret->family = network_parse_cidr(text, ret->address, &ret->prefix) == 6 ? AF_INET6 : AF_INET;
	return true;
}

static bool overlap(const struct subnet *a, const struct subnet *b)
{
	unsigned bits = a->prefix < b->prefix ? a->prefix : b->prefix;
	unsigned bytes = bits / 8, rest = bits % 8;

	if (a->family != b->family || memcmp(a->address, b->address, bytes) != 0)
		return false;
	return !rest || ((a->address[bytes] ^ b->address[bytes]) & (0xff << (8 - rest))) == 0;
}

/* --- routes of the host */

struct route_check {
	const char *bridge; /* the network's own */
	struct subnet subnet;
	struct link_route found;
};

/* The way to everywhere is no reason against a subnet; nor is link-local IPv6, which every link has. */
static int compare_route(void *ctx, const struct link_route *route)
{
	struct route_check *check = ctx;
	struct subnet other = { .family = route->family, .prefix = route->prefix };

	memcpy(other.address, route->address, sizeof(other.address));
	if (!route->prefix || strcmp(route->interface, check->bridge) == 0 ||
	    !overlap(&check->subnet, &other))
		return 0;
	check->found = *route;
	return -EADDRINUSE;
}

static int check_routes(const char *bridge, const char *cidr, const char *field,
			struct hvd_error *err)
{
	struct route_check check = { .bridge = bridge };
	char text[INET6_ADDRSTRLEN];
	int r;

	if (!subnet_of(cidr, &check.subnet))
		return 0;
	r = link_each_route(compare_route, &check);
	if (r != -EADDRINUSE)
		return r < 0 ? hvd_err(err, -r, "routes of the host: %s", strerror(-r)) : 0;
	inet_ntop(check.found.family, check.found.address, text, sizeof(text));
	return hvd_err_field(err, EBUSY, field,
			     "%s overlaps with %s/%u, which the host has %s%s: choose another subnet",
			     cidr, text, check.found.prefix,
			     check.found.interface[0] ? "on " : "a route to",
			     check.found.interface);
}

int network_check_routes(const struct network_config *config, struct hvd_error *err)
{
	int r = check_routes(config->bridge, config->address, "address", err);

	return r < 0 ? r : check_routes(config->bridge, config->address6, "address6", err);
}

/* --- other networks */

static int check_subnet(const struct network *other, const char *ours, const char *theirs,
			const char *field, struct hvd_error *err)
{
	struct subnet a, b;

	if (!subnet_of(ours, &a) || !subnet_of(theirs, &b) || !overlap(&a, &b))
		return 0;
	return hvd_err_field(err, EBUSY, field,
			     "%s overlaps with network %s, which has %s: choose another subnet", ours,
			     other->config.name, theirs);
}

static int check_other(const struct network_config *config, const struct network *other,
		       struct hvd_error *err)
{
	int r;

	if (strcmp(config->name, other->config.name) == 0)
		return hvd_err_field(err, EEXIST, "name", "network %s exists already", config->name);
	if (memcmp(config->uuid, other->config.uuid, sizeof(config->uuid)) == 0)
		return hvd_err_field(err, EEXIST, "uuid", "network %s has this UUID",
				     other->config.name);
	/* Two may be on one bridge of the host. */
	if (strcmp(config->bridge, other->config.bridge) == 0 &&
	    (config->mode != NETWORK_BRIDGE || other->config.mode != NETWORK_BRIDGE))
		return hvd_err_field(err, EEXIST, "bridge", "network %s has bridge %s",
				     other->config.name, config->bridge);
	r = check_subnet(other, config->address, other->config.address, "address", err);
	return r < 0 ? r : check_subnet(other, config->address6, other->config.address6, "address6",
					err);
}

int network_check_others(const struct manager *manager, const struct network_config *config,
			 const struct network *self, struct hvd_error *err)
{
	int r = 0;

	for (const struct network *n = network_next(manager, NULL); n && r >= 0;
	     n = network_next(manager, n))
		if (n != self)
			r = check_other(config, n, err);
	return r;
}

/* --- choosing */

static bool is_set(const uint8_t uuid[static 16])
{
	static const uint8_t unset[16];

	return memcmp(uuid, unset, sizeof(unset)) != 0;
}

/* RFC 9562, version 4. */
static int choose_uuid(uint8_t uuid[static 16])
{
	if (getrandom(uuid, 16, 0) != 16)
		return -EIO;
	uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x40);
	uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
	return 0;
}

static bool bridge_is_taken(const struct manager *manager, const char *name)
{
	struct link link;

	for (const struct network *n = network_next(manager, NULL); n; n = network_next(manager, n))
		if (strcmp(n->config.bridge, name) == 0)
			return true;
	return link_find(name, &link) >= 0 &&
	       strncmp(link.alias, NETWORK_ALIAS, strlen(NETWORK_ALIAS)) != 0;
}

static int choose_bridge(const struct manager *manager, struct network_config *config)
{
	char name[IFNAMSIZ];

	for (unsigned i = 0; i < BRIDGES_MAX; i++) {
		snprintf(name, sizeof(name), "hvdbr%u", i);
		if (bridge_is_taken(manager, name))
			continue;
		config->bridge = strdup(name);
		return config->bridge ? 0 : -ENOMEM;
	}
	return -EEXIST;
}

static bool subnet_is_taken(const struct manager *manager, const char *bridge, const char *cidr)
{
	for (const struct network *n = network_next(manager, NULL); n; n = network_next(manager, n))
		if (check_subnet(n, cidr, n->config.address, "", NULL) < 0)
			return true;
	return check_routes(bridge, cidr, "", NULL) < 0;
}

static int choose_address(const struct manager *manager, struct network_config *config)
{
	char text[24];

	for (unsigned n = FIRST_SUBNET; n <= LAST_SUBNET; n++) {
		snprintf(text, sizeof(text), "192.168.%u.1/24", n);
		if (subnet_is_taken(manager, config->bridge, text))
			continue;
		config->address = strdup(text);
		return config->address ? 0 : -ENOMEM;
	}
	return -EBUSY;
}

int network_complete(const struct manager *manager, struct network_config *config,
		     const struct network_config *old, struct hvd_error *err)
{
	int r = 0;

	if (config->mode == NETWORK_BRIDGE)
		config->dhcp = false;
	if (!is_set(config->uuid) && old)
		memcpy(config->uuid, old->uuid, sizeof(config->uuid));
	else if (!is_set(config->uuid))
		r = choose_uuid(config->uuid);
	if (r >= 0 && !config->bridge)
		r = choose_bridge(manager, config);
	if (r >= 0 && !config->address && config->dhcp) {
		r = choose_address(manager, config);
		if (r == -EBUSY)
			return hvd_err_field(err, EBUSY, "address",
					     "is required: the host has no subnet 192.168.N.0/24 free");
	}
	return r < 0 ? hvd_err(err, -r, "cannot complete the network: %s", strerror(-r)) : 0;
}
