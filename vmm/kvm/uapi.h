/* SPDX-License-Identifier: Apache-2.0 */
/* <linux/kvm.h>, and what is newer than the oldest one that hvd builds with (Linux 6.1). */
#pragma once

#include <linux/kvm.h>

#ifndef KVM_CAP_ARM_EL2
#define KVM_CAP_ARM_EL2 240
#endif

#ifndef KVM_EXIT_MEMORY_FAULT
#define KVM_EXIT_MEMORY_FAULT 39
#endif
