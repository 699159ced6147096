/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/target.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/body.h"

#define SCHEME          "https://"
#define PIN_PREFIX      "sha256//"
#define CONNECT_SECONDS 20L

static int set_host(struct target *target, const char *host, struct hvd_error *err)
{
	size_t len = strlen(host);

	while (len && host[len - 1] == '/')
		len--;
	if (strncmp(host, SCHEME, strlen(SCHEME)) != 0 || len <= strlen(SCHEME) ||
	    memchr(host + strlen(SCHEME), '/', len - strlen(SCHEME)) || strpbrk(host, "@?# \t\r\n"))
		return hvd_err(err, EINVAL, "--host: \"%.80s\" is not like https://vmhost:8443", host);
	target->host = strndup(host, len);
	return target->host ? 0 : hvd_err(err, ENOMEM, "out of memory");
}

/* Without the newline behind it. What cannot stand in a header would be another header. */
static int set_token(struct target *target, char *text, struct hvd_error *err)
{
	text[strcspn(text, "\r\n")] = '\0';
	target->token = text;
	for (const char *p = text; *p; p++)
		if (*p <= ' ' || *p > '~')
			return hvd_err(err, EINVAL, "what is to be the token is none");
	return *text ? 0 : hvd_err(err, EINVAL, "the token is empty");
}

static int take_token(struct target *target, const struct options *options, struct hvd_error *err)
{
	const char *text = getenv("HVD_TOKEN");
	char *token;
	int r;

	if (options->token_file) {
		r = file_read(options->token_file, &token, err);
		if (r < 0)
			return hvd_err_prefix(err, r, "--token-file");
	} else if (!text || !*text || options->cert) {
		return 0;
	} else if (!(token = strdup(text))) {
		return hvd_err(err, ENOMEM, "out of memory");
	}
	return set_token(target, token, err);
}

int target_init(struct target *target, const struct options *options, struct hvd_error *err)
{
	bool remote = options->host && *options->host;
	int r;

	*target = (struct target){ .socket = remote ? NULL : options->socket,
				   .cacert = options->cacert, .cert = options->cert,
				   .key = options->key, .pin = options->pin };
	if (!remote)
		return 0;
	r = set_host(target, options->host, err);
	if (r < 0)
		return r;
	if (options->pin && strncmp(options->pin, PIN_PREFIX, strlen(PIN_PREFIX)) != 0)
		return hvd_err(err, EINVAL, "--pin: \"%.80s\" is not like " PIN_PREFIX "…, as hvcli "
			       "certificate show on the host has it", options->pin);
	return take_token(target, options, err);
}

void target_clear(struct target *target)
{
	if (target->token)
		explicit_bzero(target->token, strlen(target->token));
	free(target->token);
	free(target->host);
	*target = (struct target){ 0 };
}

const char *target_name(const struct target *target)
{
	return target->host ? target->host : target->socket;
}

const char *target_authority(const struct target *target)
{
	return target->host ? target->host + strlen(SCHEME) : "hvd";
}

static void apply_tls(const struct target *target, CURL *curl)
{
	bool by_pin = target->pin && !target->cacert;

	curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (target->cacert)
		curl_easy_setopt(curl, CURLOPT_CAINFO, target->cacert);
	if (target->pin)
		curl_easy_setopt(curl, CURLOPT_PINNEDPUBLICKEY, target->pin);
	/* that very key, whoever has signed it and whatever it is called */
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, by_pin ? 0L : 1L);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, by_pin ? 0L : 2L);
	if (target->cert) {
		curl_easy_setopt(curl, CURLOPT_SSLCERT, target->cert);
		curl_easy_setopt(curl, CURLOPT_SSLKEY, target->key ? target->key : target->cert);
	}
	if (target->token) {
		curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
		curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, target->token);
	}
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
}

int target_apply(const struct target *target, CURL *curl, const char *path)
{
	AUTO(free) char *url = NULL;

	if (asprintf(&url, "%s%s", target->host ? target->host : "http://hvd", path) < 0) {
		url = NULL;
		return -ENOMEM;
	}
	curl_easy_reset(curl);
	if (target->host)
		apply_tls(target, curl);
	else
		curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, target->socket);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	return curl_easy_setopt(curl, CURLOPT_URL, url) == CURLE_OK ? 0 : -ENOMEM;
}

static int not_connected(const struct target *target, int errnum, struct hvd_error *err)
{
	if (target->host)
		return hvd_err(err, ENOTCONN, "cannot reach hvd at %s: %s; does it listen there? see "
			       "hvd(8), REMOTE ACCESS", target->host, strerror(errnum));
	if (errnum == EACCES || errnum == EPERM)
		return hvd_err(err, EACCES,
			       "you may not use %s; join group hvd (as root: "
			       "usermod -aG hvd USER, then log in again) or use sudo",
			       target->socket);
	return hvd_err(err, ENOTCONN,
		       "cannot reach hvd at %s: %s; is it running? systemctl start hvd",
		       target->socket, strerror(errnum));
}

int target_error(const struct target *target, CURL *curl, CURLcode code, struct hvd_error *err)
{
	long errnum = 0;

	switch (code) {
	case CURLE_COULDNT_CONNECT:
		curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &errnum);
		return not_connected(target, errnum ? (int)errnum : ECONNREFUSED, err);
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_OPERATION_TIMEDOUT:
		return hvd_err(err, ENOTCONN, "cannot reach hvd at %s: %s", target_name(target),
			       curl_easy_strerror(code));
	case CURLE_PEER_FAILED_VERIFICATION:
		return hvd_err(err, EACCES,
			       "%s shows a certificate that is not to be trusted under this name; "
			       "--cacert takes what hvcli certificate pem prints on the host",
			       target_name(target));
	case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
		return hvd_err(err, EACCES, "%s has another key than that of --pin",
			       target_name(target));
	case CURLE_SSL_CACERT_BADFILE:
		return hvd_err(err, EINVAL, "--cacert: %s: cannot be read", target->cacert);
	case CURLE_SSL_CERTPROBLEM:
		return hvd_err(err, EACCES, "--cert, --key: they cannot be used, or %s does not take them",
			       target_name(target));
	case CURLE_OUT_OF_MEMORY:
		return hvd_err(err, ENOMEM, "out of memory");
	default:
		return hvd_err(err, EIO, "talking to hvd at %s: %s", target_name(target),
			       curl_easy_strerror(code));
	}
}
