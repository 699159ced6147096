/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/certificate.h"

#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/utf8.h"
#include "vmm/base/cleanup.h"

#define SECONDS_PER_DAY (24 * 3600)
#define CLOCK_SKEW      3600 /* of clients that lag behind */
#define SERIAL_SIZE     16
#define HASH_SIZE       32
#define OU_PREFIX       "hvd-"
#define NAME_CHARS      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-*"

static inline void auto_private_key(gnutls_x509_privkey_t *key)
{
	if (*key)
		gnutls_x509_privkey_deinit(*key);
}

static inline void auto_datum(gnutls_datum_t *datum)
{
	gnutls_free(datum->data);
}

/* What GnuTLS cannot do here is for want of memory or randomness. */
static int failed(int r, struct hvd_error *err)
{
	return hvd_err(err, r == GNUTLS_E_MEMORY_ERROR ? ENOMEM : EIO,
		       "cannot make a certificate: %s", gnutls_strerror(r));
}

/* ---- making ---- */

/* Returns a GnuTLS error, or 1 when it is neither a name nor an address. */
static int add_name(gnutls_x509_crt_t crt, const char *name)
{
	unsigned char address[sizeof(struct in6_addr)];
	unsigned size = 0;

	if (inet_pton(AF_INET, name, address) == 1)
		size = sizeof(struct in_addr);
	else if (inet_pton(AF_INET6, name, address) == 1)
		size = sizeof(struct in6_addr);
	if (size)
		return gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS, address, size,
							    GNUTLS_FSAN_APPEND);
	if (!name[0] || name[0] == '.' || strspn(name, NAME_CHARS) != strlen(name))
		return 1;
	return gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, name,
						    (unsigned)strlen(name), GNUTLS_FSAN_APPEND);
}

static int add_named(gnutls_x509_crt_t crt, const char *field, const char *name,
		     struct hvd_error *err)
{
	int r = add_name(crt, name);

	if (r > 0)
		return hvd_err_field(err, EINVAL, field,
				     "\"%.80s\" is neither a DNS name nor an address", name);
	return r < 0 ? failed(r, err) : 0;
}

static int add_names(gnutls_x509_crt_t crt, const struct certificate_info *wanted,
		     struct hvd_error *err)
{
	AUTO(free) char *others = strdup(wanted->alt_names ? wanted->alt_names : "");
	char *save = NULL;
	int r;

	if (!others)
		return hvd_err(err, ENOMEM, "out of memory");
	r = add_named(crt, "name", wanted->name, err);
	for (char *name = strtok_r(others, ", ", &save); name && r >= 0;
	     name = strtok_r(NULL, ", ", &save))
		r = add_named(crt, "alt_names", name, err);
	return r;
}

/* Who it is of, and how long and for what it is good. Returns a GnuTLS error. */
static int fill(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key,
		const struct certificate_info *wanted)
{
	unsigned char serial[SERIAL_SIZE];
	time_t now = time(NULL);
	char name[65]; /* as long as a common name may be; clients look at the alternatives */
	int r;

	snprintf(name, sizeof(name), "%s", wanted->name);
	r = gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof(serial));
	serial[0] = (serial[0] & 0x7f) | 0x40; /* positive, and of this length */
	if (r >= 0)
		r = gnutls_x509_crt_set_version(crt, 3);
	if (r >= 0)
		r = gnutls_x509_crt_set_serial(crt, serial, sizeof(serial));
	if (r >= 0)
		r = gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, name,
						  (unsigned)strlen(name));
	if (r >= 0)
		r = gnutls_x509_crt_set_activation_time(crt, now - CLOCK_SKEW);
	if (r >= 0)
		r = gnutls_x509_crt_set_expiration_time(
			crt, now + (time_t)wanted->days * SECONDS_PER_DAY);
	if (r >= 0)
		r = gnutls_x509_crt_set_basic_constraints(crt, 0, -1);
	if (r >= 0)
		r = gnutls_x509_crt_set_key_usage(crt, GNUTLS_KEY_DIGITAL_SIGNATURE);
	if (r >= 0)
		r = gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_SERVER, 0);
	return r < 0 ? r : gnutls_x509_crt_set_key(crt, key);
}

