/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/output.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api/access.h"
#include "cli/access.h"
#include "cli/device_table.h"
#include "cli/network_table.h"
#include "cli/sheet.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "cli/text.h"
#include "cli/value.h"
#include "cli/vm_table.h"
#include "cli/volume_table.h"
#include "cli/yaml.h"
#include "vmm/base/macro.h"

#define COLUMNS_MAX 24
#define COLUMNS_NARROW 7 /* that a person can read side by side */

int output_data(enum output_format format, const json_t *value, FILE *f)
{
	if (format == OUTPUT_YAML)
		return yaml_write(value, f);
	if (json_dumpf(value, f, JSON_INDENT(2) | JSON_ENCODE_ANY) < 0)
		return -EIO;
	fputc('\n', f);
	return 0;
}

/* Line by line what other commands take as operand. */
static int print_names(const struct op *op, const json_t *items, FILE *f)
{
	size_t index;
	json_t *item;

	json_array_foreach(items, index, item) {
		const char *name = value_string_at(item, op->list ? "id" : "name");
		AUTO(free) char *clean = name ? text_clean(name) : NULL;

		if (clean)
			fprintf(f, "%s\n", clean);
	}
	return 0;
}

/* "hvd_version" -> "HVD VERSION" */
static void heading_of(const struct field *field, char heading[static 64])
{
	value_label(field, heading);
	for (char *p = heading; *p; p++)
		*p = (char)toupper(*p);
}

int output_list(const struct op *op, const json_t *items, enum output_format format, FILE *f,
		unsigned width, bool colour)
{
	const struct schema *schema = op->result_schema;
	AUTO(table_free) struct table *table = NULL;
	struct column columns[COLUMNS_MAX] = { 0 };
	char headings[COLUMNS_MAX][64];
	size_t most = format == OUTPUT_WIDE ? COLUMNS_MAX : COLUMNS_NARROW;
	size_t n = MIN(schema->n_fields, most), index;
	json_t *item;
	int r;

	if (op_gives_vm(op))
		return vm_table(items, format == OUTPUT_WIDE, f, width, colour);

	if (schema == &token_schema)
		return token_table(items, format == OUTPUT_WIDE, f, width, colour);
	if (schema == &network_schema)
		return network_table(items, format == OUTPUT_WIDE, f, width, colour);
	if (op->status_schema == &volume_status_schema)
		return volume_table(op->result_schema, items, format == OUTPUT_WIDE, f, width, colour);
	if (schema == &snapshot_schema && format != OUTPUT_WIDE)
		return snapshot_table(items, f, width, colour);
	if (schema == &disk_schema && format != OUTPUT_WIDE)
		return disk_table(items, f, width, colour);
	if (schema == &nic_schema && format != OUTPUT_WIDE)
		return nic_table(items, f, width, colour);

	for (size_t i = 0; i < n; i++) {
		heading_of(&schema->fields[i], headings[i]);
		columns[i].heading = headings[i];
	}
	r = table_new(columns, n, &table);
	json_array_foreach(items, index, item) {
		char *cells[COLUMNS_MAX] = { NULL };

		for (size_t i = 0; i < n && r == 0; i++)
			r = value_line(&schema->fields[i],
				       json_object_get(item, schema->fields[i].name), &cells[i]);
		if (r == 0)
			r = table_add(table, (const char *const *)cells);
		for (size_t i = 0; i < n; i++)
			free(cells[i]);
		if (r < 0)
			return r;
	}
	return r < 0 ? r : table_print(table, f, format == OUTPUT_WIDE ? 0 : width, colour);
}

static int print_object(const struct op *op, const json_t *obj, const struct sheet *sheet)
{
	if (op->status_schema)
		return vm_sheet(sheet, op, obj);
	if (op == &ops[OP_HOST_GET])
		return host_sheet(sheet, obj);
	return sheet_object(sheet, op->result_schema->name, op->result_schema, obj);
}

/* "VM demo started", "Disk vdb attached to VM demo". */
static int print_done(const struct invocation *inv, const json_t *obj, FILE *f)
{
	const struct command *command = inv->command;
	bool item = command->op && op_items(command->op);
	const char *name = value_string_at(obj, item && command->op->list ? "id" : "name");
	AUTO(free) char *clean = NULL;

	if (!name)
		name = item ? inv->item : inv->operand;
	if (!name || (!command->done && inv->options.format != OUTPUT_NAME))
		return 0;
	clean = text_clean(name);
	if (!clean)
		return -ENOMEM;
	if (inv->options.format == OUTPUT_NAME)
		fprintf(f, "%s\n", clean);
	else if (item)
		fprintf(f, "%s %s %s VM %s\n", command->thing, clean, command->done, inv->operand);
	else
		fprintf(f, "%s %s %s\n", command->thing, clean, command->done);
	return 0;
}

