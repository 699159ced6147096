/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options of hvcli itself: everything on a command line that is not a setting of the schema.
 *
 * One table (options.c) says which there are and which commands take them; parsing, --help, shell
 * completion and the test of the man page are walks over it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "cli/top_rates.h"
#include "vmm/base/err.h"

enum output_format { OUTPUT_TABLE, OUTPUT_WIDE, OUTPUT_JSON, OUTPUT_YAML, OUTPUT_NAME, _OUTPUT_MAX };
extern const char *const output_format_names[_OUTPUT_MAX + 1]; /* NULL-terminated */

struct options {
	const char *socket;
	/* of a remote hvd; NULL where not given */
	const char *host, *token_file, *cacert, *cert, *key, *pin;
	enum output_format format;
	bool help, version;

	bool batch, vcpus;
	bool start, console, wait, no_wait, read_only, follow;
	const char *file;      /* "-": standard input */
	const char *until;     /* a state of vm_state_names */
	unsigned timeout;      /* seconds */
	unsigned interval;     /* seconds, 1 or more */
	unsigned count;        /* 0: not given */
	enum top_sort sort;
};

#define OPTIONS_SOCKET "/run/hvd/hvd.sock"

/* Defaults, and the environment's HVD_SOCKET, HVD_HOST and HVD_CACERT. */
struct options options_default(void);

enum option_type {
	OPTION_BOOL,
	OPTION_TEXT,
	OPTION_FILE,
	OPTION_FORMAT,  /* of output_format_names */
	OPTION_STATE,   /* of vm_state_names */
	OPTION_SECONDS,
	OPTION_COUNT, /* 1 or more */
	OPTION_SORT,  /* of top_sort_names */
};

/* Every command whose operation takes time. */
#define OPTION_OF_LASTING "*"

struct option_spec {
	const char *flag; /* "--socket" */
	char letter;      /* 'o', or 0 */
	enum option_type type;
	size_t offset;            /* in struct options */
	const char *hint;         /* "PATH"; NULL for OPTION_BOOL */
	const char *help;         /* one line */
	const char *commands[5];  /* "vm start"; none: every command; or OPTION_OF_LASTING */
};

extern const struct option_spec option_specs[];
extern const size_t n_option_specs;

/* Does this command ("vm start") take the option? "" is hvcli alone. */
bool option_applies(const struct option_spec *spec, const char *command);

/* NULL-terminated values that the option may have, or NULL when any text may stand there. */
const char *const *option_values(const struct option_spec *spec);

/* The option that arg ("--socket", "--socket=x", "-o", "-ojson") is, or NULL. */
const struct option_spec *option_find(const char *arg, const char *command);

/*
 * Take argv[*index] when it is one of the options of the command: 1, with *index moved behind it
 * and its value; 0 when it is not; -EINVAL.
 */
int options_take(struct options *options, const char *command, int argc, char **argv, int *index,
		 struct hvd_error *err);
