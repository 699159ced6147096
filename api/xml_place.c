/* SPDX-License-Identifier: Apache-2.0 */
#include "api/xml_place.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "api/xml.h"

/* One step: "hvd:autostart", "interface[@type=network]", "@file", ".", "..". */
struct step {
	char name[XML_NAME_MAX]; /* local name, of an attribute too */
	bool attribute, self, parent, hvd;
	const char *conditions, *end; /* "[…][…]" */
};

struct condition {
	char attr[XML_NAME_MAX]; /* "": the element's text */
	char value[XML_NAME_MAX];
	bool optional;
	bool absent; /* attr is an element that is not there */
};

void xml_mark(xmlNode *node, unsigned marks)
{
	node->_private = (void *)((uintptr_t)node->_private | marks);
}

unsigned xml_marks(const xmlNode *node)
{
	return (unsigned)(uintptr_t)node->_private;
}

/* Split the next step off; *place moves behind it. False at the end of the alternative. */
static bool next_step(const char **place, struct step *step)
{
	const char *p = *place;
	size_t len;

	if (!*p || *p == '|')
		return false;
	step->hvd = strncmp(p, "hvd:", 4) == 0;
	if (step->hvd)
		p += 4;
	step->attribute = *p == '@';
	if (step->attribute)
		p++;

	len = strcspn(p, "[/|");
	snprintf(step->name, sizeof(step->name), "%.*s", (int)len, p);
	step->self = strcmp(step->name, ".") == 0;
	step->parent = strcmp(step->name, "..") == 0;
	step->conditions = p += len;
	while (*p == '[')
		p += strcspn(p, "]") + 1;
	step->end = p;
	*place = *p == '/' ? p + 1 : p;
	return true;
}

/* "[@a=b]", "[@a?=b]", "[.=b]", "[!a]" */
static bool next_condition(const char **p, const char *end, struct condition *condition)
{
	const char *name = *p + 1;
	size_t len;

	if (*p >= end)
		return false;
	condition->absent = *name == '!';
	if (*name == '@' || *name == '!')
		name++;
	len = strcspn(name, "?=]");
	condition->optional = name[len] == '?';
	snprintf(condition->attr, sizeof(condition->attr), "%.*s", *name == '.' ? 0 : (int)len,
		 name);
	name += len + condition->optional + (name[len] != ']');
	len = strcspn(name, "]");
	snprintf(condition->value, sizeof(condition->value), "%.*s", (int)len, name);
	*p = name + len + 1;
	return true;
}

static bool content_is(const xmlNode *node, const char *value)
{
	xmlChar *text = xmlNodeGetContent(node);
	bool same = text && strcmp((char *)text, value) == 0;

	xmlFree(text);
	return same;
}

static xmlNode *attribute(xmlNode *node, const char *name)
{
	return (xmlNode *)xmlHasNsProp(node, (const xmlChar *)name, NULL);
}

static bool has_element(const xmlNode *node, const char *name)
{
	for (const xmlNode *child = node->children; child; child = child->next)
		if (child->type == XML_ELEMENT_NODE && strcmp((const char *)child->name, name) == 0)
			return true;
	return false;
}

static bool holds(xmlNode *node, const struct condition *condition)
{
	const xmlNode *attr;

	if (condition->absent)
		return !has_element(node, condition->attr);
	if (!condition->attr[0])
		return content_is(node, condition->value);
	attr = attribute(node, condition->attr);
	return attr ? content_is(attr, condition->value) : condition->optional;
}

static bool conditions_hold(xmlNode *node, const struct step *step)
{
	const char *p = step->conditions;
	struct condition condition;

	while (next_condition(&p, step->end, &condition))
		if (!holds(node, &condition))
			return false;
	return true;
}

static void mark_step(xmlNode *node, const struct step *step)
{
	const char *p = step->conditions;
	struct condition condition;

	xml_mark(node, XML_MARK_SEEN);
	while (next_condition(&p, step->end, &condition)) {
		xmlNode *attr = condition.attr[0] && !condition.absent
					? attribute(node, condition.attr)
					: NULL;

		if (attr)
			xml_mark(attr, XML_MARK_SEEN);
		else if (!condition.attr[0])
			xml_mark(node, XML_MARK_TEXT);
	}
}

static bool name_is(const xmlNode *node, const struct step *step)
{
	const char *href = node->ns ? (const char *)node->ns->href : NULL;

	if (node->type != XML_ELEMENT_NODE)
		return false;
	if (step->hvd ? !href || strcmp(href, XML_HVD_NAMESPACE) != 0 : href != NULL)
		return false;
	return strcmp((const char *)node->name, step->name) == 0;
}

bool xml_place_is(xmlNode *node, const char *place)
{
	struct step step;

	if (!next_step(&place, &step) || !name_is(node, &step) || !conditions_hold(node, &step))
		return false;
	mark_step(node, &step);
	return true;
}

