/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/fill.h"
#include "vmm/base/macro.h"

/* The first that the field takes is taken: what XML, JSON and D-Bus could each garble comes first.
 */
static const char *const texts[] = {
	"two\nlines\t<&>\"' é 中 %u",
	"/dir/<&>\"' é 中,=%u.img",
	"one line <&>\"' é 中 %u",
	"SN<&>%u",
	"pool/space/name-%u",
	"name-%u",
	"192.168.%u.1/24",
	"192.168.1.%u",
	"fd00:%u::1/64",
	"0-3,8,1%u",
	"hvd-1.0",
};

static bool takes(const struct field *field, const char *text)
{
	if (field->max && strlen(text) > field->max)
		return false;
	return !field->check || field->check(text, NULL) == 0;
}

/* A text that is not the default; the default when there is no other. */
static void choose_text(const struct field *field, unsigned variant, char text[static 64])
{
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(text, 64, texts[i], variant);
#pragma GCC diagnostic pop
		if (takes(field, text) && !(field->def && strcmp(text, field->def) == 0))
			return;
	}
	assert_non_null(field->def);
	snprintf(text, 64, "%s", field->def);
}

bool fill_is_constant(const struct field *field)
{
	char text[64];

	if (field->type != FIELD_STR || !field->def)
		return false;
	choose_text(field, 0, text);
	return strcmp(text, field->def) == 0;
}

static void fill_number(const struct field *field, void *obj, unsigned variant)
{
	uint64_t step = field->multiple ? field->multiple : 1, n = 3 + variant;
	uint64_t values = field->max ? (field->max - field->min) / step + 1 : UINT64_MAX;

	assert_true(values > 1);
	assert_int_equal(field_set_number(field, obj, field->min + step * (n % values), NULL), 0);
	if (field_is_default(field, obj))
		n++;
	assert_int_equal(field_set_number(field, obj, field->min + step * (n % values), NULL), 0);
}

static void fill_enum(const struct field *field, void *obj)
{
	unsigned n = 0;

	while (field->names[n])
		n++;
	field_set_number(field, obj, (field_get_number(field, obj) + 1) % n, NULL);
}

static void fill_field(const struct field *field, void *obj, unsigned variant);

static bool is_valid(const struct schema *schema, const void *obj)
{
	return !schema->check || schema->check(obj, NULL) >= 0;
}

/* Fill it, unless that makes obj invalid. */
static void try_field(const struct schema *schema, const struct field *field, void *obj,
		      unsigned variant)
{
	if (!field_is_default(field, obj))
		return;
	/* what excludes each other within it takes turns too, when its own turn has come again */
	fill_field(field, obj, variant + variant / (unsigned)schema->n_fields);
	if (!is_valid(schema, obj))
		fill_reset(field, obj);
}

/*
 * As much as goes together, where fields exclude each other: with another one in each variant. Twice,
 * because a field may need one that comes behind it.
 */
static void fill_compatible(const struct schema *schema, void *obj, unsigned variant)
{
	const struct field *fields = schema->fields;
	size_t n = schema->n_fields;

	for (size_t i = 0; i < n; i++)
		fill_reset(&fields[i], obj);
	for (size_t i = 0; !is_valid(schema, obj); i++) {
		assert_true(i < n);
		try_field(schema, &fields[(i + variant) % n], obj, variant);
	}
	for (size_t i = 0; i < 2 * n; i++)
		try_field(schema, &fields[(2 * n - 1 - i + variant) % n], obj, variant);
}

static void fill_fields(const struct schema *schema, void *obj, unsigned variant)
{
	size_t n = schema->n_fields;

	for (size_t i = 0; i < n; i++)
		fill_field(&schema->fields[i], obj, variant);
	if (!is_valid(schema, obj))
		fill_compatible(schema, obj, variant);
}

static void fill_field(const struct field *field, void *obj, unsigned variant)
{
	uint8_t *bytes = field_ptr(field, obj);
	char text[64];

	switch (field->type) {
	case FIELD_STR:
		choose_text(field, variant, text);
		assert_int_equal(field_set_text(field, obj, text, NULL), 0);
		break;
	case FIELD_BOOL:
		field_set_number(field, obj, !field_get_number(field, obj), NULL);
		break;
	case FIELD_U32:
	case FIELD_U64:
	case FIELD_SIZE:
		fill_number(field, obj, variant);
		break;
	case FIELD_ENUM:
		fill_enum(field, obj);
		break;
	case FIELD_UUID:
		for (unsigned i = 0; i < 16; i++)
			bytes[i] = (uint8_t)(0xf0 - i * 15 + variant);
		break;
	case FIELD_MAC:
		for (unsigned i = 0; i < 6; i++)
			bytes[i] = (uint8_t)(0xf2 - i * 40 + (i ? variant : 0));
		break;
	case FIELD_STRUCT:
		/* in no step with the fields around it, or some would never meet */
		fill_fields(field->sub, field_ptr(field, obj), variant + variant / 7);
		break;
	case FIELD_LIST:
		for (unsigned i = 0; i < field->sub->n_fields && !(field->max && i == field->max); i++) {
			void *element = field_list_append(field, obj);

			assert_non_null(element);
			/* what may be there once only differs between the lists too */
			fill_fields(field->sub, element,
				    (variant + i + 20 * (unsigned)strlen(field->name)) % 150);
		}
		break;
	}
}

bool fill_is_excluded(const struct schema *schema, const struct field *field, void *obj)
{
	if (!field_is_default(field, obj))
		return false;
	try_field(schema, field, obj, 0);
	return field_is_default(field, obj);
}

void fill_obj(const struct schema *schema, void *obj, unsigned variant)
{
	struct hvd_error err = { 0 };

	assert_int_equal(schema_init(schema, obj), 0);
	fill_fields(schema, obj, variant);
	if (schema_check(schema, obj, &err) < 0)
		fail_msg("%s: %s: %s", schema->name, err.field, err.msg);
}

void fill_reset(const struct field *field, void *obj)
{
	const struct schema alone = {
		.name = field->name, .size = 0, .fields = field, .n_fields = 1
	};

	/* size 0: clears what the field owns and leaves the other members alone */
	schema_clear(&alone, obj);
	switch (field->type) {
	case FIELD_STR:
		*(char **)field_ptr(field, obj) = NULL;
		break;
	case FIELD_LIST:
		*(void **)field_ptr(field, obj) = NULL;
		*field_count(field, obj) = 0;
		break;
	case FIELD_UUID:
		memset(field_ptr(field, obj), 0, 16);
		break;
	case FIELD_MAC:
		memset(field_ptr(field, obj), 0, 6);
		break;
	case FIELD_STRUCT:
		assert_int_equal(schema_init(field->sub, field_ptr(field, obj)), 0);
		return;
	default:
		field_set_number(field, obj, 0, NULL);
		break;
	}
	if (field->def)
		assert_int_equal(field_set_text(field, obj, field->def, NULL), 0);
}
