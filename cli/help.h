/* SPDX-License-Identifier: Apache-2.0 */
/* --help, made from the tables. */
#pragma once

#include <stdio.h>

#include "cli/command.h"

/* All commands, or (noun not NULL) those of a noun. */
void help_overview(const struct commands *commands, const char *noun, FILE *f);

/* Usage, options and settings of one command. */
void help_command(const struct command *command, FILE *f);
