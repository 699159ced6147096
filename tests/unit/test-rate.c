/* SPDX-License-Identifier: Apache-2.0 */
/* Rate limits by a clock that the test sets; the gate's timer by the real one, but never how fast. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/base/macro.h"
#include "vmm/base/rate.h"

#define SECOND 1000000000ULL
#define START (12345 * SECOND)

static const struct rate_limit none;

static void set_ops(struct rate *rate, uint64_t per_second, uint64_t burst)
{
	*rate = (struct rate){ 0 };
	rate_set(rate, &(struct rate_limit){ per_second, burst }, &none, START);
}

static void set_bytes(struct rate *rate, uint64_t per_second, uint64_t burst)
{
	*rate = (struct rate){ 0 };
	rate_set(rate, &none, &(struct rate_limit){ per_second, burst }, START);
}

/* How many of so many bytes pass at this moment; at most max. */
static unsigned take_all(struct rate *rate, uint64_t now, uint32_t bytes, unsigned max)
{
	unsigned n = 0;

	while (n < max && !rate_take(rate, now, bytes))
		n++;
	return n;
}

static void test_no_limit(void **state)
{
	struct rate rate = { 0 };

	assert_int_equal(take_all(&rate, START, UINT32_MAX, 1000), 1000);
	set_ops(&rate, 0, 10);
	assert_int_equal(take_all(&rate, START, UINT32_MAX, 1000), 1000);
}

static void test_burst(void **state)
{
	struct rate rate;

	set_ops(&rate, 100, 7);
	assert_int_equal(take_all(&rate, START, 0, 1000), 7);
	/* one on credit, then one each 10 ms, and no more than the burst however long it waits */
	assert_int_equal(take_all(&rate, START + 1, 0, 1000), 1);
	assert_int_equal(take_all(&rate, START + SECOND / 100, 0, 1000), 0);
	assert_int_equal(take_all(&rate, START + SECOND / 100 + 1, 0, 1000), 1);
	assert_int_equal(take_all(&rate, START + 100 * SECOND, 0, 1000), 7);
}

static void test_burst_not_given(void **state)
{
	struct rate rate;

	set_ops(&rate, 1000, 0);
	assert_int_equal(take_all(&rate, START, 0, 1000), 100);
	/* less than one in a tenth of a second: one all the same */
	set_ops(&rate, 2, 0);
	assert_int_equal(take_all(&rate, START, 0, 1000), 1);
}

/* Someone who takes what there is, whenever told to come again, gets the rate and no more. */
static void check_average(struct rate *rate, uint32_t bytes, uint64_t expected, uint64_t burst)
{
	uint64_t now = START, n = 0, wakes = 0;

	while (now < START + 10 * SECOND) {
		uint64_t at = rate_take(rate, now, bytes);

		if (!at) {
			n++;
			continue;
		}
		assert_true(at > now);
		now = at;
		wakes++;
	}
	assert_true(n <= expected + burst + 1);
	assert_true(n + n / 1000 + 1 >= expected);
	/* the millisecond that it is told to wait */
	assert_true(wakes <= 10000 + 1);
}

static void test_average(void **state)
{
	static const uint64_t rates[] = { 1, 3, 100, 7777, 100000, 3000000 };
	struct rate rate;

	for (size_t i = 0; i < ARRAY_SIZE(rates); i++) {
		set_ops(&rate, rates[i], rates[i]);
		check_average(&rate, 0, 10 * rates[i], rates[i]);
	}
	set_bytes(&rate, 100 * MIB, 0);
	check_average(&rate, 4096, 10 * 100 * MIB / 4096, 10 * MIB / 4096);
	set_bytes(&rate, 20 * GIB, 2 * GIB);
	check_average(&rate, MIB, 10 * 20 * KIB, 2 * KIB);
}

