/* SPDX-License-Identifier: Apache-2.0 */
/* Text from a client: parsed or refused with an error; what was parsed is bounded in depth. */
#include <stdint.h>
#include <stdlib.h>

#include "api/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned max(unsigned a, unsigned b)
{
	return a > b ? a : b;
}

static unsigned depth(const json_t *json)
{
	unsigned deepest = 0;
	const char *key;
	json_t *value;
	size_t i;

	json_object_foreach((json_t *)json, key, value) deepest = max(deepest, depth(value));
	json_array_foreach(json, i, value) deepest = max(deepest, depth(value));
	return deepest + (json_is_object(json) || json_is_array(json));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hvd_error err = { 0 };
	json_t *json = NULL;
	int r;

	r = json_parse((const char *)data, size, &json, &err);
	if ((r < 0) != (err.code < 0) || (r < 0) != !json)
		abort();
	if (json && depth(json) > JSON_DEPTH_MAX)
		abort();
	json_decref(json);
	return 0;
}
