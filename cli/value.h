/* SPDX-License-Identifier: Apache-2.0 */
/* Values of the REST API's JSON as text for people, by what the field table says of them. */
#pragma once

#include <jansson.h>

#include "api/schema.h"

/*
 * Text of a scalar field's value: "512M" for sizes, "yes"/"no", "150 percent", a date for moments
 * (U64 in microseconds since 1970). Heap memory in *ret; NULL when the value is absent, empty or a
 * zero that means "not set". 0 or -ENOMEM.
 */
int value_text(const struct field *field, const json_t *value, char **ret);

/*
 * A value on one line, whatever its type: a STRUCT's or LIST's members as
 * "/srv/a.img, cache none, read only yes; …", without members that have their default.
 */
int value_line(const struct field *field, const json_t *value, char **ret);

/* "memory_max" -> "memory max"; the unit of moments is left out. */
void value_label(const struct field *field, char buf[static 64]);

/* Field by dotted place in a JSON object: "status.addresses". NULL: absent. */
const json_t *value_at(const json_t *obj, const char *place);

/* String there, or NULL. */
const char *value_string_at(const json_t *obj, const char *place);
