/* SPDX-License-Identifier: Apache-2.0 */
/* Which features the vCPUs of a VM have: what its configuration wants of what KVM offers. */
#pragma once

#include "vmm/base/err.h"
#include "vmm/config.h"
#include "vmm/kvm/features.h"

/* -EOPNOTSUPP: one that is to be on is not offered; err names it and the capability. */
int features_choose(const struct vm_config *config, const struct kvm_vcpu_features *offered,
		    struct kvm_vcpu_features *ret, struct hvd_error *err);
