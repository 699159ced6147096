/* SPDX-License-Identifier: Apache-2.0 */
/* The man pages of hvcli's groups of commands, hvcli-vm(1) and so on: they are written from the tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/args.h"
#include "cli/command.h"
#include "tests/unit/fresh.h"
#include "vmm/base/cleanup.h"

/*
 * Text of a page: what troff would take for its own is escaped. A line must not begin with what it takes
 * for a request, nor a word of a macro's line be one of a macro.
 */
static void put_text(FILE *f, const char *text)
{
	if (*text == '.' || *text == '\'')
		fputs("\\&", f);
	for (; *text; text++) {
		if (!strncmp(text, "…", strlen("…"))) {
			fputs("...", f);
			text += strlen("…") - 1;
			continue;
		}
		assert_true((unsigned char)*text < 0x80);
		fputs(*text == '\\' ? "\\e" : (char[]){ *text, 0 }, f);
	}
}

static void put_sentence(FILE *f, const char *text)
{
	put_text(f, text);
	fputs(".\n", f);
}

/* Words of a macro's line, each of which may look like a macro. */
static void put_argument(FILE *f, const char *text)
{
	fputs("\\&", f);
	put_text(f, text);
}

static void put_default(FILE *f, const struct field *field)
{
	if (!field->def)
		return;
	fputs("Default:\n", f);
	put_sentence(f, field->def);
}

static void put_keys(FILE *f, const struct schema *item)
{
	for (size_t i = 0; i < item->n_fields; i++) {
		const struct field *key = &item->fields[i];

		if (key->read_only)
			continue;
		if (key->type == FIELD_STRUCT) {
			put_keys(f, key->sub);
			continue;
		}
		fprintf(f, ".It Cm %s", key->name);
		for (size_t n = 0; key->names && key->names[n]; n++)
			fprintf(f, "%s%s", n ? "|" : "=", key->names[n]);
		fputs("\n", f);
		put_sentence(f, key->help);
		put_default(f, key);
	}
}

static void put_setting(void *ctx, const char *flag, const char *hint, const struct field *field)
{
	FILE *f = ctx;

	fprintf(f, ".It Fl %s", flag + 1);
	if (hint) {
		fputs(" Ar ", f);
		put_argument(f, hint);
	} else {
		fprintf(f, " , Fl -no-%s", flag + 2);
	}
	fputs("\n", f);
	put_sentence(f, field->help);
	put_default(f, field);
	if (field->type != FIELD_LIST)
		return;
	fputs("Can be repeated. The keys:\n.Bl -tag -width Ds\n", f);
	put_keys(f, field->sub);
	fputs(".El\n", f);
}

static void put_option(FILE *f, const struct option_spec *spec)
{
	fprintf(f, ".It Fl %s", spec->flag + 1);
	if (spec->letter)
		fprintf(f, " , Fl %c", spec->letter);
	if (spec->hint)
		fprintf(f, " Ar %s", spec->hint);
	fputs("\n", f);
	put_sentence(f, spec->help);
}

static bool has_options(const struct command *command, const char *name)
{
	for (size_t i = 0; i < n_option_specs; i++)
		if (option_specs[i].commands[0] && option_applies(&option_specs[i], name))
			return true;
	return command->how;
}

/* Of commands of the same noun that take the same settings, the first has them; NULL: it does. */
static const struct command *settings_are_in(const struct commands *commands,
					     const struct command *command)
{
	for (const struct command *other = commands->list; other < command; other++)
		if (!strcmp(other->noun, command->noun) && other->settings == command->settings)
			return other;
	return NULL;
}

static void put_command(FILE *f, const struct commands *commands, const struct command *command)
{
	const struct command *other = settings_are_in(commands, command);
	char name[40], operands[40];

	command_name(command, name);
	command_operands(command, operands);
	fprintf(f, ".Ss hvcli %s%s%s\n", name, *operands ? " " : "", operands);
	put_sentence(f, command->help);
	if (has_options(command, name)) {
		fputs(".Bl -tag -width Ds\n", f);
		for (size_t i = 0; i < n_option_specs; i++)
			if (option_specs[i].commands[0] && option_applies(&option_specs[i], name))
				put_option(f, &option_specs[i]);
		if (command->how)
			args_each(command->how, put_setting, f);
		fputs(".El\n", f);
	}
	if (command->settings && other) {
		command_name(other, name);
		fprintf(f, ".Pp\nThe settings are those of\n.Cm %s .\n", name);
	} else if (command->settings) {
		fputs(".Pp\nSettings:\n.Bl -tag -width Ds\n", f);
		args_each(command->settings, put_setting, f);
		fputs(".El\n", f);
	}
	if (command->example) {
		fputs(".Pp\nFor example:\n.Bd -literal -offset indent\n", f);
		put_text(f, command->example);
		fputs("\n.Ed\n", f);
	}
}

static void put_page(FILE *f, const struct commands *commands, const char *noun)
{
	fputs(".\\\" SPDX-License-Identifier: Apache-2.0\n"
	      ".\\\" Written from the tables by tests/unit/test-cli-pages; see docs/hacking.md.\n"
	      ".Dd November 26, 2026\n.Dt HVCLI-", f);
	for (const char *p = noun; *p; p++)
		fputc(toupper(*p), f);
	fprintf(f, " 1\n.Os hvd\n.Sh NAME\n.Nm hvcli-%s\n.Nd commands of hvcli about %s\n"
		   ".Sh SYNOPSIS\n.Nm hvcli\n.Cm %s\n.Op Ar verb\n.Op Ar argument ...\n"
		   ".Sh COMMANDS\nWhat all commands have in common is in\n.Xr hvcli 1 .\n",
		noun, command_noun_help(noun), noun);
	for (size_t i = 0; i < commands->n; i++)
		if (!strcmp(commands->list[i].noun, noun))
			put_command(f, commands, &commands->list[i]);
	fputs(".Sh OPTIONS OF ALL COMMANDS\n.Bl -tag -width Ds\n", f);
	for (size_t i = 0; i < n_option_specs; i++)
		if (!option_specs[i].commands[0])
			put_option(f, &option_specs[i]);
	fputs(".El\n.Sh SEE ALSO\n.Xr hvcli 1 ,\n.Xr hvd 8\n", f);
}

static void check_page(const struct commands *commands, const char *noun)
{
	AUTO(free) char *text = NULL, *list = fresh_load("docs/Makemodule.am");
	char path[80];
	size_t size;
	FILE *f = open_memstream(&text, &size);

	put_page(f, commands, noun);
	fclose(f);
	snprintf(path, sizeof(path), "docs/hvcli-%s.1", noun);
	fresh_file(path, text);
	if (!strstr(list, path))
		fail_msg("%s is not in dist_man_MANS of docs/Makemodule.am", path);
}

static void test_pages(void **state)
{
	struct commands commands;
	const char *previous = "";

	commands_init(&commands);
	for (size_t i = 0; i < commands.n; i++) {
		if (strcmp(commands.list[i].noun, previous))
			check_page(&commands, commands.list[i].noun);
		previous = commands.list[i].noun;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_pages) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
