/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <cmocka.h>

#include "vmm/base/loop.h"
#include "vmm/base/thread.h"

/* A loop with a thread of its own. */
struct rig {
	struct loop *loop;
	pthread_t thread;
};

static void *run(void *arg)
{
	loop_run(arg);
	return NULL;
}

static void start(struct rig *rig)
{
	assert_int_equal(loop_new(&rig->loop), 0);
	assert_int_equal(thread_start(&rig->thread, "loop", run, rig->loop), 0);
}

static void end(struct rig *rig)
{
	loop_quit(rig->loop);
	pthread_join(rig->thread, NULL);
	loop_free(rig->loop);
}

struct source {
	struct loop_source src;
	struct source *other;
	int seen;
};

static void count(struct loop_source *src, uint32_t events)
{
	struct source *s = container_of(src, struct source, src);
	uint64_t value;

	assert_int_equal(read(src->fd, &value, sizeof(value)), sizeof(value));
	s->seen++;
	if (s->other)
		loop_remove(&s->other->src);
	loop_quit(src->loop);
}

static void open_source(struct source *s, struct loop *loop, unsigned initial)
{
	*s = (struct source){ .src = { .fd = eventfd(initial, EFD_NONBLOCK), .fn = count } };
	assert_true(s->src.fd >= 0);
	assert_int_equal(loop_add(loop, &s->src, EPOLLIN), 0);
}

static void calls_sources(void **state)
{
	struct loop *loop;
	struct source s;

	assert_int_equal(loop_new(&loop), 0);
	open_source(&s, loop, 1);
	assert_int_equal(loop_run(loop), 0);
	assert_int_equal(s.seen, 1);
	assert_ptr_equal(s.src.loop, loop);

	loop_remove(&s.src);
	assert_null(s.src.loop);
	loop_remove(&s.src);
	close(s.src.fd);
	loop_free(loop);
}

/* Both are ready in one batch; whichever runs first removes the other. */
static void a_removed_source_is_not_called(void **state)
{
	struct loop *loop;
	struct source a, b;

	assert_int_equal(loop_new(&loop), 0);
	open_source(&a, loop, 1);
	open_source(&b, loop, 1);
	a.other = &b;
	b.other = &a;
	assert_int_equal(loop_run(loop), 0);
	assert_int_equal(a.seen + b.seen, 1);

	loop_remove(&a.src);
	loop_remove(&b.src);
	close(a.src.fd);
	close(b.src.fd);
	loop_free(loop);
}

static void quit_before_run_ends_it_at_once(void **state)
{
	struct loop *loop;

	assert_int_equal(loop_new(&loop), 0);
	loop_quit(loop);
	assert_int_equal(loop_run(loop), 0);

	/* and does not end the next one */
	struct source s;

	open_source(&s, loop, 1);
	assert_int_equal(loop_run(loop), 0);
	assert_int_equal(s.seen, 1);
	loop_remove(&s.src);
	close(s.src.fd);
	loop_free(loop);
}

struct where {
	pthread_t thread;
	int calls;
};

static void note_thread(void *arg)
{
	struct where *where = arg;

	where->thread = pthread_self();
	where->calls++;
}

static void call_runs_on_the_loops_thread(void **state)
{
	struct where where = { 0 };
	struct rig rig;

	start(&rig);
	/* the loop's thread may not have begun yet: then it is the caller's turn */
	do
		loop_call(rig.loop, note_thread, &where);
	while (!pthread_equal(where.thread, rig.thread));

	where.calls = 0;
	for (int i = 0; i < 1000; i++) {
		loop_call(rig.loop, note_thread, &where);
		assert_true(pthread_equal(where.thread, rig.thread));
	}
	assert_int_equal(where.calls, 1000);
	end(&rig);
}

static void call_without_a_running_loop_is_direct(void **state)
{
	struct where where = { 0 };
	struct loop *loop;

	assert_int_equal(loop_new(&loop), 0);
	loop_call(loop, note_thread, &where);
	assert_true(pthread_equal(where.thread, pthread_self()));
	loop_free(loop);
}

struct posted {
	struct loop_work work;
	struct loop *loop;
	int runs, wanted;
};

static void repost(struct loop_work *work)
{
	struct posted *p = container_of(work, struct posted, work);

	if (++p->runs == p->wanted)
		loop_quit(p->loop);
	else
		loop_post(p->loop, work);
}

