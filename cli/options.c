/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/ops.h"
#include "vmm/base/macro.h"

#define TIMEOUT_DEFAULT 120
#define TIMEOUT_MAX (24 * 3600)
#define INTERVAL_DEFAULT 2

const char *const output_format_names[_OUTPUT_MAX + 1] = {
	[OUTPUT_TABLE] = "table",
	[OUTPUT_WIDE] = "wide",
	[OUTPUT_JSON] = "json",
	[OUTPUT_YAML] = "yaml",
	[OUTPUT_NAME] = "name",
};

#define AT(member) offsetof(struct options, member)

const struct option_spec option_specs[] = {
	{ "--start", 0, OPTION_BOOL, AT(start), NULL,
	  "Start it at once; it is not kept when it cannot start", { "vm create" } },
	{ "--console", 0, OPTION_BOOL, AT(console), NULL, "Start it, then follow its console",
	  { "vm create", "vm start" } },
	{ "--wait", 0, OPTION_BOOL, AT(wait), NULL,
	  "Return when it runs, or when it has stopped",
	  { "vm start", "vm shutdown", "vm stop" } },
	{ "--no-wait", 0, OPTION_BOOL, AT(no_wait), NULL,
	  "Do not wait for the end of what takes time, tell the operation's id",
	  { OPTION_OF_LASTING } },
	{ "--for", 0, OPTION_STATE, AT(until), "STATE", "State to wait for (default: running)",
	  { "vm wait" } },
	{ "--timeout", 0, OPTION_SECONDS, AT(timeout), "SECONDS",
	  "How long to wait (default: 120)", { "vm wait", "vm start", "vm shutdown", "vm stop",
						"operation wait" } },
	{ "--read-only", 0, OPTION_BOOL, AT(read_only), NULL,
	  "Watch only, leave the keyboard to others", { "vm console" } },
	{ "--follow", 0, OPTION_BOOL, AT(follow), NULL,
	  "Go on with what happens from now on, or since --since", { "events" } },
	{ "--interval", 0, OPTION_COUNT, AT(interval), "SECONDS",
	  "Time between two looks (default: 2)", { "vm top" } },
	{ "--count", 'n', OPTION_COUNT, AT(count), "N",
	  "End after so many tables (default: on a terminal none, else after one)", { "vm top" } },
	{ "--sort", 0, OPTION_SORT, AT(sort), "KEY",
	  "What comes first: most cpu, steal, memory, disk, net or exits, or by name (default: cpu)",
	  { "vm top" } },
	{ "--vcpus", 0, OPTION_BOOL, AT(vcpus), NULL, "A line for each vCPU as well", { "vm top" } },
	{ "--batch", 0, OPTION_BOOL, AT(batch), NULL,
	  "Print tables one behind the other, as where there is no terminal", { "vm top" } },
	{ "--file", 'f', OPTION_FILE, AT(file), "FILE",
	  "Take settings from a JSON file first, - for standard input",
	  { "vm create", "vm set" } },

	{ "--output", 'o', OPTION_FORMAT, AT(format), "FORMAT",
	  "How to print: table, wide, json, yaml or name (default: table)", { NULL } },
	{ "--socket", 0, OPTION_TEXT, AT(socket), "PATH",
	  "The socket of hvd (default: $HVD_SOCKET or " OPTIONS_SOCKET ")", { NULL } },
	{ "--host", 0, OPTION_TEXT, AT(host), "URL",
	  "Another machine's hvd, https://NAME:PORT (default: $HVD_HOST)", { NULL } },
	{ "--token-file", 0, OPTION_FILE, AT(token_file), "FILE",
	  "The token for it (default: $HVD_TOKEN is the token itself)", { NULL } },
	{ "--cacert", 0, OPTION_FILE, AT(cacert), "FILE",
	  "What to know it by: its certificate or that of its authority (default: $HVD_CACERT, "
	  "or the system's)", { NULL } },
	{ "--pin", 0, OPTION_TEXT, AT(pin), "HASH",
	  "What to know it by instead: the pin of hvcli certificate show there", { NULL } },
	{ "--cert", 0, OPTION_FILE, AT(cert), "FILE", "A client's certificate, instead of a token",
	  { NULL } },
	{ "--key", 0, OPTION_FILE, AT(key), "FILE", "Its private key, if in another file",
	  { NULL } },
	{ "--help", 'h', OPTION_BOOL, AT(help), NULL,
	  "Show what there is; behind a command, all about it", { NULL } },
	{ "--version", 0, OPTION_BOOL, AT(version), NULL, "Show the version", { "" } },
};
const size_t n_option_specs = ARRAY_SIZE(option_specs);

