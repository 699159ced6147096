/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/base/thread.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>

struct start {
	char name[16];
	void *(*fn)(void *arg);
	void *arg;
};

/* A thread names itself: naming another one would take a file of /proc, which the sandbox has not. */
static void *run(void *arg)
{
	struct start start = *(struct start *)arg;

	free(arg);
	prctl(PR_SET_NAME, start.name);
	return start.fn(start.arg);
}

int thread_start(pthread_t *ret, const char *name, void *(*fn)(void *arg), void *arg)
{
	struct start *start = malloc(sizeof(*start));
	pthread_attr_t attr;
	sigset_t all, old;
	int r;

	if (!start)
		return -ENOMEM;
	*start = (struct start){ .fn = fn, .arg = arg };
	snprintf(start->name, sizeof(start->name), "%s", name);

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, THREAD_STACK_SIZE);

	/* The new thread inherits the mask of the moment. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(ret, &attr, run, start);
	pthread_sigmask(SIG_SETMASK, &old, NULL);

	pthread_attr_destroy(&attr);
	if (r)
		free(start);
	return -r;
}
