/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/vmm.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "vmm/arch/memmap.h"
#include "vmm/kvm/kvm.h"

/* Features that are one capability each. */
static const struct {
	unsigned cap;
	size_t offset;
} probes[] = {
	{ KVM_CAP_ARM_EL1_32BIT, offsetof(struct vmm_host, aarch32) },
	{ KVM_CAP_ARM_PMU_V3, offsetof(struct vmm_host, pmu) },
	{ KVM_CAP_ARM_SVE, offsetof(struct vmm_host, sve) },
	{ KVM_CAP_ARM_PTRAUTH_ADDRESS, offsetof(struct vmm_host, pauth) },
	{ KVM_CAP_ARM_MTE, offsetof(struct vmm_host, mte) },
	{ KVM_CAP_ARM_EL2, offsetof(struct vmm_host, el2) },
	{ KVM_CAP_STEAL_TIME, offsetof(struct vmm_host, steal_time) },
};

int vmm_probe(int kvm, struct vmm_host *ret, struct hvd_error *err)
{
	struct vmm_host host = { .ipa_bits = kvm_max_ipa_bits(kvm) };
	struct kvm_vm vm;
	int r;

	/* which interrupt controllers there are, only a VM can tell */
	r = kvm_vm_create(kvm, MIN(host.ipa_bits, 40U), &vm, err);
	if (r < 0)
		return r;

	for (size_t i = 0; i < ARRAY_SIZE(probes); i++) {
		bool *flag = (bool *)((char *)&host + probes[i].offset);

		*flag = kvm_cap(vm.fd, probes[i].cap);
	}
	host.max_vcpus = MIN((unsigned)kvm_cap(vm.fd, KVM_CAP_MAX_VCPUS),
			     memmap_max_vcpus(host.ipa_bits));
	host.gicv3 = kvm_device_offered(&vm, KVM_DEV_TYPE_ARM_VGIC_V3);
	host.its = kvm_device_offered(&vm, KVM_DEV_TYPE_ARM_VGIC_ITS);
	kvm_vm_destroy(&vm);

	*ret = host;
	return 0;
}
