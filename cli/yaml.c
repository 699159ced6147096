/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/yaml.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "api/utf8.h"

#define INDENT 2

/* Letters, digits and harmless signs, with a letter or "/" first: nothing but text looks like that. */
static bool is_plain(const char *text, size_t len)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	/* as YAML 1.1 has them; "y" and "n" too */
	static const char *const words[] = { "true", "false", "yes", "no",   "on",
					     "off",  "y",     "n",   "null", NULL };

	if (!len || strlen(text) != len || (!strchr(letters, text[0]) && text[0] != '/'))
		return false;
	for (const char *const *word = words; *word; word++)
		if (!strcasecmp(*word, text))
			return false;
	for (size_t i = 0; i < len; i++)
		if (!strchr(letters, text[i]) && !strchr("0123456789_-+./@ ", text[i]))
			return false;
	return text[len - 1] != ' ';
}

/* What YAML has no character for as it is, or a terminal would obey. */
static bool is_printable(uint32_t c)
{
	return c >= 0x20 && (c < 0x7f || c > 0x9f) && c != 0x2028 && c != 0x2029 && c != 0xfeff;
}

static void write_quoted(const char *text, size_t len, FILE *f)
{
	fputc('"', f);
	for (size_t at = 0; at < len;) {
		uint32_t c;
		size_t n = utf8_next(text + at, len - at, &c);

		if (!n)
			break; /* jansson has no such text */
		if (c == '\n')
			fputs("\\n", f);
		else if (c == '\t')
			fputs("\\t", f);
		else if (!is_printable(c))
			fprintf(f, "\\u%04x", (unsigned)c);
		else
			fprintf(f, "%s%.*s", c == '"' || c == '\\' ? "\\" : "", (int)n, text + at);
		at += n;
	}
	fputc('"', f);
}

static void write_text(const char *text, size_t len, FILE *f)
{
	if (is_plain(text, len))
		fputs(text, f);
	else
		write_quoted(text, len, f);
}

static bool is_block(const json_t *value)
{
	return json_object_size(value) || json_array_size(value);
}

static int write_scalar(const json_t *value, FILE *f)
{
	if (json_is_string(value)) {
		write_text(json_string_value(value), json_string_length(value), f);
		return 0;
	}
	return json_dumpf(value, f, JSON_ENCODE_ANY) < 0 ? -EIO : 0;
}

static int write_block(const json_t *value, unsigned indent, bool first_in_place, FILE *f);

/* Behind "name:": a list stands at the indentation of its name. */
static int write_member(const json_t *value, unsigned indent, FILE *f)
{
	if (is_block(value)) {
		fputc('\n', f);
		return write_block(value, json_is_array(value) ? indent : indent + INDENT, false, f);
	}
	fputc(' ', f);
	if (write_scalar(value, f) < 0)
		return -EIO;
	fputc('\n', f);
	return 0;
}

static int write_item(const json_t *value, unsigned indent, FILE *f)
{
	fputs("- ", f);
	if (is_block(value))
		return write_block(value, indent + INDENT, true, f);
	if (write_scalar(value, f) < 0)
		return -EIO;
	fputc('\n', f);
	return 0;
}

/* first_in_place: the cursor is where the first line belongs already, behind "- ". */
static int write_block(const json_t *value, unsigned indent, bool first_in_place, FILE *f)
{
	const char *name;
	json_t *member;
	size_t index;
	int r = 0;

	json_array_foreach((json_t *)value, index, member) {
		fprintf(f, "%*s", first_in_place && !index ? 0 : (int)indent, "");
		r = r < 0 ? r : write_item(member, indent, f);
	}
	json_object_foreach((json_t *)value, name, member) {
		fprintf(f, "%*s", first_in_place ? 0 : (int)indent, "");
		first_in_place = false;
		write_text(name, strlen(name), f);
		fputc(':', f);
		r = r < 0 ? r : write_member(member, indent, f);
	}
	return r;
}

int yaml_write(const json_t *value, FILE *f)
{
	int r;

	if (is_block(value))
		return write_block(value, 0, false, f);
	r = write_scalar(value, f);
	fputc('\n', f);
	return r;
}
