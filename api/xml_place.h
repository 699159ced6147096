/* SPDX-License-Identifier: Apache-2.0 */
/* Places of fields in a document (api/xml.h tells their notation): finding and making them. */
#pragma once

#include <libxml/tree.h>
#include <stdbool.h>

/* What is read of a document is marked, in node->_private, so that the rest can be told. */
enum xml_mark {
	XML_MARK_SEEN = 1, /* element or attribute */
	XML_MARK_TEXT = 2, /* and the element's text */
};

void xml_mark(xmlNode *node, unsigned marks);
unsigned xml_marks(const xmlNode *node);

/*
 * The element or attribute at place, from the element at (NULL: none). The elements of the way,
 * and the attributes that it asks for, are marked as seen. NULL: not there. *second (may be NULL)
 * gets the second of two attributes, or NULL.
 */
xmlNode *xml_place_find(xmlNode *at, const char *place, xmlNode **second);

/* Does the one step (name and conditions) describe this element? Marks the conditions if so. */
bool xml_place_is(xmlNode *node, const char *step);

/*
 * Is node (an element, an attribute or a text) what path leads to, from the root element's name on?
 * In place of a name "*" is any element, and "#text" is text. Nothing is marked.
 */
bool xml_place_leads_to(const xmlNode *node, const char *path);

/*
 * Make the element at place, as far as it is not there. *attr, *attr2 get the names of the
 * attributes that place ends in, or "". NULL: out of memory.
 */
#define XML_NAME_MAX 32
xmlNode *xml_place_make(xmlNode *at, const char *place, char attr[static XML_NAME_MAX],
			char attr2[static XML_NAME_MAX]);

/* A new element of the one step, also where there is one already; at may be the document. */
xmlNode *xml_place_append(xmlNode *at, const char *step);

/* True when place (its first alternative) ends in an attribute. */
bool xml_place_is_attribute(const char *place);
