/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Remote access: roles, the tokens that have them, and the certificate that hvd shows to clients.
 *
 * A role is a set of access classes (api/ops.h). Over the unix socket and D-Bus there are none:
 * there the kernel says who is calling, and the group or polkit who may.
 */
#pragma once

#include "api/ops.h"

enum role {
	ROLE_READER,   /* sees everything but tokens */
	ROLE_OPERATOR, /* and starts, stops, uses consoles */
	ROLE_ADMIN,    /* everything: what root may do to VMs, networks and hvd itself */
	_ROLE_MAX
};
extern const char *const role_names[_ROLE_MAX + 1]; /* "reader", … */

bool role_may(enum role role, enum access access);

/* The least role that may. */
enum role role_for(enum access access);

/*
 * A token: 256 random bits that a client sends as Authorization: Bearer. hvd keeps its hash only,
 * so that the secret is in the answer to its creation and nowhere else.
 */
struct token_info {
	char *name;
	enum role role;
	uint32_t days; /* from its creation to its end */
	uint64_t created_usec, expires_usec;
	char *token; /* the secret, or NULL */
};
extern const struct schema token_schema;

#define TOKEN_DAYS_MAX 3660

struct certificate_info {
	char *name;      /* that clients use for this host: a DNS name or an address */
	char *alt_names; /* others, separated by commas */
	uint32_t days;
	/* what there is now */
	char *subject, *issuer;
	uint64_t expires_usec;
	char *fingerprint; /* SHA-256 of the certificate: "ab:cd:…" */
	char *pin;         /* SHA-256 of the public key: "sha256//…", as libcurl has it */
	char *clients;     /* subject of the authority of client certificates, or NULL: none are taken */
};
extern const struct schema certificate_schema;
