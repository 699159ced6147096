/* SPDX-License-Identifier: Apache-2.0 */
/* What is told of a document's elements: those that are ignored, and the one that is refused. */
#pragma once

#include <libxml/tree.h>

#include "api/vm_schema.h"
#include "api/xml_libvirt.h"

long xml_line_of(const xmlNode *node);

/* The start tag as a person sees it: <disk type='file' device='cdrom'>, cut to fit. */
void xml_show_element(const xmlNode *node, char buf[static 160]);

/* Add what rule says of node to report, which has one entry for each rule. 0 or -ENOMEM. */
int xml_report_ignored(struct import_report *report, const struct xml_rule *rule,
		       const xmlNode *node);

/* -EINVAL, with the line, the element, and what rule (may be NULL) says to do. */
int xml_report_refused(const struct xml_rule *rule, const xmlNode *node, struct hvd_error *err);
