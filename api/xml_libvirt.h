/* SPDX-License-Identifier: Apache-2.0 */
/* What of libvirt's dialect is accepted beside the fields of the tables. */
#pragma once

#include <libxml/tree.h>

enum xml_verdict {
	XML_REFUSED, /* unknown, or known and not to be honoured */
	XML_FIXED,   /* of the value that hvd always has; what is in it is judged by itself */
	XML_IGNORED, /* makes no difference to the guest, nor does what is in it */
};

/* The length of the prefix that a dotted netmask is, as text; mask itself when it is none. */
const char *xml_libvirt_prefix(const char *mask, char prefix[static 4]);

/* Judge an element, an attribute, or the text of an element that has been seen. */
enum xml_verdict xml_libvirt_judge(const xmlNode *node);
