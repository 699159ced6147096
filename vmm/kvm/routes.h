/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interrupt routing table of one VM (KVM_SET_GSI_ROUTING), and the irqfds that refer to it. The
 * table has one owner because KVM takes it as a whole only.
 *
 * A wired interrupt has its SPI number as its GSI; messages get GSIs from KVM_MSI_GSI_FIRST on. As
 * long as there is no message, KVM's default table (one entry for each SPI) stays.
 */
#pragma once

#include <pthread.h>

#include "vmm/kvm/kvm.h"

#define KVM_GSI_MAX       4096 /* KVM_MAX_IRQ_ROUTES */
#define KVM_MSI_GSI_FIRST 1024 /* above every SPI */

struct kvm_routes {
	struct kvm_vm *vm;
	pthread_mutex_t lock; /* protects what follows */
	struct kvm_irq_routing *table;
	struct kvm_gsi *gsis;
	bool own_table; /* KVM has ours, not its default */
};

/* The VM must outlive the routes. -ENOMEM. */
int kvm_routes_init(struct kvm_routes *routes, struct kvm_vm *vm);

/* No-op on a zeroed struct. The irqfds end with the VM. */
void kvm_routes_destroy(struct kvm_routes *routes);

/* Writing to the eventfd raises SPI spi as an edge. */
int kvm_routes_bind_spi(struct kvm_routes *routes, int eventfd, uint32_t spi,
			struct hvd_error *err);

/*
 * Writing to the eventfd sends the message; what it counts already sends it at once. *gsi below
 * 0: a GSI is chosen; else the one that was, with the same eventfd. Any thread. -ENOSPC: there are
 * no more GSIs; else what KVM says: the eventfd is as before.
 */
int kvm_routes_bind_msi(struct kvm_routes *routes, int eventfd, uint64_t address, uint32_t data,
			uint32_t device, int *gsi);

/* Writing to the eventfd only counts. */
void kvm_routes_unbind_msi(struct kvm_routes *routes, int eventfd, int gsi);

/* gsi, which is not bound, may be chosen again. */
void kvm_routes_free_msi(struct kvm_routes *routes, int gsi);
