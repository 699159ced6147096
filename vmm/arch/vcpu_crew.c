/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/arch/vcpu_crew.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/thread.h"

struct member {
	struct vcpu_crew *crew;
	pthread_t thread;
	pid_t tid; /* 0: not started yet */
	void (*fn)(void *arg); /* NULL: idle */
	void *arg;
};

struct vcpu_crew {
	void (*on_thread)(void *ctx);
	void *ctx;
	pthread_mutex_t lock; /* protects tid, fn and arg of members, and: */
	pthread_cond_t changed;
	bool ending;
	unsigned n; /* of threads started */
	struct member members[];
};

static void *work(void *arg)
{
	struct member *m = arg;
	struct vcpu_crew *crew = m->crew;

	crew->on_thread(crew->ctx);
	pthread_mutex_lock(&crew->lock);
	m->tid = gettid();
	pthread_cond_broadcast(&crew->changed);
	while (!crew->ending) {
		if (!m->fn) {
			pthread_cond_wait(&crew->changed, &crew->lock);
			continue;
		}
		pthread_mutex_unlock(&crew->lock);
		m->fn(m->arg);
		pthread_mutex_lock(&crew->lock);
		m->fn = NULL;
		pthread_cond_broadcast(&crew->changed);
	}
	pthread_mutex_unlock(&crew->lock);
	return NULL;
}

int vcpu_crew_new(unsigned n, void (*on_thread)(void *ctx), void *ctx, struct vcpu_crew **ret,
		  struct hvd_error *err)
{
	AUTO(vcpu_crew_free) struct vcpu_crew *crew =
		calloc(1, sizeof(*crew) + n * sizeof(crew->members[0]));

	if (!crew)
		return hvd_err(err, ENOMEM, "%s", strerror(ENOMEM));
	crew->on_thread = on_thread;
	crew->ctx = ctx;
	pthread_mutex_init(&crew->lock, NULL);
	pthread_cond_init(&crew->changed, NULL);
	for (unsigned i = 0; i < n; i++) {
		char name[16];
		int r;

		snprintf(name, sizeof(name), "vcpu %u", i);
		crew->members[i].crew = crew;
		r = thread_start(&crew->members[i].thread, name, work, &crew->members[i]);
		if (r < 0)
			return hvd_err(err, -r, "cannot start the thread of vCPU %u: %s", i,
				       strerror(-r));
		crew->n++;
	}
	pthread_mutex_lock(&crew->lock);
	for (unsigned i = 0; i < n; i++)
		while (!crew->members[i].tid)
			pthread_cond_wait(&crew->changed, &crew->lock);
	pthread_mutex_unlock(&crew->lock);
	*ret = TAKE(crew);
	return 0;
}

struct vcpu_crew *vcpu_crew_free(struct vcpu_crew *crew)
{
	if (!crew)
		return NULL;
	pthread_mutex_lock(&crew->lock);
	crew->ending = true;
	pthread_cond_broadcast(&crew->changed);
	pthread_mutex_unlock(&crew->lock);
	for (unsigned i = 0; i < crew->n; i++)
		pthread_join(crew->members[i].thread, NULL);
	pthread_cond_destroy(&crew->changed);
	pthread_mutex_destroy(&crew->lock);
	free(crew);
	return NULL;
}

void vcpu_crew_run(struct vcpu_crew *crew, unsigned i, void (*fn)(void *arg), void *arg)
{
	pthread_mutex_lock(&crew->lock);
	crew->members[i].fn = fn;
	crew->members[i].arg = arg;
	pthread_cond_broadcast(&crew->changed);
	pthread_mutex_unlock(&crew->lock);
}

void vcpu_crew_wait(struct vcpu_crew *crew, unsigned i)
{
	pthread_mutex_lock(&crew->lock);
	while (crew->members[i].fn)
		pthread_cond_wait(&crew->changed, &crew->lock);
	pthread_mutex_unlock(&crew->lock);
}

pthread_t vcpu_crew_thread(const struct vcpu_crew *crew, unsigned i)
{
	return crew->members[i].thread;
}

pid_t vcpu_crew_tid(const struct vcpu_crew *crew, unsigned i)
{
	return crew->members[i].tid;
}