static int export(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key, char **ret)
{
	AUTO(datum) gnutls_datum_t crt_pem = { 0 }, key_pem = { 0 };
	int r;

	r = gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &crt_pem);
	if (r >= 0)
		r = gnutls_x509_privkey_export2_pkcs8(key, GNUTLS_X509_FMT_PEM, NULL, 0, &key_pem);
	if (r < 0)
		return r;
	r = asprintf(ret, "%.*s%.*s", (int)key_pem.size, key_pem.data, (int)crt_pem.size,
		     crt_pem.data);
	gnutls_memset(key_pem.data, 0, key_pem.size);
	return r < 0 ? GNUTLS_E_MEMORY_ERROR : 0;
}

int certificate_make(const struct certificate_info *wanted, char **ret, struct hvd_error *err)
{
	AUTO(private_key) gnutls_x509_privkey_t key = NULL;
	AUTO(certificate) gnutls_x509_crt_t crt = NULL;
	int r;

	r = gnutls_x509_privkey_init(&key);
	if (r >= 0)
		r = gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA,
						 GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1),
						 0);
	if (r >= 0)
		r = gnutls_x509_crt_init(&crt);
	if (r >= 0)
		r = fill(crt, key, wanted);
	if (r < 0)
		return failed(r, err);
	r = add_names(crt, wanted, err);
	if (r < 0)
		return r;
	r = gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0);
	if (r >= 0)
		r = export(crt, key, ret);
	return r < 0 ? failed(r, err) : 0;
}

/* ---- describing ---- */

static char *text_of(const gnutls_datum_t *datum)
{
	char *text = strndup((const char *)datum->data, datum->size);

	if (text)
		utf8_clean(text);
	return text;
}

char *certificate_subject(gnutls_x509_crt_t crt)
{
	AUTO(datum) gnutls_datum_t dn = { 0 };

	return gnutls_x509_crt_get_dn3(crt, &dn, 0) < 0 ? strdup("?") : text_of(&dn);
}

static char *issuer_of(gnutls_x509_crt_t crt)
{
	AUTO(datum) gnutls_datum_t dn = { 0 };

	return gnutls_x509_crt_get_issuer_dn3(crt, &dn, 0) < 0 ? strdup("?") : text_of(&dn);
}

/* "ab:cd:…" */
static char *fingerprint_of(gnutls_x509_crt_t crt)
{
	unsigned char hash[HASH_SIZE];
	size_t size = sizeof(hash);
	char *text = malloc(3 * HASH_SIZE);

	if (!text || gnutls_x509_crt_get_fingerprint(crt, GNUTLS_DIG_SHA256, hash, &size) < 0) {
		free(text);
		return NULL;
	}
	for (size_t i = 0; i < HASH_SIZE; i++)
		sprintf(text + 3 * i, i + 1 < HASH_SIZE ? "%02x:" : "%02x", hash[i]);
	return text;
}

/* "sha256//" and base64, of the SubjectPublicKeyInfo */
static char *pin_of(gnutls_x509_crt_t crt)
{
	unsigned char hash[HASH_SIZE];
	size_t size = sizeof(hash);
	gnutls_datum_t in = { hash, sizeof(hash) };
	AUTO(datum) gnutls_datum_t out = { 0 };
	char *text = NULL;

	if (gnutls_x509_crt_get_key_id(crt, GNUTLS_KEYID_USE_SHA256, hash, &size) < 0 ||
	    gnutls_base64_encode2(&in, &out) < 0 ||
	    asprintf(&text, "sha256//%.*s", (int)out.size, out.data) < 0)
		return NULL;
	return text;
}

