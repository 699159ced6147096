/* SPDX-License-Identifier: Apache-2.0 */
/* Features that vCPUs may have beside the base architecture. */
#pragma once

#include <stdbool.h>

struct kvm_vcpu_features {
	bool pmu, sve, pauth, steal_time;
};
