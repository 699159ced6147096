/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the balloon device tells, on vCPUs and I/O loops, brought to the main loop. A guest may change
 * it as often as it likes: the last is delivered, some times a second.
 */
#pragma once

#include <pthread.h>

#include "vmm/balloon.h"
#include "vmm/base/loop.h"

struct balloon_report {
	struct loop *main;
	struct loop_work work;
	struct loop_source pause; /* timerfd, watched while nothing is delivered */
	void (*fn)(void *ctx, const struct balloon_info *info); /* on the main loop */
	void *ctx;
	pthread_mutex_t lock; /* protects what follows */
	struct balloon_info info;
	bool fresh; /* not delivered yet */
};

/* 0 or -EMFILE, -ENFILE, -ENOMEM; to be destroyed in either outcome. */
int balloon_report_init(struct balloon_report *report, struct loop *main,
			void (*fn)(void *ctx, const struct balloon_info *info), void *ctx);

/* On the main loop, when nobody tells any more. What was not delivered is not. No-op on a zeroed one. */
void balloon_report_destroy(struct balloon_report *report);

/* From any thread. */
void balloon_report_put(struct balloon_report *report, const struct balloon_info *info);