/* Larger than the bucket: goes, and those behind it wait until it is paid for. */
static void test_large_operation(void **state)
{
	struct rate rate;
	uint64_t at;

	set_bytes(&rate, 1000, 100);
	assert_int_equal(rate_take(&rate, START, 5000), 0);
	at = rate_take(&rate, START, 1);
	assert_true(at >= START + 4900 * SECOND / 1000);
	assert_true(at <= START + 5000 * SECOND / 1000);
	assert_int_equal(take_all(&rate, START + 4899 * SECOND / 1000, 1, 1), 0);
	assert_int_equal(rate_take(&rate, at, 1), 0);
}

static void test_no_bytes(void **state)
{
	struct rate rate;

	set_bytes(&rate, 1000, 0);
	assert_int_equal(rate_take(&rate, START, 5000), 0);
	assert_int_not_equal(rate_take(&rate, START, 1), 0);
	assert_int_equal(take_all(&rate, START, 0, 1000), 1000);
}

static void test_refusal_takes_nothing(void **state)
{
	struct rate rate = { 0 };

	rate_set(&rate, &(struct rate_limit){ 1, 1 }, &(struct rate_limit){ 1000, 1000 }, START);
	assert_int_equal(rate_take(&rate, START, 400), 0);
	for (int i = 0; i < 100; i++)
		assert_int_not_equal(rate_take(&rate, START, 400), 0);
	/* of the bytes, 600 are left */
	rate_set(&rate, &none, &(struct rate_limit){ 1000, 1000 }, START);
	assert_int_equal(take_all(&rate, START, 300, 10), 2);
}

/* What has been done is paid for, however much there was, and the next waits until it is. */
static void test_charge(void **state)
{
	struct rate rate = { 0 };
	uint64_t at;

	assert_int_equal(rate_charge(&rate, START, UINT32_MAX), 0);
	set_bytes(&rate, 1000, 500);
	assert_int_equal(rate_charge(&rate, START, 100), 0);
	at = rate_charge(&rate, START, 5000);
	assert_true(at > START + 4 * SECOND && at < START + 5 * SECOND);
	assert_true(rate_take(&rate, START + 4 * SECOND, 1));
	assert_int_equal(rate_take(&rate, at, 1), 0);
	set_ops(&rate, 10, 1);
	assert_true(rate_charge(&rate, START, 0) > START);
}

static void test_change(void **state)
{
	struct rate rate;

	/* an hour of debt is not carried over, unless nothing changes */
	set_bytes(&rate, 1000, 1000);
	assert_int_equal(rate_take(&rate, START, 3600 * 1000), 0);
	rate_set(&rate, &none, &(struct rate_limit){ 1000, 1000 }, START);
	assert_int_equal(take_all(&rate, START + 3500 * SECOND, 1, 1), 0);
	rate_set(&rate, &none, &(struct rate_limit){ MIB, 1000 }, START);
	assert_int_equal(take_all(&rate, START, 1, 1), 0);
	assert_int_equal(take_all(&rate, START + SECOND / 100, 1, 1), 1);
	/* nor is there anything left of it once the limit is gone */
	rate_set(&rate, &none, &none, START);
	assert_int_equal(take_all(&rate, START, MIB, 1000), 1000);
	/* what had no limit starts with a full bucket */
	rate_set(&rate, &(struct rate_limit){ 10, 5 }, &none, START);
	assert_int_equal(take_all(&rate, START, 0, 1000), 5);
}

static void test_extremes(void **state)
{
	static const uint64_t values[] = { 1, 2, UINT32_MAX, INT64_MAX };
	struct rate rate;

	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		for (size_t j = 0; j < ARRAY_SIZE(values); j++) {
			uint64_t at = 0;

			set_bytes(&rate, values[i], values[j]);
			for (int n = 0; n < 100 && !at; n++)
				at = rate_take(&rate, START, UINT32_MAX);
			assert_true(!at || at > START);
			assert_true(at <= START + (1ULL << 62));
			assert_true(!at || !rate_take(&rate, at, UINT32_MAX));
		}
	}
}

#define THREADS 4

static void *take_in_thread(void *arg)
{
	return (void *)(uintptr_t)take_all(arg, START, 1, 1000000);
}

