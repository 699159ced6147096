/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PCI from the inside: config space and BARs of every function, virtio's registers in every state, a
 * device that is notified and interrupts by LPIs through the ITS, masks and pending bits.
 */
#include "its.h"
#include "virtio.h"

const char payload_name[] = "pci";

#define LPI (INTID_LPI + 7)
#define COMMON_SIZE 0x38
#define COMMON_STATUS 0x14
#define QUEUE_VECTOR 0x1a
#define NO_VECTOR 0xffff
#define RNG_QUEUE 8 /* QEMU's has no more */

static volatile unsigned n_lpi[32];
static volatile uint8_t entropy[64];

static void on_lpi(unsigned intid)
{
	if (intid - LPI < 32)
		n_lpi[intid - LPI]++;
}

/* It always has places for virtio-mmio; hvd has those or PCI. */
static bool on_qemu(void)
{
	struct fdt_device dev;

	return fdt_find("virtio,mmio", 0, &dev);
}

/* --- every function */

static void read_config(const struct pci_dev *dev)
{
	for (unsigned at = 0; at < 4096; at++) {
		read8(dev->config + at);
		if (!(at & 1))
			read16(dev->config + at);
		if (!(at & 3))
			read32(dev->config + at);
		if (!(at & 7))
			read64(dev->config + at);
	}
}

static void test_function(const struct pci_dev *dev)
{
	uint32_t ids = pci_read32(dev, 0), class = pci_read32(dev, 8);

	print("%02x:%02x.%x %08x class %06x\n", dev->rid >> 8, dev->rid >> 3 & 31, dev->rid & 7, ids,
	      class >> 8);
	read_config(dev);
	pci_write32(dev, 0, 0);
	pci_write32(dev, 8, 0);
	check(pci_read32(dev, 0) == ids && pci_read32(dev, 8) == class, "identity is read-only");
	for (unsigned i = 0; i < 6; i++) {
		if (!dev->bar_size[i])
			continue;
		check(!(dev->bar_size[i] & (dev->bar_size[i] - 1)), "BAR %u: 0x%lx bytes", i,
		      dev->bar_size[i]);
		check_eq(pci_read32(dev, PCI_BAR0 + 4 * i) & ~0xfu, dev->bar[i], "BAR is where it was put");
	}
}

static void test_absent(const struct pci_dev *first)
{
	check_eq(read32(first->config + (31 << 15)), ~0u, "00:1f.0: nothing there reads as ones");
	write32(first->config + (31 << 15), 0);
	check_eq(read32(first->config + (255 << 20)), ~0u, "bus 255: nothing there");
}

/* --- registers in every state */

static void access_all(uint64_t base, uint64_t size, uint32_t v)
{
	for (uint64_t at = 0; at < size; at++) {
		if (at == COMMON_STATUS)
			continue;
		read8(base + at);
		write8(base + at, (uint8_t)v);
		if (!(at & 1)) {
			read16(base + at);
			write16(base + at, (uint16_t)v);
		}
		/* a wide write must not reach the status */
		if (!(at & 3) && at != (COMMON_STATUS & ~3u)) {
			read32(base + at);
			write32(base + at, v);
		}
		if (!(at & 7)) {
			read64(base + at);
			if (at != (COMMON_STATUS & ~7u))
				write64(base + at, v);
		}
	}
}

static void walk_states(const struct vdev *d)
{
	static const uint8_t states[] = { 0, 1, 3, 11, 15, 0x83, 4, 0xff };
	static const uint32_t patterns[] = { 0, ~0u, 0x5a5a5a5a };

	for (unsigned i = 0; i < sizeof(states); i++) {
		bool entered = vdev_reset(d);

		if (states[i] & STATUS_FEATURES_OK)
			vdev_negotiate(d, VIRTIO_F_VERSION_1);
		vdev_write(d, VIRTIO_MMIO_STATUS, states[i]);
		for (unsigned k = 0; entered && k < 3; k++)
			access_all(d->base, COMMON_SIZE, patterns[k]);
		check(entered && vdev_reset(d), "device %u: alive after the walk in status 0x%02x", d->id,
		      states[i]);
	}
}

static void set_up_queue(const struct vdev *d)
{
	memset_((void *)&vring, 0, sizeof(vring));
	vdev_setup_queue_at(d, 0, RNG_QUEUE, (uint64_t)vring.desc, (uint64_t)&vring.avail,
			    (uint64_t)&vring.used);
}

