/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/tls.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/atomic_file.h"
#include "daemon/store.h"
#include "vmm/base/log.h"

#define SERVER_FILE  "server.pem"
#define CLIENTS_FILE "clients.pem"
#define REVOKED_FILE "clients.crl"
#define FILE_MAX     (1024 * 1024)

struct tls_identity {
	unsigned refs;
	gnutls_certificate_credentials_t credentials;
	bool asks; /* clients for their certificates */
	time_t revocations_end; /* when there should have been another list; 0: never */
};

struct tls {
	char folder[PATH_MAX];
	struct tls_identity *current;
	struct hvd_error why; /* there is none */
};

void tls_identity_unref(struct tls_identity *identity)
{
	if (!identity || --identity->refs)
		return;
	if (identity->credentials)
		gnutls_certificate_free_credentials(identity->credentials);
	free(identity);
}

DEFINE_AUTO(struct tls_identity *, tls_identity_unref);

/* ---- reading ---- */

static void free_chain(gnutls_x509_crt_t *chain, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		gnutls_x509_crt_deinit(chain[i]);
	gnutls_free(chain);
}

/* A file of the folder. -ENOENT without an error: it is not there. */
static int read_file(const struct tls *tls, const char *name, char **ret, struct hvd_error *err)
{
	char path[PATH_MAX + 16];
	size_t len;
	int r;

	snprintf(path, sizeof(path), "%s/%s", tls->folder, name);
	r = atomic_read(path, FILE_MAX, ret, &len);
	return r < 0 && r != -ENOENT ? hvd_err(err, -r, "%s: %s", path, strerror(-r)) : r;
}

static gnutls_datum_t datum_of(const char *text)
{
	return (gnutls_datum_t){ (unsigned char *)text, (unsigned)strlen(text) };
}

static int unusable(const struct tls *tls, const char *name, int r, struct hvd_error *err)
{
	if (r == GNUTLS_E_MEMORY_ERROR)
		return hvd_err(err, ENOMEM, "out of memory");
	return hvd_err(err, EIO, "%s/%s: %s: mend or remove it, then systemctl reload hvd", tls->folder,
		       name, gnutls_strerror(r));
}

static int load_server(const struct tls *tls, struct tls_identity *identity, struct hvd_error *err)
{
	AUTO(free) char *text = NULL;
	gnutls_datum_t pem;
	int r;

	r = read_file(tls, SERVER_FILE, &text, err);
	if (r == -ENOENT)
		return hvd_err(err, ENOENT,
			       "there is no certificate for remote clients; hvcli certificate "
			       "create NAME makes one");
	if (r < 0)
		return r;
	pem = datum_of(text);
	r = gnutls_certificate_set_x509_key_mem(identity->credentials, &pem, &pem,
						GNUTLS_X509_FMT_PEM);
	gnutls_memset(text, 0, pem.size);
	return r < 0 ? unusable(tls, SERVER_FILE, r, err) : 0;
}

/* "certificate of CN=alice,OU=hvd-admin refused: … The certificate chain is revoked." */
static void log_refused(gnutls_session_t session, unsigned status)
{
	const gnutls_datum_t *peers = gnutls_certificate_get_peers(session, &(unsigned){ 0 });
	AUTO(certificate) gnutls_x509_crt_t crt = NULL;
	AUTO(free) char *subject = NULL;
	gnutls_datum_t why = { 0 };

	if (peers && gnutls_x509_crt_init(&crt) < 0)
		crt = NULL;
	if (crt && gnutls_x509_crt_import(crt, &peers[0], GNUTLS_X509_FMT_DER) >= 0)
		subject = certificate_subject(crt);
	/* whoever sends it has chosen it: it is not to look like lines of the log */
	for (char *at = subject; at && (at = strpbrk(at, "\n\t"));)
		*at = '?';
	gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &why, 0);
	log_info("certificate of %.200s refused: %s", subject ? subject : "a client",
		 why.data ? (char *)why.data : "it cannot be verified");
	gnutls_free(why.data);
}

/* In the handshake. A client need not have a certificate, but one that it has must be good. */
static int verify_client(gnutls_session_t session)
{
	gnutls_typed_vdata_st purpose = { .type = GNUTLS_DT_KEY_PURPOSE_OID,
					  .data = (unsigned char *)GNUTLS_KP_TLS_WWW_CLIENT };
	unsigned status = 0, n = 0;

	if (!gnutls_certificate_get_peers(session, &n))
		return 0;
	if (gnutls_certificate_verify_peers(session, &purpose, 1, &status) < 0 || status) {
		log_refused(session, status);
		return GNUTLS_E_CERTIFICATE_ERROR;
	}
	return 0;
}

/*
 * One that none of the authorities has signed would never be looked at: whoever put it there believes
 * that certificates are revoked which are not. What one that is too old means tls_client() says.
 */
