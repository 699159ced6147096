/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interrupt controller in the kernel: GICv3 with an ITS
 * (Documentation/virt/kvm/devices/arm-vgic-v3.rst, arm-vgic-its.rst).
 *
 * All vCPUs are created before gic_create(); it ends with both devices initialised.
 */
#pragma once

#include "vmm/kvm/kvm.h"

struct gic_places {
	uint64_t dist, its; /* IPAs; its 0: there is no ITS */
	struct {
		uint64_t base;
		unsigned n; /* redistributors, of 128 KiB each; 0: no such region */
	} redist[2];        /* together one for each vCPU */
	unsigned n_spis;    /* a multiple of 32 */
};

struct gic {
	int fd, its_fd; /* -1 when not created */
};

#define GIC_INIT { .fd = -1, .its_fd = -1 }

/* -EOPNOTSUPP: the host has no GICv3, or one that KVM cannot virtualise. */
int gic_create(struct kvm_vm *vm, const struct gic_places *places, struct gic *ret,
	       struct hvd_error *err);
void gic_destroy(struct gic *gic);
