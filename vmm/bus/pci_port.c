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

#define SLOT_CAPABILITIES                                                                          \
	(PCI_EXP_SLTCAP_ABP | PCI_EXP_SLTCAP_PCP | PCI_EXP_SLTCAP_AIP | PCI_EXP_SLTCAP_PIP |       \
	 PCI_EXP_SLTCAP_HPS | PCI_EXP_SLTCAP_HPC | PCI_EXP_SLTCAP_NCCS)

#define SLOT_CONTROL_BITS                                                                          \
	(PCI_EXP_SLTCTL_ABPE | PCI_EXP_SLTCTL_PFDE | PCI_EXP_SLTCTL_MRLSCE | PCI_EXP_SLTCTL_PDCE | \
	 PCI_EXP_SLTCTL_CCIE | PCI_EXP_SLTCTL_HPIE | PCI_EXP_SLTCTL_AIC | PCI_EXP_SLTCTL_PIC |     \
	 PCI_EXP_SLTCTL_PCC | PCI_EXP_SLTCTL_DLLSCE)

/* Events, each with the bit of the control register that enables it. */
static const struct {
	uint16_t status, enable;
} slot_events[] = {
	{ PCI_EXP_SLTSTA_ABP, PCI_EXP_SLTCTL_ABPE },
	{ PCI_EXP_SLTSTA_PDC, PCI_EXP_SLTCTL_PDCE },
	{ PCI_EXP_SLTSTA_DLLSC, PCI_EXP_SLTCTL_DLLSCE },
};

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

/* What follows is under pci->lock. */

static uint32_t get(const struct pci_port *port, unsigned at)
{
	return pci_config_get(&port->function, port->function.express + at, 2);
}

static void set_bits(struct pci_port *port, unsigned at, uint32_t bits, bool on)
{
	uint32_t old = get(port, at);

	pci_config_set(&port->function, port->function.express + at, on ? old | bits : old & ~bits,
		       2);
}

/* A message is sent when the first of the enabled events comes (§6.7.3.4). */
static void update_interrupt(struct pci_port *port)
{
	uint32_t control = get(port, PCI_EXP_SLTCTL), status = get(port, PCI_EXP_SLTSTA);
	bool interrupting = false;

	for (size_t i = 0; i < ARRAY_SIZE(slot_events); i++)
		interrupting |= control & slot_events[i].enable && status & slot_events[i].status;
	interrupting = interrupting && control & PCI_EXP_SLTCTL_HPIE;
	if (interrupting && !port->interrupting && port->msix.enabled)
		msix_notify(&port->msix, 0);
	port->interrupting = interrupting;
}

static void raise_events(struct pci_port *port, uint32_t events)
{
	set_bits(port, PCI_EXP_SLTSTA, events, true);
	update_interrupt(port);
}

/* The link is up where there is a device with power. Returns the event if that has changed. */
static uint32_t update_link(struct pci_port *port)
{
	bool up = port->powered && port->function.child;

	if (up == !!(get(port, PCI_EXP_LNKSTA) & PCI_EXP_LNKSTA_DLLLA))
		return 0;
	set_bits(port, PCI_EXP_LNKSTA, PCI_EXP_LNKSTA_DLLLA, up);
	return PCI_EXP_SLTSTA_DLLSC;
}

static void follow_power_control(struct pci_port *port)
{
	bool on = !(get(port, PCI_EXP_SLTCTL) & PCI_EXP_SLTCTL_PCC);
	struct pci_function *child = port->function.child;

	if (on == port->powered)
		return;
	port->powered = on;
	if (child)
		pci_set_power(child, on);
	raise_events(port, update_link(port));
	if (child && !on && port->ejecting)
		port->released(port);
}

static void port_config_written(struct pci_function *f, unsigned at, unsigned len)
{
	struct pci_port *port = to_port(f);

	msix_update(&port->msix, f);
	follow_power_control(port);
	update_interrupt(port);
}

static const struct pci_ops port_ops = {
	.read = port_read,
	.write = port_write,
	.config_written = port_config_written,
};

