/* SPDX-License-Identifier: Apache-2.0 */
/* docs/xml.md: its tables are those of the sources, and what it shows can be imported. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/errors.h"
#include "api/network_schema.h"
#include "api/snapshot_schema.h"
#include "api/volume_schema.h"
#include "api/vm_schema.h"
#include "api/xml.h"
#include "api/xml_libvirt.h"
#include "tests/unit/fresh.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/macro.h"

#define PAGE "docs/xml.md"

/* `a` or `b`, each below the parent's place. */
static void print_place(FILE *f, const char *parent, const char *place)
{
	for (const char *p = place; *p;) {
		size_t len = strcspn(p, "|");
		bool self = *p == '.' && p[1] != '.';
		size_t skip = self ? 1 + (p[1] == '/') : 0;

		/* conditions of the parent's element stand behind it */
		fprintf(f, "%s`%s%s%.*s`", p == place ? "" : " or ", parent,
			*parent && len > skip && p[skip] != '[' ? "/" : "", (int)(len - skip), p + skip);
		p += len + (p[len] == '|');
	}
}

static bool is_attribute(const char *place)
{
	const char *last = strrchr(place, '/');

	return (last ? last[1] : place[0]) == '@';
}

/* What the values are called, where libvirt's names are others. */
static void print_values(FILE *f, const struct field *field)
{
	const char *const *names = field->type == FIELD_BOOL ? (const char *const[]){ "no", "yes", NULL }
							     : field->names;

	for (size_t i = 0; field->xml_names && names[i]; i++)
		fprintf(f, "%s%s: %s%s%s", i ? ", " : "", names[i], *field->xml_names[i] ? "`" : "",
			*field->xml_names[i] ? field->xml_names[i] : "left out",
			*field->xml_names[i] ? "`" : "");
	if (field->xml_scale)
		fprintf(f, "%u times the value", field->xml_scale);
	if (field->xml_divisor > 1)
		fprintf(f, "in units of %u bytes", field->xml_divisor);
	else if (field->xml_divisor)
		fputs("in bytes", f);
	if (field->type == FIELD_BOOL && !field->xml_names && !is_attribute(field->xml))
		fputs("yes: the element is there", f);
}

static void print_fields(FILE *f, const struct schema *schema, const char *name, const char *parent)
{
	for (size_t i = 0; i < schema->n_fields; i++) {
		const struct field *field = &schema->fields[i];
		char below[128], place[256];
		bool here;

		assert_non_null(field->xml);
		here = field->xml[0] == '.' && field->xml[1] != '.';
		snprintf(below, sizeof(below), "%s%s%s", name, field->name,
			 field->type == FIELD_LIST ? "[]." : ".");
		snprintf(place, sizeof(place), "%s%s%s%s%s", parent, *parent && !here ? "/" : "",
			 field->xml + here, field->type == FIELD_LIST ? "/" : "",
			 field->type == FIELD_LIST ? field->sub->xml : "");
		if (field->sub) {
			print_fields(f, field->sub, below, place);
			continue;
		}
		fprintf(f, "| `%s%s` | ", name, field->name);
		print_place(f, parent, field->xml);
		fputs(" | ", f);
		print_values(f, field);
		fputs(" |\n", f);
	}
}

static void check_fields(const struct schema *schema, const char *section)
{
	AUTO(free) char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	fputs("| setting | place in XML | values |\n|---|---|---|\n", f);
	print_fields(f, schema, "", "");
	fclose(f);
	fresh_section(PAGE, section, text);
}

static void test_fields(void **state)
{
	check_fields(&vm_schema, "settings of a VM");
	check_fields(&network_schema, "settings of a network");
	check_fields(&volume_schema, "settings of a volume");
}

static void print_values_of(FILE *f, const char *values)
{
	for (const char *p = values; p && *p; p += strcspn(p, "|"), p += *p == '|')
		fprintf(f, "%s`%.*s`", p == values ? "" : ", ", (int)strcspn(p, "|"), p);
}

static void print_rules(FILE *f, enum xml_verdict verdict)
{
	for (size_t i = 0; i < n_xml_rules; i++) {
		const struct xml_rule *rule = &xml_rules[i];

		if (rule->verdict != verdict)
			continue;
		fprintf(f, "| `%s` | ", rule->path);
		if (verdict != XML_REFUSED) {
			print_values_of(f, rule->values && strcmp(rule->values, "*") ? rule->values : "");
			fputs(" | ", f);
		}
		fprintf(f, "%s |\n", rule->why ? rule->why : "");
	}
}

static void test_rules(void **state)
{
	static const struct {
		enum xml_verdict verdict;
		const char *section, *heading;
	} parts[] = {
		{ XML_FIXED, "what is always so",
		  "| place | must be | otherwise |\n|---|---|---|\n" },
		{ XML_IGNORED, "what is ignored", "| place | if it is | why |\n|---|---|---|\n" },
		{ XML_REFUSED, "what is refused", "| place | what to do |\n|---|---|\n" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		AUTO(free) char *text = NULL;
		size_t size;
		FILE *f = open_memstream(&text, &size);

		fputs(parts[i].heading, f);
		print_rules(f, parts[i].verdict);
		fclose(f);
		fresh_section(PAGE, parts[i].section, text);
	}
}

static void import(const char *text, size_t len)
{
	static const struct {
		const char *begin;
		const struct schema *schema;
	} kinds[] = {
		{ "<domain ", &vm_schema },
		{ "<network>", &network_schema },
		{ "<volume", &volume_schema },
		{ "<domainsnapshot ", &snapshot_schema },
	};
	const struct schema *schema;
	AUTO(free) void *obj = NULL;
	char message[ERROR_TEXT_SIZE];
	struct hvd_error err = { 0 };
	size_t kind = 0;

	while (strncmp(text, kinds[kind].begin, strlen(kinds[kind].begin)) != 0)
		assert_true(++kind < ARRAY_SIZE(kinds));
	schema = kinds[kind].schema;
	obj = malloc(schema->size);

	if (xml_to_obj(schema, text, len, obj, &err) < 0) {
		error_text(&err, message);
		fail_msg("%s in %.*s", message, (int)len, text);
	}
	schema_clear(schema, obj);
}

static void test_examples(void **state)
{
	AUTO(free) char *page = fresh_load(PAGE);
	const char *p = page, *end;
	size_t n = 0;

	while ((p = strstr(p, "\n```xml\n"))) {
		p += strlen("\n```xml\n");
		end = strstr(p, "\n```\n");
		assert_non_null(end);
		import(p, (size_t)(end - p));
		p = end;
		n++;
	}
	assert_true(n >= 3);
}

/* A rule that an earlier one leaves nothing to say does no harm, but is no rule. */
static void test_rules_count(void **state)
{
	for (size_t i = 0; i < n_xml_rules; i++) {
		assert_true(xml_rules[i].verdict != XML_IGNORED || xml_rules[i].why);
		assert_true(xml_rules[i].verdict != XML_FIXED || xml_rules[i].values);
		for (size_t j = 0; j < i; j++)
			if (!strcmp(xml_rules[i].path, xml_rules[j].path) &&
			    (xml_rules[j].verdict != XML_IGNORED || !xml_rules[j].values))
				fail_msg("%s is there twice", xml_rules[i].path);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_examples),
		cmocka_unit_test(test_rules_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
