/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rate limits: so many operations and so many bytes a second, and so many at once after a pause.
 *
 * A limit is a token bucket, kept as the one moment at which it would be full again: what is taken
 * moves that moment on by the time it takes to refill, and nothing may be taken while it is
 * further ahead than a whole bucket (the GCRA of ATM Forum TM 4.0). So there is no refilling to
 * do, and one atomic word is the state: queues on several I/O loops share a limit without a lock.
 * An operation of any size passes when anything is left, and is paid for by those behind it.
 *
 * struct rate is the limit of a device, struct rate_gate what one of its queues waits at. Times are
 * nanoseconds of CLOCK_MONOTONIC.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/base/counter.h"
#include "vmm/base/loop.h"

struct rate_limit {
	uint64_t per_second; /* 0: no limit */
	uint64_t burst;      /* most at once; 0: what comes in a tenth of a second */
};

struct rate_bucket {
	_Atomic uint64_t per_second;
	_Atomic uint64_t depth;   /* ns to fill it from empty */
	_Atomic uint64_t full_at; /* beyond now + depth: in debt */
};

/* All zero: no limits. */
struct rate {
	struct rate_bucket ops, bytes;
};

/*
 * Set or change the limits, from any thread. A debt under a limit that changes becomes an empty
 * bucket.
 */
void rate_set(struct rate *rate, const struct rate_limit *ops, const struct rate_limit *bytes,
	      uint64_t now);

/*
 * Take one operation of so many bytes (at most UINT32_MAX). Returns 0, or when to try again; then
 * nothing was taken. That is not the very moment at which it would pass, but up to a millisecond
 * later: a queue at its limit is to wake for a batch, not for each request. From any thread.
 */
uint64_t rate_take(struct rate *rate, uint64_t now, uint32_t bytes);

/* Take it in any case. Returns as rate_take() would for another one of no bytes or more. */
uint64_t rate_charge(struct rate *rate, uint64_t now, uint32_t bytes);

uint64_t rate_now(void);

/* A queue's place to wait. On the thread of its loop but for init and destroy. */
struct rate_gate {
	struct rate *rate;
	struct loop_source timer;
	void (*opened)(struct rate_gate *gate); /* may pass again, or the limits have changed */
	bool shut;
	uint64_t shut_at;
	struct counter shut_ns; /* how long it has been shut, once it has opened */
};

/* rate stays the caller's. 0 or -EMFILE, -ENFILE, -ENOMEM; to be destroyed in either outcome. */
int rate_gate_init(struct rate_gate *gate, struct rate *rate, void (*opened)(struct rate_gate *));
void rate_gate_destroy(struct rate_gate *gate);

/* Between them the gate may be used. stop: opened() is not called any more. 0, -ENOMEM, -ENOSPC. */
int rate_gate_start(struct rate_gate *gate, struct loop *loop);
void rate_gate_stop(struct rate_gate *gate);

/* May an operation of so many bytes go ahead? If not, the gate is shut until opened() is called. */
bool rate_gate_pass(struct rate_gate *gate, uint32_t bytes);

/* An operation has been done, whatever is left. The gate is shut when there is nothing left. */
void rate_gate_charge(struct rate_gate *gate, uint32_t bytes);

/* After rate_set(): opens the gate where it is shut. No-op on one that is not started. */
void rate_gate_retry(struct rate_gate *gate);
