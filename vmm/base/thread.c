/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/base/thread.h"

#include <signal.h>

int thread_start(pthread_t *ret, const char *name, void *(*fn)(void *arg), void *arg)
{
	pthread_attr_t attr;
	sigset_t all, old;
	int r;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, THREAD_STACK_SIZE);

	/* The new thread inherits the mask of the moment. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(ret, &attr, fn, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);

	pthread_attr_destroy(&attr);
	if (r)
		return -r;

	pthread_setname_np(*ret, name);
	return 0;
}
