/* SPDX-License-Identifier: Apache-2.0 */
#include "api/xml_libvirt.h"

#include <arpa/inet.h>
#include <fnmatch.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "api/xml_place.h"

const char *xml_libvirt_prefix(const char *mask, char prefix[static 4])
{
	struct in_addr in;
	uint32_t bits;

	if (inet_pton(AF_INET, mask, &in) != 1)
		return mask;
	bits = ~ntohl(in.s_addr);
	if (bits & (bits + 1))
		return mask;
	snprintf(prefix, 4, "%d", 32 - __builtin_popcount(bits));
	return prefix;
}

/* The text of an element without that of its children, and without blank space around it; or a text. */
static void own_text(const xmlNode *node, char text[static 128])
{
	const xmlNode *first = xmlNodeIsText(node) ? node : node->children;
	size_t used = 0;

	text[0] = '\0';
	for (const xmlNode *child = first; child; child = child->next) {
		const char *part = (const char *)child->content;

		if (!xmlNodeIsText(child) || !part)
			continue;
		part += strspn(part, " \t\r\n");
		used += (size_t)snprintf(text + used, 128 - used, "%s", part);
		if (used >= 128)
			return;
	}
	while (used && strchr(" \t\r\n", text[used - 1]))
		text[--used] = '\0';
}

static bool one_of(const char *values, const char *text)
{
	for (;;) {
		size_t len = strcspn(values, "|");
		char pattern[40];

		snprintf(pattern, sizeof(pattern), "%.*s", (int)len, values);
		if (fnmatch(pattern, text, 0) == 0)
			return true;
		if (!values[len])
			return false;
		values += len + 1;
	}
}

/* Is the rule about the node? One that ignores some values is not about others. */
static bool is_about(const struct xml_rule *rule, const xmlNode *node, char text[static 128])
{
	if (!xml_place_leads_to(node, rule->path))
		return false;
	own_text(node, text);
	return rule->verdict != XML_IGNORED || !rule->values || one_of(rule->values, text);
}

enum xml_verdict xml_libvirt_judge(const xmlNode *node, const struct xml_rule **rule)
{
	const struct xml_rule *found = NULL;
	char text[128];

	for (size_t i = 0; i < n_xml_rules && !found; i++)
		if (is_about(&xml_rules[i], node, text))
			found = &xml_rules[i];
	if (rule)
		*rule = found;
	if (found && found->verdict == XML_FIXED)
		return one_of(found->values, text) ? XML_FIXED : XML_REFUSED;
	return found ? found->verdict : XML_REFUSED;
}
