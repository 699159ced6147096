/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /dev/kvm and one KVM virtual machine (Documentation/virt/kvm/api.rst): thin typed wrappers.
 * Nothing here knows what the machine looks like.
 *
 * Calls fill err with the name of the ioctl or capability, because that is what one looks for in
 * KVM's documentation and in a bug tracker.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "vmm/base/err.h"
#include "vmm/kvm/uapi.h"

struct kvm_vm {
	int dev; /* /dev/kvm, the caller's */
	int fd;
	size_t run_size; /* of a vCPU's struct kvm_run mapping, bytes */
};

/* A capability and its name, for tables: KVM_CAP_NAME(KVM_CAP_IRQFD). */
struct kvm_cap {
	unsigned cap;
	const char *name;
};
#define KVM_CAP_NAME(c) { (c), #c }

/* Value of a capability on /dev/kvm or a VM; 0 when there is none. */
int kvm_cap(int fd, unsigned cap);

/* -EOPNOTSUPP when one is missing, naming it. */
int kvm_require(int fd, const struct kvm_cap *caps, size_t n, struct hvd_error *err);

/* Largest guest physical address space of this host, in bits. */
unsigned kvm_max_ipa_bits(int dev);

/* dev is an open /dev/kvm and must outlive the VM. -EOPNOTSUPP: not the KVM API we know. */
int kvm_vm_create(int dev, unsigned ipa_bits, struct kvm_vm *ret, struct hvd_error *err);
void kvm_vm_destroy(struct kvm_vm *vm);

int kvm_vm_enable_cap(struct kvm_vm *vm, unsigned cap);

/* Guest RAM: size bytes at host become guest memory at ipa. */
int kvm_vm_set_memory(struct kvm_vm *vm, unsigned slot, uint64_t ipa, uint64_t size, void *host,
		      struct hvd_error *err);

/*
 * Memory that the guest reads and runs code from; what it writes exits as MMIO. host NULL: there is
 * none any more, and reads exit too. Any thread; 0 or -errno. Needs KVM_CAP_READONLY_MEM.
 */
int kvm_vm_set_read_only(struct kvm_vm *vm, unsigned slot, uint64_t ipa, uint64_t size,
			 const void *host);

/* A guest's write of `match`, len bytes, to ipa signals the eventfd and stays in the kernel. */
int kvm_vm_ioeventfd(struct kvm_vm *vm, int eventfd, uint64_t ipa, unsigned len, uint64_t match,
		     struct hvd_error *err);

/*
 * The same for writes of any width and value; or no more. Any thread. -EEXIST: another eventfd is
 * at this address.
 */
int kvm_vm_bind_write(struct kvm_vm *vm, int eventfd, uint64_t ipa);
int kvm_vm_unbind_write(struct kvm_vm *vm, int eventfd, uint64_t ipa);

/* Level of SPI spi; any thread. */
int kvm_vm_irq_line(int vm_fd, uint32_t spi, bool level);

/* In-kernel devices. ret_fd is the device, the caller's. */
int kvm_device_create(struct kvm_vm *vm, unsigned type, int *ret_fd);
bool kvm_device_offered(struct kvm_vm *vm, unsigned type);
int kvm_device_set(int fd, uint32_t group, uint64_t attr, const void *value);
