/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One KVM vCPU: creation, registers, running and kicking.
 *
 * A vCPU is run by one thread. That thread has SIGRTMIN unblocked, with a handler that does
 * nothing (kvm_kick_signal_install()); everything but kvm_vcpu_kick() is called on it, or while it
 * does not run.
 */
#pragma once

#include <pthread.h>

#include "vmm/kvm/features.h"
#include "vmm/kvm/kvm.h"

struct kvm_vcpu {
	int fd;
	unsigned id;
	int stats_fd; /* vmm/kvm/stats.h; -1: none */
	struct kvm_run *run;
	size_t run_size;
};

/* All that KVM offers. */
struct kvm_vcpu_features kvm_vcpu_features_offered(struct kvm_vm *vm);

/*
 * Create vCPU id and reset it, with PSCI 1.x in the kernel. powered_off: it waits for another vCPU's
 * CPU_ON.
 */
int kvm_vcpu_create(struct kvm_vm *vm, unsigned id, const struct kvm_vcpu_features *features,
		    bool powered_off, struct kvm_vcpu *ret, struct hvd_error *err);

/* No-op on a zeroed struct. */
void kvm_vcpu_destroy(struct kvm_vcpu *vcpu);

/* Set up the PMU with its overflow interrupt at INTID intid; after gic_create(). */
int kvm_vcpu_init_pmu(struct kvm_vcpu *vcpu, unsigned intid, struct hvd_error *err);

/*
 * Tell the guest the time that this vCPU has waited for a CPU of the host: 64 bytes at ipa, aligned to
 * that, in a slot of guest memory (Arm DEN0057A). Before the vCPU runs.
 */
int kvm_vcpu_init_steal_time(struct kvm_vcpu *vcpu, uint64_t ipa, struct hvd_error *err);

/* Registers by KVM's numbers, 64 bits wide. */
int kvm_vcpu_get_reg(const struct kvm_vcpu *vcpu, uint64_t id, uint64_t *ret);
int kvm_vcpu_set_reg(const struct kvm_vcpu *vcpu, uint64_t id, uint64_t value);

/* Affinity, as the redistributor and the device tree know it. */
int kvm_vcpu_mpidr(const struct kvm_vcpu *vcpu, uint64_t *ret);
int kvm_vcpu_pc(const struct kvm_vcpu *vcpu, uint64_t *ret);
int kvm_vcpu_counter(const struct kvm_vcpu *vcpu, uint64_t *ret); /* CNTVCT_EL0 */

/* Start at pc in EL1h with DAIF masked, x0 = arg, x1 … x3 = 0. */
int kvm_vcpu_set_entry(const struct kvm_vcpu *vcpu, uint64_t pc, uint64_t arg);

/* The guest takes an external abort on its next entry, for an access that cannot be emulated. */
int kvm_vcpu_inject_abort(const struct kvm_vcpu *vcpu);

/* KVM_RUN: 0: look at run->exit_reason; -EINTR: kicked. */
int kvm_vcpu_run(const struct kvm_vcpu *vcpu);

/*
 * Make KVM_RUN return, now or as soon as it is called, until kvm_vcpu_clear_kick(). Any thread;
 * `thread` runs the vCPU.
 */
void kvm_vcpu_kick(struct kvm_vcpu *vcpu, pthread_t thread);
void kvm_vcpu_clear_kick(struct kvm_vcpu *vcpu);

/* Give the kick's signal a handler, in this process, and unblock it in this thread. */
void kvm_kick_signal_install(void);
void kvm_kick_signal_unblock(void);