/* FIELD APPLIES */
static int print_plan(const json_t *plan, FILE *f)
{
	static const struct column columns[] = { { .heading = "FIELD" }, { .heading = "APPLIES" } };
	AUTO(table_free) struct table *table = NULL;
	size_t index;
	json_t *change;
	int r;

	r = table_new(columns, ARRAY_SIZE(columns), &table);
	json_array_foreach(json_object_get(plan, "changes"), index, change) {
		const char *cells[] = { value_string_at(change, "field"),
					value_string_at(change, "applies") };

		r = r < 0 ? r : table_add(table, cells);
	}
	if (r == 0 && !json_array_size(json_object_get(plan, "changes")))
		fputs("Nothing would change\n", f);
	else if (r == 0)
		r = table_print(table, f, terminal_width(f), terminal_colour(f));
	return r;
}

static int print_items(const struct invocation *inv, const json_t *json, FILE *f)
{
	const json_t *items = json_object_get(json, "items");

	if (!json_is_array(items))
		return -EPROTO;
	if (inv->options.format == OUTPUT_NAME)
		return print_names(inv->command->op, items, f);
	return output_list(inv->command->op, items, inv->options.format, f, terminal_width(f),
			   terminal_colour(f));
}

/* It goes on: how to learn of its end. */
static int print_accepted(const struct invocation *inv, const json_t *operation, FILE *f)
{
	const char *id = value_string_at(operation, "id");
	AUTO(free) char *clean = id ? text_clean(id) : NULL;

	if (!clean)
		return -EPROTO;
	if (output_is_data(inv->options.format))
		return output_data(inv->options.format, operation, f);
	if (inv->options.format == OUTPUT_NAME)
		fprintf(f, "%s\n", clean);
	else
		fprintf(f, "Operation %s goes on: hvcli operation wait %s\n", clean, clean);
	return 0;
}

static int print_answer(const struct invocation *inv, const struct client_answer *answer, FILE *f)
{
	const struct op *op = inv->command->op;
	struct sheet sheet = { f, terminal_width(f), terminal_colour(f) };

	if (op->result == RESULT_DOCUMENT && inv->options.format == OUTPUT_YAML && answer->json)
		return yaml_write(answer->json, f);
	if (op->result == RESULT_DOCUMENT) {
		const char *text = answer->text ? answer->text : "";
		size_t len = strlen(text);

		fprintf(f, "%s%s", text, len && text[len - 1] == '\n' ? "" : "\n");
		return 0;
	}
	if (answer->status == 202)
		return print_accepted(inv, answer->json, f);
	if (op->result != RESULT_NONE && !json_is_object(answer->json))
		return -EPROTO;
	if (output_is_data(inv->options.format))
		return answer->json ? output_data(inv->options.format, answer->json, f) : 0;
	if (json_is_true(json_object_get(inv->query, "dry_run")))
		return print_plan(answer->json, f);
	if (op->result == RESULT_LIST)
		return print_items(inv, answer->json, f);
	if (op->method != HTTP_GET || inv->options.format == OUTPUT_NAME)
		return print_done(inv, answer->json, f);
	return print_object(op, answer->json, &sheet);
}

/* "line 17, 40-63: domain/devices/controller ignored: hvd gives each device a place of its own" */
static void tell_ignored(const json_t *ignored)
{
	size_t index;
	json_t *remark;

	fflush(stdout);
	json_array_foreach(ignored, index, remark) {
		const char *lines = value_string_at(remark, "lines"), *why = value_string_at(remark, "why");
		const char *element = value_string_at(remark, "element");
		AUTO(free) char *text = NULL, *clean = NULL;

		if (asprintf(&text, "line %s: %s ignored: %s", lines ? lines : "?", element ? element : "?",
			     why ? why : "?") < 0)
			text = NULL;
		clean = text ? text_clean(text) : NULL;
		if (clean)
			text_wrap(stderr, clean, 0, 0, terminal_prose_width(stderr));
	}
}

void output_tell_more(const json_t *answer)
{
	const char *next = value_string_at(answer, "next");
	AUTO(free) char *clean = next ? text_clean(next) : NULL;

	fflush(stdout);
	if (clean)
		fprintf(stderr, "There is more: go on with --cursor %s\n", clean);
}

int output_answer(const struct invocation *inv, const struct client_answer *answer,
		  struct hvd_error *err)
{
	int r = print_answer(inv, answer, stdout);

	if (r == -EPROTO)
		return hvd_err(err, EIO,
			       "the server's answer is not what the interface says; "
			       "are hvd and hvcli of the same version?");
	if (r < 0)
		return hvd_err(err, -r, "cannot show the answer: %s", strerror(-r));
	if (inv->command->op && inv->command->op->result == RESULT_LIST &&
	    !output_is_data(inv->options.format))
		output_tell_more(answer->json);
	if (inv->command->op && inv->command->op->report && !output_is_data(inv->options.format))
		tell_ignored(json_object_get(answer->json, "ignored"));
	return 0;
}
