/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A PCI Express root port (PCIe Base 5.0 §7.5.3): a bridge on bus 0 with a slot behind it for one
 * device, which may come and go while the guest runs (§6.7, native hotplug).
 *
 * The slot has an attention button, a power controller and both indicators; commands complete at
 * once. A device that comes is shown by presence detect and by the button, at which the guest turns
 * the slot's power on. To take a device out, the button is pressed: the guest stops using it and
 * turns the power off, within seconds or never. A device without power is reset and does not answer.
 *
 * The port's registers are config space: under pci->lock.
 */
#pragma once

#include "vmm/bus/msix.h"
#include "vmm/bus/pci.h"

struct pci_port {
	struct pci_function function;
	struct msix msix;
	/* Was ejected, has no power now: to be pci_port_remove()d. On a vCPU thread with pci->lock. */
	void (*released)(struct pci_port *port);

	bool powered;
	bool ejecting;
	bool interrupting; /* an event is enabled and not cleared yet */
};

/*
 * Build the port of a physical slot (1 … 8191, unique on the host bridge) and plug it in. -EEXIST,
 * -ENOMEM, -EMFILE; to be destroyed in either case.
 */
int pci_port_init(struct pci_port *port, struct pci *pci, uint8_t devfn, unsigned slot,
		  struct pci_events *events, void (*released)(struct pci_port *port),
		  struct hvd_error *err);

/* What was in the slot is unplugged. No-op on a zeroed struct. */
void pci_port_destroy(struct pci_port *port);

/*
 * Put a function, which stays the caller's, into the empty slot: with power on, before the guest
 * runs; or tell the guest of it (hot). Main loop. -EEXIST: the slot is not empty.
 */
int pci_port_insert(struct pci_port *port, struct pci_function *f, bool hot, struct hvd_error *err);

/*
 * Ask the guest to let go of what is in the slot, or do so no more. Main loop. Returns true when
 * there is nothing to ask for, because it has no power.
 */
bool pci_port_eject(struct pci_port *port);
void pci_port_cancel_eject(struct pci_port *port);

/*
 * Take the function out, whether the guest has let go or not, and unplug it. Main loop. No-op when
 * the slot is empty.
 */
void pci_port_remove(struct pci_port *port);
