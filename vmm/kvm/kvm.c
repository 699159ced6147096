/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/kvm/kvm.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define API_VERSION      12
#define DEFAULT_IPA_BITS 40 /* of a KVM without KVM_CAP_ARM_VM_IPA_SIZE */

int kvm_cap(int fd, unsigned cap)
{
	int r = ioctl(fd, KVM_CHECK_EXTENSION, (unsigned long)cap);

	return r < 0 ? 0 : r;
}

int kvm_require(int fd, const struct kvm_cap *caps, size_t n, struct hvd_error *err)
{
	for (size_t i = 0; i < n; i++)
		if (!kvm_cap(fd, caps[i].cap))
			return hvd_err(err, EOPNOTSUPP, "KVM of this host lacks %s", caps[i].name);
	return 0;
}

unsigned kvm_max_ipa_bits(int dev)
{
	int bits = kvm_cap(dev, KVM_CAP_ARM_VM_IPA_SIZE);

	return bits ? (unsigned)bits : DEFAULT_IPA_BITS;
}

int kvm_vm_create(int dev, unsigned ipa_bits, struct kvm_vm *ret, struct hvd_error *err)
{
	/* 0 is the default size, which every KVM has */
	unsigned long type = ipa_bits == DEFAULT_IPA_BITS ? 0 : KVM_VM_TYPE_ARM_IPA_SIZE(ipa_bits);
	int version = ioctl(dev, KVM_GET_API_VERSION, 0);
	int run_size, fd;

	if (version != API_VERSION)
		return hvd_err(err, EOPNOTSUPP, "not a KVM device, or KVM API version %d, not %d",
			       version, API_VERSION);

	run_size = ioctl(dev, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (run_size < (int)sizeof(struct kvm_run))
		return hvd_err(err, EOPNOTSUPP, "KVM_GET_VCPU_MMAP_SIZE returns %d", run_size);

	/*
	 * Seen to fail with EINTR on a reset, though no signal is handled on this thread; nothing has
	 * been made then, so that it can be tried again.
	 */
	fd = (int)TEMP_FAILURE_RETRY(ioctl(dev, KVM_CREATE_VM, type));
	if (fd < 0)
		return hvd_err(err, errno, "KVM_CREATE_VM with %u address bits: %s", ipa_bits,
			       strerror(errno));

	*ret = (struct kvm_vm){ .dev = dev, .fd = fd, .run_size = (size_t)run_size };
	return 0;
}

void kvm_vm_destroy(struct kvm_vm *vm)
{
	if (vm->fd >= 0)
		close(vm->fd);
	vm->fd = -1;
}

int kvm_vm_enable_cap(struct kvm_vm *vm, unsigned cap)
{
	struct kvm_enable_cap enable = { .cap = cap };

	return ioctl(vm->fd, KVM_ENABLE_CAP, &enable) < 0 ? -errno : 0;
}

int kvm_vm_set_memory(struct kvm_vm *vm, unsigned slot, uint64_t ipa, uint64_t size, void *host,
		      struct hvd_error *err)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.guest_phys_addr = ipa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)host,
	};

	if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region) < 0)
		return hvd_err(err, errno, "KVM_SET_USER_MEMORY_REGION of %llu MiB at 0x%llx: %s",
			       (unsigned long long)(size >> 20), (unsigned long long)ipa,
			       strerror(errno));
	return 0;
}

int kvm_vm_set_read_only(struct kvm_vm *vm, unsigned slot, uint64_t ipa, uint64_t size,
			 const void *host)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.flags = KVM_MEM_READONLY,
		.guest_phys_addr = ipa,
		.memory_size = host ? size : 0,
		.userspace_addr = (uintptr_t)host,
	};

	return ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region) < 0 ? -errno : 0;
}

int kvm_vm_ioeventfd(struct kvm_vm *vm, int eventfd, uint64_t ipa, unsigned len, uint64_t match,
		     struct hvd_error *err)
{
	struct kvm_ioeventfd io = {
		.datamatch = match,
		.addr = ipa,
		.len = len,
		.fd = eventfd,
		.flags = KVM_IOEVENTFD_FLAG_DATAMATCH,
	};

	if (ioctl(vm->fd, KVM_IOEVENTFD, &io) < 0)
		return hvd_err(err, errno, "KVM_IOEVENTFD at 0x%llx: %s", (unsigned long long)ipa,
			       strerror(errno));
	return 0;
}

static int any_write(struct kvm_vm *vm, int eventfd, uint64_t ipa, uint32_t flags)
{
	/* length 0 is any length */
	struct kvm_ioeventfd io = { .addr = ipa, .fd = eventfd, .flags = flags };

	return ioctl(vm->fd, KVM_IOEVENTFD, &io) < 0 ? -errno : 0;
}

int kvm_vm_bind_write(struct kvm_vm *vm, int eventfd, uint64_t ipa)
{
	return any_write(vm, eventfd, ipa, 0);
}

int kvm_vm_unbind_write(struct kvm_vm *vm, int eventfd, uint64_t ipa)
{
	return any_write(vm, eventfd, ipa, KVM_IOEVENTFD_FLAG_DEASSIGN);
}

int kvm_vm_irq_line(int vm_fd, uint32_t spi, bool level)
{
	struct kvm_irq_level irq = {
		.irq = KVM_ARM_IRQ_TYPE_SPI << KVM_ARM_IRQ_TYPE_SHIFT | (spi + 32),
		.level = level,
	};

	return ioctl(vm_fd, KVM_IRQ_LINE, &irq) < 0 ? -errno : 0;
}

int kvm_device_create(struct kvm_vm *vm, unsigned type, int *ret_fd)
{
	struct kvm_create_device device = { .type = type };

	if (ioctl(vm->fd, KVM_CREATE_DEVICE, &device) < 0)
		return -errno;
	*ret_fd = (int)device.fd;
	return 0;
}

bool kvm_device_offered(struct kvm_vm *vm, unsigned type)
{
	struct kvm_create_device device = { .type = type, .flags = KVM_CREATE_DEVICE_TEST };

	return ioctl(vm->fd, KVM_CREATE_DEVICE, &device) == 0;
}

int kvm_device_set(int fd, uint32_t group, uint64_t attr, const void *value)
{
	struct kvm_device_attr set = {
		.group = group,
		.attr = attr,
		.addr = (uintptr_t)value,
	};

	return ioctl(fd, KVM_SET_DEVICE_ATTR, &set) < 0 ? -errno : 0;
}
