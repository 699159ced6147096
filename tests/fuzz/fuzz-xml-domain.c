/* SPDX-License-Identifier: Apache-2.0 */
/* A definition in XML, of a client or restored by a person. What is accepted is a fixed point. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/network_schema.h"
#include "api/volume_schema.h"
#include "api/vm_schema.h"
#include "api/xml.h"
#include "vmm/base/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct schema *schema, void *obj, void *back, const char *data, size_t size)
{
	AUTO(free) char *text = NULL;
	struct hvd_error err = { 0 };
	int r;

	r = xml_to_obj(schema, data, size, obj, &err);
	if ((r < 0) != (err.code < 0))
		abort();
	if (r < 0)
		return;
	if (xml_from_obj(schema, obj, &text) < 0 ||
	    xml_to_obj(schema, text, strlen(text), back, NULL) < 0 ||
	    !schema_equal(schema, obj, back))
		abort();
	schema_clear(schema, obj);
	schema_clear(schema, back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct network_config network, network_back;
	struct volume_config volume, volume_back;
	struct vm_config vm, vm_back;

	check(&vm_schema, &vm, &vm_back, (const char *)data, size);
	check(&network_schema, &network, &network_back, (const char *)data, size);
	check(&volume_schema, &volume, &volume_back, (const char *)data, size);
	return 0;
}
