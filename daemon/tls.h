/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What hvd has for TLS (RFC 8446), in STATE/tls:
 *
 *	server.pem   its private key, its certificate, and those up to its authority
 *	clients.pem  authorities whose client certificates are taken; none: clients need tokens
 *	clients.crl  certificates of theirs that are not taken any more; may be missing
 *
 * What was read together is a tls_identity. Connections keep that with which they began, but a client's
 * certificate has to be good by what was read last.
 *
 * What cannot be read closes the door: nothing is taken from it, and there is no TLS until it has been
 * mended. When files are read again what was read before stays in that case.
 */
#pragma once

#include <gnutls/gnutls.h>

#include "api/access.h"
#include "daemon/certificate.h"
#include "vmm/base/cleanup.h"

struct tls;
struct tls_identity;

/* TLS 1.2 and 1.3, forward secrecy and authenticated encryption only. */
#define TLS_PRIORITIES                                                                     \
	"SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-KX-ALL:+ECDHE-ECDSA:+ECDHE-RSA:" \
	"-CIPHER-ALL:+AES-256-GCM:+AES-128-GCM:+CHACHA20-POLY1305:%SERVER_PRECEDENCE"

/* Reads the folder, which need not be there; what is wrong in it is logged. -ENOMEM. */
int tls_new(const char *folder, struct tls **ret, struct hvd_error *err);
struct tls *tls_free(struct tls *tls);
DEFINE_AUTO(struct tls *, tls_free);

/* Read it again. On failure what was read before stays. -ENOENT: there is no certificate. */
int tls_load(struct tls *tls, struct hvd_error *err);

/* Make a key and a certificate, write them and take them from now on. */
int tls_create(struct tls *tls, const struct certificate_info *wanted, struct hvd_error *err);

/* *ret is zero; to be cleared, also on failure. -ENOENT: there is no certificate. */
int tls_describe(const struct tls *tls, struct certificate_info *ret, struct hvd_error *err);
/* The certificates as PEM, heap. -ENOENT */
int tls_pem(const struct tls *tls, char **ret, struct hvd_error *err);

/* What a new connection begins with, referenced; NULL: there is no certificate. */
struct tls_identity *tls_identity_get(struct tls *tls);
/* After the session has gone. NULL is none. */
void tls_identity_unref(struct tls_identity *identity);

/*
 * Give a server's session, before its handshake, what it needs. A client's certificate is asked for
 * where there is an authority of such; the handshake fails when it is not of that.
 */
void tls_identity_present(struct tls_identity *identity, gnutls_session_t session);

/* A client by its certificate. */
struct tls_client {
	enum role role;
	char name[CERTIFICATE_NAME_SIZE];
	uint64_t expires_usec; /* CLOCK_REALTIME: of the certificate, or of the list of revocations */
};

/*
 * Who the other side of a session is. *identity is what it was presented with, and becomes what was
 * read last: then the certificate is verified anew. -ENOKEY: it has sent none; -EACCES: it is not taken
 * (any more), has no role, or the list of revocations is too old to tell.
 */
int tls_client(struct tls *tls, struct tls_identity **identity, gnutls_session_t session,
	       struct tls_client *ret, struct hvd_error *err);
