/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a vCPU thread does all day: KVM_RUN, one switch on the exit reason, one MMIO look-up, back
 * in. No lock, no log, no allocation.
 */
#pragma once

#include "vmm/base/err.h"
#include "vmm/bus/mmio.h"
#include "vmm/kvm/vcpu.h"

enum vcpu_event {
	VCPU_KICKED,   /* by kvm_vcpu_kick(); the last access has completed */
	VCPU_SHUTDOWN, /* the guest called PSCI SYSTEM_OFF */
	VCPU_RESET,    /* the guest called PSCI SYSTEM_RESET or SYSTEM_RESET2 */
	VCPU_FAILED,   /* err tells */
};

/* Run until one of these happens. On the vCPU's own thread. */
enum vcpu_event vcpu_loop(struct kvm_vcpu *vcpu, const struct mmio_bus *bus, struct hvd_error *err);
