/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/arch/steal_time.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "vmm/arch/memmap.h"
#include "vmm/config.h"

_Static_assert(VM_MAX_VCPUS * MEMMAP_STEAL_TIME_EACH <= MEMMAP_STEAL_TIME_SIZE,
	       "a place for every vCPU");

int steal_time_create(struct steal_time *steal, struct kvm_vm *vm, unsigned slot,
		      struct hvd_error *err)
{
	void *host = mmap(NULL, MEMMAP_STEAL_TIME_SIZE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (host == MAP_FAILED)
		return hvd_err(err, errno, "steal time: %s", strerror(errno));
	steal->host = host;
	return kvm_vm_set_memory(vm, slot, MEMMAP_STEAL_TIME, MEMMAP_STEAL_TIME_SIZE, host, err);
}

int steal_time_give(struct kvm_vcpu *vcpu, struct hvd_error *err)
{
	return kvm_vcpu_init_steal_time(
		vcpu, MEMMAP_STEAL_TIME + vcpu->id * MEMMAP_STEAL_TIME_EACH, err);
}

void steal_time_destroy(struct steal_time *steal)
{
	if (steal->host)
		munmap(steal->host, MEMMAP_STEAL_TIME_SIZE);
}
