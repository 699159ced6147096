/* SPDX-License-Identifier: Apache-2.0 */
/*
 * KVM's own statistics of a vCPU, by KVM_GET_STATS_FD (Documentation/virt/kvm/api.rst §4.133). The
 * vCPU may run while they are read.
 */
#pragma once

#include <stdint.h>

#define KVM_STATS_MAX 16

/* Where in the file the wanted ones are: the same for all vCPUs of a host. */
struct kvm_stats_layout {
	uint32_t data; /* where the data begins */
	uint32_t size; /* how much of it is of interest; 0: nothing */
	unsigned n;
	struct {
		uint32_t offset; /* within the data */
		uint8_t counter; /* which of the caller's values it is added to */
	} at[KVM_STATS_MAX];
};

/* A name of KVM's, and which value it belongs to; several may belong to one. */
struct kvm_stats_name {
	const char *name;
	unsigned counter;
};

/* Of a vCPU. -errno where the kernel has none (before Linux 5.14). */
int kvm_stats_open(int vcpu_fd);

/* Names that this kernel does not have are left out. 0, or -EPROTO, -errno of reading. */
int kvm_stats_find(int fd, const struct kvm_stats_name *names, unsigned n,
		   struct kvm_stats_layout *ret);

/* Add to values. 0 or -errno, with values as they were. */
int kvm_stats_add(int fd, const struct kvm_stats_layout *layout, uint64_t *values);
