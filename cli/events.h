/* SPDX-License-Identifier: Apache-2.0 */
/* hvcli events: what has happened, and, with --follow, what happens. */
#pragma once

#include "cli/command.h"

int events_run(struct client *client, const struct invocation *inv, struct hvd_error *err);