static void posted_work_runs_once_and_may_be_reposted(void **state)
{
	struct posted p = { .work.fn = repost, .wanted = 5 };

	assert_int_equal(loop_new(&p.loop), 0);
	loop_post(p.loop, &p.work);
	loop_post(p.loop, &p.work);
	assert_int_equal(loop_run(p.loop), 0);
	assert_int_equal(p.runs, 5);
	loop_free(p.loop);
}

/* Only the source quits: work that posts itself for ever must leave it its turn. */
static void reposted_work_lets_sources_run(void **state)
{
	struct posted p = { .work.fn = repost, .wanted = 1000000 };
	struct source s;

	assert_int_equal(loop_new(&p.loop), 0);
	open_source(&s, p.loop, 1);
	loop_post(p.loop, &p.work);
	assert_int_equal(loop_run(p.loop), 0);
	assert_int_equal(s.seen, 1);
	assert_true(p.runs < 1000000);

	loop_cancel(p.loop, &p.work);
	loop_remove(&s.src);
	close(s.src.fd);
	loop_free(p.loop);
}

static void cancelled_work_does_not_run(void **state)
{
	struct posted p = { .work.fn = repost, .wanted = 1 };

	assert_int_equal(loop_new(&p.loop), 0);
	loop_post(p.loop, &p.work);
	loop_cancel(p.loop, &p.work);
	loop_cancel(p.loop, &p.work);
	loop_quit(p.loop);
	assert_int_equal(loop_run(p.loop), 0);
	assert_int_equal(p.runs, 0);
	loop_free(p.loop);
}

struct poster {
	struct loop *loop;
	struct where where[4];
	int started;
};

static void *call_often(void *arg)
{
	struct poster *p = arg;
	struct where *mine = &p->where[__atomic_fetch_add(&p->started, 1, __ATOMIC_SEQ_CST)];

	for (int i = 0; i < 2000; i++)
		loop_call(p->loop, note_thread, mine);
	return NULL;
}

static void many_threads_call_at_once(void **state)
{
	struct where ready = { 0 };
	struct poster p = { 0 };
	pthread_t callers[4];
	struct rig rig;

	start(&rig);
	do
		loop_call(rig.loop, note_thread, &ready);
	while (!pthread_equal(ready.thread, rig.thread));

	p.loop = rig.loop;
	for (int i = 0; i < 4; i++)
		assert_int_equal(thread_start(&callers[i], "caller", call_often, &p), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(callers[i], NULL);
	for (int i = 0; i < 4; i++)
		assert_int_equal(p.where[i].calls, 2000);
	end(&rig);
}

struct seen_by_thread {
	sigset_t blocked;
	size_t stack;
};

static void *look_around(void *arg)
{
	struct seen_by_thread *seen = arg;
	pthread_attr_t attr;

	pthread_sigmask(SIG_BLOCK, NULL, &seen->blocked);
	pthread_getattr_np(pthread_self(), &attr);
	pthread_attr_getstacksize(&attr, &seen->stack);
	pthread_attr_destroy(&attr);
	return NULL;
}

static void threads_block_signals_and_have_small_stacks(void **state)
{
	struct seen_by_thread seen = { 0 };
	sigset_t own;
	pthread_t thread;

	assert_int_equal(thread_start(&thread, "look around", look_around, &seen), 0);
	pthread_join(thread, NULL);
	assert_true(sigismember(&seen.blocked, SIGTERM));
	assert_true(sigismember(&seen.blocked, SIGRTMIN));
	assert_int_equal(seen.stack, THREAD_STACK_SIZE);

	/* the caller's own mask is as before */
	pthread_sigmask(SIG_BLOCK, NULL, &own);
	assert_false(sigismember(&own, SIGTERM));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_sources),
		cmocka_unit_test(a_removed_source_is_not_called),
		cmocka_unit_test(quit_before_run_ends_it_at_once),
		cmocka_unit_test(call_runs_on_the_loops_thread),
		cmocka_unit_test(call_without_a_running_loop_is_direct),
		cmocka_unit_test(posted_work_runs_once_and_may_be_reposted),
		cmocka_unit_test(reposted_work_lets_sources_run),
		cmocka_unit_test(cancelled_work_does_not_run),
		cmocka_unit_test(many_threads_call_at_once),
		cmocka_unit_test(threads_block_signals_and_have_small_stacks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
