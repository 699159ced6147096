/* SPDX-License-Identifier: Apache-2.0 */
/* X.509 certificates (RFC 5280): the server's own is made, those of clients are read. */
#pragma once

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "api/access.h"

#define CERTIFICATE_NAME_SIZE 64

static inline void auto_certificate(gnutls_x509_crt_t *crt)
{
	if (*crt)
		gnutls_x509_crt_deinit(*crt);
}

/*
 * A key (ECDSA, P-256) and a certificate signed by it, for wanted's names and days: PEM of both, one
 * after the other, heap. -EINVAL names the field.
 */
int certificate_make(const struct certificate_info *wanted, char **ret, struct hvd_error *err);

/* All but clients. *ret is zero; to be cleared, also on failure. -ENOMEM. */
int certificate_describe(gnutls_x509_crt_t crt, struct certificate_info *ret);

/* The subject as RFC 4514 text, heap. NULL: out of memory. */
char *certificate_subject(gnutls_x509_crt_t crt);

/*
 * Who a client is: its common name, and the greatest of the roles that organizational units of its
 * subject say: "hvd-reader", "hvd-operator", "hvd-admin". -EACCES: it has none.
 */
int certificate_role(gnutls_x509_crt_t crt, enum role *role,
		     char name[static CERTIFICATE_NAME_SIZE], struct hvd_error *err);
