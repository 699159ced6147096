/* SPDX-License-Identifier: Apache-2.0 */
/* Objects for tests that walk the field tables: every field is set to something unusual. */
#pragma once

#include "api/schema.h"

/*
 * Initialise obj and set each field to a valid value that is not its default. Values differ with
 * variant. Fails the test when a field has no such value, or when schema_check() refuses the
 * object.
 */
void fill_obj(const struct schema *schema, void *obj, unsigned variant);

/* Set one field back to its default. */
void fill_reset(const struct field *field, void *obj);

/* Does the field have its default in obj because the schema's rules allow nothing else beside the rest? */
bool fill_is_excluded(const struct schema *schema, const struct field *field, void *obj);

/* Is default the only value that the field may have? (The one machine type there is.) */
bool fill_is_constant(const struct field *field);
