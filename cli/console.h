/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VM's console on this terminal, or through a pipe.
 *
 * Standard input that is a terminal goes into raw mode, and ^] leaves. Other input (a pipe, a file,
 * /dev/null) is sent as it is, and at its end the console is still followed until the VM stops.
 *
 * A connection that ends while the VM goes on, because hvd has been restarted, is made again, and what
 * was shown before is not shown twice (cli/replay.h).
 */
#pragma once

#include <stdbool.h>

#include "cli/target.h"
#include "vmm/base/err.h"

#define CONSOLE_ESCAPE 0x1d /* ^], as telnet and virsh have it */

#define CONSOLE_PATIENCE 60 /* seconds without a connection, before it is given up */

struct console_target {
	const struct target *target; /* hvd */
	const char *path;   /* of the console resource */
	const char *name;   /* the VM's, for messages */
	/*
	 * Asked when the connection has ended. 1: the VM goes on, 0: it has stopped, -EAGAIN: nobody
	 * knows, for hvd does not answer; another -errno ends it.
	 */
	int (*goes_on)(void *ctx, struct hvd_error *err);
	/* Called with the size of the terminal, at first and when it has changed. NULL: nobody wants it. */
	void (*resized)(void *ctx, unsigned columns, unsigned rows);
	void *ctx;
};

/* Returns 0 when the VM has stopped or the user left, by ^] or a signal; or -errno. */
int console_run(const struct console_target *target, struct hvd_error *err);
