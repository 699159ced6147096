/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/arch/vcpu_loop.h"

#include <errno.h>
#include <string.h>

/* Everything below this line but vcpu_loop() runs once in the life of a vCPU, if at all. */

static enum vcpu_event failed(struct kvm_vcpu *vcpu, struct hvd_error *err, int errnum,
			      const char *what, unsigned long long detail)
{
	uint64_t pc = 0;

	kvm_vcpu_pc(vcpu, &pc);
	hvd_err(err, errnum, "vCPU %u at PC 0x%llx: %s (0x%llx)", vcpu->id, (unsigned long long)pc,
		what, detail);
	return VCPU_FAILED;
}

static enum vcpu_event run_failed(struct kvm_vcpu *vcpu, struct hvd_error *err, int r)
{
	uint64_t pc = 0;

	if (r == -EINTR || r == -EAGAIN)
		return VCPU_KICKED;
	kvm_vcpu_pc(vcpu, &pc);
	hvd_err(err, -r, "vCPU %u at PC 0x%llx: KVM_RUN: %s%s", vcpu->id, (unsigned long long)pc,
		strerror(-r),
		r == -EFAULT ? ": the host could not provide a page of guest memory" : "");
	return VCPU_FAILED;
}

static enum vcpu_event system_event(struct kvm_vcpu *vcpu, struct hvd_error *err)
{
	switch (vcpu->run->system_event.type) {
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		return VCPU_SHUTDOWN;
	case KVM_SYSTEM_EVENT_RESET:
		return VCPU_RESET;
	case KVM_SYSTEM_EVENT_CRASH:
		return failed(vcpu, err, EIO, "the guest reported a crash", 0);
	default:
		return failed(vcpu, err, EPROTO, "system event of a kind that hvd does not know",
			      vcpu->run->system_event.type);
	}
}

static enum vcpu_event unusual_exit(struct kvm_vcpu *vcpu, struct hvd_error *err)
{
	const struct kvm_run *run = vcpu->run;

	switch (run->exit_reason) {
	case KVM_EXIT_SYSTEM_EVENT:
		return system_event(vcpu, err);
	case KVM_EXIT_FAIL_ENTRY:
		return failed(vcpu, err, EIO, "the CPU refused to enter the guest",
			      run->fail_entry.hardware_entry_failure_reason);
	case KVM_EXIT_INTERNAL_ERROR:
		return failed(vcpu, err, EIO, "KVM internal error", run->internal.suberror);
	case KVM_EXIT_MEMORY_FAULT:
		return failed(vcpu, err, EFAULT, "KVM could not resolve a guest memory fault", 0);
	default:
		return failed(vcpu, err, EPROTO, "exit for a reason that hvd does not know",
			      run->exit_reason);
	}
}

/*
 * An access outside RAM by an instruction that the CPU does not decode for us (a load pair, an
 * atomic). No device can be accessed so: the guest takes the abort that hardware might give it.
 */
static int undecoded_access(struct kvm_vcpu *vcpu)
{
	return kvm_vcpu_inject_abort(vcpu);
}

enum vcpu_event vcpu_loop(struct kvm_vcpu *vcpu, const struct mmio_bus *bus, struct hvd_error *err)
{
	struct kvm_run *run = vcpu->run;
	int r;

	for (;;) {
		r = kvm_vcpu_run(vcpu);
		if (r < 0)
			return run_failed(vcpu, err, r);

		switch (run->exit_reason) {
		case KVM_EXIT_MMIO:
			if (run->mmio.is_write)
				mmio_bus_write(bus, run->mmio.phys_addr, run->mmio.data,
					       run->mmio.len);
			else
				mmio_bus_read(bus, run->mmio.phys_addr, run->mmio.data,
					      run->mmio.len);
			break;
		case KVM_EXIT_ARM_NISV:
			r = undecoded_access(vcpu);
			if (r < 0)
				return run_failed(vcpu, err, r);
			break;
		case KVM_EXIT_INTR:
			return VCPU_KICKED;
		default:
			return unusual_exit(vcpu, err);
		}
	}
}
