/* SPDX-License-Identifier: Apache-2.0 */
/* `hvcli vm top`: what VMs use, again and again. */
#pragma once

#include "cli/client.h"
#include "cli/command.h"

/*
 * On a terminal, until q or ^C: keys choose the order and show vCPUs, and the terminal is put back as it was.
 * Elsewhere, or with --batch, tables one behind the other, as many as --count says, one if it does not.
 */
int top_run(struct client *client, const struct invocation *inv, struct hvd_error *err);
