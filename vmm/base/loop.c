/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/base/loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define BATCH 16

struct loop {
	int epoll;
	int wake; /* eventfd: posted work or quit */
	struct epoll_event batch[BATCH];
	int n_batch;

	pthread_mutex_t lock; /* protects what follows */
	pthread_cond_t called;
	struct list posted; /* struct loop_work */
	pthread_t thread;
	bool running, quit;
};

int loop_new(struct loop **ret)
{
	AUTO(loop_free) struct loop *loop = calloc(1, sizeof(*loop));
	struct epoll_event ev = { .events = EPOLLIN };

	if (!loop)
		return -ENOMEM;

	pthread_mutex_init(&loop->lock, NULL);
	pthread_cond_init(&loop->called, NULL);
	list_init(&loop->posted);
	loop->wake = -1;

	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll < 0)
		return -errno;

	loop->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->wake < 0)
		return -errno;

	if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, loop->wake, &ev) < 0)
		return -errno;

	*ret = TAKE(loop);
	return 0;
}

struct loop *loop_free(struct loop *loop)
{
	if (!loop)
		return NULL;

	if (loop->epoll >= 0)
		close(loop->epoll);
	if (loop->wake >= 0)
		close(loop->wake);
	pthread_cond_destroy(&loop->called);
	pthread_mutex_destroy(&loop->lock);
	free(loop);
	return NULL;
}

int loop_add(struct loop *loop, struct loop_source *src, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = src };

	if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, src->fd, &ev) < 0)
		return -errno;
	src->loop = loop;
	return 0;
}

int loop_modify(struct loop_source *src, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = src };

	return epoll_ctl(src->loop->epoll, EPOLL_CTL_MOD, src->fd, &ev) < 0 ? -errno : 0;
}

void loop_remove(struct loop_source *src)
{
	struct loop *loop = src->loop;

	if (!loop)
		return;

	epoll_ctl(loop->epoll, EPOLL_CTL_DEL, src->fd, NULL);
	for (int i = 0; i < loop->n_batch; i++)
		if (loop->batch[i].data.ptr == src)
			loop->batch[i].events = 0;
	src->loop = NULL;
}

static void wake(struct loop *loop)
{
	/* Fails only when the counter is full: then the loop is woken anyway. */
	(void)!write(loop->wake, &(uint64_t){ 1 }, sizeof(uint64_t));
}

/* Runs posted work; returns true when the loop is to end. */
static bool run_posted(struct loop *loop)
{
	struct list batch = LIST_INIT(batch);
	uint64_t count;
	bool quit;

	(void)!read(loop->wake, &count, sizeof(count));

	/* What these post runs in the next round, after the sources have had their turn. */
	pthread_mutex_lock(&loop->lock);
	list_splice(&batch, &loop->posted);
	while (!list_empty(&batch)) {
		struct loop_work *work = list_entry(batch.next, struct loop_work, node);

		list_remove(&work->node);
		work->queued = false;
		pthread_mutex_unlock(&loop->lock);
		work->fn(work);
		pthread_mutex_lock(&loop->lock);
	}
	quit = loop->quit;
	pthread_mutex_unlock(&loop->lock);
	return quit;
}

/* Returns true when the loop is to end. */
static bool dispatch(struct loop *loop)
{
	bool quit = false;

	for (int i = 0; i < loop->n_batch; i++) {
		struct loop_source *src = loop->batch[i].data.ptr;

		/* events is 0 when an earlier callback of this batch has removed the source */
		if (!src)
			quit = run_posted(loop);
		else if (loop->batch[i].events)
			src->fn(src, loop->batch[i].events);
	}
	loop->n_batch = 0;
	return quit;
}

int loop_run(struct loop *loop)
{
	int r = 0;

	pthread_mutex_lock(&loop->lock);
	loop->thread = pthread_self();
	loop->running = true;
	pthread_mutex_unlock(&loop->lock);

	do {
		int n = epoll_wait(loop->epoll, loop->batch, BATCH, -1);

		if (n < 0 && errno != EINTR) {
			r = -errno;
			break;
		}
		loop->n_batch = n < 0 ? 0 : n;
	} while (!dispatch(loop));

	pthread_mutex_lock(&loop->lock);
	loop->running = loop->quit = false;
	pthread_mutex_unlock(&loop->lock);

	/* A call that was queued behind the quit must not wait for ever. */
	run_posted(loop);
	return r;
}

void loop_quit(struct loop *loop)
{
	pthread_mutex_lock(&loop->lock);
	loop->quit = true;
	pthread_mutex_unlock(&loop->lock);
	wake(loop);
}

static bool on_thread(struct loop *loop)
{
	return !loop->running || pthread_equal(loop->thread, pthread_self());
}

static void post_locked(struct loop *loop, struct loop_work *work)
{
	if (work->queued)
		return;
	work->queued = true;
	list_append(&loop->posted, &work->node);
	wake(loop);
}

void loop_post(struct loop *loop, struct loop_work *work)
{
	pthread_mutex_lock(&loop->lock);
	post_locked(loop, work);
	pthread_mutex_unlock(&loop->lock);
}

void loop_cancel(struct loop *loop, struct loop_work *work)
{
	pthread_mutex_lock(&loop->lock);
	if (work->queued) {
		list_remove(&work->node);
		work->queued = false;
	}
	pthread_mutex_unlock(&loop->lock);
}

struct call {
	struct loop_work work;
	struct loop *loop;
	void (*fn)(void *arg);
	void *arg;
	bool done;
};

static void run_call(struct loop_work *work)
{
	struct call *call = container_of(work, struct call, work);
	struct loop *loop = call->loop;

	call->fn(call->arg);

	/* call lives on the waiting thread's stack: not to be touched once the lock is free. */
	pthread_mutex_lock(&loop->lock);
	call->done = true;
	pthread_cond_broadcast(&loop->called);
	pthread_mutex_unlock(&loop->lock);
}

void loop_call(struct loop *loop, void (*fn)(void *arg), void *arg)
{
	struct call call = { .work.fn = run_call, .loop = loop, .fn = fn, .arg = arg };

	pthread_mutex_lock(&loop->lock);
	if (on_thread(loop)) {
		pthread_mutex_unlock(&loop->lock);
		fn(arg);
		return;
	}
	post_locked(loop, &call.work);
	while (!call.done)
		pthread_cond_wait(&loop->called, &loop->lock);
	pthread_mutex_unlock(&loop->lock);
}
