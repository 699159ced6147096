/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VM's console on this terminal, or through a pipe.
 *
 * Standard input that is a terminal goes into raw mode, and ^] leaves. Other input (a pipe, a file,
 * /dev/null) is sent as it is, and at its end the console is still followed until the VM stops.
 */
#pragma once

#include <stdbool.h>

#include "vmm/base/err.h"

#define CONSOLE_ESCAPE 0x1d /* ^], as telnet and virsh have it */

enum console_end {
	CONSOLE_CLOSED, /* by hvd: the VM has stopped, or hvd itself has */
	CONSOLE_LEFT,   /* by the user, or by a signal */
};

/*
 * socket: hvd's. path: of the console resource. name: the VM's, for messages. Returns when it
 * ended, with *end set, or -errno.
 */
int console_run(const char *socket, const char *path, const char *name, enum console_end *end,
		struct hvd_error *err);
