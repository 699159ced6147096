/* SPDX-License-Identifier: Apache-2.0 */
/* hvcli: the command line of hvd. */
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/errors.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/complete.h"
#include "cli/help.h"
#include "cli/terminal.h"
#include "cli/text.h"

#define EXIT_USAGE 2

/* "hvcli: vm create: vcpus: must be between 1 and 512" */
static void print_error(const char *command, const struct hvd_error *err)
{
	bool colour = terminal_colour(stderr);
	char text[ERROR_TEXT_SIZE];
	AUTO(free) char *clean = NULL;

	error_text(err, text);
	clean = text_clean(text);
	fflush(stdout);
	fprintf(stderr, "%shvcli:%s %s%s%s\n", colour ? "\033[31m" : "", colour ? "\033[0m" : "",
		command, *command ? ": " : "", clean ? clean : text);
}

static int usage(const char *command, const struct hvd_error *err)
{
	print_error(command, err);
	return EXIT_USAGE;
}

static int run(const struct invocation *inv, const char *name)
{
	AUTO(target_clear) struct target target = { 0 };
	AUTO(client_free) struct client *client = NULL;
	struct hvd_error err = { 0 };
	int r;

	r = target_init(&target, &inv->options, &err);
	if (r == 0)
		r = client_new(&target, &client, &err);
	if (r == 0)
		r = inv->command->run(client, inv, &err);
	if (r == 0 && (fflush(stdout) < 0 || ferror(stdout)))
		r = hvd_err(&err, EIO, "cannot write to standard output");
	if (r == 0)
		return EXIT_SUCCESS;
	print_error(name, &err);
	return error_class_of_error(&err)->exit_status;
}

static int run_command(const struct command *command, const struct options *options, int argc,
		       char **argv)
{
	AUTO(json_decref) json_t *body = json_object(), *query = json_object();
	struct invocation inv = { .command = command, .options = *options, .body = body,
				  .query = query };
	struct hvd_error err = { 0 };
	char name[40];

	command_name(command, name);
	if (!body || !query)
		return EXIT_FAILURE;
	if (command_parse(&inv, argc, argv, &err) < 0)
		return usage(name, &err);
	if (!inv.options.help)
		return run(&inv, name);
	help_command(command, stdout);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	struct options options = options_default();
	struct hvd_error err = { 0 };
	const struct command *command;
	struct commands commands;
	int r, used, i = 1;

	setlocale(LC_CTYPE, "");
	commands_init(&commands);
	if (argc > 1 && !strcmp(argv[1], "__complete"))
		return complete(&commands, argc - 2, argv + 2, stdout);
	while (i < argc && (r = options_take(&options, "", argc, argv, &i, &err)))
		if (r < 0)
			return usage("", &err);

	if (options.version) {
		puts("hvcli " PACKAGE_VERSION);
		return EXIT_SUCCESS;
	}
	if (options.help || i == argc) {
		bool noun = i < argc && command_is_noun(&commands, argv[i]);

		help_overview(&commands, noun ? argv[i] : NULL, options.help ? stdout : stderr);
		return options.help ? EXIT_SUCCESS : EXIT_USAGE;
	}
	if (command_is_noun(&commands, argv[i]) && i + 1 < argc &&
	    (!strcmp(argv[i + 1], "--help") || !strcmp(argv[i + 1], "-h"))) {
		help_overview(&commands, argv[i], stdout);
		return EXIT_SUCCESS;
	}
	if (argv[i][0] == '-') {
		hvd_err(&err, EINVAL, "no option %s; hvcli --help lists all", argv[i]);
		return usage("", &err);
	}
	if (command_find(&commands, argc - i, argv + i, &command, &used, &err) < 0)
		return usage("", &err);
	return run_command(command, &options, argc - i - used, argv + i + used);
}
