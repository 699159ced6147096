/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/http_header.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "api/schema.h"

#define SPACE " \t"

bool http_has_token(const char *value, const char *token)
{
	size_t n = strlen(token);

	while (value && *value) {
		value += strspn(value, SPACE ",");
		if (!strncasecmp(value, token, n) && strchr(SPACE ",;", value[n]))
			return true;
		value += strcspn(value, ",");
	}
	return false;
}

bool http_is_type(const char *value, const char *type)
{
	size_t n = strlen(type);

	return value && !strncasecmp(value, type, n) && strchr(";" SPACE, value[n]);
}

/* ---- Accept ---- */

/* How well does a media range fit? 0: not, 1: any type, 2: any of its kind, 3: the very one. */
static int fit(const char *range, size_t len, const char *type)
{
	size_t kind = strcspn(type, "/") + 1;

	/* parameters, of which neither range nor type has any that matter, are left out */
	if (len == strcspn(type, ";") && !strncasecmp(range, type, len))
		return 3;
	if (len == kind + 1 && !strncasecmp(range, type, kind) && range[kind] == '*')
		return 2;
	return len == 3 && !memcmp(range, "*/*", 3);
}

/* Do the parameters of a media range say that it is not wanted: a q of zero? */
static bool refused(const char *parameters, size_t len)
{
	const char *end = parameters + len;

	while (parameters < end) {
		parameters += strspn(parameters, ";" SPACE);
		if (!strncasecmp(parameters, "q=0", 3)) {
			size_t zeros = strspn(parameters + 3, ".0");

			return strchr(",;" SPACE, parameters[3 + zeros]) != NULL;
		}
		parameters += strcspn(parameters, ";,");
		if (*parameters != ';')
			break;
	}
	return false;
}

bool http_accepts(const char *value, const char *type)
{
	bool accepted = false;
	int best = 0;

	if (!value || !value[strspn(value, SPACE)])
		return true;
	while (*value) {
		size_t len, all;
		int how;

		value += strspn(value, SPACE ",");
		len = strcspn(value, ",;" SPACE);
		all = strcspn(value, ",");
		how = fit(value, len, type);
		/* the closest says whether it is wanted */
		if (how > best) {
			best = how;
			accepted = !refused(value + len, all - len);
		}
		value += all;
	}
	return accepted;
}

/* ---- conditions ---- */

int http_if_match(const char *value, char number[static HTTP_NUMBER_SIZE], struct hvd_error *err)
{
	size_t len;

	number[0] = '\0';
	if (!strcmp(value, "*"))
		return 0;
	if (strchr(value, ','))
		return hvd_err(err, EBADMSG, "If-Match: one ETag, as GET gave it, or *");
	len = value[0] == '"' ? strcspn(value + 1, "-\"") : 0;
	if (len && len < HTTP_NUMBER_SIZE && value[strlen(value) - 1] == '"')
		snprintf(number, HTTP_NUMBER_SIZE, "%.*s", (int)len, value + 1);
	if (number_parse(number, &(uint64_t){ 0 }) < 0 || number[0] == '0')
		return hvd_err(err, ESTALE, "%.40s is not the ETag of any spec", value);
	return 0;
}

bool http_if_none_match(const char *value, const char *tag)
{
	size_t n = strlen(tag);

	while (n && value && *value) {
		value += strspn(value, SPACE ",");
		if (*value == '*')
			return true;
		/* weakly: the answers are the same in what they say */
		if (!strncmp(value, "W/", 2))
			value += 2;
		if (!strncmp(value, tag, n) && strchr(SPACE ",", value[n]))
			return true;
		value += strcspn(value, ",");
	}
	return false;
}

/* ---- Idempotency-Key ---- */

int http_idempotency_key(const char *value, char key[static HTTP_KEY_SIZE], struct hvd_error *err)
{
	size_t len = strlen(value);
	bool quoted = len >= 2 && value[0] == '"' && value[len - 1] == '"';
	size_t n = 0;

	if (quoted) {
		value++;
		len -= 2;
	}
	for (; n < len && n < HTTP_KEY_SIZE - 1; n++) {
		if (value[n] < 0x21 || value[n] > 0x7e || strchr("\"\\,", value[n]))
			break;
		key[n] = value[n];
	}
	key[n] = '\0';
	if (!n || n < len)
		return hvd_err(err, EBADMSG,
			       "Idempotency-Key: 1 to %d visible characters in quotes, without "
			       "space, comma, quote and backslash", HTTP_KEY_SIZE - 1);
	return 0;
}