static void test_common(const struct vdev *d)
{
	check(vdev_reset(d), "device %u: reset", d->id);
	check(vdev_features(d) & VIRTIO_F_VERSION_1, "VERSION_1 is offered");
	check(read16(d->base + 0x12) > 0, "%u queues", read16(d->base + 0x12));
	vdev_write(d, VIRTIO_MMIO_QUEUE_SEL, 0);
	check(read16(d->base + 0x18) >= RNG_QUEUE, "queue 0: size %u", read16(d->base + 0x18));
	check_eq(read16(d->base + QUEUE_VECTOR), NO_VECTOR, "queue 0: no vector after reset");
	write16(d->base + QUEUE_VECTOR, 0x7000);
	check_eq(read16(d->base + QUEUE_VECTOR), NO_VECTOR, "a vector that is not there: none");
	vdev_write(d, VIRTIO_MMIO_QUEUE_SEL, 0x1000);
	if (!on_qemu())
		check_eq(read16(d->base + 0x18), 0, "no queue 4096");
	check(vdev_negotiate(d, VIRTIO_F_VERSION_1), "FEATURES_OK with VERSION_1");
	set_up_queue(d);
	check_eq(vdev_read(d, VIRTIO_MMIO_QUEUE_READY), 1, "queue_enable reads 1 when set");
	vdev_driver_ok(d);
	check_eq(vdev_status(d), 0xf, "status 0xf with DRIVER_OK");
	write64(d->base + 0x20, 0x1234000);
	if (!on_qemu())
		check_eq(read64(d->base + 0x20), (uint64_t)vring.desc, "rings stay from DRIVER_OK on");
	check(vdev_reset(d), "reset of a running device");
}

/* --- interrupts */

static uint64_t msix_table(const struct vdev *d, unsigned cap)
{
	uint32_t at = pci_read32(&d->dev, cap + 4);

	return d->dev.bar[at & 7] + (at & ~7u);
}

static uint64_t msix_pba(const struct vdev *d, unsigned cap)
{
	uint32_t at = pci_read32(&d->dev, cap + 8);

	return d->dev.bar[at & 7] + (at & ~7u);
}

static void set_msix(const struct vdev *d, unsigned cap, uint16_t flags)
{
	pci_write16(&d->dev, cap + 2, flags);
}

static void program(const struct vdev *d, unsigned cap, unsigned vector, unsigned event, bool masked)
{
	uint64_t entry = msix_table(d, cap) + 16 * vector;

	write32(entry, (uint32_t)its_doorbell());
	write32(entry + 4, (uint32_t)(its_doorbell() >> 32));
	write32(entry + 8, event);
	write32(entry + 12, masked);
}

static void put_request(const struct vdev *d)
{
	desc_set(0, entropy, sizeof(entropy), DESC_WRITE, 0);
	vring.avail.ring[vring.avail.idx % RNG_QUEUE] = 0;
	barrier();
	vring.avail.idx++;
	vdev_kick(d, 0);
}

/* One request of entropy; true when it was served. */
static bool ask(const struct vdev *d)
{
	uint16_t before = vring.used.idx;

	put_request(d);
	return wait_for(vring.used.idx != before);
}

static void start(const struct vdev *d, unsigned vector)
{
	vdev_negotiate(d, VIRTIO_F_VERSION_1);
	set_up_queue(d);
	write16(d->base + QUEUE_VECTOR, (uint16_t)vector);
	vdev_driver_ok(d);
}

#define MSIX_ENABLE 0x8000
#define MSIX_MASK_ALL 0x4000

static bool stays(const volatile unsigned *n, unsigned value)
{
	for (uint64_t end = ticks() + ticks_per_second() / 50; ticks() < end;)
		if (*n != value)
			return false;
	return true;
}

