/* SPDX-License-Identifier: Apache-2.0 */
/* A command line: one argument a line. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/args.h"
#include "api/json.h"
#include "api/vm_schema.h"
#include "vmm/base/cleanup.h"

#define MAX_ARGS 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(free) char *text = strndup((const char *)data, size);
	AUTO(json_decref) json_t *json = json_object();
	char *argv[MAX_ARGS + 1];
	struct vm_config vm;
	int argc = 0, i = 0;

	for (char *line = text; line && argc < MAX_ARGS; argc++) {
		argv[argc] = line;
		line = strchr(line, '\n');
		if (line)
			*line++ = '\0';
	}
	argv[argc] = NULL;

	while (i < argc) {
		struct hvd_error err = { 0 };
		int before = i;
		int r = args_take(&vm_schema, argc, argv, &i, json, &err);

		if ((r < 0) != (err.code < 0) || (r == 1) != (i > before) || i > argc)
			abort();
		if (r < 0)
			return 0;
		if (r == 0)
			i++;
	}
	if (json_to_obj(&vm_schema, json, &vm, NULL) == 0)
		schema_clear(&vm_schema, &vm);
	return 0;
}
