/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/arch/features.h"

#include <errno.h>
#include <stddef.h>

#include "vmm/base/macro.h"

static const struct {
	const char *name, *cap;
	size_t wanted;  /* in struct features_config */
	size_t offered; /* in struct kvm_vcpu_features */
	bool not_micro; /* auto is off in PROFILE_MICRO: it costs at start and at each exit */
} features[] = {
	{ "pmu", "KVM_CAP_ARM_PMU_V3", offsetof(struct features_config, pmu),
	  offsetof(struct kvm_vcpu_features, pmu), true },
	{ "sve", "KVM_CAP_ARM_SVE", offsetof(struct features_config, sve),
	  offsetof(struct kvm_vcpu_features, sve), false },
	{ "pauth", "KVM_CAP_ARM_PTRAUTH_ADDRESS and _GENERIC", offsetof(struct features_config, pauth),
	  offsetof(struct kvm_vcpu_features, pauth), false },
	{ "steal_time", "KVM_CAP_STEAL_TIME", offsetof(struct features_config, steal_time),
	  offsetof(struct kvm_vcpu_features, steal_time), true },
};

int features_choose(const struct vm_config *config, const struct kvm_vcpu_features *offered,
		    struct kvm_vcpu_features *ret, struct hvd_error *err)
{
	struct kvm_vcpu_features chosen = *offered;

	for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
		const char *wanted = (const char *)&config->features + features[i].wanted;
		bool *has = (bool *)((char *)&chosen + features[i].offered);

		switch (*(const enum feature *)wanted) {
		case FEATURE_ON:
			if (*has)
				break;
			hvd_err_field(err, EOPNOTSUPP, features[i].name,
				      "this host's KVM does not offer it (%s); leave it at auto, or "
				      "choose another host", features[i].cap);
			return hvd_err_in(err, -EOPNOTSUPP, "features");
		case FEATURE_OFF:
			*has = false;
			break;
		default:
			*has = *has && !(features[i].not_micro && config->profile == PROFILE_MICRO);
		}
	}
	*ret = chosen;
	return 0;
}
