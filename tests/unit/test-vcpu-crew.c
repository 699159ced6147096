/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "vmm/arch/vcpu_crew.h"

#define N 4

static _Atomic unsigned started;

static void on_thread(void *ctx)
{
	assert_ptr_equal(ctx, &started);
	started++;
}

struct job {
	_Atomic bool go;
	_Atomic pid_t tid;
};

static void work(void *arg)
{
	struct job *job = arg;

	while (!job->go)
		;
	job->tid = gettid();
}

/* Each job runs on the thread of its number, as often as there is one; jobs run side by side. */
static void test_threads_stay(void **state)
{
	struct vcpu_crew *crew;

	started = 0;
	assert_int_equal(vcpu_crew_new(N, on_thread, &started, &crew, NULL), 0);
	assert_int_equal(started, N);
	for (int round = 0; round < 50; round++) {
		struct job jobs[N] = { 0 };

		for (unsigned i = 0; i < N; i++) {
			vcpu_crew_run(crew, i, work, &jobs[i]);
			assert_int_equal(jobs[i].tid, 0);
		}
		for (unsigned i = N; i--;)
			jobs[i].go = true;
		for (unsigned i = 0; i < N; i++) {
			vcpu_crew_wait(crew, i);
			assert_int_equal(jobs[i].tid, vcpu_crew_tid(crew, i));
			assert_int_not_equal(jobs[i].tid, getpid());
		}
	}
	assert_int_equal(started, N);
	vcpu_crew_wait(crew, 0); /* is idle */
	vcpu_crew_free(crew);
}

static void test_none(void **state)
{
	struct vcpu_crew *crew;

	assert_int_equal(vcpu_crew_new(0, on_thread, &started, &crew, NULL), 0);
	vcpu_crew_free(crew);
	vcpu_crew_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_threads_stay),
		cmocka_unit_test(test_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
