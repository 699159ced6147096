/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/virtio_fuzz.h"

#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>

#define QUEUE_SIZE 16
#define MAX_STEPS 256

uint64_t fuzz_take(struct fuzz_input *in, unsigned bytes)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < bytes && in->size; i++) {
		value |= (uint64_t)*in->data++ << (8 * i);
		in->size--;
	}
	return value;
}

static uint8_t *at(struct fuzz_guest *g, uint64_t offset)
{
	return guest_mem_ptr(g->mem, FUZZ_RAM_BASE + offset, 1);
}

/* PCI: the root port on bus 0, the device on bus 1, and where both BARs begin. */
#define ECAM     0x4010000000ULL
#define PORT_CFG (ECAM + (PCI_DEVFN(16, 0) << 12))
#define CFG      (ECAM + (1 << 20))
#define WINDOW   0x10000000ULL
#define BAR      0x10100000ULL
#define PORT_BAR 0x10000000ULL

static void store(struct fuzz_guest *g, uint64_t addr, uint64_t value, unsigned len)
{
	uint8_t data[MMIO_DATA_SIZE];

	memcpy(data, &value, sizeof(value));
	mmio_bus_write(&g->bus, addr, data, len);
}

static void load(struct fuzz_guest *g, uint64_t addr, unsigned len)
{
	uint8_t data[MMIO_DATA_SIZE];

	mmio_bus_read(&g->bus, addr, data, len);
}