static int check_revocations(const gnutls_datum_t *authorities, const gnutls_datum_t *revoked,
			     time_t *ret_end)
{
	const unsigned too_old = GNUTLS_CERT_INVALID | GNUTLS_CERT_REVOCATION_DATA_SUPERSEDED;
	gnutls_x509_crt_t *trusted = NULL;
	gnutls_x509_crl_t *lists = NULL;
	unsigned n_trusted = 0, n_lists = 0;
	int r;

	r = gnutls_x509_crt_list_import2(&trusted, &n_trusted, authorities, GNUTLS_X509_FMT_PEM, 0);
	if (r >= 0)
		r = gnutls_x509_crl_list_import2(&lists, &n_lists, revoked, GNUTLS_X509_FMT_PEM, 0);
	if (r >= 0 && !n_lists)
		r = GNUTLS_E_NO_CERTIFICATE_FOUND;
	for (unsigned i = 0; i < n_lists && r >= 0; i++) {
		time_t end = gnutls_x509_crl_get_next_update(lists[i]);
		unsigned status = 0;

		r = gnutls_x509_crl_verify(lists[i], trusted, n_trusted, 0, &status);
		if (r >= 0 && status & ~too_old)
			r = GNUTLS_E_CRL_VERIFICATION_ERROR;
		if (end > 0 && (!*ret_end || end < *ret_end))
			*ret_end = end;
	}
	for (unsigned i = 0; i < n_lists; i++)
		gnutls_x509_crl_deinit(lists[i]);
	gnutls_free(lists);
	free_chain(trusted, n_trusted);
	return r;
}

static int load_revocations(const struct tls *tls, struct tls_identity *identity,
			    const gnutls_datum_t *authorities, struct hvd_error *err)
{
	AUTO(free) char *text = NULL;
	gnutls_datum_t pem;
	int r;

	r = read_file(tls, REVOKED_FILE, &text, err);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	pem = datum_of(text);
	r = check_revocations(authorities, &pem, &identity->revocations_end);
	if (r >= 0)
		r = gnutls_certificate_set_x509_crl_mem(identity->credentials, &pem, GNUTLS_X509_FMT_PEM);
	return r < 0 ? unusable(tls, REVOKED_FILE, r, err) : 0;
}

static int load_clients(const struct tls *tls, struct tls_identity *identity, struct hvd_error *err)
{
	AUTO(free) char *authorities = NULL;
	gnutls_datum_t pem;
	int r;

	r = read_file(tls, CLIENTS_FILE, &authorities, err);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	pem = datum_of(authorities);
	r = gnutls_certificate_set_x509_trust_mem(identity->credentials, &pem, GNUTLS_X509_FMT_PEM);
	if (r <= 0)
		return unusable(tls, CLIENTS_FILE, r ? r : GNUTLS_E_NO_CERTIFICATE_FOUND, err);
	gnutls_certificate_set_verify_function(identity->credentials, verify_client);
	identity->asks = true;
	return load_revocations(tls, identity, &pem, err);
}

static int load(struct tls *tls, struct hvd_error *err)
{
	AUTO(tls_identity_unref) struct tls_identity *identity = calloc(1, sizeof(*identity));
	int r;

	if (!identity)
		return hvd_err(err, ENOMEM, "out of memory");
	identity->refs = 1;
	if (gnutls_certificate_allocate_credentials(&identity->credentials) < 0) {
		identity->credentials = NULL;
		return hvd_err(err, ENOMEM, "out of memory");
	}
	r = load_server(tls, identity, err);
	if (r >= 0)
		r = load_clients(tls, identity, err);
	if (r < 0)
		return r;
	tls_identity_unref(tls->current);
	tls->current = TAKE(identity);
	return 0;
}

int tls_load(struct tls *tls, struct hvd_error *err)
{
	struct hvd_error why = { 0 };
	int r = load(tls, &why);

	if (r < 0) {
		tls->why = why;
		if (err)
			*err = why;
	}
	return r;
}

int tls_new(const char *folder, struct tls **ret, struct hvd_error *err)
{
	AUTO(tls_free) struct tls *tls = calloc(1, sizeof(*tls));
	int r;

	if (!tls)
		return hvd_err(err, ENOMEM, "out of memory");
	snprintf(tls->folder, sizeof(tls->folder), "%s", folder);
	r = tls_load(tls, NULL);
	if (r < 0 && r != -ENOENT)
		log_err("no TLS: %s", tls->why.msg);
	*ret = TAKE(tls);
	return 0;
}

struct tls *tls_free(struct tls *tls)
{
	if (!tls)
		return NULL;
	tls_identity_unref(tls->current);
	free(tls);
	return NULL;
}

int tls_create(struct tls *tls, const struct certificate_info *wanted, struct hvd_error *err)
{
	AUTO(free) char *pem = NULL;
	int r;

	r = certificate_make(wanted, &pem, err);
	if (r >= 0)
		r = store_make_folder(tls->folder, err);
	if (r < 0)
		return r;
	r = atomic_write(tls->folder, SERVER_FILE, pem, strlen(pem), true);
	gnutls_memset(pem, 0, strlen(pem));
	if (r < 0)
		return hvd_err(err, -r, "%s/" SERVER_FILE ": %s", tls->folder, strerror(-r));
	return tls_load(tls, err);
}

