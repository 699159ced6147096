/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/access.h"

#include <errno.h>
#include <stdio.h>

#include "api/access.h"
#include "cli/output.h"
#include "cli/resource_table.h"
#include "cli/sheet.h"
#include "cli/terminal.h"
#include "cli/text.h"
#include "cli/value.h"
#include "vmm/base/macro.h"

static int date_cell(const json_t *token, const char *name, char **ret)
{
	return value_text(schema_field(&token_schema, name), json_object_get(token, name), ret);
}

static int created_cell(const json_t *token, char **ret)
{
	return date_cell(token, "created_usec", ret);
}

static int expires_cell(const json_t *token, char **ret)
{
	return date_cell(token, "expires_usec", ret);
}

int token_table(const json_t *items, bool wide, FILE *f, unsigned width, bool colour)
{
	static const struct resource_column columns[] = {
		{ .column.heading = "NAME", .place = "name" },
		{ .column.heading = "ROLE", .place = "role" },
		{ .column.heading = "CREATED", .fn = created_cell },
		{ .column.heading = "EXPIRES", .fn = expires_cell },
	};

	return resource_table(columns, ARRAY_SIZE(columns), items, wide, f, width, colour);
}

static int print_token(const json_t *token, struct hvd_error *err)
{
	const char *name = value_string_at(token, "name"), *role = value_string_at(token, "role");
	const char *secret = value_string_at(token, "token");
	AUTO(free) char *expires = NULL, *clean = secret ? text_clean(secret) : NULL;

	if (!name || !role || !clean ||
	    value_text(schema_field(&token_schema, "expires_usec"), value_at(token, "expires_usec"),
		       &expires) < 0)
		return hvd_err(err, EIO, "the server's answer has no token");
	printf("%s\n", clean);
	fflush(stdout);
	fprintf(stderr, "Token %s created: role %s, until %s. It is not shown again.\n", name, role,
		expires ? expires : "?");
	return 0;
}

int token_create_run(struct client *client, const struct invocation *inv, struct hvd_error *err)
{
	AUTO(client_answer_clear) struct client_answer answer = { 0 };
	int r = command_request(client, inv, &answer, err);

	if (r < 0)
		return r;
	if (inv->options.format != OUTPUT_TABLE)
		return output_answer(inv, &answer, err);
	return print_token(answer.json, err);
}

int certificate_create_run(struct client *client, const struct invocation *inv,
			   struct hvd_error *err)
{
	struct sheet sheet = { stdout, terminal_width(stdout), terminal_colour(stdout) };
	AUTO(client_answer_clear) struct client_answer answer = { 0 };
	int r = command_request(client, inv, &answer, err);

	if (r == 0 && inv->options.format != OUTPUT_TABLE)
		return output_answer(inv, &answer, err);
	if (r == 0 && sheet_object(&sheet, certificate_schema.name, &certificate_schema,
				   answer.json) < 0)
		return hvd_err(err, ENOMEM, "out of memory");
	return r;
}
