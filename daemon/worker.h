/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hvd-vmm, the process of one VM: what its two modes share.
 *
 * Control mode (daemon/worker_control.c): standard input is a SOCK_SEQPACKET socket, over which
 * hvd sends the configuration and every descriptor. Foreground mode (daemon/worker_foreground.c):
 * --config names a JSON file, the terminal is the console; no daemon is needed.
 *
 * Both return the exit status: 0 when the guest has shut down or was stopped, else see worker_exit_status().
 */
#pragma once

#include "daemon/sandbox.h"
#include "vmm/base/err.h"
#include "vmm/config.h"

int worker_control(int sock, const struct sandbox *sandbox);
int worker_foreground(const char *config_path, const struct sandbox *sandbox);

/* sandbox_enter(); a thread that cannot be confined ends the process. */
void worker_enter_sandbox(const struct sandbox *sandbox, enum vmm_thread kind);

/* Read JSON text of a VM's spec; schema_clear(&vm_schema, config) frees it. */
int worker_read_config(int fd, struct vm_config *config, struct hvd_error *err);

/* Of a VM that has stopped with an error for this reason. */
int worker_exit_status(enum vmm_reason reason);

/* A signalfd of these signals, which are blocked from here on in all threads. Ends with 0. */
int worker_signals(const int *signals, int *ret);
