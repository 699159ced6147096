/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/http_prefer.h"

#include <string.h>
#include <strings.h>

#include "api/operation.h"
#include "vmm/base/macro.h"

#define SPACE " \t"

/* Up to the end of a preference: a comma outside of quotes. */
static size_t preference_len(const char *text)
{
	bool quoted = false;
	size_t n = 0;

	for (; text[n] && (quoted || text[n] != ','); n++) {
		if (text[n] == '"')
			quoted = !quoted;
		else if (quoted && text[n] == '\\' && text[n + 1])
			n++;
	}
	return n;
}

static bool is_name(const char *text, size_t len, const char *name)
{
	return len == strlen(name) && !strncasecmp(text, name, len);
}

/* Digits, perhaps in quotes; false: no number. */
static bool read_seconds(const char *text, size_t len, unsigned *ret)
{
	unsigned value = 0;

	if (len >= 2 && text[0] == '"' && text[len - 1] == '"') {
		text++;
		len -= 2;
	}
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		value = MIN(value * 10 + (unsigned)(text[i] - '0'), (unsigned)OPERATION_WAIT_MAX);
	}
	*ret = value;
	return len > 0;
}

static void take(const char *text, size_t len, struct prefer *prefer)
{
	size_t name, value, end;

	/* parameters behind ";" are of no preference that is known here */
	for (end = 0; end < len && text[end] != ';'; end++)
		;
	for (name = 0; name < end && !strchr(SPACE "=", text[name]); name++)
		;
	for (value = name; value < end && strchr(SPACE "=", text[value]); value++)
		;
	while (end > value && strchr(SPACE, text[end - 1]))
		end--;

	if (is_name(text, name, "respond-async"))
		prefer->respond_async = true;
	else if (is_name(text, name, "wait") && !prefer->has_wait)
		prefer->has_wait = read_seconds(text + value, end - value, &prefer->wait);
}

void prefer_parse(const char *text, struct prefer *prefer)
{
	while (*text) {
		size_t len;

		text += strspn(text, SPACE ",");
		len = preference_len(text);
		take(text, len, prefer);
		text += len;
	}
}