/* An empty slot has no power, and its indicators are off. */
static void add_slot(struct pci_function *f)
{
	unsigned at = f->express;
	uint32_t cap = pci_config_get(f, at + PCI_EXP_SLTCAP, 4);

	pci_config_set(f, at + PCI_EXP_SLTCAP, cap | SLOT_CAPABILITIES, 4);
	pci_config_set(f, at + PCI_EXP_SLTCTL,
		       PCI_EXP_SLTCTL_PCC | PCI_EXP_SLTCTL_ATTN_IND_OFF | PCI_EXP_SLTCTL_PWR_IND_OFF,
		       2);
	pci_config_allow(f, at + PCI_EXP_SLTCTL, SLOT_CONTROL_BITS, 2);
	for (size_t i = 0; i < ARRAY_SIZE(slot_events); i++) {
		f->clearable[at + PCI_EXP_SLTSTA] |= (uint8_t)slot_events[i].status;
		f->clearable[at + PCI_EXP_SLTSTA + 1] |= (uint8_t)(slot_events[i].status >> 8);
	}
	pci_config_set(f, at + PCI_EXP_LNKCAP,
		       pci_config_get(f, at + PCI_EXP_LNKCAP, 4) | PCI_EXP_LNKCAP_DLLLARC, 4);
}

int pci_port_init(struct pci_port *port, struct pci *pci, uint8_t devfn, unsigned slot,
		  struct pci_events *events, void (*released)(struct pci_port *port),
		  struct hvd_error *err)
{
	struct pci_function *f = &port->function;
	int r;

	*port = (struct pci_port){ .released = released };
	pci_function_init(f, &port_ops, &ident);
	pci_function_is_bridge(f);
	pci_add_bar(f, 0, BAR_SIZE, false, false);
	pci_add_express(f, PCI_EXP_TYPE_ROOT_PORT, slot);
	pci_config_allow(f, f->express + PCI_EXP_RTCTL, PCI_EXP_RTCTL_PMEIE, 2);
	add_slot(f);
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

static void show(struct pci_port *port, struct pci_function *f, bool hot)
{
	set_bits(port, PCI_EXP_SLTSTA, PCI_EXP_SLTSTA_PDS, true);
	if (!hot) {
		set_bits(port, PCI_EXP_SLTCTL, PCI_EXP_SLTCTL_PCC | PCI_EXP_SLTCTL_PIC, false);
		set_bits(port, PCI_EXP_SLTCTL, PCI_EXP_SLTCTL_PWR_IND_ON, true);
		port->powered = true;
	}
	f->off = !port->powered;
	if (hot)
		raise_events(port, PCI_EXP_SLTSTA_PDC | PCI_EXP_SLTSTA_ABP | update_link(port));
	else
		update_link(port);
}

int pci_port_insert(struct pci_port *port, struct pci_function *f, bool hot, struct hvd_error *err)
{
	struct pci *pci = port->function.pci;
	int r;

	/* not to be seen before the slot says that it is there */
	f->off = true;
	r = pci_plug_behind(&port->function, f, err);
	if (r < 0)
		return r;
	pthread_mutex_lock(&pci->lock);
	show(port, f, hot);
	pthread_mutex_unlock(&pci->lock);
	return 0;
}

bool pci_port_eject(struct pci_port *port)
{
	struct pci *pci = port->function.pci;
	bool free;

	pthread_mutex_lock(&pci->lock);
	free = !port->powered;
	port->ejecting = !free;
	if (!free)
		raise_events(port, PCI_EXP_SLTSTA_ABP);
	pthread_mutex_unlock(&pci->lock);
	return free;
}

void pci_port_cancel_eject(struct pci_port *port)
{
	struct pci *pci = port->function.pci;

	pthread_mutex_lock(&pci->lock);
	port->ejecting = false;
	pthread_mutex_unlock(&pci->lock);
}

void pci_port_remove(struct pci_port *port)
{
	struct pci *pci = port->function.pci;

	if (!port->function.child)
		return;
	pci_unplug(port->function.child);
	pthread_mutex_lock(&pci->lock);
	port->ejecting = false;
	set_bits(port, PCI_EXP_SLTSTA, PCI_EXP_SLTSTA_PDS, false);
	raise_events(port, PCI_EXP_SLTSTA_PDC | update_link(port));
	pthread_mutex_unlock(&pci->lock);
}
