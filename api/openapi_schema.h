/* SPDX-License-Identifier: Apache-2.0 */
/* JSON Schema (2020-12, as OpenAPI 3.1 has it) of the field tables. */
#pragma once

#include <jansson.h>

#include "api/schema.h"

/* The type alone, without description. */
json_t *openapi_field_type(const struct field *field);

/* {"$ref": "#/components/<kind>/<name><suffix>"} */
json_t *openapi_ref(const char *kind, const char *name, const char *suffix);

/*
 * Add the schema, and those that it refers to, to components.schemas under their names. patch: as
 * a merge patch (RFC 7396): nothing required, null resets; the name gets "Patch" behind it. 0 or
 * -ENOMEM.
 */
#define OPENAPI_PATCH "Patch"
int openapi_add_schema(json_t *schemas, const struct schema *schema, bool patch);
