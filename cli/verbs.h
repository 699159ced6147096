/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the client adds to the operations table: verbs that are several requests (edit, wait,
 * console), and what a person reads of the others.
 */
#pragma once

#include "cli/command.h"

struct verb {
	const char *name;    /* "vm start" */
	command_fn run;      /* NULL: command_call() */
	const char *help;    /* only where there is no such operation; these take a VM */
	const char *thing;   /* what it is done to: "Disk"; NULL: a VM */
	const char *done;    /* what is said of it after success: "started"; NULL: nothing */
	const char *example; /* a command line as help shows it, or NULL */
	const char *setting; /* of the body, that a second operand may give, or NULL */
};

extern const struct verb verbs[];
extern const size_t n_verbs;
