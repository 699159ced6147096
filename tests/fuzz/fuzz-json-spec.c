/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The body of a create or patch request. Whatever is accepted must survive as JSON and as XML, and
 * be acceptable as a patch of itself.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/json.h"
#include "api/vm_schema.h"
#include "api/xml.h"
#include "vmm/base/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_equal(const struct vm_config *a, struct vm_config *b, int r)
{
	if (r < 0 || !schema_equal(&vm_schema, a, b))
		abort();
	schema_clear(&vm_schema, b);
}

static void check_accepted(const struct vm_config *vm)
{
	AUTO(json_decref) json_t *json = json_from_obj(&vm_schema, vm);
	AUTO(free) char *xml = NULL;
	struct vm_config back;

	if (!json || xml_from_obj(&vm_schema, vm, &xml) < 0)
		abort();
	must_equal(vm, &back, json_to_obj(&vm_schema, json, &back, NULL));
	must_equal(vm, &back, json_merge_obj(&vm_schema, vm, json, &back, NULL));
	must_equal(vm, &back, xml_to_obj(&vm_schema, xml, strlen(xml), &back, NULL));
}

static void patch_something(json_t *patch)
{
	AUTO(json_decref)
	json_t *base = json_pack("{s:s, s:{s:s}}", "name", "base", "boot", "kernel", "/kernel");
	struct vm_config vm, patched;

	if (!base || json_to_obj(&vm_schema, base, &vm, NULL) < 0)
		abort();
	if (json_merge_obj(&vm_schema, &vm, patch, &patched, NULL) == 0) {
		check_accepted(&patched);
		schema_clear(&vm_schema, &patched);
	}
	schema_clear(&vm_schema, &vm);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(json_decref) json_t *json = NULL;
	struct hvd_error err = { 0 };
	struct vm_config vm;
	int r;

	if (json_parse((const char *)data, size, &json, &err) < 0)
		return 0;
	r = json_to_obj(&vm_schema, json, &vm, &err);
	if ((r < 0) != (err.code < 0))
		abort();
	if (r == 0) {
		check_accepted(&vm);
		schema_clear(&vm_schema, &vm);
	}
	patch_something(json);
	return 0;
}
