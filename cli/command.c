/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api/args.h"
#include "api/suggest.h"
#include "cli/body.h"
#include "cli/operation.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "vmm/base/macro.h"

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < n_verbs; i++)
		if (!strcmp(verbs[i].name, name))
			return &verbs[i];
	return NULL;
}

static void upper(char *text)
{
	for (; *text; text++)
		*text = (char)toupper(*text);
}

/* What stands behind the verb: names in the path, of the new thing, or of a document's file. */
static void set_operands(struct command *command, const struct op *op, const struct verb *verb)
{
	op_parameter(op, 0, command->operand);
	op_parameter(op, 1, command->item);
	if (op->method == HTTP_POST && !*command->operand)
		strcpy(command->operand, op->body_type ? "FILE" : "NAME");
	if (op->upload)
		strcpy(command->item, "file");
	if (op->method == HTTP_POST && op_items(op) && op->args)
		command->item_field = &op->args->fields[0];
	else if (verb && verb->setting)
		command->item_field = schema_field(op->args, verb->setting);
	if (command->item_field)
		snprintf(command->item, sizeof(command->item), "%s", command->item_field->name);
}

static void add_command(struct commands *commands, const char *name, const struct op *op)
{
	const struct verb *verb = find_verb(name);
	struct command *command = &commands->list[commands->n];
	size_t len = strcspn(name, " ");

	if (commands->n == COMMANDS_MAX)
		return;
	commands->n++;
	snprintf(command->noun, sizeof(command->noun), "%.*s", (int)len, name);
	command->verb = name[len] ? name + len + 1 : "";
	command->op = op;
	command->settings = op && op->method != HTTP_GET ? op->args : NULL;
	command->how = op && op->result != RESULT_STREAM ? op->options : NULL;
	if (op)
		set_operands(command, op, verb);
	else
		snprintf(command->operand, sizeof(command->operand), "%.*s", (int)len, name);
	upper(command->operand);
	upper(command->item);
	command->run = verb && verb->run ? verb->run : command_call;
	command->help = op ? op->help : verb->help;
	command->thing = verb && verb->thing ? verb->thing : "VM";
	command->done = verb ? verb->done : NULL;
	command->example = verb ? verb->example : NULL;
}

static bool is_op(const char *name)
{
	for (size_t i = 0; i < _OP_MAX; i++)
		if (!strcmp(ops[i].verb, name))
			return true;
	return false;
}

static bool same_noun(const char *a, const char *b)
{
	size_t len = strcspn(a, " ");

	return len == strcspn(b, " ") && !strncmp(a, b, len);
}

void commands_init(struct commands *commands)
{
	memset(commands, 0, sizeof(*commands));

	for (size_t i = 0; i < _OP_MAX; i++) {
		add_command(commands, ops[i].verb, &ops[i]);
		if (i + 1 < _OP_MAX && same_noun(ops[i].verb, ops[i + 1].verb))
			continue;
		/* The last operation of its noun: what is only the client's goes behind it. */
		for (size_t v = 0; v < n_verbs; v++)
			if (!is_op(verbs[v].name) && same_noun(verbs[v].name, ops[i].verb))
				add_command(commands, verbs[v].name, NULL);
	}
}

struct named_flag {
	const char *flag;
	bool found;
};

static void compare_flag(void *ctx, const char *flag, const char *hint, const struct field *field)
{
	struct named_flag *named = ctx;

	named->found |= !strcmp(named->flag, flag);
}

bool command_takes(const struct command *command, const struct option_spec *spec)
{
	struct named_flag named = { .flag = spec->flag };
	char name[40];

	command_name(command, name);
	if (command->settings)
		args_each(command->settings, compare_flag, &named);
	if (command->how)
		args_each(command->how, compare_flag, &named);
	return !named.found && option_applies(spec, name);
}

