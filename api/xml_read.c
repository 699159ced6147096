/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/xml.h"
#include "api/xml_libvirt.h"
#include "api/xml_place.h"
#include "api/xml_report.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/macro.h"

DEFINE_AUTO(xmlParserCtxt *, xmlFreeParserCtxt);
DEFINE_AUTO(xmlDoc *, xmlFreeDoc);

#define BLANKS " \t\r\n"

/* Entities and external subsets can only come by a document type: there is none in hvd's XML. */
static void refuse_doctype(void *ctx, const xmlChar *name, const xmlChar *external_id,
			   const xmlChar *system_id)
{
	xmlParserCtxt *parser = ctx;

	*(bool *)parser->_private = true;
	xmlStopParser(parser);
}

static int parse(const char *text, size_t len, xmlDoc **ret, struct hvd_error *err)
{
	AUTO(xmlFreeParserCtxt) xmlParserCtxt *parser = xmlNewParserCtxt();
	AUTO(xmlFreeDoc) xmlDoc *doc = NULL;
	bool doctype = false;

	if (!parser)
		return hvd_err(err, ENOMEM, "out of memory");
	parser->_private = &doctype;
	parser->sax->internalSubset = refuse_doctype;
	doc = xmlCtxtReadMemory(parser, text, (int)len, NULL, "UTF-8",
				XML_PARSE_NONET | XML_PARSE_NOCDATA | XML_PARSE_NOERROR |
					XML_PARSE_NOWARNING);
	if (doctype)
		return hvd_err(err, EBADMSG, "a document type (<!DOCTYPE>) is not accepted");
	if (!doc || !xmlDocGetRootElement(doc)) {
		const char *why = parser->lastError.message ? parser->lastError.message : "empty";

		return hvd_err(err, EBADMSG, "not well-formed XML: line %d: %.*s",
			       parser->lastError.line, (int)strcspn(why, "\n"), why);
	}
	*ret = TAKE(doc);
	return 0;
}

/* libvirt's units; KiB where none is given and the field has no other. Rounds nothing. */
static int read_size(const struct field *field, const xmlNode *node, const char *text, uint64_t *ret)
{
	static const struct {
		const char *name;
		uint64_t bytes;
	} units[] = {
		{ "KiB", KIB },       { "k", KIB },
		{ "bytes", 1 },       { "b", 1 },
		{ "KB", 1000 },       { "MiB", MIB },
		{ "M", MIB },         { "MB", 1000000 },
		{ "GiB", GIB },       { "G", GIB },
		{ "GB", 1000000000 }, { "TiB", 1024 * GIB },
		{ "T", 1024 * GIB },  { "TB", 1000000000000 },
	};
	xmlAttr *attr = xmlHasProp((xmlNode *)node, (const xmlChar *)"unit");
	xmlChar *unit = attr ? xmlNodeGetContent((xmlNode *)attr) : NULL;
	uint64_t value, scale = attr ? 0 : field->xml_divisor ? field->xml_divisor : KIB;
	int r;

	if (attr)
		xml_mark((xmlNode *)attr, XML_MARK_SEEN);
	for (size_t i = 0; unit && i < ARRAY_SIZE(units); i++)
		if (strcmp(units[i].name, (char *)unit) == 0)
			scale = units[i].bytes;
	xmlFree(unit);
	if (!scale)
		return -EINVAL;

	r = number_parse(text, &value);
	if (r < 0)
		return r;
	if (value > INT64_MAX / scale)
		return -ERANGE;
	*ret = value * scale;
	return 0;
}

static int set_size(const struct field *field, const xmlNode *node, const char *text, void *obj,
		    struct hvd_error *err)
{
	uint64_t value;
	int r = read_size(field, node, text, &value);

	if (r == -ERANGE)
		return hvd_err_field(err, ERANGE, field->name, "is too large");
	if (r < 0)
		return hvd_err_field(err, EINVAL, field->name,
				     "'%.40s' is no whole number, or the unit is unknown", text);
	return field_set_number(field, obj, value, err);
}

static int set_scaled(const struct field *field, const char *text, void *obj, struct hvd_error *err)
{
	uint64_t value;

	if (number_parse(text, &value) < 0 || value % field->xml_scale)
		return hvd_err_field(err, EINVAL, field->name, "'%.40s' is no multiple of %u", text,
				     field->xml_scale);
	return field_set_number(field, obj, value / field->xml_scale, err);
}

static int set_multiple(const struct field *field, const char *text, void *obj,
			struct hvd_error *err)
{
	uint64_t value;

	if (number_parse(text, &value) < 0)
		return hvd_err_field(err, EINVAL, field->name, "'%.40s' is no whole number", text);
	if (value > INT64_MAX / field->xml_divisor)
		return hvd_err_field(err, ERANGE, field->name, "is too large");
	return field_set_number(field, obj, value * field->xml_divisor, err);
}

