/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Eventfds that the host kernel serves for PCI functions without a detour through this process:
 * messages out of them, the guest's writes into them. The machine's are KVM's irqfds and
 * ioeventfds; tests have their own. From vCPU threads and the main loop.
 */
#pragma once

#include <stdint.h>

/* A message signalled interrupt: a write of data to address by a requester. */
struct msi_message {
	uint64_t address;
	uint32_t data;
	uint16_t requester;
};

#define PCI_NO_ROUTE (-1)

struct pci_events {
	/*
	 * From now on, and if it is signalled already, the eventfd sends the message. *route is
	 * PCI_NO_ROUTE at first, and given again to change the message. Negative errno: it does
	 * not.
	 */
	int (*bind_message)(struct pci_events *events, int fd, const struct msi_message *message,
			    int *route);
	/* From now on the eventfd only counts. */
	void (*unbind_message)(struct pci_events *events, int fd, int route);
	/* The route is not used again. */
	void (*free_route)(struct pci_events *events, int route);

	/* Writes of the guest to ipa, of any width and value, signal the eventfd, or no more. */
	int (*bind_write)(struct pci_events *events, int fd, uint64_t ipa);
	void (*unbind_write)(struct pci_events *events, int fd, uint64_t ipa);
};
