/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which hvd is asked, and as whom: the one of this machine over its unix socket, or another over TLS.
 *
 * Of a remote one the certificate and its name are always verified: by an authority, the system's or
 * --cacert, or by the very key that --pin names.
 */
#pragma once

#include <curl/curl.h>

#include "cli/options.h"
#include "vmm/base/cleanup.h"

struct target {
	const char *socket; /* NULL where there is a host */
	char *host;         /* "https://vmhost:8443", without "/" at its end */
	char *token;        /* or NULL */
	const char *cacert, *cert, *key; /* files, or NULL */
	const char *pin;    /* "sha256//…", or NULL */
};

/* Reads the token's file; what options name must outlive target, which is to be cleared in any case. */
int target_init(struct target *target, const struct options *options, struct hvd_error *err);
void target_clear(struct target *target);

static inline void auto_target_clear(struct target *target)
{
	target_clear(target);
}

/* "https://vmhost:8443", or the path of the socket: for messages. */
const char *target_name(const struct target *target);

/* Of a request line's host. */
const char *target_authority(const struct target *target);

/* What a handle needs to get there. path is that of the request. -ENOMEM. */
int target_apply(const struct target *target, CURL *curl, const char *path);

/* What a transfer that has failed so means for a person. Returns -ENOTCONN, -EACCES, -ENOMEM or -EIO. */
int target_error(const struct target *target, CURL *curl, CURLcode code, struct hvd_error *err);
