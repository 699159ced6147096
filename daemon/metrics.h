/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measuring VMs, all of them or one, and hvd itself. Nothing waits: processes are asked, and what has
 * not answered in time is given without.
 *
 * All VMs are measured for one client at a time, and those that ask meanwhile share the next round: however
 * many ask, a VM's process has one question to answer.
 */
#pragma once

#include "api/metrics.h"
#include "daemon/manager.h"

struct metrics;

int metrics_new(struct manager *manager, struct metrics **ret);
/* After the VMs: no round is under way. */
struct metrics *metrics_free(struct metrics *metrics);

/* In the order of names; they are the caller's for the moment. r < 0: -ENOMEM, -EAGAIN (hvd ends), and none. */
typedef void (*metrics_done_fn)(void *ctx, int r, const struct vm_metrics *vms, size_t n);

/* vm NULL: all. done is called once, also before return. */
void metrics_measure(struct metrics *metrics, struct vm *vm, metrics_done_fn done, void *ctx);

/* Of the host and hvd. ret is zeroed; schema_clear(&host_metrics_schema, ret) frees it. 0 or -ENOMEM. */
int metrics_host(const struct manager *manager, struct host_metrics *ret);
