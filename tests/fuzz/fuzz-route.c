/* SPDX-License-Identifier: Apache-2.0 */
/* The request line: "METHOD path". */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/ops.h"
#include "vmm/base/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(free) char *text = strndup((const char *)data, size);
	const struct op *op = NULL;
	struct op_names names;
	unsigned allow = 0;
	char *path;
	int r;

	path = text ? strchr(text, ' ') : NULL;
	if (!path)
		return 0;
	*path++ = '\0';

	r = op_route(text, path, &op, &names, &allow);
	if (r == 0 && (op < ops || op >= ops + _OP_MAX || strlen(names.name) > 63 ||
		       strlen(names.item) > 63 ||
		       (strchr(op->path, '{') != NULL) != (names.name[0] != '\0') ||
		       (names.item[0] && !op->list)))
		abort();
	if (r == -ENOTSUP && !allow)
		abort();
	if (r < 0 && (op || (r != -ENOTSUP && r != -ENOENT)))
		abort();
	op_by_verb(text, path);
	return 0;
}