/* Empty is not set. */
static const char *from_environment(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

struct options options_default(void)
{
	const char *socket = from_environment("HVD_SOCKET");

	return (struct options){
		.socket = socket ? socket : OPTIONS_SOCKET,
		.host = from_environment("HVD_HOST"),
		.cacert = from_environment("HVD_CACERT"),
		.until = vm_state_names[VM_RUNNING],
		.timeout = TIMEOUT_DEFAULT,
		.interval = INTERVAL_DEFAULT,
	};
}

static bool takes_time(const char *command)
{
	for (const struct op *op = ops; op < ops + _OP_MAX; op++)
		if (!strcmp(op->verb, command))
			return op->effect != EFFECT_NONE;
	return false;
}

bool option_applies(const struct option_spec *spec, const char *command)
{
	if (!spec->commands[0])
		return true;
	if (!strcmp(spec->commands[0], OPTION_OF_LASTING))
		return takes_time(command);
	for (size_t i = 0; i < ARRAY_SIZE(spec->commands) && spec->commands[i]; i++)
		if (!strcmp(spec->commands[i], command))
			return true;
	return false;
}

const char *const *option_values(const struct option_spec *spec)
{
	switch (spec->type) {
	case OPTION_FORMAT:
		return output_format_names;
	case OPTION_STATE:
		return vm_state_names;
	case OPTION_SORT:
		return top_sort_names;
	default:
		return NULL;
	}
}

const struct option_spec *option_find(const char *arg, const char *command)
{
	size_t len = strcspn(arg, "=");

	for (const struct option_spec *spec = option_specs;
	     spec < option_specs + n_option_specs; spec++) {
		if (!option_applies(spec, command))
			continue;
		if (strlen(spec->flag) == len && !strncmp(arg, spec->flag, len))
			return spec;
		if (spec->letter && arg[0] == '-' && arg[1] == spec->letter &&
		    (!arg[2] || spec->type != OPTION_BOOL))
			return spec;
	}
	return NULL;
}

/* The value in the same word ("--output=json", "-ojson"), or NULL. */
static const char *attached_value(const char *arg)
{
	const char *equals;

	if (arg[1] != '-')
		return arg[2] ? arg + 2 : NULL;
	equals = strchr(arg, '=');
	return equals ? equals + 1 : NULL;
}

static int check_value(const struct option_spec *spec, const char *value, size_t *index,
		       struct hvd_error *err)
{
	const char *const *values = option_values(spec);
	char list[128] = "";

	for (size_t i = 0; values[i]; i++) {
		if (!strcmp(values[i], value)) {
			*index = i;
			return 0;
		}
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s", i ? ", " : "",
			 values[i]);
	}
	return hvd_err(err, EINVAL, "%s: \"%s\" is none of %s", spec->flag, value, list);
}

static int set_count(const struct option_spec *spec, const char *value, unsigned min, unsigned *ret,
		     struct hvd_error *err)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(value, &end, 10);
	if (errno || *end || end == value || *value == '-' || n < min || n > TIMEOUT_MAX)
		return hvd_err(err, EINVAL, "%s: \"%s\" is no number%s from %u to %u", spec->flag,
			       value, strcmp(spec->hint, "SECONDS") ? "" : " of seconds", min,
			       TIMEOUT_MAX);
	*ret = (unsigned)n;
	return 0;
}

static int set_value(struct options *options, const struct option_spec *spec, const char *value,
		     struct hvd_error *err)
{
	void *member = (char *)options + spec->offset;
	size_t index = 0;
	int r;

	switch (spec->type) {
	case OPTION_BOOL:
		*(bool *)member = true;
		return 0;
	case OPTION_TEXT:
	case OPTION_FILE:
		*(const char **)member = value;
		return 0;
	case OPTION_FORMAT:
		r = check_value(spec, value, &index, err);
		if (r == 0)
			*(enum output_format *)member = (enum output_format)index;
		return r;
	case OPTION_STATE:
		r = check_value(spec, value, &index, err);
		if (r == 0)
			*(const char **)member = vm_state_names[index];
		return r;
	case OPTION_SECONDS:
		return set_count(spec, value, 0, member, err);
	case OPTION_COUNT:
		return set_count(spec, value, 1, member, err);
	case OPTION_SORT:
		r = check_value(spec, value, &index, err);
		if (r == 0)
			*(enum top_sort *)member = (enum top_sort)index;
		return r;
	}
	return -EINVAL;
}

int options_take(struct options *options, const char *command, int argc, char **argv, int *index,
		 struct hvd_error *err)
{
	const char *arg = argv[*index], *value = attached_value(arg);
	const struct option_spec *spec = option_find(arg, command);
	int r, used = 1;

	if (!spec)
		return 0;
	if (!spec->hint && value)
		return hvd_err(err, EINVAL, "%s takes no value", spec->flag);
	if (spec->hint && !value) {
		if (*index + 1 >= argc)
			return hvd_err(err, EINVAL, "%s needs a value: %s", spec->flag,
				       spec->hint);
		value = argv[*index + 1];
		used = 2;
	}
	r = set_value(options, spec, value, err);
	if (r < 0)
		return r;
	*index += used;
	return 1;
}
