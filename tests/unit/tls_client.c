/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/tls_client.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/patience.h"

static void ok(int r)
{
	if (r < 0)
		fail_msg("GnuTLS: %s", gnutls_strerror(r));
}

void tls_party_init(struct tls_party *party, const char *name, const char *unit, long seconds,
		    const struct tls_party *signer)
{
	static unsigned char serial[] = { 1, 0 };
	gnutls_x509_crt_t crt;
	time_t now = time(NULL);

	ok(gnutls_x509_privkey_init(&party->key));
	ok(gnutls_x509_privkey_generate(party->key, GNUTLS_PK_ECDSA,
					GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0));
	ok(gnutls_x509_crt_init(&party->crt));
	crt = party->crt;
	serial[1]++;
	ok(gnutls_x509_crt_set_version(crt, 3));
	ok(gnutls_x509_crt_set_serial(crt, serial, sizeof(serial)));
	ok(gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, name,
					 (unsigned)strlen(name)));
	if (unit)
		ok(gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_ORGANIZATIONAL_UNIT_NAME, 0,
						 unit, (unsigned)strlen(unit)));
	ok(gnutls_x509_crt_set_activation_time(crt, now - 7200));
	ok(gnutls_x509_crt_set_expiration_time(crt, now + seconds));
	ok(gnutls_x509_crt_set_basic_constraints(crt, !signer, -1));
	ok(gnutls_x509_crt_set_key_usage(crt, signer ? GNUTLS_KEY_DIGITAL_SIGNATURE
						     : GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN));
	if (signer)
		ok(gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_CLIENT, 0));
	ok(gnutls_x509_crt_set_key(crt, party->key));
	ok(gnutls_x509_crt_sign2(crt, signer ? signer->crt : crt, signer ? signer->key : party->key,
				 GNUTLS_DIG_SHA256, 0));
}

void tls_party_clear(struct tls_party *party)
{
	gnutls_x509_crt_deinit(party->crt);
	gnutls_x509_privkey_deinit(party->key);
}

/* Takes pem. */
static void write_pem(gnutls_datum_t pem, const char *path)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_int_equal(fwrite(pem.data, 1, pem.size, f), pem.size);
	gnutls_free(pem.data);
	assert_int_equal(fclose(f), 0);
}

void tls_party_write(const struct tls_party *party, const char *path)
{
	gnutls_datum_t pem;

	ok(gnutls_x509_crt_export2(party->crt, GNUTLS_X509_FMT_PEM, &pem));
	write_pem(pem, path);
}

void tls_party_revoke(const struct tls_party *signer, const struct tls_party *party, long seconds,
		      const char *path)
{
	time_t now = time(NULL);
	gnutls_x509_crl_t crl;
	gnutls_datum_t pem;

	ok(gnutls_x509_crl_init(&crl));
	ok(gnutls_x509_crl_set_version(crl, 2));
	ok(gnutls_x509_crl_set_this_update(crl, now - 7200));
	ok(gnutls_x509_crl_set_next_update(crl, now + seconds));
	ok(gnutls_x509_crl_set_number(crl, "\1", 1));
	ok(gnutls_x509_crl_set_crt(crl, party->crt, now - 3600));
	ok(gnutls_x509_crl_sign2(crl, signer->crt, signer->key, GNUTLS_DIG_SHA256, 0));
	ok(gnutls_x509_crl_export2(crl, GNUTLS_X509_FMT_PEM, &pem));
	gnutls_x509_crl_deinit(crl);
	write_pem(pem, path);
}

void tls_connect_plain(struct tls_conn *conn, unsigned short port)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(port),
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct timeval timeout = { .tv_sec = PATIENCE_SEC };

	conn->session = NULL;
	conn->credentials = NULL;
	conn->n = 0;
	conn->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(conn->fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
	setsockopt(conn->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	setsockopt(conn->fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
}

void tls_connect(struct tls_conn *conn, unsigned short port, const char *priorities,
		 const struct tls_party *party)
{
	tls_connect_plain(conn, port);
	ok(gnutls_init(&conn->session, GNUTLS_CLIENT | GNUTLS_NO_SIGNAL));
	ok(gnutls_certificate_allocate_credentials(&conn->credentials));
	if (party)
		ok(gnutls_certificate_set_x509_key(conn->credentials,
						   (gnutls_x509_crt_t *)&party->crt, 1, party->key));
	ok(gnutls_credentials_set(conn->session, GNUTLS_CRD_CERTIFICATE, conn->credentials));
	ok(gnutls_priority_set_direct(conn->session, priorities ? priorities : "NORMAL", NULL));
	gnutls_transport_set_int(conn->session, conn->fd);
	do
		conn->handshake = gnutls_handshake(conn->session);
	while (conn->handshake < 0 && !gnutls_error_is_fatal(conn->handshake));
}

void tls_close(struct tls_conn *conn)
{
	if (conn->session)
		gnutls_deinit(conn->session);
	if (conn->credentials)
		gnutls_certificate_free_credentials(conn->credentials);
	close(conn->fd);
}

bool tls_send(struct tls_conn *conn, const void *data, size_t n)
{
	if (!conn->session)
		return send(conn->fd, data, n, MSG_NOSIGNAL) == (ssize_t)n;
	return gnutls_record_send(conn->session, data, n) == (ssize_t)n;
}

static bool receive(struct tls_conn *conn)
{
	size_t room = sizeof(conn->text) - 1 - conn->n;
	ssize_t n;

	assert_true(room > 0);
	do
		n = conn->session ? gnutls_record_recv(conn->session, conn->text + conn->n, room)
				  : recv(conn->fd, conn->text + conn->n, room, 0);
	while (conn->session && (n == GNUTLS_E_INTERRUPTED || (n < 0 && n != GNUTLS_E_AGAIN &&
							       !gnutls_error_is_fatal((int)n))));
	conn->end = n;
	if (conn->session ? n == GNUTLS_E_AGAIN : n < 0 && errno == EAGAIN)
		fail_msg("nothing more comes, nor an end, after: %s", conn->text);
	if (n <= 0)
		return false;
	conn->n += (size_t)n;
	conn->text[conn->n] = '\0';
	return true;
}

bool tls_expect(struct tls_conn *conn, const char *text)
{
	char *found;

	conn->text[conn->n] = '\0';
	while (!(found = strstr(conn->text, text)))
		if (!receive(conn))
			return false;
	found += strlen(text);
	conn->n -= (size_t)(found - conn->text);
	memmove(conn->text, found, conn->n + 1);
	return true;
}

unsigned tls_read_all(struct tls_conn *conn)
{
	unsigned status = 0;

	conn->text[conn->n] = '\0';
	while (receive(conn))
		;
	if (sscanf(conn->text, "HTTP/1.1 %u ", &status) != 1)
		return 0;
	return status;
}

void tls_fingerprint(const struct tls_conn *conn, char hex[static 65])
{
	unsigned char hash[32];
	size_t size = sizeof(hash);
	unsigned n;
	const gnutls_datum_t *peers = gnutls_certificate_get_peers(conn->session, &n);

	assert_non_null(peers);
	ok(gnutls_fingerprint(GNUTLS_DIG_SHA256, &peers[0], hash, &size));
	for (size_t i = 0; i < sizeof(hash); i++)
		sprintf(hex + 2 * i, "%02x", hash[i]);
}
