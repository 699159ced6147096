/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands of hvcli: the operations table (api/ops.h), which says almost all, plus what only a
 * client can do (console, edit, wait, …).
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "api/json.h"
#include "api/ops.h"
#include "cli/client.h"
#include "cli/options.h"
#include "vmm/base/err.h"

struct command;

/* One command line, taken apart. */
struct invocation {
	const struct command *command;
	struct options options;
	const char *operand; /* name of a VM or network, a file; NULL when there is none */
	const char *item;    /* the second one: id of a disk or NIC, …; NULL when there is none */
	json_t *body;        /* settings given as flags: an object, empty when none were */
	json_t *query;       /* how it is to be done, likewise */
};

typedef int (*command_fn)(struct client *client, const struct invocation *inv,
			  struct hvd_error *err);

struct command {
	char noun[16];                 /* "vm" */
	const char *verb;              /* "start"; "" where the noun stands alone ("host") */
	char operand[16];              /* "VM", "NETWORK", "NAME", "FILE"; "": takes none */
	/* "DISK", "NIC", or of item_field: that may be missing, as another may take its place, unless it is required */
	char item[16];
	const struct field *item_field; /* the setting that item is, or NULL */
	const struct schema *settings; /* whose flags it takes, or NULL */
	const struct schema *how;      /* whose flags say how it is to be done, or NULL */
	const struct op *op;           /* what it asks of hvd; NULL: several things */
	command_fn run;
	const char *help;    /* one line */
	const char *thing;   /* what it is done to: "Disk"; NULL: a VM */
	const char *done;    /* what to say of it after success: "started"; NULL: nothing */
	const char *example; /* a command line, or NULL */
};

#define COMMANDS_MAX (_OP_MAX + 8)

struct commands {
	struct command list[COMMANDS_MAX];
	size_t n;
};

/* All commands, those of a noun together. */
void commands_init(struct commands *commands);

/* What stands behind the verb: "", "VM", "VM DISK", "VM [PATH]". */
void command_operands(const struct command *command, char text[static 40]);

/* "vm start", or "host" where there is no verb. */
/* Does it take the option behind its verb? Not where a setting has that name. */
bool command_takes(const struct command *command, const struct option_spec *spec);

/* What a noun is about: "virtual machines". */
const char *command_noun_help(const char *noun);

void command_name(const struct command *command, char name[static 40]);

/*
 * The command that argv[0] and perhaps argv[1] name; *used says how many words that was.
 * -EINVAL: there is none; err suggests the nearest.
 */
int command_find(const struct commands *commands, int argc, char **argv, const struct command **ret,
		 int *used, struct hvd_error *err);

/* True when some command has this noun. */
bool command_is_noun(const struct commands *commands, const char *noun);

/*
 * Take the rest of the command line apart into *inv (command and options are set already; body
 * is a new object, the caller's). -EINVAL: wrong usage.
 */
int command_parse(struct invocation *inv, int argc, char **argv, struct hvd_error *err);

/* Send what a command that has an op says, settings or a document. *ret as client_call(). */
int command_request(struct client *client, const struct invocation *inv, struct client_answer *ret,
		    struct hvd_error *err);

/* Send a file ("-": standard input) to be the image of this name; query: its format. *ret as client_call(). */
int command_upload(struct client *client, const char *name, const char *file, const json_t *query, bool no_wait,
		   struct client_answer *ret, struct hvd_error *err);

/* Runs any command that has an op: sends the request, prints the answer. */
int command_call(struct client *client, const struct invocation *inv, struct hvd_error *err);
