/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/bus/pci_port.h"

#include <string.h>

#include "vmm/base/macro.h"

/* QEMU's generic root port, which guests drive by its class. */
static const struct pci_ident ident = {
	.vendor = 0x1b36,
	.device = 0x000c,
	.class = 0x060400,
};

#define TABLE_AT 0
#define PBA_AT   MSIX_TABLE_SIZE
#define BAR_SIZE (MSIX_TABLE_SIZE + MSIX_PBA_SIZE)

static struct pci_port *to_port(struct pci_function *f)
{
	return container_of(f, struct pci_port, function);
}

static uint64_t port_read(struct pci_function *f, unsigned bar, uint64_t offset, unsigned len)
{
	struct msix *msix = &to_port(f)->msix;

	if (offset < PBA_AT)
		return msix_table_read(msix, offset, len);
	return msix_pba_read(msix, offset - PBA_AT, len);
}

static void port_write(struct pci_function *f, unsigned bar, uint64_t offset, uint64_t value,
		       unsigned len)
{
	if (offset < PBA_AT)
		msix_table_write(&to_port(f)->msix, offset, value, len);
}

static void port_config_written(struct pci_function *f, unsigned at, unsigned len)
{
	msix_update(&to_port(f)->msix, f);
}

static const struct pci_ops port_ops = {
	.read = port_read,
	.write = port_write,
	.config_written = port_config_written,
};

int pci_port_init(struct pci_port *port, struct pci *pci, uint8_t devfn, unsigned slot,
		  struct pci_events *events, struct hvd_error *err)
{
	struct pci_function *f = &port->function;
	int r;

	pci_function_init(f, &port_ops, &ident);
	pci_function_is_bridge(f);
	pci_add_bar(f, 0, BAR_SIZE, false, false);
	pci_add_express(f, PCI_EXP_TYPE_ROOT_PORT, slot);
	pci_config_allow(f, f->express + PCI_EXP_RTCTL, PCI_EXP_RTCTL_PMEIE, 2);
	r = msix_init(&port->msix, f, 1, 0, TABLE_AT, PBA_AT, events);
	if (r < 0)
		return hvd_err(err, -r, "PCI root port %u: %s", slot, strerror(-r));
	return pci_plug(pci, f, devfn, err);
}

void pci_port_destroy(struct pci_port *port)
{
	pci_unplug(&port->function);
	msix_destroy(&port->msix);
}