const char *command_noun_help(const char *noun)
{
	static const struct {
		const char *noun, *help;
	} nouns[] = {
		{ "vm", "virtual machines" },
		{ "disk", "disks of a VM" },
		{ "nic", "network interfaces of a VM" },
		{ "snapshot", "snapshots of the disks of a VM" },
		{ "vcpus", "the vCPUs of a VM" },
		{ "memory", "the memory of a VM" },
		{ "resources", "the limits of a VM" },
		{ "network", "virtual networks" },
		{ "image", "images, from which volumes are made" },
		{ "volume", "volumes, which are disks of VMs" },
		{ "operation", "what takes time" },
		{ "events", "what has happened" },
		{ "token", "tokens of remote clients" },
		{ "certificate", "the certificate for remote clients" },
		{ "host", "the host" },
		{ "openapi", "the REST interface" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(nouns); i++)
		if (!strcmp(nouns[i].noun, noun))
			return nouns[i].help;
	return noun;
}

void command_name(const struct command *command, char name[static 40])
{
	snprintf(name, 40, "%s%s%s", command->noun, *command->verb ? " " : "", command->verb);
}

void command_operands(const struct command *command, char text[static 40])
{
	bool optional = command->item_field && !command->item_field->required;
	const char *format = !*command->item ? "%s" : optional ? "%s [%s]" : "%s %s";

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(text, 40, format, command->operand, command->item);
#pragma GCC diagnostic pop
}

bool command_is_noun(const struct commands *commands, const char *noun)
{
	for (size_t i = 0; i < commands->n; i++)
		if (!strcmp(commands->list[i].noun, noun))
			return true;
	return false;
}

static int unknown_noun(const struct commands *commands, const char *typed, struct hvd_error *err)
{
	struct suggestion best = { 0 };

	for (size_t i = 0; i < commands->n; i++)
		suggest(&best, typed, commands->list[i].noun);
	if (best.name)
		return hvd_err(err, EINVAL, "no command \"%s\"; did you mean \"%s\"?", typed,
			       best.name);
	/* "hvcli start demo" */
	for (size_t i = 0; i < commands->n; i++)
		if (!strcmp(commands->list[i].verb, typed))
			return hvd_err(err, EINVAL, "no command \"%s\"; did you mean \"%s %s\"?",
				       typed, commands->list[i].noun, typed);
	return hvd_err(err, EINVAL, "no command \"%s\"; hvcli --help lists all", typed);
}

static int unknown_verb(const struct commands *commands, const char *noun, const char *typed,
			struct hvd_error *err)
{
	struct suggestion best = { 0 };

	for (size_t i = 0; i < commands->n; i++)
		if (!strcmp(commands->list[i].noun, noun))
			suggest(&best, typed, commands->list[i].verb);
	if (best.name)
		return hvd_err(err, EINVAL, "no command \"%s %s\"; did you mean \"%s %s\"?", noun,
			       typed, noun, best.name);
	return hvd_err(err, EINVAL, "no command \"%s %s\"; hvcli %s --help lists all", noun, typed,
		       noun);
}

int command_find(const struct commands *commands, int argc, char **argv, const struct command **ret,
		 int *used, struct hvd_error *err)
{
	const struct command *alone = NULL;

	for (size_t i = 0; i < commands->n; i++) {
		const struct command *command = &commands->list[i];

		if (strcmp(command->noun, argv[0]))
			continue;
		if (!*command->verb) {
			alone = command;
		} else if (argc > 1 && !strcmp(command->verb, argv[1])) {
			*ret = command;
			*used = 2;
			return 0;
		}
	}
	if (alone) {
		*ret = alone;
		*used = 1;
		return 0;
	}
	if (!command_is_noun(commands, argv[0]))
		return unknown_noun(commands, argv[0], err);
	if (argc < 2 || argv[1][0] == '-')
		return hvd_err(err, EINVAL, "%s what? hvcli %s --help lists all", argv[0], argv[0]);
	return unknown_verb(commands, argv[0], argv[1], err);
}

/* args_each() lends flags only for the time of the call, so the nearest one is copied. */
struct nearest_flag {
	const char *typed;
	struct suggestion best;
	char flag[SUGGEST_NAME_MAX + 1];
};

static void offer_flag(void *ctx, const char *flag, const char *hint, const struct field *field)
{
	struct nearest_flag *nearest = ctx;

	suggest(&nearest->best, nearest->typed, flag);
	if (nearest->best.name != flag)
		return;
	snprintf(nearest->flag, sizeof(nearest->flag), "%s", flag);
	nearest->best.name = nearest->flag;
}

static int unknown_flag(const struct command *command, const char *name, const char *arg,
			struct hvd_error *err)
{
	char typed[SUGGEST_NAME_MAX + 1];
	struct nearest_flag nearest = { .typed = typed };

	snprintf(typed, sizeof(typed), "%.*s", (int)strcspn(arg, "="), arg);
	for (size_t i = 0; i < n_option_specs; i++)
		if (option_applies(&option_specs[i], name))
			offer_flag(&nearest, option_specs[i].flag, NULL, NULL);
	if (command->settings)
		args_each(command->settings, offer_flag, &nearest);
	if (command->how)
		args_each(command->how, offer_flag, &nearest);
	if (nearest.best.name)
		return hvd_err(err, EINVAL, "no option %s; did you mean %s?", typed,
			       nearest.best.name);
	return hvd_err(err, EINVAL, "no option %s; hvcli %s --help lists all", typed, name);
}

/*
 * One option or setting: 1 when taken, else -EINVAL. A setting goes before an option of the same name
 * (--socket), which can stand before the command.
 */
static int take_flag(struct invocation *inv, const char *name, int argc, char **argv, int *index,
		     struct hvd_error *err)
{
	const struct schema *settings = inv->command->settings, *how = inv->command->how;
	int r;

	r = settings ? args_take(settings, argc, argv, index, inv->body, err) : 0;
	if (r == 0 && how)
		r = args_take(how, argc, argv, index, inv->query, err);
	if (r == 0)
		r = options_take(&inv->options, name, argc, argv, index, err);
	if (r == 0)
		return unknown_flag(inv->command, name, argv[*index], err);
	return r;
}

static int take_operand(struct invocation *inv, const char *arg, struct hvd_error *err)
{
	const struct command *command = inv->command;
	const char **place = !inv->operand ? &inv->operand : &inv->item;
	const char *what = !inv->operand ? command->operand : command->item;

	if (!*command->operand)
		return hvd_err(err, EINVAL, "\"%s\" is one word too many", arg);
	if (!*what || *place)
		return hvd_err(err, EINVAL, "\"%s\" is one word too many, after %s \"%s\"", arg,
			       *command->item ? command->item : command->operand,
			       inv->item ? inv->item : inv->operand);
	if (!*arg)
		return hvd_err(err, EINVAL, "%s is empty", what);
	*place = arg;
	return 0;
}

/* The second operand in the place of a flag. */
static int take_setting(struct invocation *inv, struct hvd_error *err)
{
	const struct field *field = inv->command->item_field;
	json_t *value;
	int r;

	r = json_from_text(field, inv->item, &value, err);
	if (r < 0)
		return hvd_err_in(err, r, "%s", inv->command->item);
	return json_object_set_new(inv->body, field->name, value) < 0
		       ? hvd_err(err, ENOMEM, "out of memory")
		       : 0;
}

/* Where it is a setting, that may come as a flag or in a file, or is not needed. */
static bool may_lack_item(const struct invocation *inv)
{
	const struct field *field = inv->command->item_field;

	return field && (!field->required || inv->options.file || json_object_get(inv->body, field->name));
}

/* Nothing that the command needs is missing. */
static int check_complete(const struct invocation *inv, const char *name, struct hvd_error *err)
{
	const struct command *command = inv->command;

	if (inv->options.help)
		return 0;
	/* A file of settings may hold the name of what is created, not of what is changed. */
	if (*command->operand && !inv->operand &&
	    !(inv->options.file && !strchr(command->op->path, '{')))
		return hvd_err(err, EINVAL, "%s is missing; hvcli %s --help tells more",
			       command->operand, name);
	if (*command->item && !inv->item && !may_lack_item(inv))
		return hvd_err(err, EINVAL, "%s is missing; hvcli %s --help tells more",
			       command->item, name);
	if (command->op && command->op->args_partial && !inv->options.file &&
	    !json_object_size(inv->body))
		return hvd_err(err, EINVAL, "nothing to change; hvcli %s --help lists what can be",
			       name);
	return 0;
}

int command_parse(struct invocation *inv, int argc, char **argv, struct hvd_error *err)
{
	bool flags = true;
	char name[40];
	int r, i = 0;

	command_name(inv->command, name);
	while (i < argc) {
		const char *arg = argv[i];

		if (flags && !strcmp(arg, "--")) {
			flags = false;
			i++;
		} else if (flags && arg[0] == '-' && arg[1]) {
			r = take_flag(inv, name, argc, argv, &i, err);
			if (r < 0)
				return r;
		} else {
			r = take_operand(inv, arg, err);
			if (r < 0)
				return r;
			i++;
		}
	}
	r = check_complete(inv, name, err);
	if (r == 0 && inv->item && inv->command->item_field)
		r = take_setting(inv, err);
	return r;
}

/* The request's body: settings as JSON, or a document as it is. *type NULL: there is none. */
static int build_body(const struct invocation *inv, const char **type, char **text,
		      struct hvd_error *err)
{
	const struct op *op = inv->command->op;
	int r;

	if (inv->command->settings) {
		*type = op->args_partial ? "application/merge-patch+json" : "application/json";
		return body_build(inv, text, err);
	}
	if (op->body_type) {
		*type = op->body_type;
		r = file_read(inv->operand, text, err);
		return r < 0 ? hvd_err_in(err, r, "%s", inv->command->operand) : 0;
	}
	return 0;
}

int command_upload(struct client *client, const char *name, const char *file, const json_t *query, bool no_wait,
		   struct client_answer *ret, struct hvd_error *err)
{
	const struct op *op = &ops[OP_IMAGE_UPLOAD];
	unsigned told = 0;
	struct client_body body = { .type = op->body_type, .sent = operation_show_sent, .ctx = &told };
	AUTO(fclose) FILE *opened = NULL;
	AUTO(free) char *path = NULL;
	int r = client_path(op->path, name, NULL, query, &path, err);

	if (r < 0)
		return r;
	body.file = stdin;
	if (strcmp(file, "-"))
		body.file = opened = fopen(file, "re");
	if (!body.file)
		return hvd_err(err, errno, "%s: %s", file, strerror(errno));
	r = operation_call(client, op, path, &body, no_wait, ret, err);
	terminal_clear_line();
	return r;
}

int command_request(struct client *client, const struct invocation *inv, struct client_answer *ret,
		    struct hvd_error *err)
{
	const struct op *op = inv->command->op;
	AUTO(free) char *path = NULL, *text = NULL;
	struct client_body body = { 0 };
	int r;

	if (op->upload)
		return command_upload(client, inv->operand, inv->item, inv->query, inv->options.no_wait, ret, err);
	r = client_path(op->path, inv->operand ? inv->operand : "", inv->item, inv->query, &path,
			err);
	if (r < 0)
		return r;
	r = build_body(inv, &body.type, &text, err);
	if (r < 0)
		return r;
	body.text = text;
	return operation_call(client, op, path, body.type ? &body : NULL, inv->options.no_wait, ret,
			      err);
}

int command_call(struct client *client, const struct invocation *inv, struct hvd_error *err)
{
	AUTO(client_answer_clear) struct client_answer answer = { 0 };
	int r = command_request(client, inv, &answer, err);

	return r < 0 ? r : output_answer(inv, &answer, err);
}
