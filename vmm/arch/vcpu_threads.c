/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/arch/vcpu_threads.h"

/* Main loop: tell the owner, who will end the threads. */
static void report(struct loop_work *work)
{
	struct vcpu_threads *all = container_of(work, struct vcpu_threads, work);

	all->on_event(all->ctx, all->event, &all->error);
}

void vcpu_threads_init(struct vcpu_threads *all)
{
	all->work.fn = report;
	pthread_mutex_init(&all->lock, NULL);
	pthread_cond_init(&all->changed, NULL);
}

void vcpu_threads_destroy(struct vcpu_threads *all)
{
	pthread_cond_destroy(&all->changed);
	pthread_mutex_destroy(&all->lock);
}

/* Wait until guest code may be run; false: the thread is to end. */
static bool enter_guest(struct vcpu_thread *t)
{
	struct vcpu_threads *all = t->all;
	bool run;

	pthread_mutex_lock(&all->lock);
	while (all->want == VCPUS_HELD)
		pthread_cond_wait(&all->changed, &all->lock);
	run = all->want == VCPUS_RUN;
	if (run) {
		kvm_vcpu_clear_kick(&t->kvm);
		all->in_guest++;
	}
	pthread_mutex_unlock(&all->lock);
	return run;
}

static void leave_guest(struct vcpu_thread *t, enum vcpu_event event, const struct hvd_error *err)
{
	struct vcpu_threads *all = t->all;

	pthread_mutex_lock(&all->lock);
	all->in_guest--;
	if (event != VCPU_KICKED && all->event == VCPU_KICKED) {
		all->event = event;
		all->error = *err;
		if (all->want == VCPUS_RUN)
			all->want = VCPUS_HELD;
		loop_post(all->main, &all->work);
	}
	pthread_cond_broadcast(&all->changed);
	pthread_mutex_unlock(&all->lock);
}

static void run_vcpu(void *arg)
{
	struct vcpu_thread *t = arg;
	struct hvd_error err = { 0 };

	kvm_kick_signal_unblock();
	while (enter_guest(t))
		leave_guest(t, vcpu_loop(&t->kvm, t->all->bus, &err), &err);
}

void vcpu_threads_start(struct vcpu_threads *all)
{
	for (unsigned i = 0; i < all->n_vcpus; i++) {
		all->vcpus[i].all = all;
		all->vcpus[i].started = true;
		vcpu_crew_run(all->crew, i, run_vcpu, &all->vcpus[i]);
	}
}

/* Under the lock. */
static void kick_all(struct vcpu_threads *all)
{
	for (unsigned i = 0; i < all->n_vcpus; i++)
		if (all->vcpus[i].started)
			kvm_vcpu_kick(&all->vcpus[i].kvm, vcpu_crew_thread(all->crew, i));
}

void vcpu_threads_hold(struct vcpu_threads *all)
{
	pthread_mutex_lock(&all->lock);
	all->want = VCPUS_HELD;
	kick_all(all);
	while (all->in_guest)
		pthread_cond_wait(&all->changed, &all->lock);
	pthread_mutex_unlock(&all->lock);
}

void vcpu_threads_ask_hold(struct vcpu_threads *all)
{
	pthread_mutex_lock(&all->lock);
	if (all->want == VCPUS_RUN) {
		all->want = VCPUS_HELD;
		kick_all(all);
	}
	pthread_mutex_unlock(&all->lock);
}

void vcpu_threads_let_go(struct vcpu_threads *all)
{
	pthread_mutex_lock(&all->lock);
	/* after an event there is nothing to go on with: the report is on its way */
	if (all->event == VCPU_KICKED)
		all->want = VCPUS_RUN;
	pthread_cond_broadcast(&all->changed);
	pthread_mutex_unlock(&all->lock);
}

void vcpu_threads_end(struct vcpu_threads *all)
{
	pthread_mutex_lock(&all->lock);
	all->want = VCPUS_END;
	kick_all(all);
	pthread_cond_broadcast(&all->changed);
	pthread_mutex_unlock(&all->lock);

	for (unsigned i = 0; i < all->n_vcpus; i++) {
		if (all->vcpus[i].started)
			vcpu_crew_wait(all->crew, i);
		all->vcpus[i].started = false;
	}
	loop_cancel(all->main, &all->work);
}