static int set_named_bool(const struct field *field, const char *text, void *obj,
			  struct hvd_error *err)
{
	for (unsigned value = 0; value < 2; value++)
		if (strcmp(field->xml_names[value], text) == 0)
			return field_set_number(field, obj, value, err);
	return hvd_err_field(err, EINVAL, field->name, "'%.40s' is not one of: %s, %s", text,
			     field->xml_names[0], field->xml_names[1]);
}

static int set_value(const struct field *field, const xmlNode *node, char *text, void *obj,
		     struct hvd_error *err)
{
	struct field in_xml = *field;

	if (field->type != FIELD_STR) {
		text += strspn(text, BLANKS);
		for (size_t n = strlen(text); n && strchr(BLANKS, text[n - 1]); n--)
			text[n - 1] = '\0';
	}
	if (field->type == FIELD_SIZE && node->type == XML_ELEMENT_NODE)
		return set_size(field, node, text, obj, err);
	if (field->xml_scale)
		return set_scaled(field, text, obj, err);
	if (field->xml_divisor)
		return set_multiple(field, text, obj, err);
	if (field->xml_names && field->type == FIELD_BOOL)
		return set_named_bool(field, text, obj, err);
	if (field->xml_names)
		in_xml.names = field->xml_names;
	return field_set_text(&in_xml, obj, text, err);
}

/* The content of a node, of two joined by '/'. NULL: out of memory. */
static char *content(const xmlNode *node, const xmlNode *second)
{
	xmlChar *a = xmlNodeGetContent(node);
	xmlChar *b = second ? xmlNodeGetContent(second) : NULL;
	char prefix[4], *text = NULL;
	const char *rest = (char *)b;

	if (second && xmlStrEqual(second->name, (const xmlChar *)"netmask") && b)
		rest = xml_libvirt_prefix((char *)b, prefix);
	if (a && asprintf(&text, "%s%s%s", (char *)a, rest ? "/" : "", rest ? rest : "") < 0)
		text = NULL;
	xmlFree(a);
	xmlFree(b);
	return text;
}

/* Nothing in the document: of an enum, that may mean one of its values. */
static int set_absent(const struct field *field, void *obj, struct hvd_error *err)
{
	for (uint64_t i = 0; field->type == FIELD_ENUM && field->xml_names && field->names[i]; i++)
		if (!field->xml_names[i][0])
			return field_set_number(field, obj, i, err);
	return 0;
}

static int read_scalar(const struct field *field, xmlNode *at, void *obj, struct hvd_error *err)
{
	AUTO(free) char *text = NULL;
	xmlNode *node, *second;
	int r;

	node = xml_place_find(at, field->xml, &second);
	if (field->type == FIELD_BOOL && !xml_place_is_attribute(field->xml)) {
		if (node)
			xml_mark(node, XML_MARK_SEEN);
		return field_set_number(field, obj, node != NULL, err);
	}
	if (!node)
		return set_absent(field, obj, err);
	xml_mark(node, XML_MARK_SEEN | XML_MARK_TEXT);
	/* what has a fixed meaning is no value: machine='virt' is hvd's default machine */
	if (xml_libvirt_judge(node, NULL) == XML_FIXED)
		return 0;
	if (second)
		xml_mark(second, XML_MARK_SEEN);
	text = content(node, second);
	if (!text)
		return hvd_err(err, ENOMEM, "out of memory");
	r = set_value(field, node, text, obj, err);
	return r < 0 ? hvd_err_prefix(err, r, "line %ld", xml_line_of(node)) : 0;
}

static int read_object(const struct schema *schema, xmlNode *at, void *obj, struct hvd_error *err);

static int read_list(const struct field *field, xmlNode *at, void *obj, struct hvd_error *err)
{
	xmlNode *parent = xml_place_find(at, field->xml, NULL);
	int r;

	if (!parent)
		return 0;
	xml_mark(parent, XML_MARK_SEEN);
	for (xmlNode *node = parent->children; node; node = node->next) {
		void *element;

		if (!xml_place_is(node, field->sub->xml))
			continue;
		if (*field_count(field, obj) == field->max)
			return hvd_err_field(err, ERANGE, field->name,
					     "line %ld: more than %u are not possible",
					     xml_line_of(node), (unsigned)field->max);
		element = field_list_append(field, obj);
		if (!element)
			return hvd_err(err, ENOMEM, "out of memory");
		r = read_object(field->sub, node, element, err);
		if (r < 0)
			return hvd_err_in(err, r, "%s[%zu]", field->name,
					  *field_count(field, obj) - 1);
	}
	return 0;
}

