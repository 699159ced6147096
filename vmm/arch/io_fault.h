/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors of the host's disks for which the VM is to be stopped: reported on I/O loops, delivered on
 * the main loop. Of several that come at once the first is kept.
 */
#pragma once

#include <pthread.h>

#include "vmm/base/err.h"
#include "vmm/base/loop.h"

struct io_fault {
	struct loop *main;
	struct loop_work work;
	void (*fn)(void *ctx, const struct hvd_error *err); /* on the main loop; may free this */
	void *ctx;
	pthread_mutex_t lock; /* protects what follows */
	struct hvd_error err; /* code 0: none */
};

void io_fault_init(struct io_fault *fault, struct loop *main,
		   void (*fn)(void *ctx, const struct hvd_error *err), void *ctx);

/* On the main loop, when nobody reports any more. What was reported is not delivered. */
void io_fault_destroy(struct io_fault *fault);

/* From any thread. error: negative errno. */
void io_fault_report(struct io_fault *fault, const char *disk, int error);
