/* SPDX-License-Identifier: Apache-2.0 */
/* Named threads with small stacks and all signals blocked but the ones that they ask for. */
#pragma once

#include <pthread.h>

#define THREAD_STACK_SIZE (256 * 1024)

/*
 * Start a thread. name (at most 15 characters) is what top(1) and the journal show. Every signal
 * is blocked in it, so that process signals reach the main thread's signalfd only. Returns 0 or
 * -EAGAIN, -ENOMEM.
 */
int thread_start(pthread_t *ret, const char *name, void *(*fn)(void *arg), void *arg);
