/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A walk over the registers of every virtio-mmio slot in every state of a device (virtio 1.2 §4.2.2):
 * what must read as what, and no access of any width, in any state, may harm the machine.
 */
#include "virtio.h"

const char payload_name[] = "virtio-regs";

static const uint8_t states[] = {
	0,
	STATUS_ACKNOWLEDGE,
	STATUS_ACKNOWLEDGE | STATUS_DRIVER,
	STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK,
	STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK | STATUS_DRIVER_OK,
	STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FAILED,
	STATUS_DRIVER_OK, /* no driver does this */
	0xff,
};

static const uint32_t patterns[] = { 0, ~0u, 0x80000001, 0x5a5a5a5a };

static bool enter_state(const struct vdev *d, uint8_t status)
{
	if (!vdev_reset(d))
		return false;
	for (unsigned bit = 1; bit < 0x100; bit <<= 1) {
		if (!(status & bit))
			continue;
		if (bit == STATUS_DRIVER_OK && status & STATUS_FEATURES_OK) {
			/* In the order of the specification (§3.1.1): FEATURES_OK comes first. */
			write32(d->base + VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
			write32(d->base + VIRTIO_MMIO_DRIVER_FEATURES, 1);
			write32(d->base + VIRTIO_MMIO_STATUS,
				vdev_status(d) | STATUS_FEATURES_OK);
		}
		write32(d->base + VIRTIO_MMIO_STATUS, vdev_status(d) | bit);
	}
	return true;
}

/* Read everything with every width. The values are checked elsewhere. */
static void read_all(uint64_t base)
{
	for (uint64_t a = base; a < base + 0x200; a++) {
		read8(a);
		if (!(a & 1))
			read16(a);
		if (!(a & 3))
			read32(a);
		if (!(a & 7))
			read64(a);
	}
}

/* Write everything but the status, which would leave the state: words, and every other width. */
static void write_words(uint64_t base, uint32_t v)
{
	for (uint64_t a = base; a < base + 0x200; a += 4)
		if (a - base != VIRTIO_MMIO_STATUS)
			write32(a, v);
}

static void write_widths(uint64_t base, uint32_t v)
{
	for (uint64_t a = base; a < base + 0x200; a += 4) {
		if (a - base == VIRTIO_MMIO_STATUS)
			continue;
		write8(a, (uint8_t)v);
		write16(a, (uint16_t)v);
		if (!(a & 7) && a - base != (VIRTIO_MMIO_STATUS & ~7u))
			write64(a, v);
	}
}

static void walk_states(const struct vdev *d)
{
	for (unsigned i = 0; i < sizeof(states); i++) {
		bool entered = enter_state(d, states[i]);

		/* An access of an emulated server takes long: not everything with everything. */
		for (unsigned k = 0; entered && k < sizeof(patterns) / sizeof(patterns[0]); k++)
			write_words(d->base, patterns[k]);
		if (entered) {
			read_all(d->base);
			write_widths(d->base, ~0u);
		}
		check(entered && vdev_reset(d), "slot %u: alive after the walk in status 0x%02x",
		      d->slot, states[i]);
	}
	check_eq(read32(d->base + VIRTIO_MMIO_MAGIC), 0x74726976, "magic value still there");
	check_eq(read32(d->base + VIRTIO_MMIO_DEVICE_ID), d->id, "device id still the same");
}

static void test_rules(const struct vdev *d)
{
	uint64_t features;

	check(vdev_reset(d), "reset: status reads 0");
	features = vdev_features(d);
	check(features & VIRTIO_F_VERSION_1, "VERSION_1 is offered (0x%lx)", features);
	write32(d->base + VIRTIO_MMIO_DEVICE_FEATURES_SEL, 7);
	/* QEMU ignores selectors that it does not know. */
	if (d->vendor != VENDOR_QEMU)
		check_eq(read32(d->base + VIRTIO_MMIO_DEVICE_FEATURES), 0, "features 224-255 read 0");

	write32(d->base + VIRTIO_MMIO_QUEUE_SEL, 0);
	check(read32(d->base + VIRTIO_MMIO_QUEUE_NUM_MAX) >= VQ_SIZE, "queue 0: QueueNumMax %u",
	      read32(d->base + VIRTIO_MMIO_QUEUE_NUM_MAX));
	check_eq(read32(d->base + VIRTIO_MMIO_QUEUE_READY), 0, "queue 0: not ready after reset");
	write32(d->base + VIRTIO_MMIO_QUEUE_SEL, 0x1000);
	if (d->vendor != VENDOR_QEMU)
		check_eq(read32(d->base + VIRTIO_MMIO_QUEUE_NUM_MAX), 0, "no queue 4096: QueueNumMax 0");

	check(vdev_negotiate(d, VIRTIO_F_VERSION_1), "FEATURES_OK with VERSION_1");
	vdev_setup_queue(d, 0);
	check_eq(read32(d->base + VIRTIO_MMIO_QUEUE_READY), 1, "QueueReady reads 1 when set");
	vdev_driver_ok(d);
	check_eq(vdev_status(d), 0xf, "status 0xf with DRIVER_OK");
	check_eq(read32(d->base + VIRTIO_MMIO_INTERRUPT_STATUS) & ~3u, 0, "InterruptStatus is sane");
	write32(d->base + VIRTIO_MMIO_SHM_SEL, 0);
	check_eq(read32(d->base + VIRTIO_MMIO_SHM_LEN), ~0u, "no shared memory region: length -1");
	check_eq(read32(d->base + VIRTIO_MMIO_CONFIG_GENERATION),
		 read32(d->base + VIRTIO_MMIO_CONFIG_GENERATION), "ConfigGeneration is stable");
	check(vdev_reset(d), "reset of a running device");
	write32(d->base + VIRTIO_MMIO_QUEUE_SEL, 0);
	check_eq(read32(d->base + VIRTIO_MMIO_QUEUE_READY), 0, "queue 0: not ready after reset");
}

void run(void)
{
	unsigned present = 0, slot;
	struct vdev d;

	for (slot = 0; vdev_slot(slot, &d); slot++) {
		if (read32(d.base + VIRTIO_MMIO_MAGIC) != 0x74726976 || !d.id)
			continue;
		if (!check(read32(d.base + VIRTIO_MMIO_VERSION) == 2, "slot %u: version 2", slot))
			continue;
		present++;
		print("slot %u: device %u at 0x%lx, INTID %u\n", slot, d.id, d.base, d.intid);
		test_rules(&d);
		walk_states(&d);
	}
	/* An empty slot has id 0 and takes whatever comes, too. */
	for (slot = 0; vdev_slot(slot, &d); slot++) {
		if (!d.id) {
			read_all(d.base);
			write_words(d.base, ~0u);
			write_widths(d.base, ~0u);
			check_eq(read32(d.base + VIRTIO_MMIO_DEVICE_ID), 0, "an empty slot stays empty");
			break;
		}
	}
	check(present > 0, "%u devices", present);
}
