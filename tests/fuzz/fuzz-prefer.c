/* SPDX-License-Identifier: Apache-2.0 */
/* Values of the header Prefer, one a line. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/operation.h"
#include "daemon/http_prefer.h"
#include "vmm/base/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(free) char *text = strndup((const char *)data, size);
	struct prefer prefer = { 0 };
	char *rest = text;

	for (const char *line; text && (line = strsep(&rest, "\n"));) {
		struct prefer before = prefer;

		prefer_parse(line, &prefer);
		/* the first counts, and nothing is taken back */
		if (prefer.wait > OPERATION_WAIT_MAX ||
		    (before.has_wait && (!prefer.has_wait || prefer.wait != before.wait)) ||
		    (before.respond_async && !prefer.respond_async))
			abort();
	}
	return 0;
}
