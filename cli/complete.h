/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shell completion: `hvcli __complete WORD… PARTIAL` prints, one a line, what PARTIAL may become. The
 * shell's script (cli/completion/) only passes words, so that a new setting completes by itself.
 */
#pragma once

#include "cli/command.h"

/* argv: the words behind "hvcli", the last of which is being typed (it may be ""). */
void complete(const struct commands *commands, int argc, char **argv, FILE *f);