static void test_masks(const struct vdev *d, unsigned cap)
{
	uint64_t control = msix_table(d, cap) + 16 + 12;
	unsigned before = n_lpi[1];

	write32(control, 1);
	check(ask(d) && stays(&n_lpi[1], before), "masked: no interrupt");
	check_eq(read32(msix_pba(d, cap)), 2, "but pending");
	write32(control, 0);
	check(wait_for(n_lpi[1] == before + 1), "unmasked: it comes");
	check_eq(read32(msix_pba(d, cap)), 0, "and is pending no more");

	set_msix(d, cap, MSIX_ENABLE | MSIX_MASK_ALL);
	check(ask(d) && stays(&n_lpi[1], before + 1), "function masked: no interrupt");
	check_eq(read32(msix_pba(d, cap)) & 2, 2, "but pending");
	set_msix(d, cap, MSIX_ENABLE);
	check(wait_for(n_lpi[1] == before + 2), "unmasked: it comes");
}

/* The BAR moves, and with it the place that is written to notify. */
static void test_move(struct vdev *d, unsigned cap)
{
	uint64_t away = d->dev.bar[0] + (d->dev.bar_size[0] << 1), back = d->dev.bar[0];
	unsigned before = n_lpi[1];

	if (d->dev.rid >> 8) /* behind a bridge there is a window to stay in */
		return;
	pci_place_bar(&d->dev, 0, away);
	d->base += away - back, d->notify += away - back, d->isr += away - back;
	check(ask(d) && wait_for(n_lpi[1] == before + 1), "notified where the BAR is now");
	check_eq(read32(back), 0, "and nothing where it was");
	pci_place_bar(&d->dev, 0, back);
	d->base -= away - back, d->notify -= away - back, d->isr -= away - back;
	check(ask(d) && wait_for(n_lpi[1] == before + 2), "and back again");
}

static void test_bus_master(const struct vdev *d)
{
	uint16_t idx = vring.used.idx;

	pci_write16(&d->dev, PCI_COMMAND, PCI_COMMAND_MEMORY);
	put_request(d);
	for (uint64_t end = ticks() + ticks_per_second() / 50; ticks() < end;)
		;
	check_eq(vring.used.idx, idx, "no bus master: memory is left alone");
	pci_write16(&d->dev, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	check(wait_for(vring.used.idx != idx), "bus master again: it goes on");
}

static void test_interrupts(struct vdev *d)
{
	unsigned cap = pci_capability(&d->dev, PCI_CAP_MSIX, 0);

	if (!check(cap, "rng has MSI-X"))
		return;
	if (!check(its_map(d->dev.rid, 3, LPI + 1) && its_map(d->dev.rid, 4, LPI + 2), "the ITS maps it"))
		return;
	check_eq(read32(msix_table(d, cap) + 12) & 1, 1, "vectors begin masked");
	set_msix(d, cap, MSIX_ENABLE);
	program(d, cap, 1, 3, false);
	start(d, 1);
	check(ask(d) && wait_for(n_lpi[1] == 1), "a request ends with an LPI");
	program(d, cap, 1, 4, false);
	check(ask(d) && wait_for(n_lpi[2] == 1) && n_lpi[1] == 1, "another message, another LPI");
	program(d, cap, 1, 3, false);
	test_masks(d, cap);
	test_move(d, cap);
	if (!on_qemu())
		test_bus_master(d);
	set_msix(d, cap, 0);
	check(ask(d), "MSI-X off: served, for who polls");
	check(vdev_read(d, VIRTIO_MMIO_INTERRUPT_STATUS) & 1, "ISR says so");
	check(vdev_reset(d), "reset");
}

void run(void)
{
	unsigned n_virtio = 0;
	struct pci_dev dev;
	struct vdev d;

	if (!check(pci_find(0, &dev), "the FDT has a PCI host bridge"))
		return;
	check_eq(pci_read32(&dev, 8) >> 8, 0x060000, "00:00.0 is a host bridge");
	test_absent(&dev);
	for (unsigned i = 0; pci_find(i, &dev); i++)
		test_function(&dev);
	for (unsigned i = 0; pci_find(i, &dev); i++) {
		if (!vdev_pci(&dev, &d))
			continue;
		n_virtio++;
		pci_enable(&dev);
		test_common(&d);
		walk_states(&d);
	}
	check(n_virtio > 0, "%u virtio devices", n_virtio);

	if (!check(gic_init() && gic_init_cpu(0) && its_init(), "GIC and ITS"))
		return;
	gic_set_lpi_handler(on_lpi);
	if (check(vdev_find_pci(VIRTIO_ID_RNG, 0, &d), "there is an rng"))
		test_interrupts(&d);
}
