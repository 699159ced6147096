/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Event loop of hvd-vmm: epoll, plus calls from other threads.
 *
 * A VM has one main loop (control socket, console, signals) and one or more I/O loops, each
 * run by its own thread. What belongs to a loop is touched on that loop's thread only; others
 * reach it with loop_call() or loop_post(). (hvd itself runs on sd-event.)
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "vmm/base/cleanup.h"
#include "vmm/base/list.h"

struct loop;

struct loop_source {
	int fd;
	/* events: EPOLLIN | EPOLLOUT | EPOLLHUP | EPOLLERR. Runs on the loop's thread. */
	void (*fn)(struct loop_source *src, uint32_t events);
	struct loop *loop; /* NULL when not added */
};

/* Work posted from another thread. Owned by the poster; may be reposted once fn has begun. */
struct loop_work {
	void (*fn)(struct loop_work *work);
	struct list node;
	bool queued;
};

int loop_new(struct loop **ret);
struct loop *loop_free(struct loop *loop);
DEFINE_AUTO(struct loop *, loop_free);

/*
 * Watch src->fd and call src->fn. The caller owns src and its fd and keeps both until
 * loop_remove(). On the loop's thread, or while the loop does not run. Returns 0, -ENOMEM, -ENOSPC.
 */
int loop_add(struct loop *loop, struct loop_source *src, uint32_t events);
int loop_modify(struct loop_source *src, uint32_t events);

/* Stop watching; src->fn is not called again, even for events already fetched. No-op if not added. */
void loop_remove(struct loop_source *src);

/* Run until loop_quit(). The calling thread becomes the loop's thread. */
int loop_run(struct loop *loop);

/* From any thread. A loop_run() that has not begun yet returns at once. */
void loop_quit(struct loop *loop);

/*
 * Run fn(arg) on the loop's thread and wait until it has returned. Runs it directly when called
 * on that thread or when the loop does not run. From any thread that holds no lock which the
 * loop's own callbacks take.
 */
void loop_call(struct loop *loop, void (*fn)(void *arg), void *arg);

/* Queue work for the loop's thread and return at once; no-op when it is queued already. */
void loop_post(struct loop *loop, struct loop_work *work);

/* Take work back that may be queued. On the loop's thread, or while the loop does not run. */
void loop_cancel(struct loop *loop, struct loop_work *work);
