/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/complete.h"

#include <string.h>
#include <strings.h>

#include "api/args.h"
#include "cli/text.h"
#include "cli/value.h"

struct completion {
	const char *partial; /* what is being typed */
	size_t kept;         /* of it that stays as it is: "--output=", "path=a.img," */
	FILE *f;
	bool files;
	const struct command *command;
	char name[40]; /* of the command: "vm start" */
	struct options options;
	const char *operands[2]; /* those before partial */
	size_t n_operands;
	/* The flag that partial, or what is in it, is the value of; not terminated. */
	const char *flag;
	size_t flag_len;
	const struct field *field; /* the setting that this flag is, or NULL */
	bool found;
};

/* word may become of what is typed behind what is kept. */
static void offer(const struct completion *c, const char *word, const char *end, const char *help)
{
	const char *typed = c->partial + c->kept;

	if (strncmp(word, typed, strlen(typed)))
		return;
	fprintf(c->f, "%.*s%s%s%s%s\n", (int)c->kept, c->partial, word, end, help ? "\t" : "",
		help ? help : "");
}

static void offer_all(const struct completion *c, const char *const *words)
{
	for (; words && *words; words++)
		offer(c, *words, "", NULL);
}

/* ---- names, of hvd ---- */

/* Names of all VMs or networks, ids of a VM's disks; nothing when hvd does not answer. */
static void offer_names(const struct completion *c, const struct op *list, const char *of)
{
	AUTO(client_answer_clear) struct client_answer answer = { 0 };
	AUTO(target_clear) struct target target = { 0 };
	AUTO(client_free) struct client *client = NULL;
	AUTO(free) char *path = NULL;
	size_t index;
	json_t *item;

	if (client_path(list->path, of, NULL, NULL, &path, NULL) < 0 ||
	    target_init(&target, &c->options, NULL) < 0 ||
	    client_new(&target, &client, NULL) < 0 ||
	    client_call(client, list->method, path, NULL, &answer, NULL) < 0)
		return;
	json_array_foreach(json_object_get(answer.json, "items"), index, item) {
		const char *key = list->result_schema->key;
		const char *name = value_string_at(item, key ? key : "name");
		AUTO(free) char *clean = name ? text_clean(name) : NULL;

		if (clean)
			offer(c, clean, "", value_string_at(item, "status.state"));
	}
}

/* What has names of its own. */
static const struct {
	const char *operand;
	enum op_id list;
} named[] = {
	{ "VM", OP_VM_LIST },
	{ "NETWORK", OP_NETWORK_LIST },
	{ "IMAGE", OP_IMAGE_LIST },
	{ "VOLUME", OP_VOLUME_LIST },
	{ "OPERATION", OP_OPERATION_LIST },
	{ "TOKEN", OP_TOKEN_LIST },
};

static bool offer_named(const struct completion *c, const char *what)
{
	for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++)
		if (!strcmp(named[i].operand, what)) {
			offer_names(c, &ops[named[i].list], "");
			return true;
		}
	return false;
}

/* ---- values of flags ---- */

static void take_field(void *ctx, const char *flag, const char *hint, const struct field *field)
{
	struct completion *c = ctx;

	if (hint && strlen(flag) == c->flag_len && !strncmp(flag, c->flag, c->flag_len)) {
		c->field = field;
		c->found = true;
	}
}

/* Is it a flag with a value? Of a setting, c->field is set; of an option, *spec. */
static bool takes_value(struct completion *c, const char *flag, size_t len,
			const struct option_spec **spec)
{
	const struct command *command = c->command;

	c->flag = flag;
	c->flag_len = len;
	c->field = NULL;
	c->found = false;
	*spec = NULL;
	if (command->settings)
		args_each(command->settings, take_field, c);
	if (command->how)
		args_each(command->how, take_field, c);
	if (!c->found)
		*spec = option_find(flag, c->name);
	return c->found || (*spec && (*spec)->hint);
}

static void offer_value(struct completion *c, const struct field *field)
{
	static const char *const yes_no[] = { "yes", "no", NULL };

	offer_all(c, field->type == FIELD_BOOL ? yes_no : field->names);
	c->files |= field->path;
}

/* "path=a.img,cache=none": keys of an item, and their values. */
static void offer_keys(struct completion *c, const struct schema *item)
{
	for (size_t i = 0; i < item->n_fields; i++) {
		const struct field *key = &item->fields[i];

		if (key->type == FIELD_STRUCT)
			offer_keys(c, key->sub);
		else if (!key->read_only && key->type != FIELD_LIST)
			offer(c, key->name, "=", key->help);
	}
}

