/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/exposition.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FAMILIES_MAX 256
#define NAME_SIZE 128

struct reader {
	const char *text;
	unsigned line;
	char family[NAME_SIZE], type[16]; /* of the last TYPE */
	bool help;                        /* HELP has come, TYPE not yet */
	char families[FAMILIES_MAX][NAME_SIZE];
	size_t n_families, n_samples;
};

static void bad(const struct reader *r, const char *why)
{
	fail_msg("line %u: %s", r->line, why);
}

/* [a-zA-Z_:][a-zA-Z0-9_:]*, labels without colons. Returns its length. */
static size_t take_name(const struct reader *r, const char *p, bool colons, char name[NAME_SIZE])
{
	size_t n = 0;

	while (isalnum((unsigned char)p[n]) || p[n] == '_' || (colons && p[n] == ':'))
		n++;
	if (!n || isdigit((unsigned char)*p) || n >= NAME_SIZE)
		bad(r, "no name");
	memcpy(name, p, n);
	name[n] = '\0';
	return n;
}

static bool ends_with(const char *name, const char *end)
{
	size_t n = strlen(name), m = strlen(end);

	return n > m && strcmp(name + n - m, end) == 0;
}

static void begin_family(struct reader *r, const char *name)
{
	for (size_t i = 0; i < r->n_families; i++)
		if (strcmp(r->families[i], name) == 0)
			bad(r, "a family twice");
	assert_true(r->n_families < FAMILIES_MAX);
	strcpy(r->families[r->n_families++], name);
	strcpy(r->family, name);
}

static void take_comment(struct reader *r, const char *p)
{
	char name[NAME_SIZE];
	size_t n;

	if (strncmp(p, "# HELP ", 7) == 0) {
		if (r->help)
			bad(r, "HELP without TYPE");
		n = take_name(r, p + 7, true, name);
		if (p[7 + n] != ' ' || p[8 + n] == '\n')
			bad(r, "HELP without text");
		begin_family(r, name);
		r->help = true;
	} else if (strncmp(p, "# TYPE ", 7) == 0) {
		n = take_name(r, p + 7, true, name);
		if (!r->help || strcmp(name, r->family) != 0 || p[7 + n] != ' ')
			bad(r, "TYPE that is not behind its HELP");
		snprintf(r->type, sizeof(r->type), "%.*s", (int)strcspn(p + 8 + n, "\n"), p + 8 + n);
		if (strcmp(r->type, "counter") != 0 && strcmp(r->type, "gauge") != 0)
			bad(r, "no type that we use");
		if ((strcmp(r->type, "counter") == 0) != ends_with(name, "_total"))
			bad(r, "counters, and nothing else, end in _total");
		r->help = false;
	} else {
		bad(r, "a comment of another kind");
	}
}

/* name="value",…} Returns what is behind it. */
static const char *take_labels(const struct reader *r, const char *p)
{
	char name[NAME_SIZE];

	for (;;) {
		p += take_name(r, p, false, name);
		if (*p++ != '=' || *p++ != '"')
			bad(r, "no label");
		for (; *p != '"'; p++) {
			if (*p == '\n' || !*p)
				bad(r, "a label without end");
			if (*p == '\\' && !strchr("\\\"n", *++p))
				bad(r, "an escape that there is not");
		}
		p++;
		if (*p == '}')
			return p + 1;
		if (*p++ != ',')
			bad(r, "no comma between labels");
	}
}

static void take_sample(struct reader *r, const char *p)
{
	const char *start = p;
	char name[NAME_SIZE], series[1024];
	char *end;
	double value;

	p += take_name(r, p, true, name);
	if (r->help || strcmp(name, r->family) != 0)
		bad(r, "a sample that is not behind its TYPE");
	if (*p == '{')
		p = take_labels(r, p + 1);
	if (*p != ' ')
		bad(r, "no space before the value");
	snprintf(series, sizeof(series), "\n%.*s ", (int)(p - start), start);
	if (strstr(p, series))
		bad(r, "a series twice");
	value = strtod(p + 1, &end);
	if (end == p + 1 || *end != '\n' || value < 0)
		bad(r, "no value");
	r->n_samples++;
}

size_t exposition_check(const char *text)
{
	struct reader r = { .text = text };

	assert_true(*text && text[strlen(text) - 1] == '\n');
	for (const char *p = text; *p; p = strchr(p, '\n') + 1) {
		r.line++;
		if (*p == '#')
			take_comment(&r, p);
		else
			take_sample(&r, p);
	}
	assert_false(r.help);
	return r.n_samples;
}

const char *exposition_find(const char *text, const char *series)
{
	size_t len = strlen(series);

	for (const char *p = text; *p; p = strchr(p, '\n') + 1)
		if (strncmp(p, series, len) == 0 && p[len] == ' ')
			return p + len + 1;
	return NULL;
}
