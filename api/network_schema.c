/* SPDX-License-Identifier: Apache-2.0 */
#include "api/network_schema.h"

#include "api/network_rules.h"
#include "api/vm_rules.h"
#include "api/vm_schema.h"

#define LIVE  .applies = APPLIES_LIVE
#define NEVER .applies = APPLIES_NEVER

const char *const network_mode_names[_NETWORK_MODE_MAX + 1] = {
	[NETWORK_NAT] = "nat",
	[NETWORK_ROUTED] = "routed",
	[NETWORK_ISOLATED] = "isolated",
	[NETWORK_BRIDGE] = "bridge",
};

static const char *const network_mode_xml_names[_NETWORK_MODE_MAX + 1] = {
	[NETWORK_NAT] = "nat",
	[NETWORK_ROUTED] = "route",
	[NETWORK_ISOLATED] = "", /* no <forward> */
	[NETWORK_BRIDGE] = "bridge",
};

const char *const network_state_names[_NETWORK_STATE_MAX + 1] = {
	[NETWORK_INACTIVE] = "inactive",
	[NETWORK_STARTING] = "starting",
	[NETWORK_ACTIVE] = "active",
	[NETWORK_FAILED] = "failed",
};

static const struct field static_lease_fields[] = {
	{ "address", "@ip", STR(struct network_static_lease, address), .required = true,
	  .check = rule_ipv4, LIVE, .help = "IPv4 address that the guest gets" },
	{ "mac", "@mac", MAC(struct network_static_lease, mac), LIVE,
	  .help = "MAC address of the guest" },
	{ "name", "@name", STR(struct network_static_lease, name), .max = 63, .check = rule_serial,
	  LIVE, .help = "What it is for" },
};
static const struct schema static_lease_schema = {
	.name = "StaticLease",
	.xml = "host",
	.size = sizeof(struct network_static_lease),
	SCHEMA_FIELDS(static_lease_fields),
	.check = rule_static_lease,
};

#define IPV4 "ip[@family?=ipv4]"
#define IPV6 "ip[@family=ipv6]"

static const struct field network_fields[] = {
	{ "name", "name", STR(struct network_config, name), .required = true,
	  .check = vm_name_check, NEVER, .help = "Name, unique on the host" },
	{ "uuid", "uuid", UUID(struct network_config, uuid), NEVER,
	  .help = "UUID; chosen when the network is defined if not given" },
	{ "mode", "forward/@mode", ENUM(struct network_config, mode), .names = network_mode_names,
	  .xml_names = network_mode_xml_names, .def = "nat", LIVE,
	  .help = "How guests reach the world: nat (through the host's addresses), routed (with "
		  "their own), isolated (not at all), or bridge (an existing bridge of the host)" },
	{ "bridge", "bridge/@name", STR(struct network_config, bridge), .check = rule_interface,
	  .help = "Bridge interface, which hvd makes but in mode bridge; chosen when the network "
		  "is defined if not given" },
	{ "address", IPV4 "/@address/@prefix|" IPV4 "/@address/@netmask",
	  STR(struct network_config, address), .check = rule_cidr, LIVE,
	  .help = "IPv4 address of the host on it and length of the prefix, such as "
		  "192.168.133.1/24; a free subnet is chosen if not given" },
	{ "address6", IPV6 "/@address/@prefix", STR(struct network_config, address6),
	  .check = rule_cidr6, LIVE,
	  .help = "IPv6 address of the host on it and length of the prefix, such as fd00:1::1/64" },
	{ "dhcp", IPV4 "/dhcp", BOOL(struct network_config, dhcp), .def = "yes", LIVE,
	  .help = "Guests get addresses by DHCP" },
	{ "dhcp_start", IPV4 "/dhcp/range/@start", STR(struct network_config, dhcp_start),
	  .check = rule_ipv4, LIVE,
	  .help = "First address that DHCP gives; that of the subnet if not given" },
	{ "dhcp_end", IPV4 "/dhcp/range/@end", STR(struct network_config, dhcp_end),
	  .check = rule_ipv4, LIVE, .help = "Last address that DHCP gives; that of the subnet if not given" },
	{ "dns", "dns/forwarder/@addr", STR(struct network_config, dns), .check = rule_ipv4, LIVE,
	  .help = "DNS server that guests are told of; those of the host if not given" },
	{ "mtu", "mtu/@size", U32(struct network_config, mtu), .min = 576, .max = 65535, LIVE,
	  .unit = "bytes", .help = "Largest packet, 1500 if not given" },
	{ "autostart", "hvd:autostart/@enabled", BOOL(struct network_config, autostart),
	  .def = "yes", LIVE, .help = "Make the network when the host starts" },
	{ "static_leases", IPV4 "/dhcp",
	  LIST(struct network_config, static_leases, n_static_leases, static_lease_schema),
	  .max = NETWORK_MAX_STATIC_LEASES, LIVE,
	  .help = "Addresses that DHCP keeps for guests" },
};
const struct schema network_schema = {
	.name = "NetworkSpec",
	.xml = "network",
	.size = sizeof(struct network_config),
	SCHEMA_FIELDS(network_fields),
	.check = rule_network,
};

static const struct field lease_fields[] = {
	{ "address", NULL, STR(struct network_lease, address), .read_only = true,
	  .help = "IPv4 address" },
	{ "mac", NULL, MAC(struct network_lease, mac), .read_only = true, .help = "MAC address" },
	{ "vm", NULL, STR(struct network_lease, vm), .read_only = true,
	  .help = "VM that has it, if it is one of hvd's" },
	{ "nic", NULL, STR(struct network_lease, nic), .read_only = true,
	  .help = "Id of the VM's network interface" },
	{ "expires_usec", NULL, U64(struct network_lease, expires_usec), .read_only = true,
	  .unit = "microseconds", .help = "When the lease ends, since 1970 UTC" },
};
const struct schema network_lease_schema = {
	.name = "Lease",
	.size = sizeof(struct network_lease),
	SCHEMA_FIELDS(lease_fields),
};

static const struct field user_fields[] = {
	{ "vm", NULL, STR(struct network_user, vm), .read_only = true, .help = "Name of the VM" },
};
static const struct schema user_schema = {
	.name = "NetworkUser",
	.size = sizeof(struct network_user),
	SCHEMA_FIELDS(user_fields),
};

static const struct field network_status_fields[] = {
	{ "state", NULL, ENUM(struct network_status, state), .names = network_state_names,
	  .read_only = true, .help = "Is there a bridge that guests can be put on" },
	{ "reason", NULL, STR(struct network_status, reason), .read_only = true,
	  .help = "Why it has failed" },
	{ "generation", NULL, U64(struct network_status, generation), .read_only = true,
	  .help = "Counts changes of the spec" },
	{ "vms", NULL, LIST(struct network_status, vms, n_vms, user_schema), .read_only = true,
	  .help = "VMs that have a network interface on it" },
	{ "leases", NULL, U32(struct network_status, leases), .read_only = true,
	  .help = "Addresses that DHCP has given" },
};
const struct schema network_status_schema = {
	.name = "NetworkStatus",
	.size = sizeof(struct network_status),
	SCHEMA_FIELDS(network_status_fields),
};
