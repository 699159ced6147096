/* SPDX-License-Identifier: Apache-2.0 */
#include "api/network_rules.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/network_schema.h"

int network_parse_cidr(const char *text, uint8_t address[static 16], unsigned *prefix)
{
	char host[INET6_ADDRSTRLEN];
	size_t len = strcspn(text, "/");
	uint64_t bits;

	if (!text[len] || len >= sizeof(host) || number_parse(text + len + 1, &bits) < 0)
		return 0;
	memcpy(host, text, len);
	host[len] = '\0';
	*prefix = bits > 128 ? 129 : (unsigned)bits;
	memset(address, 0, 16);
	if (inet_pton(AF_INET, host, address) == 1)
		return *prefix <= 32 ? 4 : 0;
	return inet_pton(AF_INET6, host, address) == 1 && *prefix <= 128 ? 6 : 0;
}

static uint32_t ipv4_of(const char *text)
{
	struct in_addr in = { 0 };

	inet_pton(AF_INET, text, &in);
	return ntohl(in.s_addr);
}

int rule_ipv4(const char *text, struct hvd_error *err)
{
	struct in_addr in;

	if (inet_pton(AF_INET, text, &in) != 1 || in.s_addr == 0)
		return hvd_err(err, EINVAL, "'%.40s' is no IPv4 address such as 192.168.133.7", text);
	return 0;
}

/* An address that a host can have: neither of the subnet as a whole, nor loopback or multicast. */
static bool is_host4(uint32_t address, unsigned prefix)
{
	uint32_t host = address & (UINT32_MAX >> prefix);

	return host != 0 && host != (UINT32_MAX >> prefix) && address >> 24 != 0 &&
	       address >> 24 != 127 && address >> 28 < 0xe;
}

int rule_cidr(const char *text, struct hvd_error *err)
{
	uint8_t address[16];
	unsigned prefix;

	if (network_parse_cidr(text, address, &prefix) != 4 || prefix < 8 || prefix > 30)
		return hvd_err(err, EINVAL,
			       "'%.40s' is no IPv4 address with prefix such as 192.168.133.1/24", text);
	if (!is_host4((uint32_t)address[0] << 24 | (uint32_t)address[1] << 16 |
			      (uint32_t)address[2] << 8 | address[3],
		      prefix))
		return hvd_err(err, EINVAL,
			       "'%.40s' is no address that the host can have: give its own, such as "
			       "192.168.133.1/24, not that of the subnet", text);
	return 0;
}

int rule_cidr6(const char *text, struct hvd_error *err)
{
	uint8_t address[16];
	unsigned prefix;

	if (network_parse_cidr(text, address, &prefix) != 6 || prefix < 16 || prefix > 126 ||
	    address[0] == 0xff || address[0] == 0 || (address[0] == 0xfe && address[1] >= 0x80))
		return hvd_err(err, EINVAL,
			       "'%.60s' is no IPv6 address with prefix such as fd00:1::1/64", text);
	return 0;
}

int rule_static_lease(const void *obj, struct hvd_error *err)
{
	const struct network_static_lease *lease = obj;
	static const uint8_t unset[6];

	if (memcmp(lease->mac, unset, sizeof(unset)) == 0)
		return hvd_err_field(err, EINVAL, "mac", "is required");
	return 0;
}

struct subnet {
	uint32_t address; /* of the host */
	unsigned prefix;
};

static int check_inside(const struct subnet *subnet, const char *text, const char *field,
			struct hvd_error *err)
{
	uint32_t address = ipv4_of(text);

	if ((address ^ subnet->address) >> (32 - subnet->prefix) != 0 ||
	    !is_host4(address, subnet->prefix))
		return hvd_err_field(err, EINVAL, field, "%s is no address of a guest in the subnet",
				     text);
	return 0;
}

static int check_range(const struct network_config *network, const struct subnet *subnet,
		       struct hvd_error *err)
{
	const char *start = network->dhcp_start, *end = network->dhcp_end;
	int r = 0;

