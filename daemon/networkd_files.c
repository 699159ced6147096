/* SPDX-License-Identifier: Apache-2.0 */
/* The files that tell systemd-networkd of a network: systemd.netdev(5), systemd.network(5). */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/networkd.h"
#include "vmm/base/cleanup.h"

#define PREFIX "70-hvd-"
#define HEADER "# Written by hvd from its network %s; changes are lost.\n"

static void put_netdev(FILE *f, const struct network_config *config)
{
	fprintf(f, HEADER "[NetDev]\nName=%s\nKind=bridge\n", config->name, config->bridge);
	if (config->mtu)
		fprintf(f, "MTUBytes=%u\n", config->mtu);
	fprintf(f, "\n[Bridge]\nSTP=no\n");
}

static const char *forwarding(const struct network_config *config)
{
	return config->mode == NETWORK_ISOLATED ? "no"
	       : config->address && config->address6 ? "yes"
	       : config->address6 ? "ipv6" : "ipv4";
}

static const char *masquerade(const struct network_config *config)
{
	return config->mode != NETWORK_NAT ? "no"
	       : config->address && config->address6 ? "both"
	       : config->address6 ? "ipv6" : "ipv4";
}

static uint32_t ipv4_of(const char *text)
{
	struct in_addr in = { 0 };

	inet_pton(AF_INET, text, &in);
	return ntohl(in.s_addr);
}

/* The subnet of an address with prefix, in the same form. */
void networkd_subnet(const char *cidr, char subnet[static NETWORKD_SUBNET_SIZE])
{
	char text[INET6_ADDRSTRLEN];
	uint8_t address[16];
	unsigned prefix = 0;
	int family = network_parse_cidr(cidr, address, &prefix);

	for (unsigned bit = prefix; bit < sizeof(address) * 8; bit++)
		address[bit / 8] &= (uint8_t)~(0x80 >> bit % 8);
	inet_ntop(family == 6 ? AF_INET6 : AF_INET, address, text, sizeof(text));
	snprintf(subnet, NETWORKD_SUBNET_SIZE, "%s/%u", text, prefix);
}

static void put_dhcp(FILE *f, const struct network_config *config)
{
	const uint32_t mask = UINT32_MAX >> atoi(strchr(config->address, '/') + 1);
	uint32_t start = config->dhcp_start ? ipv4_of(config->dhcp_start) & mask : 1;
	uint32_t end = config->dhcp_end ? ipv4_of(config->dhcp_end) & mask : mask - 1;

	fprintf(f, "\n[DHCPServer]\n");
	if (config->dhcp_start || config->dhcp_end)
		fprintf(f, "PoolOffset=%u\nPoolSize=%u\n", start, end - start + 1);
	if (config->mode == NETWORK_ISOLATED)
		fprintf(f, "EmitRouter=no\n");
	if (config->dns)
		fprintf(f, "DNS=%s\n", config->dns);
	else if (config->mode == NETWORK_ISOLATED)
		fprintf(f, "EmitDNS=no\n");
	if (config->mtu)
		fprintf(f, "SendOption=26:uint16:%u\n", config->mtu);

	for (size_t i = 0; i < config->n_static_leases; i++) {
		const struct network_static_lease *lease = &config->static_leases[i];
		char mac[MAC_TEXT_SIZE];

		mac_format(lease->mac, mac);
		fprintf(f, "\n[DHCPServerStaticLease]\nMACAddress=%s\nAddress=%s\n", mac,
			lease->address);
	}
}

static void put_router(FILE *f, const struct network_config *config)
{
	char subnet[NETWORKD_SUBNET_SIZE];

	networkd_subnet(config->address6, subnet);
	fprintf(f, "\n[IPv6SendRA]\n");
	if (config->mode == NETWORK_ISOLATED)
		fprintf(f, "RouterLifetimeSec=0\nEmitDNS=no\n");
	fprintf(f, "\n[IPv6Prefix]\nPrefix=%s\n", subnet);
}

/*
 * Nothing is routed from the bridge, and nothing to it but what the host itself sends: whatever else
 * on the host turns forwarding on.
 */
static void put_isolation(FILE *f, const struct network_config *config, const char *family,
			  const char *cidr)
{
	char subnet[NETWORKD_SUBNET_SIZE];

	networkd_subnet(cidr, subnet);
	fprintf(f, "\n[RoutingPolicyRule]\nFamily=%s\nPriority=%d\nIncomingInterface=%s\n"
		   "Type=prohibit\n", family, NETWORKD_RULE_FROM_HOST, config->bridge);
	fprintf(f, "\n[RoutingPolicyRule]\nFamily=%s\nPriority=%d\nIncomingInterface=lo\n"
		   "To=%s\nTable=main\n", family, NETWORKD_RULE_FROM_HOST, subnet);
	fprintf(f, "\n[RoutingPolicyRule]\nFamily=%s\nPriority=%d\nTo=%s\nType=prohibit\n",
		family, NETWORKD_RULE_FROM_ANY, subnet);
}