static int read_struct(const struct field *field, xmlNode *at, void *obj, struct hvd_error *err)
{
	xmlNode *node = xml_place_find(at, field->xml, NULL);
	int r;

	if (node)
		xml_mark(node, XML_MARK_SEEN);
	r = read_object(field->sub, node, field_ptr(field, obj), err);
	return r < 0 ? hvd_err_in(err, r, "%s", field->name) : 0;
}

/* at may be NULL: nothing of it is there. */
static int read_object(const struct schema *schema, xmlNode *at, void *obj, struct hvd_error *err)
{
	int r = 0;

	for (size_t i = 0; i < schema->n_fields && r >= 0; i++) {
		const struct field *field = &schema->fields[i];

		if (!field->xml)
			continue;
		if (field->type == FIELD_STRUCT)
			r = read_struct(field, at, obj, err);
		else if (field->type == FIELD_LIST)
			r = read_list(field, at, obj, err);
		else
			r = read_scalar(field, at, obj, err);
	}
	return r;
}

/* What no field has read must be in the table of api/xml_rules.c. 1: look into it too. */
static int check_node(const xmlNode *node, struct import_report *report, struct hvd_error *err)
{
	const struct xml_rule *rule;

	switch (xml_libvirt_judge(node, &rule)) {
	case XML_FIXED:
		return 1;
	case XML_IGNORED:
		if (xml_report_ignored(report, rule, node) < 0)
			return hvd_err(err, ENOMEM, "out of memory");
		return 0;
	case XML_REFUSED:
		break;
	}
	return xml_report_refused(rule, node, err);
}

static int check_attributes(const xmlNode *node, struct import_report *report, struct hvd_error *err)
{
	int r = 0;

	for (xmlAttr *attr = node->properties; attr && r >= 0; attr = attr->next)
		if (!xml_marks((xmlNode *)attr))
			r = check_node((xmlNode *)attr, report, err);
	return r;
}

static int check_rest(xmlNode *node, struct import_report *report, struct hvd_error *err)
{
	int r = check_attributes(node, report, err);

	for (xmlNode *child = node->children; child && r >= 0; child = child->next) {
		bool known = xml_marks(child) != 0;

		if (xmlNodeIsText(child)) {
			if (!(xml_marks(node) & XML_MARK_TEXT) && !xmlIsBlankNode(child))
				r = check_node(child, report, err);
			continue;
		}
		if (child->type != XML_ELEMENT_NODE)
			continue;
		r = known ? 1 : check_node(child, report, err);
		if (r <= 0)
			continue;
		/* its text has been judged with it */
		if (!known)
			xml_mark(child, XML_MARK_TEXT);
		r = check_rest(child, report, err);
	}
	return r < 0 ? r : 0;
}

/* What is the document, where it is not what it should be? */
static int refuse_root(const struct schema *schema, xmlNode *root, struct import_report *report,
		       struct hvd_error *err)
{
	size_t len = strcspn(schema->xml, "[");
	char element[160];
	int r;

	if (strlen((const char *)root->name) == len &&
	    strncmp((const char *)root->name, schema->xml, len) == 0) {
		r = check_attributes(root, report, err);
		if (r < 0)
			return r;
	}
	xml_show_element(root, element);
	return hvd_err(err, EINVAL, "line %ld: the document is %s, not <%.*s>", xml_line_of(root),
		       element, (int)len, schema->xml);
}

static int read_document(const struct schema *schema, xmlDoc *doc, void *obj,
			 struct import_report *report, struct hvd_error *err)
{
	xmlNode *root = xmlDocGetRootElement(doc);
	int r;

	if (!xml_place_is(root, schema->xml))
		return refuse_root(schema, root, report, err);
	r = read_object(schema, root, obj, err);
	if (r < 0)
		return r;
	r = check_rest(root, report, err);
	if (r < 0)
		return r;
	return schema_check(schema, obj, err);
}

int xml_import(const struct schema *schema, const char *text, size_t len, void *obj,
	       struct import_report *report, struct hvd_error *err)
{
	AUTO(xmlFreeDoc) xmlDoc *doc = NULL;
	int r;

	memset(obj, 0, schema->size);
	memset(report, 0, sizeof(*report));
	if (len > XML_SIZE_MAX)
		return hvd_err(err, EFBIG, "the document has more than %d bytes", XML_SIZE_MAX);
	r = parse(text, len, &doc, err);
	if (r < 0)
		return r;
	r = schema_init(schema, obj);
	if (r < 0)
		return hvd_err(err, ENOMEM, "out of memory");
	r = read_document(schema, doc, obj, report, err);
	if (r < 0) {
		schema_clear(schema, obj);
		schema_clear(&import_report_schema, report);
	}
	return r;
}

int xml_to_obj(const struct schema *schema, const char *text, size_t len, void *obj,
	       struct hvd_error *err)
{
	struct import_report report;
	int r = xml_import(schema, text, len, obj, &report, err);

	schema_clear(&import_report_schema, &report);
	return r;
}
