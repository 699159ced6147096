/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shell completion: `hvcli __complete WORD… PARTIAL` prints, one a line, what PARTIAL may become, and behind
 * a tab what that is, where there is something to say. The shells' scripts (cli/completion/) only pass
 * words, so that a new setting completes by itself.
 */
#pragma once

#include "cli/command.h"

/* The exit status that says: the name of a file may stand here. */
#define COMPLETE_FILES 3

/*
 * argv: the words behind "hvcli", the last of which is being typed (it may be ""). Returns the exit
 * status: 0 or COMPLETE_FILES.
 */
int complete(const struct commands *commands, int argc, char **argv, FILE *f);