/* Of the common configuration (virtio 1.2 §4.1.4.3), by the names of virtio-mmio. */
static void write_common(struct fuzz_guest *g, unsigned reg, uint32_t value)
{
	static const struct {
		unsigned mmio, at, len;
	} fields[] = {
		{ VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0x08, 4 }, { VIRTIO_MMIO_DRIVER_FEATURES, 0x0c, 4 },
		{ VIRTIO_MMIO_STATUS, 0x14, 1 },              { VIRTIO_MMIO_QUEUE_SEL, 0x16, 2 },
		{ VIRTIO_MMIO_QUEUE_NUM, 0x18, 2 },           { VIRTIO_MMIO_QUEUE_READY, 0x1c, 2 },
		{ VIRTIO_MMIO_QUEUE_DESC_LOW, 0x20, 4 },      { VIRTIO_MMIO_QUEUE_DESC_HIGH, 0x24, 4 },
		{ VIRTIO_MMIO_QUEUE_AVAIL_LOW, 0x28, 4 },     { VIRTIO_MMIO_QUEUE_AVAIL_HIGH, 0x2c, 4 },
		{ VIRTIO_MMIO_QUEUE_USED_LOW, 0x30, 4 },      { VIRTIO_MMIO_QUEUE_USED_HIGH, 0x34, 4 },
	};

	if (reg == VIRTIO_MMIO_QUEUE_NOTIFY) {
		store(g, BAR + 0x3000 + (value & 0xff) * VIRTIO_PCI_NOTIFY_EACH, value, 2);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (fields[i].mmio == reg)
			store(g, BAR + fields[i].at, value, fields[i].len);
}

static void write_register(struct fuzz_guest *g, unsigned reg, uint32_t value)
{
	if (g->over_pci)
		write_common(g, reg, value);
	else
		g->mmio.region.write(&g->mmio.region, reg, value, 4);
}

static void write_address(struct fuzz_guest *g, unsigned reg_low, uint64_t offset)
{
	write_register(g, reg_low, (uint32_t)(FUZZ_RAM_BASE + offset));
	write_register(g, reg_low + 4, (uint32_t)((FUZZ_RAM_BASE + offset) >> 32));
}

void fuzz_open(struct fuzz_guest *g)
{
	if (guest_mem_new(FUZZ_RAM_BASE, FUZZ_RAM_SIZE, &g->mem) < 0 || loop_new(&g->io) < 0)
		abort();
	log_open(LOG_EMERG);
}

void fuzz_plug(struct fuzz_guest *g, struct virtio_dev *dev)
{
	g->dev = dev;
	if (virtio_mmio_init(&g->mmio, dev, 0x0a000000) < 0)
		abort();
}

static int bind_message(struct pci_events *events, int fd, const struct msi_message *message,
			int *route)
{
	*route = fd;
	return 0;
}

static void unbind_message(struct pci_events *events, int fd, int route)
{
	if (fd != route)
		abort();
}

static void free_route(struct pci_events *events, int route)
{
}

static int bind_write(struct pci_events *events, int fd, uint64_t ipa)
{
	return 0;
}

static void unbind_write(struct pci_events *events, int fd, uint64_t ipa)
{
}

/* It is ejected and stays: what the main loop would do comes later here. */
static void on_released(struct pci_port *port)
{
	if (port->powered)
		abort();
}

void fuzz_plug_pci(struct fuzz_guest *g, struct virtio_dev *dev)
{
	static const struct pci_places places = {
		.ecam = { ECAM, 256 * MIB },
		.mmio32 = { WINDOW, 256 * MIB },
		.mmio64 = { 512 * GIB, 1 * GIB },
	};

	g->dev = dev;
	g->over_pci = true;
	g->events = (struct pci_events){ bind_message, unbind_message, free_route,
					 bind_write, unbind_write };
	if (pci_init(&g->pci, &places, &g->bus, NULL) < 0 ||
	    pci_port_init(&g->port, &g->pci, PCI_DEVFN(16, 0), 1, &g->events, on_released, NULL) < 0 ||
	    virtio_pci_init(&g->function, dev, true, &g->events) < 0 ||
	    pci_port_insert(&g->port, &g->function.function, false, NULL) < 0)
		abort();
}

/* Bus numbers, windows, BARs and MSI-X, as an operating system sets them. */
static void set_up_pci(struct fuzz_guest *g)
{
	store(g, PORT_CFG + PCI_COMMAND, 0, 2);
	store(g, PORT_CFG + g->port.function.express + PCI_EXP_SLTCTL, 0, 2);
	store(g, PORT_CFG + PCI_PRIMARY_BUS, 0x010100, 4);
	store(g, PORT_CFG + PCI_BRIDGE_CONTROL, PCI_BRIDGE_CTL_BUS_RESET, 2);
	store(g, PORT_CFG + PCI_BRIDGE_CONTROL, 0, 2);
	store(g, PORT_CFG + PCI_MEMORY_BASE, 0x10101010, 4);
	store(g, PORT_CFG + PCI_BASE_ADDRESS_0, PORT_BAR, 4);
	store(g, PORT_CFG + PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
	store(g, CFG + PCI_BASE_ADDRESS_0, BAR, 8);
	store(g, CFG + PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
	store(g, CFG + g->function.msix.at + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE, 2);
}

void fuzz_start(struct fuzz_guest *g, uint64_t features)
{
	static const uint32_t identified = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;

	if (g->over_pci)
		set_up_pci(g);
	write_register(g, VIRTIO_MMIO_STATUS, 0);
	write_register(g, VIRTIO_MMIO_STATUS, identified);
	for (uint32_t half = 0; half < 2; half++) {
		write_register(g, VIRTIO_MMIO_DRIVER_FEATURES_SEL, half);
		write_register(g, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(features >> (32 * half)));
	}
	write_register(g, VIRTIO_MMIO_STATUS, identified | VIRTIO_CONFIG_S_FEATURES_OK);
	for (uint32_t q = 0; q < g->dev->n_queues; q++) {
		uint64_t base = q * FUZZ_QUEUE_STEP;

		memset(at(g, base), 0, FUZZ_QUEUE_STEP);
		write_register(g, VIRTIO_MMIO_QUEUE_SEL, q);
		write_register(g, VIRTIO_MMIO_QUEUE_NUM, QUEUE_SIZE);
		write_address(g, VIRTIO_MMIO_QUEUE_DESC_LOW, base);
		write_address(g, VIRTIO_MMIO_QUEUE_AVAIL_LOW, base + 0x2000);
		write_address(g, VIRTIO_MMIO_QUEUE_USED_LOW, base + 0x3000);
		write_register(g, VIRTIO_MMIO_QUEUE_READY, 1);
	}
	write_register(g, VIRTIO_MMIO_STATUS,
		       identified | VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK);
}

/* One turn of the I/O loop. */
static void turn(struct fuzz_guest *g)
{
	loop_quit(g->io);
	loop_run(g->io);
}

static void do_write_memory(struct fuzz_guest *g, struct fuzz_input *in)
{
	uint64_t offset = fuzz_take(in, 3) % FUZZ_RAM_SIZE, len = fuzz_take(in, 1);

	for (; len && offset < FUZZ_RAM_SIZE; len--)
		*at(g, offset++) = (uint8_t)fuzz_take(in, 1);
}

/* A descriptor, in a queue's table or (queue 3 and above) an indirect one in the data area. */
static void do_descriptor(struct fuzz_guest *g, struct fuzz_input *in)
{
	uint64_t table = (fuzz_take(in, 1) & 7) * FUZZ_QUEUE_STEP, i = fuzz_take(in, 1) & 31;
	struct vring_desc desc = {
		.addr = FUZZ_RAM_BASE + fuzz_take(in, 3),
		.len = (uint32_t)fuzz_take(in, 3),
		.flags = (uint16_t)fuzz_take(in, 1),
		.next = (uint16_t)fuzz_take(in, 1),
	};

	memcpy(at(g, table + i * sizeof(desc)), &desc, sizeof(desc));
}

static void do_avail(struct fuzz_guest *g, struct fuzz_input *in)
{
	uint64_t q = fuzz_take(in, 1) & 7;
	struct vring_avail *avail = (void *)at(g, q * FUZZ_QUEUE_STEP + 0x2000);

	avail->ring[avail->idx % QUEUE_SIZE] = (uint16_t)fuzz_take(in, 1);
	avail->idx++;
}

static void do_kick(struct fuzz_guest *g, struct fuzz_input *in)
{
	write_register(g, VIRTIO_MMIO_QUEUE_NOTIFY, (uint32_t)fuzz_take(in, 1));
	turn(g);
}

/* The device's BAR, config space of device and port, the port's BAR, anywhere in the window. */
static void do_pci_access(struct fuzz_guest *g, struct fuzz_input *in)
{
	static const struct {
		uint64_t base, size;
	} areas[] = {
		{ BAR, 0x8000 }, { CFG, 0x100 }, { PORT_CFG, 0x100 }, { PORT_BAR, 0x2000 },
		{ WINDOW, 256 * MIB }, { ECAM, 256 * MIB }, { CFG + 0x40, 0x40 }, { BAR, 0x40 },
	};
	uint64_t how = fuzz_take(in, 1), offset = fuzz_take(in, 4);
	unsigned len = 1U << (how & 3), area = how >> 3 & 7;
	uint64_t addr = areas[area].base + offset % areas[area].size;

	if (how & 4)
		load(g, addr, len);
	else
		store(g, addr, fuzz_take(in, len), len);
}

static void do_mmio_access(struct fuzz_guest *g, struct fuzz_input *in)
{
	struct mmio_region *r = &g->mmio.region;
	uint64_t how = fuzz_take(in, 1), offset = fuzz_take(in, 2) % VIRTIO_MMIO_SIZE;
	unsigned len = 1U << (how & 3);

	if (len > VIRTIO_MMIO_SIZE - offset)
		len = 1;
	if (how & 4)
		r->read(r, offset, len);
	else
		r->write(r, offset, fuzz_take(in, len), len);
}

static void do_register(struct fuzz_guest *g, struct fuzz_input *in)
{
	if (g->over_pci)
		do_pci_access(g, in);
	else
		do_mmio_access(g, in);
}

static void do_event(struct fuzz_guest *g, struct fuzz_input *in)
{
	if (g->over_pci)
		pci_port_eject(&g->port);
	if (g->event)
		g->event(in);
	turn(g);
}

static void do_pause(struct fuzz_guest *g, struct fuzz_input *in)
{
	virtio_quiesce(g->dev);
	virtio_resume(g->dev);
	turn(g);
}

static void do_restart(struct fuzz_guest *g, struct fuzz_input *in)
{
	fuzz_start(g, g->dev->host_features & ~fuzz_take(in, 4));
}

static void (*const steps[])(struct fuzz_guest *g, struct fuzz_input *in) = {
	do_descriptor, do_avail, do_kick, do_write_memory,
	do_register, do_event, do_pause, do_restart,
};

void fuzz_run(struct fuzz_guest *g, const uint8_t *data, size_t size, bool started)
{
	struct fuzz_input in = { data, size };

	memset(at(g, 0), 0, FUZZ_RAM_SIZE);
	if (started)
		fuzz_start(g, g->dev->host_features);
	for (int i = 0; i < MAX_STEPS && in.size; i++)
		steps[fuzz_take(&in, 1) % ARRAY_SIZE(steps)](g, &in);
	turn(g);

	/* whatever the guest did, a reset brings the device back */
	if (g->over_pci)
		set_up_pci(g);
	write_register(g, VIRTIO_MMIO_STATUS, 0);
	if (g->dev->status || g->dev->active)
		abort();
}
