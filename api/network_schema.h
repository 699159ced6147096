/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of virtual networks: spec, status, leases. */
#pragma once

#include "api/schema.h"

#define NETWORK_MAX_STATIC_LEASES 256

enum network_mode {
	NETWORK_NAT,      /* guests reach the world through the host's addresses */
	NETWORK_ROUTED,   /* ... with their own */
	NETWORK_ISOLATED, /* guests reach each other and the host */
	NETWORK_BRIDGE,   /* a bridge of the host that is not hvd's */
	_NETWORK_MODE_MAX
};
extern const char *const network_mode_names[_NETWORK_MODE_MAX + 1];

struct network_static_lease {
	uint8_t mac[6];
	char *address; /* IPv4 text */
	char *name;    /* what it is for, or NULL */
};

struct network_config {
	char *name;       /* unique on the host, as names of VMs are made */
	uint8_t uuid[16]; /* all zero: chosen when defined */
	enum network_mode mode;
	char *bridge;  /* interface name; NULL: chosen when defined */
	char *address; /* "192.168.133.1/24": the host's address and the subnet; NULL: none */
	char *address6;
	bool dhcp;
	char *dhcp_start, *dhcp_end; /* NULL: that of the subnet */
	char *dns;                   /* that guests are told; NULL: the host's own */
	uint32_t mtu;                /* 0: the kernel's default */
	bool autostart;
	struct network_static_lease *static_leases;
	size_t n_static_leases;
};
extern const struct schema network_schema;

enum network_state {
	NETWORK_INACTIVE,
	NETWORK_STARTING,
	NETWORK_ACTIVE,
	NETWORK_FAILED, /* could not be made; reason says why; may be started again */
	_NETWORK_STATE_MAX
};
extern const char *const network_state_names[_NETWORK_STATE_MAX + 1];

struct network_lease {
	char *address;
	uint8_t mac[6];
	char *vm, *nic;        /* whose it is, or NULL */
	uint64_t expires_usec; /* CLOCK_REALTIME */
};
extern const struct schema network_lease_schema;

struct network_user {
	char *vm;
};

struct network_status {
	enum network_state state;
	char *reason;
	uint64_t generation;
	struct network_user *vms; /* that are defined with a NIC on it */
	size_t n_vms;
	uint32_t leases;
};
extern const struct schema network_status_schema;

/*
 * The network address and the length of its prefix of what rules accept as "address" and "address6".
 * Returns 4 or 6, or 0 when it is neither.
 */
int network_parse_cidr(const char *text, uint8_t address[static 16], unsigned *prefix);