/* ---- describing ---- */

static int chain_of(const struct tls *tls, gnutls_x509_crt_t **ret, unsigned *n,
		    struct hvd_error *err)
{
	if (!tls->current)
		return hvd_err(err, -tls->why.code, "%s", tls->why.msg);
	if (gnutls_certificate_get_x509_crt(tls->current->credentials, 0, ret, n) < 0)
		return hvd_err(err, ENOMEM, "out of memory");
	return 0;
}

/* The subject of the first authority of clients, or NULL. */
static char *clients_of(const struct tls *tls)
{
	gnutls_x509_trust_list_t trust;
	gnutls_x509_trust_list_iter_t iter = NULL;
	AUTO(certificate) gnutls_x509_crt_t crt = NULL;

	gnutls_certificate_get_trust_list(tls->current->credentials, &trust);
	if (!tls->current->asks || gnutls_x509_trust_list_iter_get_ca(trust, &iter, &crt) < 0)
		crt = NULL;
	gnutls_x509_trust_list_iter_deinit(iter);
	return crt ? certificate_subject(crt) : NULL;
}

int tls_describe(const struct tls *tls, struct certificate_info *ret, struct hvd_error *err)
{
	gnutls_x509_crt_t *chain;
	unsigned n;
	int r;

	r = chain_of(tls, &chain, &n, err);
	if (r < 0)
		return r;
	r = certificate_describe(chain[0], ret);
	free_chain(chain, n);
	if (r < 0)
		return hvd_err(err, ENOMEM, "out of memory");
	ret->clients = clients_of(tls);
	return 0;
}

static int append_pem(FILE *f, gnutls_x509_crt_t crt)
{
	gnutls_datum_t pem;

	if (gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &pem) < 0)
		return -ENOMEM;
	fwrite(pem.data, 1, pem.size, f);
	gnutls_free(pem.data);
	return 0;
}

int tls_pem(const struct tls *tls, char **ret, struct hvd_error *err)
{
	gnutls_x509_crt_t *chain;
	char *text = NULL;
	unsigned n;
	size_t len;
	FILE *f;
	int r;

	r = chain_of(tls, &chain, &n, err);
	if (r < 0)
		return r;
	f = open_memstream(&text, &len);
	for (unsigned i = 0; f && i < n && r >= 0; i++)
		r = append_pem(f, chain[i]);
	free_chain(chain, n);
	if (!f || fclose(f) != 0 || r < 0) {
		free(text);
		return hvd_err(err, ENOMEM, "out of memory");
	}
	*ret = text;
	return 0;
}

/* ---- connections ---- */

struct tls_identity *tls_identity_get(struct tls *tls)
{
	if (tls->current)
		tls->current->refs++;
	return tls->current;
}

void tls_identity_present(struct tls_identity *identity, gnutls_session_t session)
{
	gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, identity->credentials);
	if (identity->asks)
		gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUEST);
}

/* The session is past its handshake: what it is presented with now is only looked at here. */
static int verify_anew(struct tls *tls, struct tls_identity **identity, gnutls_session_t session)
{
	int r;

	if (*identity == tls->current)
		return 0;
	gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, tls->current->credentials);
	r = verify_client(session);
	if (r < 0) {
		gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, (*identity)->credentials);
		return r;
	}
	tls_identity_unref(*identity);
	*identity = tls_identity_get(tls);
	return 0;
}

int tls_client(struct tls *tls, struct tls_identity **identity, gnutls_session_t session,
	       struct tls_client *ret, struct hvd_error *err)
{
	AUTO(certificate) gnutls_x509_crt_t crt = NULL;
	const gnutls_datum_t *peers;
	time_t expires, end;
	unsigned n = 0;

	peers = gnutls_certificate_get_peers(session, &n);
	if (!peers || !n)
		return hvd_err(err, ENOKEY, "send a token (Authorization: Bearer) or a client's "
			       "certificate");
	if (verify_anew(tls, identity, session) < 0)
		return hvd_err(err, EACCES, "the client's certificate is not taken any more");
	if (gnutls_x509_crt_init(&crt) < 0) {
		crt = NULL;
		return hvd_err(err, ENOMEM, "out of memory");
	}
	if (gnutls_x509_crt_import(crt, &peers[0], GNUTLS_X509_FMT_DER) < 0)
		return hvd_err(err, EACCES, "the client's certificate cannot be read");
	expires = gnutls_x509_crt_get_expiration_time(crt);
	end = (*identity)->revocations_end;
	if (end && end <= time(NULL))
		return hvd_err(err, EACCES, "no certificate is taken: the list of those revoked (%s/"
			       REVOKED_FILE ") is too old", tls->folder);
	if (end && end < expires)
		expires = end;
	ret->expires_usec = expires > 0 ? (uint64_t)expires * 1000000 : 0;
	return certificate_role(crt, &ret->role, ret->name, err);
}
