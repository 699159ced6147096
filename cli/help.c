/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/help.h"

#include <stdlib.h>
#include <string.h>

#include "api/args.h"
#include "cli/terminal.h"
#include "cli/text.h"

#define COMMAND_INDENT 2
#define HELP_COLUMN    28 /* as api/args_help.c has it */

/* "  --output, -o FORMAT     …" */
static void print_option(const struct option_spec *spec, FILE *f, unsigned width)
{
	int at = fprintf(f, "%*s%s", COMMAND_INDENT, "", spec->flag);

	if (spec->letter)
		at += fprintf(f, ", -%c", spec->letter);
	if (spec->hint)
		at += fprintf(f, " %s", spec->hint);
	text_wrap(f, spec->help, (unsigned)at, HELP_COLUMN, width);
}

enum which { OPTIONS_ALL, OPTIONS_OWN, OPTIONS_COMMON };

/* command: NULL where it is a noun, or nothing, that name names. */
static void print_options(const char *title, const struct command *command, const char *name,
			  enum which which, FILE *f, unsigned width)
{
	bool any = false;

	for (size_t i = 0; i < n_option_specs; i++) {
		const struct option_spec *spec = &option_specs[i];
		enum which is = spec->commands[0] ? OPTIONS_OWN : OPTIONS_COMMON;

		if (which != OPTIONS_ALL && which != is)
			continue;
		if (command ? !command_takes(command, spec) : !option_applies(spec, name))
			continue;
		if (!any)
			fprintf(f, "\n%s\n", title);
		any = true;
		print_option(spec, f, width);
	}
}

static void print_command(const struct command *command, FILE *f, unsigned width)
{
	char name[40], operands[40];
	int at;

	command_name(command, name);
	command_operands(command, operands);
	at = fprintf(f, "%*s%s %s", COMMAND_INDENT, "", name, operands);
	text_wrap(f, command->help, (unsigned)at, HELP_COLUMN, width);
}

void help_overview(const struct commands *commands, const char *noun, FILE *f)
{
	unsigned width = terminal_prose_width(f);
	const char *previous = "";

	fprintf(f, "Usage: hvcli [OPTION…] %s%sCOMMAND [ARGUMENT…]\n", noun ? noun : "",
		noun ? " " : "");
	if (!noun)
		fputs("Manages the virtual machines of hvd on this host.\n", f);
	if (noun)
		fputc('\n', f);
	for (size_t i = 0; i < commands->n; i++) {
		const struct command *command = &commands->list[i];

		if (noun && strcmp(command->noun, noun))
			continue;
		if (!noun && strcmp(command->noun, previous) && *command->verb)
			fputc('\n', f);
		previous = command->noun;
		print_command(command, f, width);
	}
	print_options("Options", NULL, noun ? noun : "", OPTIONS_ALL, f, width);
	if (noun)
		return;
	fputs("\nhvcli vm create --help, and so on, tells all about a command.\n"
	      "Exit status: 0 done, 1 failed, 2 usage, 3 not found, 4 conflict, 5 no daemon.\n",
	      f);
}

void help_command(const struct command *command, FILE *f)
{
	unsigned width = terminal_prose_width(f);
	char name[40], operands[40];

	command_name(command, name);
	command_operands(command, operands);
	fprintf(f, "Usage: hvcli %s%s%s [OPTION…]\n", name, *operands ? " " : "", operands);
	text_wrap(f, command->help, 0, 0, width);
	if (!strcmp(command->operand, "VM"))
		fputs("VM is a name or a UUID.\n", f);
	else if (!strcmp(command->operand, "FILE"))
		fputs("FILE is a path, or - for standard input.\n", f);

	print_options("Options of this command", command, name, OPTIONS_OWN, f, width);
	if (command->how) {
		fputs("\nHow it is done\n", f);
		args_help(command->how, f, width);
	}
	print_options("Options of all commands", command, name, OPTIONS_COMMON, f, width);
	if (command->settings) {
		fputs("\nSettings\n", f);
		args_help(command->settings, f, width);
	}
	if (command->example)
		fprintf(f, "\nExample\n%*s%s\n", COMMAND_INDENT, "", command->example);
}
