/* SPDX-License-Identifier: Apache-2.0 */
#include "api/access.h"

#include "api/vm_rules.h"

const char *const role_names[_ROLE_MAX + 1] = {
	[ROLE_READER] = "reader",
	[ROLE_OPERATOR] = "operator",
	[ROLE_ADMIN] = "admin",
};

static const enum role least[_ACCESS_MAX] = {
	[ACCESS_READ] = ROLE_READER,
	[ACCESS_OPERATE] = ROLE_OPERATOR,
	[ACCESS_MANAGE] = ROLE_ADMIN,
	[ACCESS_HOST] = ROLE_ADMIN,
};

enum role role_for(enum access access)
{
	return least[access];
}

bool role_may(enum role role, enum access access)
{
	return role >= least[access];
}

static const struct field token_fields[] = {
	{ "name", NULL, STR(struct token_info, name), .required = true, .check = vm_name_check,
	  .help = "Name of the token: who or what has it" },
	{ "role", NULL, ENUM(struct token_info, role), .names = role_names, .def = "reader",
	  .help = "What it may: reader sees, operator starts, stops and uses consoles, admin does "
		  "everything" },
	{ "days", NULL, U32(struct token_info, days), .min = 1, .max = TOKEN_DAYS_MAX, .def = "90",
	  .help = "How many days it is valid" },
	{ "created_usec", NULL, U64(struct token_info, created_usec), .read_only = true,
	  .help = "When it was made", .unit = "microseconds since 1970" },
	{ "expires_usec", NULL, U64(struct token_info, expires_usec), .read_only = true,
	  .help = "When it ends", .unit = "microseconds since 1970" },
	{ "token", NULL, STR(struct token_info, token), .read_only = true,
	  .help = "The token itself, in the answer to its creation only" },
};
const struct schema token_schema = {
	.name = "Token",
	.size = sizeof(struct token_info),
	SCHEMA_FIELDS(token_fields),
	.key = "name",
};

static const struct field certificate_fields[] = {
	{ "name", NULL, STR(struct certificate_info, name), .required = true, .max = 253,
	  .help = "DNS name or address by which clients know this host" },
	{ "alt_names", NULL, STR(struct certificate_info, alt_names), .max = 1023,
	  .help = "Further names and addresses, separated by commas" },
	{ "days", NULL, U32(struct certificate_info, days), .min = 1, .max = 3660, .def = "825",
	  .help = "How many days it is valid" },
	{ "subject", NULL, STR(struct certificate_info, subject), .read_only = true,
	  .help = "Whose it is" },
	{ "issuer", NULL, STR(struct certificate_info, issuer), .read_only = true,
	  .help = "Who has signed it" },
	{ "expires_usec", NULL, U64(struct certificate_info, expires_usec), .read_only = true,
	  .help = "When it ends", .unit = "microseconds since 1970" },
	{ "fingerprint", NULL, STR(struct certificate_info, fingerprint), .read_only = true,
	  .help = "SHA-256 of the certificate" },
	{ "pin", NULL, STR(struct certificate_info, pin), .read_only = true,
	  .help = "SHA-256 of its public key, for hvcli --pin and curl --pinnedpubkey" },
	{ "clients", NULL, STR(struct certificate_info, clients), .read_only = true,
	  .help = "The authority whose client certificates are taken" },
};
const struct schema certificate_schema = {
	.name = "Certificate",
	.size = sizeof(struct certificate_info),
	SCHEMA_FIELDS(certificate_fields),
};
