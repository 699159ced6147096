/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <libxml/tree.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/xml.h"
#include "api/xml_place.h"
#include "vmm/base/cleanup.h"

DEFINE_AUTO(xmlDoc *, xmlFreeDoc);

static int add_text(xmlNode *node, const char *text)
{
	return xmlAddChild(node, xmlNewText((const xmlChar *)text)) ? 0 : -ENOMEM;
}

static int add_attribute(xmlNode *node, const char *name, const char *text)
{
	return xmlSetProp(node, (const xmlChar *)name, (const xmlChar *)text) ? 0 : -ENOMEM;
}

static int put(xmlNode *at, const char *place, char *text)
{
	char attr[XML_NAME_MAX], attr2[XML_NAME_MAX];
	xmlNode *node = xml_place_make(at, place, attr, attr2);
	char *second;
	int r;

	if (!node)
		return -ENOMEM;
	if (!attr[0])
		return add_text(node, text);

	second = attr2[0] ? strchr(text, '/') : NULL;
	if (second)
		*second++ = '\0';
	r = add_attribute(node, attr, text);
	return r < 0 || !second ? r : add_attribute(node, attr2, second);
}

static int put_size(xmlNode *at, const char *place, uint64_t bytes)
{
	char attr[XML_NAME_MAX], attr2[XML_NAME_MAX], text[24];
	xmlNode *node = xml_place_make(at, place, attr, attr2);

	snprintf(text, sizeof(text), "%llu", (unsigned long long)bytes);
	if (!node || add_attribute(node, "unit", "bytes") < 0)
		return -ENOMEM;
	return add_text(node, text);
}

/* A number without a default is unset when 0, and a choice that XML has no name for. */
static bool is_unset(const struct field *field, const void *obj)
{
	switch (field->type) {
	case FIELD_U32:
	case FIELD_U64:
	case FIELD_SIZE:
		return !field->def && !field_get_number(field, obj);
	case FIELD_ENUM:
		return field->xml_names && !field->xml_names[field_get_number(field, obj)][0];
	default:
		return field_is_unset(field, obj);
	}
}

static int write_presence(const struct field *field, const void *obj, xmlNode *at)
{
	char attr[XML_NAME_MAX], attr2[XML_NAME_MAX];

	if (!field_get_number(field, obj))
		return 0;
	return xml_place_make(at, field->xml, attr, attr2) ? 0 : -ENOMEM;
}

static int write_scalar(const struct field *field, const void *obj, xmlNode *at)
{
	bool attribute = xml_place_is_attribute(field->xml);
	uint64_t number = field_get_number(field, obj);
	AUTO(free) char *text = NULL;
	struct field in_xml = *field;
	int r;

	if (is_unset(field, obj))
		return 0;
	if (field->type == FIELD_BOOL && !attribute)
		return write_presence(field, obj, at);
	if (field->type == FIELD_SIZE && !attribute)
		return put_size(at, field->xml, number);

	if (field->xml_names)
		in_xml.names = field->xml_names;
	if (field->xml_scale)
		r = asprintf(&text, "%llu", (unsigned long long)number * field->xml_scale);
	else if (field->xml_divisor)
		r = asprintf(&text, "%llu", (unsigned long long)number / field->xml_divisor);
	else if (field->xml_names && field->type == FIELD_BOOL)
		r = asprintf(&text, "%s", field->xml_names[number]);
	else
		r = field_get_text(&in_xml, obj, &text);
	if (r < 0) {
		text = NULL;
		return -ENOMEM;
	}
	return put(at, field->xml, text);
}

static int write_object(const struct schema *schema, const void *obj, xmlNode *at);

static int write_list(const struct field *field, const void *obj, xmlNode *at)
{
	const char *array = *(char **)field_ptr(field, obj);
	char attr[XML_NAME_MAX], attr2[XML_NAME_MAX];
	xmlNode *parent;

	if (*field_count(field, obj) == 0)
		return 0;
	parent = xml_place_make(at, field->xml, attr, attr2);
	for (size_t i = 0; parent && i < *field_count(field, obj); i++) {
		xmlNode *node = xml_place_append(parent, field->sub->xml);
		int r = node ? write_object(field->sub, array + i * field->sub->size, node)
			     : -ENOMEM;

		if (r < 0)
			return r;
	}
	return parent ? 0 : -ENOMEM;
}

static int write_struct(const struct field *field, const void *obj, xmlNode *at)
{
	char attr[XML_NAME_MAX], attr2[XML_NAME_MAX];
	xmlNode *node = xml_place_make(at, field->xml, attr, attr2);

	return node ? write_object(field->sub, field_ptr(field, obj), node) : -ENOMEM;
}

static int write_object(const struct schema *schema, const void *obj, xmlNode *at)
{
	int r = 0;

	for (size_t i = 0; i < schema->n_fields && r >= 0; i++) {
		const struct field *field = &schema->fields[i];

		if (!field->xml)
			continue;
		if (field->type == FIELD_STRUCT)
			r = write_struct(field, obj, at);
		else if (field->type == FIELD_LIST)
			r = write_list(field, obj, at);
		else
			r = write_scalar(field, obj, at);
	}
	return r;
}

int xml_from_obj(const struct schema *schema, const void *obj, char **ret)
{
	AUTO(xmlFreeDoc) xmlDoc *doc = xmlNewDoc((const xmlChar *)"1.0");
	xmlNode *root = doc ? xml_place_append((xmlNode *)doc, schema->xml) : NULL;
	xmlChar *text = NULL;
	char *copy;
	int len, r;

	if (!root)
		return -ENOMEM;
	r = write_object(schema, obj, root);
	if (r < 0)
		return r;
	xmlDocDumpFormatMemoryEnc(doc, &text, &len, "UTF-8", 1);
	copy = text ? strdup((char *)text) : NULL;
	xmlFree(text);
	if (!copy)
		return -ENOMEM;
	*ret = copy;
	return 0;
}
