/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The threads that vCPUs run on: as many as the VM has vCPUs, made once. A reset makes new vCPUs, and
 * these go on with them: the host keeps its affinity, accounting and sandbox of each.
 *
 * Called on the main loop's thread.
 */
#pragma once

#include <pthread.h>
#include <sys/types.h>

#include "vmm/base/cleanup.h"
#include "vmm/base/err.h"

struct vcpu_crew;

/* on_thread(ctx) runs on each thread, first of all. -EAGAIN, -ENOMEM. */
int vcpu_crew_new(unsigned n, void (*on_thread)(void *ctx), void *ctx, struct vcpu_crew **ret,
		  struct hvd_error *err);

/* All are idle. */
struct vcpu_crew *vcpu_crew_free(struct vcpu_crew *crew);
DEFINE_AUTO(struct vcpu_crew *, vcpu_crew_free);

/* Have thread i, which is idle, run fn(arg); returns at once. */
void vcpu_crew_run(struct vcpu_crew *crew, unsigned i, void (*fn)(void *arg), void *arg);

/* Returns when thread i is idle. */
void vcpu_crew_wait(struct vcpu_crew *crew, unsigned i);

pthread_t vcpu_crew_thread(const struct vcpu_crew *crew, unsigned i);
pid_t vcpu_crew_tid(const struct vcpu_crew *crew, unsigned i);
