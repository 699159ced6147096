/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the host is: GET /v1/host, D-Bus, `hvcli host`.
 *
 * The virtualization mode is not visible to ioctls, so it is found from what the kernel shows:
 *
 * 1. /proc/interrupts. A kernel that runs at EL2 (VHE) drives its own clock by the EL2 physical
 *    timer, PPI 26 of the GIC (Arm BSA); a kernel at EL1 that has given EL2 to KVM (nVHE) by the
 *    EL1 physical timer, PPI 30; one that was entered at EL1 by the virtual timer, PPI 27, and has
 *    no KVM. This is a fact of the running kernel that no log rotation can take away.
 * 2. The kernel log, /dev/kmsg ("kvm [1]: VHE mode initialized successfully"), where interrupts have
 *    other numbers (no GIC).
 *
 * /proc/cmdline tells nVHE from protected (kvm-arm.mode=protected), KVM_CAP_ARM_EL2 tells vhe from
 * vhe+nv.
 */
#pragma once

#include "api/vm_schema.h"
#include "vmm/base/err.h"

enum host_mode { HOST_NONE, HOST_VHE, HOST_NVHE, HOST_PROTECTED, HOST_VHE_NV, _HOST_MODE_MAX };
extern const char *const host_mode_names[_HOST_MODE_MAX];

/*
 * Fill info (uninitialised); schema_clear(&host_schema, …) frees it. A host that cannot run VMs is no error:
 * virt_detail says why. -ENOMEM.
 */
int host_probe(struct host_info *ret);

/* -1: the text does not tell. For tests. */
int host_mode_from_interrupts(const char *text);
int host_mode_from_log(const char *text);
bool host_cmdline_protected(const char *cmdline);
