/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MSI-X of one PCI function (PCIe Base 5.0 §6.1.4, §7.7.2): capability, table and pending bits.
 *
 * Each vector is an eventfd; who signals it knows nothing of masks, so that the host kernel
 * (vhost) can as well. While the vector may send, the eventfd is bound to its message
 * (vmm/bus/pci_events.h). While it may not (masked, function masked, MSI-X or bus master off), what
 * is signalled stays in the eventfd: that is the pending bit, and binding again delivers it.
 *
 * The table is accessed by vCPUs under the lock here; msix_notify() takes none.
 */
#pragma once

#include "vmm/bus/pci.h"
#include "vmm/bus/pci_events.h"

#define MSIX_MAX_VECTORS 256
#define MSIX_TABLE_SIZE  0x1000 /* room that table and pending bits take in a BAR, each */
#define MSIX_PBA_SIZE    0x1000

struct msix_vector {
	uint32_t entry[4]; /* as the guest sees it: address, upper address, data, control */
	int fd;
	int route;
	bool bound;
	struct msi_message message; /* that it is bound to */
};

struct msix {
	struct pci_events *events;
	unsigned n; /* 0: not initialised */
	unsigned at; /* the capability */
	_Atomic bool enabled;

	pthread_mutex_t lock; /* protects what follows */
	bool quiet; /* the function as a whole may not send */
	uint16_t requester;
	struct msix_vector *vectors;
};

/*
 * Add the capability to a function that is being built; table and pending bits will be at these
 * offsets of its BAR. -ENOMEM, -EMFILE.
 */
int msix_init(struct msix *msix, struct pci_function *f, unsigned n, unsigned bar,
	      uint32_t table_at, uint32_t pba_at, struct pci_events *events);

/* The function is unplugged. No-op on a zeroed struct. */
void msix_destroy(struct msix *msix);

/*
 * The function's own callbacks: config space was written, its requester ID changed, it was reset
 * (pci->lock held); and accesses to where table and pending bits are in the BAR.
 */
void msix_update(struct msix *msix, const struct pci_function *f);
void msix_reset(struct msix *msix, const struct pci_function *f);
uint64_t msix_table_read(struct msix *msix, uint64_t offset, unsigned len);
void msix_table_write(struct msix *msix, uint64_t offset, uint64_t value, unsigned len);
uint64_t msix_pba_read(struct msix *msix, uint64_t offset, unsigned len);

/* Send the vector's message, or have it pending. Any thread. */
void msix_notify(struct msix *msix, unsigned vector);

/* The eventfd to signal for it. */
int msix_fd(const struct msix *msix, unsigned vector);
