/* SPDX-License-Identifier: Apache-2.0 */
/* TLS clients of a test, at 127.0.0.1, and the certificates of an authority of its own. */
#pragma once

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdbool.h>

/* An authority, or what one has signed. */
struct tls_party {
	gnutls_x509_privkey_t key;
	gnutls_x509_crt_t crt;
};

/*
 * With this common name and organizational unit (NULL: none), valid for seconds from now, if that is
 * positive. signer: NULL for an authority.
 */
void tls_party_init(struct tls_party *party, const char *name, const char *unit, long seconds,
		    const struct tls_party *signer);
void tls_party_clear(struct tls_party *party);
/* Its certificate as PEM into a file. */
void tls_party_write(const struct tls_party *party, const char *path);

/* A list of what signer has revoked, this one, as PEM; the next is due in seconds from now. */
void tls_party_revoke(const struct tls_party *signer, const struct tls_party *party, long seconds,
		      const char *path);

struct tls_conn {
	int fd;
	gnutls_session_t session; /* NULL: plain TCP */
	gnutls_certificate_credentials_t credentials;
	int handshake; /* what GnuTLS says of it, 0: done */
	long end;      /* what GnuTLS says of the connection's end; 0: as it should be */
	char text[512 * 1024]; /* received, terminated */
	size_t n;
};

/* priorities and party may be NULL. The server's certificate is not verified: see test-tls-client. */
void tls_connect(struct tls_conn *conn, unsigned short port, const char *priorities,
		 const struct tls_party *party);
void tls_connect_plain(struct tls_conn *conn, unsigned short port);
void tls_close(struct tls_conn *conn);

bool tls_send(struct tls_conn *conn, const void *data, size_t n);
/* Until text has come. False: the connection ended before. What was received before is dropped. */
bool tls_expect(struct tls_conn *conn, const char *text);
/* Until the end of the connection. Returns the HTTP status, 0 when there is none. */
unsigned tls_read_all(struct tls_conn *conn);

/* The server's certificate: SHA-256, hexadecimal. */
void tls_fingerprint(const struct tls_conn *conn, char hex[static 65]);
