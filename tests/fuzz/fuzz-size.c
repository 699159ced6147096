/* SPDX-License-Identifier: Apache-2.0 */
/* Text forms of scalar values: each field of each table is offered the text. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/network_schema.h"
#include "api/vm_schema.h"
#include "api/volume_schema.h"
#include "vmm/base/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_size(const char *text)
{
	uint64_t value, again;
	char shown[24];

	if (size_parse(text, &value) < 0)
		return;
	size_format(value, shown);
	if (size_parse(shown, &again) < 0 || again != value)
		abort();
}

/* What is taken reads back as a text that is taken too and means the same. */
static void try_field(const struct field *field, const char *text)
{
	union {
		char *text;
		uint8_t bytes[16];
	} a = { .bytes = { 0 } }, b = { .bytes = { 0 } };
	AUTO(free) char *shown = NULL;
	struct field alone = *field;

	alone.offset = 0;
	if (field->check)
		field->check(text, NULL);
	if (field_set_text(&alone, &a, text, NULL) < 0)
		return;
	if (field_get_text(&alone, &a, &shown) < 0)
		abort();
	if (shown && field_set_text(&alone, &b, shown, NULL) < 0)
		abort();
	if (field->type != FIELD_STR && memcmp(&a, &b, sizeof(a)) != 0)
		abort();
	if (field->type == FIELD_STR) {
		if (!a.text != !b.text || (a.text && strcmp(a.text, b.text) != 0))
			abort();
		free(a.text);
		free(b.text);
	}
}

static void try_schema(const struct schema *schema, const char *text)
{
	for (size_t i = 0; i < schema->n_fields; i++) {
		const struct field *field = &schema->fields[i];

		if (field->sub)
			try_schema(field->sub, text);
		else
			try_field(field, text);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(free) char *text = strndup((const char *)data, size);

	if (!text)
		return 0;
	try_size(text);
	try_schema(&vm_schema, text);
	try_schema(&network_schema, text);
	try_schema(&image_schema, text);
	try_schema(&volume_schema, text);
	try_schema(&vm_status_schema, text);
	return 0;
}
