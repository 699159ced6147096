/* SPDX-License-Identifier: Apache-2.0 */
#include "api/xml_report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/xml_place.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/macro.h"

#define LINES_MAX 120 /* of text; what is behind it is "…" */

long xml_line_of(const xmlNode *node)
{
	return xmlGetLineNo(node->type == XML_ELEMENT_NODE ? node : node->parent);
}

void xml_show_element(const xmlNode *node, char buf[static 160])
{
	size_t used = (size_t)snprintf(buf, 160, "<%.40s", (const char *)node->name);

	for (const xmlAttr *attr = node->properties; attr && used < 100; attr = attr->next) {
		xmlChar *value = xmlNodeGetContent((const xmlNode *)attr);

		used += (size_t)snprintf(buf + used, 160 - used, " %.20s='%.30s'", attr->name,
					 value ? (char *)value : "");
		xmlFree(value);
	}
	snprintf(buf + MIN(used, (size_t)158), 160 - MIN(used, (size_t)158), ">");
}

/* ---- ignored ---- */

/* The path without conditions. */
static void plain_path(const char *path, char buf[static 128])
{
	size_t used = 0;
	bool condition = false;

	for (; *path && used < 127; path++) {
		condition |= *path == '[';
		if (!condition)
			buf[used++] = *path;
		condition &= *path != ']';
	}
	buf[used] = '\0';
}

static struct import_remark *entry_of(struct import_report *report, const struct xml_rule *rule)
{
	const struct field *list = &import_report_schema.fields[0];
	struct import_remark *entry;
	char element[128];

	plain_path(rule->path, element);
	for (size_t i = 0; i < report->n_ignored; i++) {
		entry = &report->ignored[i];
		if (strcmp(entry->element, element) == 0 && strcmp(entry->why, rule->why) == 0)
			return entry;
	}
	entry = field_list_append(list, report);
	if (!entry)
		return NULL;
	entry->element = strdup(element);
	entry->why = strdup(rule->why);
	entry->lines = strdup("");
	return entry->element && entry->why && entry->lines ? entry : NULL;
}

/* "17, 40-62" and 63 are "17, 40-63". *ret: the lines, or NULL where they stay as they are. */
static int add_line(const char *lines, long line, char **ret)
{
	size_t len = strlen(lines), start = len, range;
	long last;

	*ret = NULL;
	if (len > LINES_MAX) {
		if (strcmp(lines + len - strlen("…"), "…") == 0)
			return 0;
		return asprintf(ret, "%s, …", lines) < 0 ? -ENOMEM : 0;
	}
	while (start && strchr("0123456789", lines[start - 1]))
		start--;
	last = atol(lines + start);
	range = start && lines[start - 1] == '-' ? start - 1 : len;
	if (len && last == line)
		return 0;
	if (len && last + 1 == line)
		return asprintf(ret, "%.*s-%ld", (int)range, lines, line) < 0 ? -ENOMEM : 0;
	return asprintf(ret, "%s%s%ld", lines, len ? ", " : "", line) < 0 ? -ENOMEM : 0;
}

int xml_report_ignored(struct import_report *report, const struct xml_rule *rule,
		       const xmlNode *node)
{
	struct import_remark *entry = entry_of(report, rule);
	char *lines;
	int r = entry ? add_line(entry->lines, xml_line_of(node), &lines) : -ENOMEM;

	if (r < 0 || !lines)
		return r;
	free(entry->lines);
	entry->lines = lines;
	return 0;
}

/* ---- refused ---- */

static bool seen_before(const xmlNode *node)
{
	for (const xmlNode *p = node->prev; p; p = p->prev)
		if (p->type == XML_ELEMENT_NODE && xmlStrEqual(p->name, node->name) && xml_marks(p))
			return true;
	return false;
}

int xml_report_refused(const struct xml_rule *rule, const xmlNode *node, struct hvd_error *err)
{
	const char *why = rule && rule->why ? rule->why : "", *colon = *why ? ": " : "";
	long line = xml_line_of(node);
	char element[160];
	xmlChar *value;
	int r;

	if (node->type == XML_ELEMENT_NODE) {
		xml_show_element(node, element);
		return hvd_err(err, EINVAL, "line %ld: %s is %s%s%s", line, element,
			       !*why && seen_before(node) ? "there twice, or not supported in this form"
							  : "not supported",
			       colon, why);
	}
	xml_show_element(node->parent, element);
	if (node->type != XML_ATTRIBUTE_NODE)
		return hvd_err(err, EINVAL, "line %ld: there must be no text in %s", line, element);
	value = xmlNodeGetContent(node);
	r = hvd_err(err, EINVAL, "line %ld: %s='%.60s' of %s is not supported%s%s", line,
		    (const char *)node->name, value ? (char *)value : "", element, colon, why);
	xmlFree(value);
	return r;
}
