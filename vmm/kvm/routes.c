/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/kvm/routes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

struct kvm_gsi {
	uint16_t entry; /* in the table, + 1; 0: none */
	bool used, bound;
};

int kvm_routes_init(struct kvm_routes *routes, struct kvm_vm *vm)
{
	*routes = (struct kvm_routes){
		.vm = vm,
		/* its pages come with use */
		.table = calloc(1, sizeof(struct kvm_irq_routing) +
					   KVM_GSI_MAX * sizeof(struct kvm_irq_routing_entry)),
		.gsis = calloc(KVM_GSI_MAX, sizeof(struct kvm_gsi)),
	};
	pthread_mutex_init(&routes->lock, NULL);
	return routes->table && routes->gsis ? 0 : -ENOMEM;
}

void kvm_routes_destroy(struct kvm_routes *routes)
{
	if (!routes->vm)
		return;
	free(routes->table);
	free(routes->gsis);
	pthread_mutex_destroy(&routes->lock);
	routes->vm = NULL;
}

static int irqfd(struct kvm_routes *routes, int eventfd, uint32_t gsi, uint32_t flags)
{
	struct kvm_irqfd irqfd = { .fd = (uint32_t)eventfd, .gsi = gsi, .flags = flags };

	return ioctl(routes->vm->fd, KVM_IRQFD, &irqfd) < 0 ? -errno : 0;
}

/* The entry of a GSI, made when there is none yet. Entries are never taken out. */
static struct kvm_irq_routing_entry *entry_of(struct kvm_routes *routes, uint32_t gsi)
{
	struct kvm_gsi *g = &routes->gsis[gsi];

	if (!g->entry) {
		g->entry = (uint16_t)++routes->table->nr;
		routes->table->entries[g->entry - 1] = (struct kvm_irq_routing_entry){ .gsi = gsi };
	}
	return &routes->table->entries[g->entry - 1];
}

static int set_table(struct kvm_routes *routes)
{
	if (ioctl(routes->vm->fd, KVM_SET_GSI_ROUTING, routes->table) < 0)
		return -errno;
	routes->own_table = true;
	return 0;
}

int kvm_routes_bind_spi(struct kvm_routes *routes, int eventfd, uint32_t spi, struct hvd_error *err)
{
	struct kvm_irq_routing_entry entry = {
		.gsi = spi,
		.type = KVM_IRQ_ROUTING_IRQCHIP,
		.u.irqchip.pin = spi,
	};
	int r = 0;

	pthread_mutex_lock(&routes->lock);
	*entry_of(routes, spi) = entry;
	if (routes->own_table)
		r = set_table(routes);
	if (r == 0)
		r = irqfd(routes, eventfd, spi, 0);
	pthread_mutex_unlock(&routes->lock);
	return r < 0 ? hvd_err(err, -r, "KVM_IRQFD for SPI %u: %s", spi, strerror(-r)) : 0;
}

static int choose_gsi(struct kvm_routes *routes)
{
	for (int gsi = KVM_MSI_GSI_FIRST; gsi < KVM_GSI_MAX; gsi++) {
		if (!routes->gsis[gsi].used) {
			routes->gsis[gsi].used = true;
			return gsi;
		}
	}
	return -ENOSPC;
}

/* Under lock. Only what changes is worth a call. */
static int set_message(struct kvm_routes *routes, const struct kvm_irq_routing_entry *entry)
{
	struct kvm_irq_routing_entry *there = entry_of(routes, entry->gsi), old = *there;
	int r;

	if (there->type == entry->type && memcmp(&there->u, &entry->u, sizeof(there->u)) == 0)
		return 0;
	*there = *entry;
	r = set_table(routes);
	if (r < 0)
		*there = old;
	return r;
}

static int bind_msi(struct kvm_routes *routes, int eventfd, struct kvm_irq_routing_entry *entry,
		    int *gsi)
{
	int r;

	if (*gsi < 0) {
		r = choose_gsi(routes);
		if (r < 0)
			return r;
		*gsi = r;
	}
	entry->gsi = (uint32_t)*gsi;
	r = set_message(routes, entry);
	if (r < 0 || routes->gsis[*gsi].bound)
		return r;
	r = irqfd(routes, eventfd, entry->gsi, 0);
	if (r == 0)
		routes->gsis[*gsi].bound = true;
	return r;
}

int kvm_routes_bind_msi(struct kvm_routes *routes, int eventfd, uint64_t address, uint32_t data,
			uint32_t device, int *gsi)
{
	struct kvm_irq_routing_entry entry = {
		.type = KVM_IRQ_ROUTING_MSI,
		.flags = KVM_MSI_VALID_DEVID,
		.u.msi = {
			.address_lo = (uint32_t)address,
			.address_hi = (uint32_t)(address >> 32),
			.data = data,
			.devid = device,
		},
	};
	int r;

	pthread_mutex_lock(&routes->lock);
	r = bind_msi(routes, eventfd, &entry, gsi);
	pthread_mutex_unlock(&routes->lock);
	return r;
}

void kvm_routes_unbind_msi(struct kvm_routes *routes, int eventfd, int gsi)
{
	pthread_mutex_lock(&routes->lock);
	if (routes->gsis[gsi].bound)
		irqfd(routes, eventfd, (uint32_t)gsi, KVM_IRQFD_FLAG_DEASSIGN);
	routes->gsis[gsi].bound = false;
	pthread_mutex_unlock(&routes->lock);
}

void kvm_routes_free_msi(struct kvm_routes *routes, int gsi)
{
	pthread_mutex_lock(&routes->lock);
	routes->gsis[gsi].used = false;
	pthread_mutex_unlock(&routes->lock);
}
