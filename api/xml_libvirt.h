/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of libvirt's dialect is accepted beside the fields of the tables. The rules stand in
 * api/xml_rules.c; docs/xml.md has them for people.
 */
#pragma once

#include <libxml/tree.h>
#include <stddef.h>

enum xml_verdict {
	XML_REFUSED, /* unknown, or known and not to be honoured */
	XML_FIXED,   /* of the value that hvd always has; what is in it is judged by itself */
	XML_IGNORED, /* makes no difference to the guest, nor does what is in it: told to who asked */
};

struct xml_rule {
	const char *path; /* from the root: a place (api/xml_place.h), "*" any name, "#text" */
	enum xml_verdict verdict;
	/*
	 * "a|b*", of the attribute or the element's text. FIXED: what it must be, else it is refused.
	 * IGNORED: what the rule is about; NULL: whatever it is.
	 */
	const char *values;
	const char *why; /* IGNORED: why that is right; else what to do about a refusal, or NULL */
};

/* The first rule of a path is the one that counts. */
extern const struct xml_rule xml_rules[];
extern const size_t n_xml_rules;

/* The length of the prefix that a dotted netmask is, as text; mask itself when it is none. */
const char *xml_libvirt_prefix(const char *mask, char prefix[static 4]);

/*
 * Judge an element, an attribute, or the text of an element that has been seen. *rule (may be NULL)
 * gets the rule that says so, or NULL: there is none.
 */
enum xml_verdict xml_libvirt_judge(const xmlNode *node, const struct xml_rule **rule);