/* Each loop may be one ahead, and nothing is lost. */
static void test_shared(void **state)
{
	pthread_t threads[THREADS];
	struct rate rate;
	uintptr_t n = 0;

	set_ops(&rate, 100000, 50000);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, take_in_thread, &rate), 0);
	for (int i = 0; i < THREADS; i++) {
		void *got;

		pthread_join(threads[i], &got);
		n += (uintptr_t)got;
	}
	assert_in_range(n, 50000, 50000 + THREADS - 1);
}

struct visitor {
	struct rate_gate gate;
	struct loop *loop;
	unsigned passed, opened;
};

static void pass_all(struct visitor *v)
{
	while (v->passed < 30 && rate_gate_pass(&v->gate, 512))
		v->passed++;
	if (v->passed == 30)
		loop_quit(v->loop);
}

static void on_opened(struct rate_gate *gate)
{
	struct visitor *v = container_of(gate, struct visitor, gate);

	v->opened++;
	pass_all(v);
}

static void test_gate(void **state)
{
	struct rate rate = { 0 };
	struct visitor v = { 0 };

	assert_int_equal(loop_new(&v.loop), 0);
	assert_int_equal(rate_gate_init(&v.gate, &rate, on_opened), 0);
	assert_int_equal(rate_gate_start(&v.gate, v.loop), 0);

	/* more than the burst; once more, should this thread rest for so long that there is enough for all */
	do {
		rate_set(&rate, &none, &none, rate_now());
		rate_set(&rate, &(struct rate_limit){ 1000, 10 }, &none, rate_now());
		v.passed = 0;
		pass_all(&v);
		assert_true(v.passed >= 10);
	} while (v.passed == 30);
	while (v.passed < 30)
		loop_run(v.loop); /* for ever, if the gate does not open */
	assert_int_equal(v.passed, 30);
	assert_true(counter_get(&v.gate.shut_ns) > 0);
	rate_gate_stop(&v.gate);
	rate_gate_destroy(&v.gate);
	loop_free(v.loop);
}

static void test_gate_limits_change(void **state)
{
	struct rate rate = { 0 };
	struct visitor v = { 0 };

	assert_int_equal(loop_new(&v.loop), 0);
	assert_int_equal(rate_gate_init(&v.gate, &rate, on_opened), 0);
	assert_int_equal(rate_gate_start(&v.gate, v.loop), 0);

	/* one in a day */
	rate_set(&rate, &none, &(struct rate_limit){ 1, 1 }, rate_now());
	assert_true(rate_gate_pass(&v.gate, 86400));
	assert_false(rate_gate_pass(&v.gate, 512));
	assert_false(rate_gate_pass(&v.gate, 512));
	rate_gate_retry(&v.gate);
	assert_int_equal(v.opened, 1);
	assert_int_equal(v.passed, 0);
	rate_set(&rate, &none, &none, rate_now());
	rate_gate_retry(&v.gate);
	assert_int_equal(v.opened, 2);
	assert_int_equal(v.passed, 30);
	/* open: there is nobody to be called */
	rate_gate_retry(&v.gate);
	assert_int_equal(v.opened, 2);

	/* stopped while it is shut, as a paused VM's are: neither */
	rate_set(&rate, &none, &(struct rate_limit){ 1, 1 }, rate_now());
	assert_true(rate_gate_pass(&v.gate, 86400));
	assert_false(rate_gate_pass(&v.gate, 512));
	rate_gate_stop(&v.gate);
	rate_gate_retry(&v.gate);
	assert_int_equal(v.opened, 2);
	rate_gate_destroy(&v.gate);
	loop_free(v.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_limit),
		cmocka_unit_test(test_burst),
		cmocka_unit_test(test_burst_not_given),
		cmocka_unit_test(test_average),
		cmocka_unit_test(test_large_operation),
		cmocka_unit_test(test_no_bytes),
		cmocka_unit_test(test_refusal_takes_nothing),
		cmocka_unit_test(test_charge),
		cmocka_unit_test(test_change),
		cmocka_unit_test(test_extremes),
		cmocka_unit_test(test_shared),
		cmocka_unit_test(test_gate),
		cmocka_unit_test(test_gate_limits_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
