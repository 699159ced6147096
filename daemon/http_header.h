/* SPDX-License-Identifier: Apache-2.0 */
/* Parsers of the header fields of requests (RFC 9110). value is what the client sent, or NULL. */
#pragma once

#include <stdbool.h>

#include "vmm/base/err.h"

/* Is the token one of a comma-separated list? Letters of any case (RFC 9110 §5.6.1). */
bool http_has_token(const char *value, const char *token);

/* Is value the media type, whatever its parameters? */
bool http_is_type(const char *value, const char *type);

/* Does Accept take an answer of this type (§12.5.1)? Without value it takes all. */
bool http_accepts(const char *value, const char *type);

/*
 * The generation of a spec that If-Match names, as digits. An ETag is the number of a generation in
 * quotes, and behind a "-" what else the answer had in it, which no change depends on. "": any (*).
 * -ESTALE: a tag of nothing that there is; -EBADMSG: more than one.
 */
#define HTTP_NUMBER_SIZE 24
int http_if_match(const char *value, char number[static HTTP_NUMBER_SIZE], struct hvd_error *err);

/* Does If-None-Match name the tag, or all (§13.1.2)? */
bool http_if_none_match(const char *value, const char *tag);

/*
 * Idempotency-Key: a string in quotes (RFC 8941 §3.3.3), or the same without them, of visible
 * characters. -EBADMSG.
 */
#define HTTP_KEY_SIZE 129
int http_idempotency_key(const char *value, char key[static HTTP_KEY_SIZE], struct hvd_error *err);