/* Of one alternative name as text, "" for other kinds. */
static void name_text(int type, const unsigned char *data, size_t size, char text[static 256])
{
	text[0] = '\0';
	if (type == GNUTLS_SAN_DNSNAME)
		snprintf(text, 256, "%.*s", (int)size, data);
	else if (type == GNUTLS_SAN_IPADDRESS && (size == 4 || size == 16))
		inet_ntop(size == 4 ? AF_INET : AF_INET6, data, text, 256);
	utf8_clean(text);
}

/* The first is the name, others are separated by commas. */
static int describe_names(gnutls_x509_crt_t crt, struct certificate_info *ret)
{
	char text[256], others[1024] = "";
	unsigned char data[256];
	size_t size = sizeof(data);
	int type;

	for (unsigned i = 0; (type = gnutls_x509_crt_get_subject_alt_name(crt, i, data, &size,
									  NULL)) >= 0; i++) {
		size_t used = strlen(others);

		name_text(type, data, size, text);
		size = sizeof(data);
		if (!i)
			ret->name = strdup(text);
		else if (text[0])
			snprintf(others + used, sizeof(others) - used, "%s%s", used ? "," : "", text);
	}
	ret->alt_names = others[0] ? strdup(others) : NULL;
	return others[0] && !ret->alt_names ? -ENOMEM : 0;
}

int certificate_describe(gnutls_x509_crt_t crt, struct certificate_info *ret)
{
	time_t from = gnutls_x509_crt_get_activation_time(crt);
	time_t until = gnutls_x509_crt_get_expiration_time(crt);

	if (describe_names(crt, ret) < 0)
		return -ENOMEM;
	ret->days = until > from ? (uint32_t)((until - from) / SECONDS_PER_DAY) : 0;
	ret->expires_usec = until > 0 ? (uint64_t)until * 1000000 : 0;
	ret->subject = certificate_subject(crt);
	ret->issuer = issuer_of(crt);
	ret->fingerprint = fingerprint_of(crt);
	ret->pin = pin_of(crt);
	if (!ret->name)
		ret->name = ret->subject ? strdup(ret->subject) : NULL;
	return ret->name && ret->subject && ret->issuer && ret->fingerprint && ret->pin ? 0 : -ENOMEM;
}

/* ---- clients ---- */

/* The i-th part of the subject of this kind. False: there is none, or it is too long. */
static bool part_of(gnutls_x509_crt_t crt, const char *oid, unsigned i, char *text, size_t size)
{
	return gnutls_x509_crt_get_dn_by_oid(crt, oid, i, 0, text, &size) >= 0;
}

int certificate_role(gnutls_x509_crt_t crt, enum role *role,
		     char name[static CERTIFICATE_NAME_SIZE], struct hvd_error *err)
{
	char unit[65] = "";
	int found = -1;

	if (!part_of(crt, GNUTLS_OID_X520_COMMON_NAME, 0, name, CERTIFICATE_NAME_SIZE))
		return hvd_err(err, EACCES, "the client's certificate has no common name of up to %d "
			       "bytes", CERTIFICATE_NAME_SIZE - 1);
	utf8_clean(name);
	for (unsigned i = 0; part_of(crt, GNUTLS_OID_X520_ORGANIZATIONAL_UNIT_NAME, i, unit,
				     sizeof(unit)); i++)
		for (int r = 0; r < _ROLE_MAX; r++)
			if (!strncmp(unit, OU_PREFIX, strlen(OU_PREFIX)) && r > found &&
			    !strcmp(unit + strlen(OU_PREFIX), role_names[r]))
				found = r;
	if (found < 0)
		return hvd_err(err, EACCES,
			       "certificate %s has no role: its subject needs OU=hvd-reader, "
			       "OU=hvd-operator or OU=hvd-admin", name);
	*role = (enum role)found;
	return 0;
}
