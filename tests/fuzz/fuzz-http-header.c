/* SPDX-License-Identifier: Apache-2.0 */
/* Values of header fields, one a line, through each parser. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/http_header.h"
#include "vmm/base/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void parse(const char *line)
{
	char number[HTTP_NUMBER_SIZE], key[HTTP_KEY_SIZE];

	http_has_token(line, "text/event-stream");
	http_is_type(line, "application/json");
	http_accepts(line, "application/json");
	http_if_none_match(line, "\"7-0123\"");
	/* only digits come out, and only what is visible */
	if (http_if_match(line, number, NULL) == 0 && strspn(number, "0123456789") != strlen(number))
		abort();
	if (http_idempotency_key(line, key, NULL) == 0 && (!key[0] || strpbrk(key, "\"\\, ")))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(free) char *text = strndup((const char *)data, size);
	char *rest = text;

	for (const char *line; text && (line = strsep(&rest, "\n"));)
		parse(line);
	return 0;
}
