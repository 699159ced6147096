/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A PCI Express root port (PCIe Base 5.0 §7.5.3): a bridge on bus 0 with room for one device behind
 * it, and one MSI-X vector of its own.
 */
#pragma once

#include "vmm/bus/msix.h"
#include "vmm/bus/pci.h"

struct pci_port {
	struct pci_function function;
	struct msix msix;
};

/*
 * Build the port of a physical slot (1 … 8191, unique on the host bridge) and plug it in. -EEXIST,
 * -ENOMEM, -EMFILE; to be destroyed in either case.
 */
int pci_port_init(struct pci_port *port, struct pci *pci, uint8_t devfn, unsigned slot,
		  struct pci_events *events, struct hvd_error *err);

/* What is behind it is unplugged. No-op on a zeroed struct. */
void pci_port_destroy(struct pci_port *port);
