/* SPDX-License-Identifier: Apache-2.0 */
/* hvcli(1) names every command, option and setting that the tables have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "api/args.h"
#include "cli/body.h"
#include "cli/command.h"

static char *page;

/* Is text there, and not as the beginning of a longer word? */
static void assert_documented(const char *text)
{
	size_t len = strlen(text);

	for (const char *p = page; (p = strstr(p, text)); p += len)
		if (!isalnum(p[len]) && p[len] != '-' && p[len] != '_')
			return;
	fail_msg("docs/hvcli.1 does not have \"%s\"", text);
}

static void test_commands(void **state)
{
	struct commands commands;

	commands_init(&commands);
	for (size_t i = 0; i < commands.n; i++) {
		const struct command *command = &commands.list[i];
		char name[40], text[80];
		int n;

		command_name(command, name);
		n = snprintf(text, sizeof(text), ".It Cm %s%s%s", name,
			     *command->operand ? " Ar " : "", command->operand);
		if (*command->item)
			snprintf(text + n, sizeof(text) - (size_t)n, " %sAr %s",
				 command->item_field && !command->item_field->required ? "Op " : "",
				 command->item);
		assert_documented(text);
	}
}

static void test_options(void **state)
{
	for (size_t i = 0; i < n_option_specs; i++) {
		char text[80];

		/* mdoc's "Fl" writes the first dash. */
		snprintf(text, sizeof(text), ".It Fl %s%s%s", option_specs[i].flag + 1,
			 option_specs[i].hint ? " Ar " : "",
			 option_specs[i].hint ? option_specs[i].hint : "");
		assert_documented(text);
	}
}

static void check_keys(const struct schema *schema)
{
	for (size_t i = 0; i < schema->n_fields; i++) {
		const struct field *key = &schema->fields[i];
		char text[80];

		if (key->type == FIELD_STRUCT) {
			check_keys(key->sub);
			continue;
		}
		snprintf(text, sizeof(text), ".Cm %s", key->name);
		assert_documented(text);
	}
}

static void check_flag(void *ctx, const char *flag, const char *hint, const struct field *field)
{
	char text[80];

	snprintf(text, sizeof(text), ".It Fl %s", flag + 1);
	assert_documented(text);
	if (field->type == FIELD_BOOL && schema_field(&vm_schema, field->name)) {
		snprintf(text, sizeof(text), "Fl -no-%s", flag + 2);
		assert_documented(text);
	}
	if (field->type == FIELD_LIST)
		check_keys(field->sub);
}

static void test_settings(void **state)
{
	args_each(&vm_schema, check_flag, NULL);
	args_each(&update_options_schema, check_flag, NULL);
}

static int load_page(void **state)
{
	const char *top = getenv("top_srcdir");
	char path[512];

	snprintf(path, sizeof(path), "%s/docs/hvcli.1", top ? top : ".");
	return file_read(path, &page, NULL);
}

static int free_page(void **state)
{
	free(page);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_settings),
	};

	return cmocka_run_group_tests(tests, load_page, free_page);
}
