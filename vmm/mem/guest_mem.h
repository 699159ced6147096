/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory: the only place that turns a guest address (IPA) into a pointer.
 *
 * RAM is one anonymous mapping without swap reservation; device addresses are never RAM, so no
 * descriptor can aim DMA at MMIO. Immutable once the VM runs: lookups from any thread, no lock.
 *
 * Where another process serves devices (vmm/block/vhost_user.h), RAM is a memfd that it maps as well.
 * That is for those who ask for it: pages of a memfd are huge only where the host's administrator has
 * allowed it (transparent_hugepage/shmem_enabled), and a fork or a snapshot cannot share them.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "vmm/base/cleanup.h"

struct guest_mem;

/* Map size bytes of zeroed RAM (multiple of the page size) at IPA base. Returns 0 or -ENOMEM. */
int guest_mem_new(uint64_t base, uint64_t size, struct guest_mem **ret);

/* The same, of a memfd: guest_mem_fd() is its descriptor, for others to map from offset 0. -EMFILE too. */
int guest_mem_new_shared(uint64_t base, uint64_t size, struct guest_mem **ret);
int guest_mem_fd(const struct guest_mem *mem); /* stays the memory's; -1: it cannot be shared */

struct guest_mem *guest_mem_free(struct guest_mem *mem);
DEFINE_AUTO(struct guest_mem *, guest_mem_free);

/*
 * Host address of [ipa, ipa + len), or NULL unless all of it is guest RAM. len 0 is NULL. The
 * bytes can change under the reader at any time: read once into a local, check, then use.
 */
void *guest_mem_ptr(const struct guest_mem *mem, uint64_t ipa, uint64_t len);

/*
 * Give memory back to the host: whole pages of the host's in [p, p + len), which guest_mem_ptr() has
 * returned. They read as zeroes, and are allocated anew when somebody touches them. Any thread, also
 * while the guest uses them. Returns 0 or -errno, when the host keeps them.
 */
int guest_mem_discard(const struct guest_mem *mem, void *p, size_t len);

uint64_t guest_mem_base(const struct guest_mem *mem);
uint64_t guest_mem_size(const struct guest_mem *mem);
