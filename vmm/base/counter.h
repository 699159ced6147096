/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters that one thread adds to and any other may read. Neither takes a lock or a locked
 * instruction: adding is a load and a store, and what is read is some moments old at worst.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

struct counter {
	_Atomic uint64_t value;
};

/* On the counter's own thread. */
static inline void counter_add(struct counter *counter, uint64_t n)
{
	uint64_t value = atomic_load_explicit(&counter->value, memory_order_relaxed);

	atomic_store_explicit(&counter->value, value + n, memory_order_relaxed);
}

static inline uint64_t counter_get(const struct counter *counter)
{
	return atomic_load_explicit(&counter->value, memory_order_relaxed);
}
