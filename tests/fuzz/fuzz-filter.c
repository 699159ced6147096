/* SPDX-License-Identifier: Apache-2.0 */
/* Two lines of a list's query: filter and fields, on a VM as it is by default. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/filter.h"
#include "api/json.h"
#include "api/json_text.h"
#include "api/vm_schema.h"
#include "vmm/base/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct filter_part parts[] = { { "spec", &vm_schema }, { "status", &vm_status_schema } };

static void try_filter(const char *text, const struct vm_config *config)
{
	struct vm_status status = { 0 };
	const void *objs[] = { config, &status };
	struct hvd_error err = { 0 };
	struct filter filter;
	int r = filter_parse(text, parts, 2, &filter, &err);

	if ((r < 0) != (err.code != 0) || (r == 0 && (!filter.n || filter.n > FILTER_MAX)))
		abort();
	if (r == 0)
		filter_match(&filter, objs);
}

/* Whatever is chosen is JSON. */
static void try_fields(const char *text, const struct vm_config *config)
{
	struct projection wanted;
	struct json_text out = { 0 };
	AUTO(free) char *json = NULL;
	AUTO(json_decref) json_t *tree = NULL;

	if (projection_parse(text, &wanted, NULL) < 0 ||
	    projection_check(&wanted, &vm_schema, NULL) < 0)
		return;
	json_text_obj(&out, &vm_schema, config, &wanted);
	json = json_text_take(&out);
	tree = json ? json_loads(json, JSON_REJECT_DUPLICATES, NULL) : NULL;
	if (json && !tree)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(free) char *text = strndup((const char *)data, size);
	char *fields = text ? strchr(text, '\n') : NULL;
	struct vm_config config;

	if (!fields || schema_init(&vm_schema, &config) < 0)
		return 0;
	*fields++ = '\0';
	try_filter(text, &config);
	try_fields(fields, &config);
	schema_clear(&vm_schema, &config);
	return 0;
}
