/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Steal time (Arm DEN0057A, Paravirtualized Time for Arm-based Systems): KVM tells a guest, in memory
 * of a slot of its own, how long each vCPU has waited for a CPU of the host. A guest that knows does
 * not take a busy host for a lock-up, and its accounting is right.
 */
#pragma once

#include "vmm/kvm/vcpu.h"

struct steal_time {
	void *host; /* MEMMAP_STEAL_TIME_SIZE bytes; NULL: none */
};

/* The memory, as slot `slot`. Before any steal_time_give(). */
int steal_time_create(struct steal_time *steal, struct kvm_vm *vm, unsigned slot,
		      struct hvd_error *err);

/* vcpu gets its part. */
int steal_time_give(struct kvm_vcpu *vcpu, struct hvd_error *err);

/* The VM has ended. No-op on a zeroed struct. */
void steal_time_destroy(struct steal_time *steal);
