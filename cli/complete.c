/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/complete.h"

#include <string.h>

#include "api/args.h"
#include "cli/text.h"
#include "cli/value.h"

struct completion {
	const char *partial;
	FILE *f;
	const char *previous; /* the word before, when it may be a flag that takes a value */
	bool value;           /* it is one, and its values have been offered */
};

static void offer(const struct completion *c, const char *word)
{
	if (!strncmp(word, c->partial, strlen(c->partial)))
		fprintf(c->f, "%s\n", word);
}

static void offer_all(const struct completion *c, const char *const *words)
{
	for (; words && *words; words++)
		offer(c, *words);
}

static void offer_flag(void *ctx, const char *flag, const char *hint, const struct field *field)
{
	struct completion *c = ctx;

	if (c->partial[0] == '-')
		offer(c, flag);
}

static void offer_flag_values(void *ctx, const char *flag, const char *hint,
			      const struct field *field)
{
	struct completion *c = ctx;

	if (strcmp(flag, c->previous) || !hint)
		return;
	c->value = true;
	offer_all(c, field->names);
}

/* Names of all VMs or networks, ids of a VM's disks; nothing when hvd does not answer. */
static void offer_names(const struct completion *c, const struct op *list, const char *of,
			const char *socket)
{
	AUTO(client_answer_clear) struct client_answer answer = { 0 };
	AUTO(client_free) struct client *client = NULL;
	AUTO(free) char *path = NULL;
	size_t index;
	json_t *item;

	if (client_path(list->path, of, NULL, NULL, &path, NULL) < 0 ||
	    client_new(socket, &client, NULL) < 0 ||
	    client_call(client, list->method, path, NULL, &answer, NULL) < 0)
		return;
	json_array_foreach(json_object_get(answer.json, "items"), index, item) {
		const char *name = value_string_at(item, list->result_schema->key
								? list->result_schema->key
								: "name");

		if (name)
			offer(c, name);
	}
}

/* The words that may stand behind a verb, the second one behind the first (NULL: not there yet). */
static void complete_operand(struct completion *c, const struct command *command,
			     const char *first, const char *socket)
{
	if (!first && !strcmp(command->operand, "VM"))
		offer_names(c, &ops[OP_VM_LIST], "", socket);
	else if (!first && !strcmp(command->operand, "NETWORK"))
		offer_names(c, &ops[OP_NETWORK_LIST], "", socket);
	else if (!first && !strcmp(command->operand, "OPERATION"))
		offer_names(c, &ops[OP_OPERATION_LIST], "", socket);
	else if (first && !strcmp(command->item, "NETWORK"))
		offer_names(c, &ops[OP_NETWORK_LIST], "", socket);
	else if (first && *command->item && !command->item_is_setting)
		offer_names(c, op_by_verb(command->noun, "list"), first, socket);
}

static void complete_command(struct completion *c, const struct command *command,
			     const char *first, const struct options *options)
{
	char name[40];
	const struct option_spec *spec;

	command_name(command, name);
	spec = option_find(c->previous, name);
	if (spec && spec->hint) {
		offer_all(c, option_values(spec));
		return;
	}
	if (command->settings)
		args_each(command->settings, offer_flag_values, c);
	if (command->how)
		args_each(command->how, offer_flag_values, c);
	if (c->value)
		return;
	if (c->partial[0] == '-') {
		for (size_t i = 0; i < n_option_specs; i++)
			if (option_applies(&option_specs[i], name))
				offer(c, option_specs[i].flag);
		if (command->settings)
			args_each(command->settings, offer_flag, c);
		if (command->how)
			args_each(command->how, offer_flag, c);
	} else {
		complete_operand(c, command, first, options->socket);
	}
}

/* The first word, and the verbs behind a noun. */
static void complete_words(const struct completion *c, const struct commands *commands,
			   const char *noun)
{
	const char *previous = "";

	for (size_t i = 0; i < commands->n; i++) {
		const struct command *command = &commands->list[i];

		if (noun && !strcmp(command->noun, noun))
			offer(c, command->verb);
		else if (!noun && strcmp(command->noun, previous))
			offer(c, command->noun);
		previous = command->noun;
	}
}

/* Behind the verb, before any flag. */
static const char *first_operand(int argc, char **argv)
{
	return argc > 0 && argv[0][0] != '-' ? argv[0] : NULL;
}

void complete(const struct commands *commands, int argc, char **argv, FILE *f)
{
	struct completion c = { .partial = argc ? argv[argc - 1] : "", .f = f };
	struct options options = options_default();
	const struct command *command;
	int i = 0, used;

	while (i < argc - 1 && options_take(&options, "", argc - 1, argv, &i, NULL) > 0)
		;
	c.previous = argc > 1 ? argv[argc - 2] : "";
	if (i < argc - 1 &&
	    command_find(commands, argc - 1 - i, argv + i, &command, &used, NULL) == 0)
		complete_command(&c, command, first_operand(argc - 1 - i - used, argv + i + used),
				 &options);
	else
		complete_words(&c, commands, i < argc - 1 ? argv[i] : NULL);
}