static bool step_is(const xmlNode *node, const struct step *step)
{
	if (node->type == XML_ATTRIBUTE_NODE)
		return step->attribute && !node->ns && strcmp((const char *)node->name, step->name) == 0;
	if (xmlNodeIsText(node))
		return strcmp(step->name, "#text") == 0;
	if (step->attribute || node->type != XML_ELEMENT_NODE)
		return false;
	if (strcmp(step->name, "*") == 0 ? node->ns != NULL : !name_is(node, step))
		return false;
	return conditions_hold((xmlNode *)node, step);
}

/* What of path is behind node; NULL: path does not lead there. */
static const char *behind(const xmlNode *node, const char *path)
{
	struct step step;

	if (node->parent && node->parent->type == XML_ELEMENT_NODE)
		path = behind(node->parent, path);
	return path && next_step(&path, &step) && step_is(node, &step) ? path : NULL;
}

bool xml_place_leads_to(const xmlNode *node, const char *path)
{
	const char *last = strrchr(path, '/'), *rest;
	const char *name = xmlNodeIsText(node) ? "#text" : (const char *)node->name;
	size_t len = strlen(name);

	/* most paths end in another name */
	last = last ? last + 1 : path;
	last += *last == '@';
	if (*last != '*' && (strncmp(last, name, len) != 0 || (last[len] && last[len] != '[')))
		return false;
	rest = behind(node, path);
	return rest && !*rest;
}

static xmlNode *find(xmlNode *at, const char *place, xmlNode **second);

static xmlNode *find_below(xmlNode *node, const struct step *step, const char *rest,
			   xmlNode **second)
{
	xmlNode *found;

	if (!conditions_hold(node, step))
		return NULL;
	found = find(node, rest, second);
	if (!found)
		return NULL;
	mark_step(node, step);
	return found;
}

/* Tries every branch: of two <console>, only the second may have what the place asks for. */
static xmlNode *find(xmlNode *at, const char *place, xmlNode **second)
{
	struct step step;

	if (!next_step(&place, &step))
		return at;
	if (step.attribute) {
		xmlNode *attr = attribute(at, step.name), *other;

		if (!attr || !next_step(&place, &step))
			return attr;
		other = attribute(at, step.name);
		if (other && second)
			*second = other;
		return other ? attr : NULL;
	}
	if (step.self || step.parent)
		return find_below(step.self ? at : at->parent, &step, place, second);

	for (xmlNode *child = at->children; child; child = child->next) {
		xmlNode *found;

		if (!name_is(child, &step))
			continue;
		found = find_below(child, &step, place, second);
		if (found)
			return found;
	}
	return NULL;
}

xmlNode *xml_place_find(xmlNode *at, const char *place, xmlNode **second)
{
	if (second)
		*second = NULL;
	while (at && place) {
		xmlNode *found = find(at, place, second);

		if (found)
			return found;
		place = strchr(place, '|');
		if (place)
			place++;
	}
	return NULL;
}

static xmlNs *hvd_namespace(xmlNode *at)
{
	const xmlChar *href = (const xmlChar *)XML_HVD_NAMESPACE;
	xmlNs *ns = xmlSearchNsByHref(at->doc, at, href);

	return ns ? ns : xmlNewNs(xmlDocGetRootElement(at->doc), href, (const xmlChar *)"hvd");
}

/* Make the conditions true of a new element. */
static bool meet_conditions(xmlNode *node, const struct step *step)
{
	const char *p = step->conditions;
	struct condition condition;

	while (next_condition(&p, step->end, &condition)) {
		const xmlChar *value = (const xmlChar *)condition.value;

		if (!condition.attr[0] ? !xmlAddChild(node, xmlNewText(value))
				       : !xmlSetProp(node, (const xmlChar *)condition.attr, value))
			return false;
	}
	return true;
}

static xmlNode *append(xmlNode *at, const struct step *step)
{
	xmlNs *ns = step->hvd ? hvd_namespace(at) : NULL;
	xmlNode *node;

	if (step->hvd && !ns)
		return NULL;
	node = xmlNewDocNode(at->doc, ns, (const xmlChar *)step->name, NULL);
	if (!node)
		return NULL;
	xmlAddChild(at, node);
	return meet_conditions(node, step) ? node : NULL;
}

xmlNode *xml_place_append(xmlNode *at, const char *place)
{
	struct step step;

	return next_step(&place, &step) ? append(at, &step) : NULL;
}

static xmlNode *make_child(xmlNode *at, const struct step *step)
{
	for (xmlNode *child = at->children; child; child = child->next)
		if (name_is(child, step) && conditions_hold(child, step))
			return child;
	return append(at, step);
}

xmlNode *xml_place_make(xmlNode *at, const char *place, char attr[static XML_NAME_MAX],
			char attr2[static XML_NAME_MAX])
{
	struct step step;

	attr[0] = attr2[0] = '\0';
	while (at && next_step(&place, &step)) {
		if (step.attribute)
			snprintf(attr[0] ? attr2 : attr, XML_NAME_MAX, "%s", step.name);
		else if (step.parent)
			at = at->parent;
		else if (!step.self)
			at = make_child(at, &step);
		else if (!meet_conditions(at, &step))
			return NULL;
	}
	return at;
}

bool xml_place_is_attribute(const char *place)
{
	struct step step = { 0 };

	while (next_step(&place, &step))
		;
	return step.attribute;
}