static void offer_item(struct completion *c, const struct schema *item)
{
	const char *typed = c->partial + c->kept, *comma = strrchr(typed, ',');
	const char *part = comma ? comma + 1 : typed, *equals = strchr(part, '=');
	const struct field *key;

	c->kept = (size_t)(part - c->partial);
	if (!equals) {
		/* the first may stand without its name */
		if (!comma && c->n_operands && !strcmp(item->fields[0].name, "id"))
			offer_names(c, &ops[OP_DISK_LIST], c->operands[0]);
		c->files |= !comma && item->fields[0].path;
		offer_keys(c, item);
		return;
	}
	key = schema_field_n(item, part, (size_t)(equals - part));
	c->kept = (size_t)(equals + 1 - c->partial);
	if (key)
		offer_value(c, key);
	for (size_t i = 0; key && i < sizeof(named) / sizeof(named[0]); i++)
		if (!strcasecmp(key->name, named[i].operand))
			offer_names(c, &ops[named[i].list], "");
}

/* What stands at c->partial + c->kept is the value of this flag. */
static void complete_value(struct completion *c, const struct option_spec *spec)
{
	if (spec) {
		offer_all(c, option_values(spec));
		c->files |= spec->type == OPTION_FILE || spec->type == OPTION_TEXT;
	} else if (c->field->type == FIELD_LIST) {
		offer_item(c, c->field->sub);
	} else {
		offer_value(c, c->field);
	}
}

/* ---- flags and operands ---- */

static void offer_flag(void *ctx, const char *flag, const char *hint, const struct field *field)
{
	offer(ctx, flag, "", field->help);
}

static void complete_flag(struct completion *c)
{
	for (size_t i = 0; i < n_option_specs; i++)
		if (command_takes(c->command, &option_specs[i]))
			offer(c, option_specs[i].flag, "", option_specs[i].help);
	if (c->command->settings)
		args_each(c->command->settings, offer_flag, c);
	if (c->command->how)
		args_each(c->command->how, offer_flag, c);
}

static void complete_operand(struct completion *c)
{
	const struct command *command = c->command;

	if (c->n_operands == 0) {
		if (!offer_named(c, command->operand))
			c->files |= !strcmp(command->operand, "FILE");
	} else if (c->n_operands == 1 && *command->item && !offer_named(c, command->item)) {
		if (command->item_field)
			offer_value(c, &command->settings->fields[0]);
		else
			offer_names(c, op_by_verb(command->noun, "list"), c->operands[0]);
	}
}

/* The words behind the verb: flags with their values, and operands, which are kept. */
static const struct option_spec *take_words(struct completion *c, int argc, char **argv, bool *value)
{
	const struct option_spec *spec = NULL;

	*value = false;
	for (int i = 0; i < argc; i++) {
		bool flag = argv[i][0] == '-';

		if (!flag && c->n_operands < 2)
			c->operands[c->n_operands++] = argv[i];
		if (!flag || strchr(argv[i], '=') || !takes_value(c, argv[i], strlen(argv[i]), &spec))
			continue;
		*value = ++i == argc;
		if (!*value && spec && spec->type == OPTION_TEXT)
			options_take(&c->options, c->name, argc, argv, &(int){ i - 1 }, NULL);
	}
	return spec;
}

static void complete_command(struct completion *c, int argc, char **argv)
{
	const char *equals = c->partial[0] == '-' ? strchr(c->partial, '=') : NULL;
	const struct option_spec *spec;
	bool value;

	command_name(c->command, c->name);
	spec = take_words(c, argc, argv, &value);
	if (value) {
		complete_value(c, spec);
	} else if (equals) {
		c->kept = (size_t)(equals + 1 - c->partial);
		if (takes_value(c, c->partial, (size_t)(equals - c->partial), &spec))
			complete_value(c, spec);
	} else if (c->partial[0] == '-') {
		complete_flag(c);
	} else {
		complete_operand(c);
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
			offer(c, command->verb, "", command->help);
		else if (!noun && strcmp(command->noun, previous))
			offer(c, command->noun, "", command_noun_help(command->noun));
		previous = command->noun;
	}
}

int complete(const struct commands *commands, int argc, char **argv, FILE *f)
{
	struct completion c = { .partial = argc ? argv[argc - 1] : "", .f = f,
				.options = options_default() };
	int i = 0, used;

	while (i < argc - 1 && options_take(&c.options, "", argc - 1, argv, &i, NULL) > 0)
		;
	if (i < argc - 1 &&
	    command_find(commands, argc - 1 - i, argv + i, &c.command, &used, NULL) == 0)
		complete_command(&c, argc - 1 - i - used, argv + i + used);
	else
		complete_words(&c, commands, i < argc - 1 ? argv[i] : NULL);
	return c.files ? COMPLETE_FILES : 0;
}
