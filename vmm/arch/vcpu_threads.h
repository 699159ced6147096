/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vCPUs of one machine on their threads: started, held, let go on and ended together.
 *
 * Functions are called on the main loop's thread, unless they say otherwise. What a vCPU reports (shutdown, reset, failure)
 * is posted there; the first report counts, and holds the vCPUs until they are ended.
 */
#pragma once

#include "vmm/arch/vcpu_crew.h"
#include "vmm/arch/vcpu_loop.h"
#include "vmm/base/loop.h"

struct vcpu_threads;

struct vcpu_thread {
	struct kvm_vcpu kvm;
	struct vcpu_threads *all;
	bool started;
};

typedef void (*vcpu_event_fn)(void *ctx, enum vcpu_event event, const struct hvd_error *err);

struct vcpu_threads {
	/* Set by the machine: the vCPUs, what they access, and who is told of events on `main`. */
	struct vcpu_thread *vcpus;
	unsigned n_vcpus;
	const struct mmio_bus *bus;
	struct loop *main;
	vcpu_event_fn on_event;
	struct vcpu_crew *crew; /* one thread for each vCPU */
	void *ctx;

	struct loop_work work;
	pthread_mutex_t lock; /* protects what follows */
	pthread_cond_t changed;
	enum { VCPUS_HELD, VCPUS_RUN, VCPUS_END } want;
	unsigned in_guest; /* threads between entering and leaving vcpu_loop() */
	enum vcpu_event event; /* VCPU_KICKED: none yet */
	struct hvd_error error;
};

/* After the machine has set its members. */
void vcpu_threads_init(struct vcpu_threads *all);

/* Each vCPU goes to its thread, held. */
void vcpu_threads_start(struct vcpu_threads *all);

/* Returns when no vCPU runs guest code or a device's register callback. */
void vcpu_threads_hold(struct vcpu_threads *all);
void vcpu_threads_let_go(struct vcpu_threads *all);

/*
 * Any thread, a vCPU's own too, within an access of its guest: hold them, and do not wait for that. The
 * guest runs no further on a vCPU whose thread calls this. Until vcpu_threads_let_go().
 */
void vcpu_threads_ask_hold(struct vcpu_threads *all);

/* Returns when the threads are idle; no event is delivered afterwards. */
void vcpu_threads_end(struct vcpu_threads *all);

/* After vcpu_threads_end(). */
void vcpu_threads_destroy(struct vcpu_threads *all);