	if (start)
		r = check_inside(subnet, start, "dhcp_start", err);
	if (r >= 0 && end)
		r = check_inside(subnet, end, "dhcp_end", err);
	if (r < 0)
		return r;
	if (start && end && ipv4_of(end) < ipv4_of(start))
		return hvd_err_field(err, EINVAL, "dhcp_end", "is before dhcp_start");
	return 0;
}

static int check_lease(const struct network_config *network, const struct subnet *subnet, size_t i,
		       struct hvd_error *err)
{
	const struct network_static_lease *lease = &network->static_leases[i];
	uint32_t address = ipv4_of(lease->address);
	int r = check_inside(subnet, lease->address, "address", err);

	if (r < 0)
		return r;
	if (address == subnet->address)
		return hvd_err_field(err, EINVAL, "address", "is the host's own");
	for (size_t j = 0; j < i; j++) {
		const struct network_static_lease *other = &network->static_leases[j];

		if (ipv4_of(other->address) == address)
			return hvd_err_field(err, EINVAL, "address",
					     "is that of static_leases[%zu] too", j);
		if (memcmp(other->mac, lease->mac, sizeof(lease->mac)) == 0)
			return hvd_err_field(err, EINVAL, "mac",
					     "is that of static_leases[%zu] too", j);
	}
	return 0;
}

/* What hvd does not do on a bridge that is not its own. */
static int check_foreign(const struct network_config *network, struct hvd_error *err)
{
	const char *field = network->address	       ? "address"
			    : network->address6	       ? "address6"
			    : network->dhcp_start      ? "dhcp_start"
			    : network->dhcp_end	       ? "dhcp_end"
			    : network->dns	       ? "dns"
			    : network->mtu	       ? "mtu"
			    : network->n_static_leases ? "static_leases"
						       : NULL;

	if (!network->bridge)
		return hvd_err_field(err, EINVAL, "bridge",
				     "is required: mode bridge is a bridge that the host has");
	if (field)
		return hvd_err_field(err, EINVAL, field,
				     "cannot be given: in mode bridge the bridge is not hvd's");
	return 0;
}

static int check_dhcp(const struct network_config *network, struct hvd_error *err)
{
	const char *field = network->dhcp_start	       ? "dhcp_start"
			    : network->dhcp_end	       ? "dhcp_end"
			    : network->dns	       ? "dns"
			    : network->n_static_leases ? "static_leases"
						       : NULL;
	uint8_t bytes[16];
	struct subnet subnet;
	int r;

	if (field && !network->dhcp)
		return hvd_err_field(err, EINVAL, field, "is given without dhcp");
	if (!network->address) {
		if (field && strcmp(field, "dns") != 0)
			return hvd_err_field(err, EINVAL, field, "is given without address");
		return 0;
	}
	network_parse_cidr(network->address, bytes, &subnet.prefix);
	subnet.address = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 |
			 (uint32_t)bytes[2] << 8 | bytes[3];
	r = check_range(network, &subnet, err);
	for (size_t i = 0; r >= 0 && i < network->n_static_leases; i++) {
		r = check_lease(network, &subnet, i, err);
		if (r < 0)
			return hvd_err_in(err, r, "static_leases[%zu]", i);
	}
	return r;
}

int rule_network(const void *obj, struct hvd_error *err)
{
	const struct network_config *network = obj;

	if (network->mode == NETWORK_BRIDGE)
		return check_foreign(network, err);
	if (!network->dhcp && !network->address && !network->address6 &&
	    network->mode != NETWORK_ISOLATED)
		return hvd_err_field(err, EINVAL, "address",
				     "is required: without dhcp none is chosen, and mode %s needs one",
				     network_mode_names[network->mode]);
	if (network->address6 && network->mtu && network->mtu < 1280)
		return hvd_err_field(err, EINVAL, "mtu", "must be at least 1280 for IPv6");
	return check_dhcp(network, err);
}
