/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "api/args.h"

#define HELP_COLUMN 28
#define FLAG_SIZE   64

/* What stands for a value of the field: "N", "SIZE", "none|writeback|unsafe". */
static const char *hint(const struct field *field, char buf[static FLAG_SIZE])
{
	char first[FLAG_SIZE];
	size_t used = 0;

	switch (field->type) {
	case FIELD_STR:
		return field->path ? "PATH" : "TEXT";
	case FIELD_U32:
	case FIELD_U64:
		return "N";
	case FIELD_SIZE:
		return "SIZE";
	case FIELD_UUID:
		return "UUID";
	case FIELD_MAC:
		return "MAC";
	case FIELD_LIST:
		snprintf(buf, FLAG_SIZE, "%.40s[,KEY=VALUE…]", hint(&field->sub->fields[0], first));
		return buf;
	case FIELD_ENUM:
		for (unsigned i = 0; field->names[i] && used < FLAG_SIZE; i++)
			used += (size_t)snprintf(buf + used, FLAG_SIZE - used, "%s%s", i ? "|" : "",
						 field->names[i]);
		return buf;
	case FIELD_BOOL:
	case FIELD_STRUCT:
		break;
	}
	return NULL;
}

static void flag_name(const struct field *field, char flag[static FLAG_SIZE])
{
	int len = (int)strlen(field->name);

	if (field->type == FIELD_LIST && field->name[len - 1] == 's')
		len--;
	snprintf(flag, FLAG_SIZE, "--%.*s", len, field->name);
	for (char *p = flag; *p; p++)
		if (*p == '_')
			*p = '-';
}

void args_each(const struct schema *schema,
	       void (*fn)(void *ctx, const char *flag, const char *hint, const struct field *field),
	       void *ctx)
{
	for (size_t i = 0; i < schema->n_fields; i++) {
		const struct field *field = &schema->fields[i];
		char flag[FLAG_SIZE], buf[FLAG_SIZE];

		if (field->read_only)
			continue;
		if (field->type == FIELD_STRUCT) {
			args_each(field->sub, fn, ctx);
			continue;
		}
		flag_name(field, flag);
		fn(ctx, flag, hint(field, buf), field);
	}
}

/* Where help is written to: columns count bytes, so that text of it is ASCII but for one '…'. */
struct page {
	FILE *f;
	unsigned width, column;
};

static void start_line(struct page *page, unsigned indent)
{
	fprintf(page->f, "\n%*s", (int)indent, "");
	page->column = indent;
}

/* Words, broken before the page's width; further lines start at HELP_COLUMN. */
static void put_words(struct page *page, const char *text)
{
	while (*text) {
		unsigned len = (unsigned)strcspn(text, " ");

		if (page->column > HELP_COLUMN && page->column + 1 + len > page->width)
			start_line(page, HELP_COLUMN);
		if (page->column > HELP_COLUMN) {
			fputc(' ', page->f);
			page->column++;
		}
		fwrite(text, 1, len, page->f);
		page->column += len;
		text += len;
		text += strspn(text, " ");
	}
}

static void put_entry(struct page *page, unsigned indent, const char *left,
		      const struct field *field)
{
	char def[FLAG_SIZE];

	fprintf(page->f, "%*s%s", (int)indent, "", left);
	page->column = indent + (unsigned)strlen(left);
	if (page->column + 2 > HELP_COLUMN) {
		start_line(page, HELP_COLUMN);
	} else {
		fprintf(page->f, "%*s", (int)(HELP_COLUMN - page->column), "");
		page->column = HELP_COLUMN;
	}
	put_words(page, field->help);
	if (field->def) {
		snprintf(def, sizeof(def), "(default: %s)", field->def);
		put_words(page, def);
	}
	if (field->type == FIELD_LIST)
		put_words(page, "- can be repeated");
	fputc('\n', page->f);
}

/* What an item of a list is made of. */
static void help_keys(struct page *page, const struct schema *schema)
{
	for (size_t i = 0; i < schema->n_fields; i++) {
		const struct field *key = &schema->fields[i];
		char left[2 * FLAG_SIZE + 8], buf[FLAG_SIZE];
		const char *of = hint(key, buf);

		if (key->type == FIELD_STRUCT) {
			help_keys(page, key->sub);
			continue;
		}
		snprintf(left, sizeof(left), "%s=%s", key->name, of ? of : "yes|no");
		put_entry(page, 6, left, key);
	}
}

static void help_flag(void *ctx, const char *flag, const char *value, const struct field *field)
{
	struct page *page = ctx;
	char left[2 * FLAG_SIZE + 8];

	if (field->type == FIELD_BOOL)
		snprintf(left, sizeof(left), "--[no-]%s", flag + 2);
	else
		snprintf(left, sizeof(left), "%s %s", flag, value);
	put_entry(page, 2, left, field);

	if (field->type == FIELD_LIST)
		help_keys(page, field->sub);
}

void args_help(const struct schema *schema, FILE *f, unsigned width)
{
	struct page page = { f, width, 0 };

	args_each(schema, help_flag, &page);
}
