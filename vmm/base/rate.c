/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/base/rate.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>

#include "vmm/base/macro.h"

#define NSEC_PER_SEC 1000000000ULL
#define NAP (NSEC_PER_SEC / 1000)
#define DEFAULT_DEPTH (NSEC_PER_SEC / 10)
#define MAX_DEPTH (1ULL << 60) /* 36 years: sums of times stay within 64 bits */

static uint64_t get(_Atomic uint64_t *value)
{
	return atomic_load_explicit(value, memory_order_relaxed);
}

static void set(_Atomic uint64_t *value, uint64_t to)
{
	atomic_store_explicit(value, to, memory_order_relaxed);
}

/* Rounded up, so that a limit is never exceeded. */
static uint64_t time_for(uint64_t amount, uint64_t per_second)
{
	unsigned __int128 ns = (unsigned __int128)amount * NSEC_PER_SEC + per_second - 1;

	return (uint64_t)MIN(ns / per_second, (unsigned __int128)MAX_DEPTH);
}

static void bucket_set(struct rate_bucket *bucket, const struct rate_limit *limit, uint64_t now)
{
	uint64_t depth = DEFAULT_DEPTH;

	if (limit->per_second && limit->burst)
		depth = time_for(limit->burst, limit->per_second);
	else if (limit->per_second)
		depth = MAX(depth, time_for(1, limit->per_second));

	if (get(&bucket->per_second) == limit->per_second && get(&bucket->depth) == depth)
		return;
	set(&bucket->full_at, MIN(get(&bucket->full_at), now + depth));
	set(&bucket->depth, depth);
	set(&bucket->per_second, limit->per_second);
}

void rate_set(struct rate *rate, const struct rate_limit *ops, const struct rate_limit *bytes,
	      uint64_t now)
{
	bucket_set(&rate->ops, ops, now);
	bucket_set(&rate->bytes, bytes, now);
}

/* 0: there is something in it; else when to look again. */
static uint64_t bucket_wait(struct rate_bucket *bucket, uint64_t now)
{
	uint64_t depth = get(&bucket->depth), full_at = get(&bucket->full_at);

	if (!get(&bucket->per_second) || full_at < now + depth)
		return 0;
	return full_at - depth + MIN(depth, NAP);
}

static void bucket_take(struct rate_bucket *bucket, uint64_t now, uint32_t amount)
{
	uint64_t per_second = get(&bucket->per_second);
	uint64_t old = get(&bucket->full_at), cost;

	if (!per_second || !amount)
		return;
	cost = (amount * NSEC_PER_SEC + per_second - 1) / per_second;
	while (!atomic_compare_exchange_weak_explicit(&bucket->full_at, &old, MAX(old, now) + cost,
						      memory_order_relaxed, memory_order_relaxed))
		;
}

/*
 * Another loop may take the last one between the two steps: it is then one operation more than
 * there was, which becomes a debt like that of an operation larger than the bucket.
 */
uint64_t rate_take(struct rate *rate, uint64_t now, uint32_t bytes)
{
	uint64_t ops_at = bucket_wait(&rate->ops, now);
	uint64_t bytes_at = bytes ? bucket_wait(&rate->bytes, now) : 0;

	if (ops_at || bytes_at)
		return MAX(ops_at, bytes_at);
	bucket_take(&rate->ops, now, 1);
	bucket_take(&rate->bytes, now, bytes);
	return 0;
}

uint64_t rate_charge(struct rate *rate, uint64_t now, uint32_t bytes)
{
	uint64_t ops_at, bytes_at;

	bucket_take(&rate->ops, now, 1);
	bucket_take(&rate->bytes, now, bytes);
	ops_at = bucket_wait(&rate->ops, now);
	bytes_at = bucket_wait(&rate->bytes, now);
	return MAX(ops_at, bytes_at);
}

uint64_t rate_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

static bool limited(struct rate *rate)
{
	return get(&rate->ops.per_second) || get(&rate->bytes.per_second);
}

static void set_timer(struct rate_gate *gate, uint64_t at)
{
	struct itimerspec time = {
		.it_value = { (time_t)(at / NSEC_PER_SEC), (long)(at % NSEC_PER_SEC) },
	};

	timerfd_settime(gate->timer.fd, TFD_TIMER_ABSTIME, &time, NULL);
}

static void open_gate(struct rate_gate *gate)
{
	gate->shut = false;
	counter_add(&gate->shut_ns, rate_now() - gate->shut_at);
}

static void on_timer(struct loop_source *src, uint32_t events)
{
	struct rate_gate *gate = container_of(src, struct rate_gate, timer);

	if (!gate->shut)
		return;
	open_gate(gate);
	gate->opened(gate);
}

int rate_gate_init(struct rate_gate *gate, struct rate *rate, void (*opened)(struct rate_gate *))
{
	*gate = (struct rate_gate){ .rate = rate, .timer = { .fn = on_timer }, .opened = opened };
	gate->timer.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	return gate->timer.fd < 0 ? -errno : 0;
}

void rate_gate_destroy(struct rate_gate *gate)
{
	if (gate->opened && gate->timer.fd >= 0)
		close(gate->timer.fd);
	gate->timer.fd = -1;
}

int rate_gate_start(struct rate_gate *gate, struct loop *loop)
{
	gate->shut = false;
	/* edge-triggered: setting the timer anew is all that its expiry takes */
	return loop_add(loop, &gate->timer, EPOLLIN | EPOLLET);
}

void rate_gate_stop(struct rate_gate *gate)
{
	loop_remove(&gate->timer);
	if (gate->shut)
		open_gate(gate);
}

/* Until at, or not at all if that is 0. */
static void shut(struct rate_gate *gate, uint64_t now, uint64_t at)
{
	gate->shut = at;
	if (!at)
		return;
	gate->shut_at = now;
	set_timer(gate, at);
}

bool rate_gate_pass(struct rate_gate *gate, uint32_t bytes)
{
	if (gate->shut)
		return false;
	if (limited(gate->rate)) {
		uint64_t now = rate_now();

		shut(gate, now, rate_take(gate->rate, now, bytes));
	}
	return !gate->shut;
}

void rate_gate_charge(struct rate_gate *gate, uint32_t bytes)
{
	uint64_t now;

	if (!limited(gate->rate))
		return;
	now = rate_now();
	if (gate->shut)
		open_gate(gate);
	shut(gate, now, rate_charge(gate->rate, now, bytes));
}

void rate_gate_retry(struct rate_gate *gate)
{
	if (gate->timer.loop)
		on_timer(&gate->timer, 0);
}