static void put_network(FILE *f, const struct network_config *config)
{
	bool dhcp = config->dhcp && config->address;

	fprintf(f, HEADER "[Match]\nName=%s\nKind=bridge\n", config->name, config->bridge);
	fprintf(f, "\n[Link]\nRequiredForOnline=no\n");
	if (config->mtu)
		fprintf(f, "MTUBytes=%u\n", config->mtu);

	fprintf(f, "\n[Network]\n");
	if (config->address)
		fprintf(f, "Address=%s\n", config->address);
	if (config->address6)
		fprintf(f, "Address=%s\n", config->address6);
	fprintf(f, "ConfigureWithoutCarrier=yes\n"
		   "IgnoreCarrierLoss=yes\n"
		   "LinkLocalAddressing=%s\n"
		   "IPv6AcceptRA=no\n"
		   "IPv6SendRA=%s\n"
		   "DHCPServer=%s\n"
		   "IPForward=%s\n"
		   "IPMasquerade=%s\n",
		config->address6 ? "ipv6" : "no", config->address6 ? "yes" : "no",
		dhcp ? "yes" : "no", forwarding(config), masquerade(config));
	if (dhcp)
		put_dhcp(f, config);
	if (config->address6)
		put_router(f, config);
	if (config->mode == NETWORK_ISOLATED && config->address)
		put_isolation(f, config, "ipv4", config->address);
	if (config->mode == NETWORK_ISOLATED && config->address6)
		put_isolation(f, config, "ipv6", config->address6);
}

static int make_text(void (*put)(FILE *f, const struct network_config *config),
		     const struct network_config *config, char **ret)
{
	AUTO(free) char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	bool failed;

	if (!f)
		return -ENOMEM;
	put(f, config);
	failed = ferror(f);
	if (fclose(f) < 0 || failed)
		return -ENOMEM;
	*ret = TAKE(text);
	return 0;
}

int networkd_netdev_text(const struct network_config *config, char **ret)
{
	return make_text(put_netdev, config, ret);
}

int networkd_network_text(const struct network_config *config, char **ret)
{
	return make_text(put_network, config, ret);
}

static int path_of(char path[static PATH_MAX], const char *folder, const char *name,
		   const char *suffix)
{
	return snprintf(path, PATH_MAX, "%s/" PREFIX "%s.%s", folder, name, suffix) >= PATH_MAX
		       ? -ENAMETOOLONG
		       : 0;
}

static bool has_text(const char *path, const char *text)
{
	size_t want = strlen(text), len;
	AUTO(free) char *old = malloc(want + 1);
	AUTO(fclose) FILE *f = fopen(path, "re");

	if (!f || !old)
		return false;
	len = fread(old, 1, want + 1, f);
	return len == want && memcmp(old, text, len) == 0;
}

/* Returns 1 when the file has changed. networkd runs as its own user and must be able to read it. */
static int write_text(const char *folder, const char *name, const char *suffix, const char *text,
		      struct hvd_error *err)
{
	char path[PATH_MAX];
	AUTO(fclose) FILE *f = NULL;

	if (path_of(path, folder, name, suffix) < 0)
		return hvd_err(err, ENAMETOOLONG, "%s: %s", folder, strerror(ENAMETOOLONG));
	if (has_text(path, text))
		return 0;

	f = fopen(path, "we");
	if (!f || fputs(text, f) < 0 || fflush(f) < 0 || fchmod(fileno(f), 0644) < 0)
		return hvd_err(err, errno, "%s: %s", path, strerror(errno));
	return 1;
}

int networkd_write(const char *folder, const struct network_config *config, struct hvd_error *err)
{
	AUTO(free) char *netdev = NULL, *network = NULL;
	int r, changed;

	r = networkd_netdev_text(config, &netdev);
	if (r >= 0)
		r = networkd_network_text(config, &network);
	if (r < 0)
		return hvd_err(err, ENOMEM, "out of memory");

	if (mkdir(folder, 0755) < 0 && errno != EEXIST)
		return hvd_err(err, errno, "%s: %s", folder, strerror(errno));

	changed = write_text(folder, config->name, "netdev", netdev, err);
	if (changed < 0)
		return changed;
	r = write_text(folder, config->name, "network", network, err);
	return r < 0 ? r : changed | r;
}

/* Returns 1 when there was one. */
static int remove_file(const char *folder, const char *name, const char *suffix,
		       struct hvd_error *err)
{
	char path[PATH_MAX];

	if (path_of(path, folder, name, suffix) < 0)
		return 0;
	if (unlink(path) == 0)
		return 1;
	return errno == ENOENT ? 0 : hvd_err(err, errno, "%s: %s", path, strerror(errno));
}

int networkd_remove(const char *folder, const char *name, struct hvd_error *err)
{
	int r, removed;

	removed = remove_file(folder, name, "netdev", err);
	if (removed < 0)
		return removed;
	r = remove_file(folder, name, "network", err);
	return r < 0 ? r : removed | r;
}

bool networkd_has(const char *folder, const char *name)
{
	char path[PATH_MAX];

	return path_of(path, folder, name, "network") >= 0 && access(path, F_OK) == 0;
}

int networkd_each(const char *folder, int (*fn)(void *ctx, const char *name), void *ctx)
{
	AUTO(closedir) DIR *dir = opendir(folder);
	struct dirent *entry;
	int r = 0;

	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	while (r >= 0 && (entry = readdir(dir))) {
		char *dot = strrchr(entry->d_name, '.');

		if (!dot || strncmp(entry->d_name, PREFIX, strlen(PREFIX)) != 0 ||
		    (strcmp(dot, ".netdev") != 0 && strcmp(dot, ".network") != 0))
			continue;
		*dot = '\0';
		r = fn(ctx, entry->d_name + strlen(PREFIX));
	}
	return r;
}
