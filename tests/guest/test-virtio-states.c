/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The states of a virtio device (virtio 1.2 §2.1, §3.1.1), over MMIO and PCI alike: which writes of the
 * status are taken in which state, what is fixed from when on, what can only be read, and of which width
 * accesses are. "qemu" on the command line leaves out what QEMU does in its own way.
 */
#include "virtio.h"

const char payload_name[] = "virtio-states";

#define DRIVER_BITS                                                                                \
	(STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_DRIVER_OK | STATUS_FEATURES_OK | STATUS_FAILED)
#define IDENTIFIED (STATUS_ACKNOWLEDGE | STATUS_DRIVER)

/* Of the common configuration over PCI (§4.1.4.3). */
#define COMMON_DRIVER_FEATURE 0x0c
#define COMMON_NUM_QUEUES     0x12
#define COMMON_QUEUE_SELECT   0x16
#define COMMON_QUEUE_SIZE     0x18
#define COMMON_NOTIFY_OFF     0x1e
#define COMMON_QUEUE_DESC     0x20

static bool qemu;

static void put_features(const struct vdev *d, uint64_t features)
{
	for (unsigned half = 0; half < 2; half++) {
		vdev_write(d, VIRTIO_MMIO_DRIVER_FEATURES_SEL, half);
		vdev_write(d, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(features >> 32 * half));
	}
}

/* What a device makes of a status that is written to it. Its own NEEDS_RESET is left out. */
static uint8_t model(uint8_t old, uint8_t written, bool acceptable)
{
	uint8_t set = written & DRIVER_BITS & (uint8_t)~old;

	if (!written)
		return 0;
	if (((old | set) & IDENTIFIED) != IDENTIFIED || !acceptable)
		set &= (uint8_t)~STATUS_FEATURES_OK;
	if (!((old | set) & STATUS_FEATURES_OK))
		set &= (uint8_t)~STATUS_DRIVER_OK;
	return old | set;
}

/* In the order of the specification, as far as the state has bits for it. */
static uint8_t enter(const struct vdev *d, uint8_t state, uint64_t features)
{
	static const uint8_t order[] = { STATUS_ACKNOWLEDGE, STATUS_DRIVER, STATUS_FEATURES_OK,
					 STATUS_DRIVER_OK, STATUS_FAILED };
	uint8_t status = 0;

	vdev_reset(d);
	put_features(d, features);
	for (unsigned i = 0; i < sizeof(order); i++) {
		if (!(state & order[i]))
			continue;
		status |= order[i];
		vdev_write(d, VIRTIO_MMIO_STATUS, status);
	}
	return (uint8_t)vdev_status(d) & DRIVER_BITS;
}

/* The n-th status to write: every set of a driver's bits, then some with bits that are not its own. */
static uint8_t status_to_write(unsigned n)
{
	static const uint8_t odd[] = { 0x10, 0x20, 0x40, 0x70, 0xff };

	if (n >= 32)
		return odd[n - 32];
	return (uint8_t)((n & 15) | (n & 16) << 3);
}

static void test_transitions(const struct vdev *d, uint64_t features, bool acceptable)
{
	static const uint8_t states[] = { 0x00, 0x01, 0x03, 0x0b, 0x0f, 0x80, 0x83, 0x8b, 0x8f };
	unsigned n = 0, wrong = 0;

	for (unsigned s = 0; s < sizeof(states); s++) {
		for (unsigned w = 0; w < 37; w++) {
			uint8_t written = status_to_write(w), old = enter(d, states[s], features), got, want;

			vdev_write(d, VIRTIO_MMIO_STATUS, written);
			if (!written)
				wait_for(vdev_status(d) == 0);
			got = (uint8_t)vdev_status(d) & DRIVER_BITS;
			want = model(old, written, acceptable);
			n++;
			if (got != want && !wrong++)
				print("status 0x%02x, written 0x%02x: 0x%02x, not 0x%02x\n", old, written,
				      got, want);
		}
	}
	check(!wrong, "device %u: %u transitions with features 0x%lx, %u wrong", d->id, n, features, wrong);
	vdev_reset(d);
}

/* The one way that every device has to allow. */
static void test_legal(const struct vdev *d)
{
	static const uint8_t way[] = { 0x01, 0x03, 0x0b, 0x0f };

	check(vdev_reset(d), "device %u: reset", d->id);
	put_features(d, VIRTIO_F_VERSION_1);
	for (unsigned i = 0; i < sizeof(way); i++) {
		vdev_write(d, VIRTIO_MMIO_STATUS, way[i]);
		check_eq(vdev_status(d), way[i], "one bit more");
	}
	check(vdev_reset(d), "and reset from DRIVER_OK");
}

static void test_features(const struct vdev *d)
{
	uint64_t offered = vdev_features(d), missing = 0;

	check(offered & VIRTIO_F_VERSION_1, "VERSION_1 is offered");
	for (unsigned bit = 0; bit < 64 && !missing; bit++)
		if (!(offered & 1ull << bit))
			missing = 1ull << bit;
	if (!qemu) {
		check(!vdev_negotiate(d, VIRTIO_F_VERSION_1 | missing), "a feature that is not offered: refused");
		check(!vdev_negotiate(d, 0), "no VERSION_1: refused");
		vdev_write(d, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 2);
		check_eq(vdev_read(d, VIRTIO_MMIO_DEVICE_FEATURES), 0, "no features from 64 on");
		vdev_write(d, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
		vdev_write(d, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 2);
		vdev_write(d, VIRTIO_MMIO_DRIVER_FEATURES, ~0u);
	}
	check(vdev_negotiate(d, VIRTIO_F_VERSION_1), "VERSION_1 alone: taken");
	if (!d->pci || qemu)
		return;
	put_features(d, 0);
	vdev_write(d, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	check_eq(read32(d->base + COMMON_DRIVER_FEATURE), 1, "and fixed from FEATURES_OK on");
}

static void test_queues(const struct vdev *d)
{
	unsigned n = 0;

	vdev_negotiate(d, VIRTIO_F_VERSION_1);
	for (; n < 64; n++) {
		vdev_write(d, VIRTIO_MMIO_QUEUE_SEL, n);
		if (!vdev_read(d, VIRTIO_MMIO_QUEUE_NUM_MAX))
			break;
		if (vdev_read(d, VIRTIO_MMIO_QUEUE_READY))
			check(false, "queue %u: ready before anyone has said so", n);
	}
	check(n > 0, "device %u: %u queues", d->id, n);
	if (d->pci && !qemu)
		check_eq(read16(d->base + COMMON_NUM_QUEUES), n, "as num_queues says");
	/* n is none: what is written to it reaches no other */
	vdev_write(d, VIRTIO_MMIO_QUEUE_NUM, 8);
	if (!qemu)
		vdev_write(d, VIRTIO_MMIO_QUEUE_READY, 1);
	check_eq(vdev_read(d, VIRTIO_MMIO_QUEUE_READY), 0, "a queue that is not there is never ready");
	for (unsigned i = 0; i < n; i++) {
		vdev_write(d, VIRTIO_MMIO_QUEUE_SEL, i);
		if (vdev_read(d, VIRTIO_MMIO_QUEUE_READY))
			check(false, "queue %u: ready by what was written to none", i);
	}
	vdev_setup_queue(d, 0);
	check_eq(vdev_read(d, VIRTIO_MMIO_QUEUE_READY), 1, "queue 0: ready");
	vdev_reset(d);
	vdev_write(d, VIRTIO_MMIO_QUEUE_SEL, 0);
	check_eq(vdev_read(d, VIRTIO_MMIO_QUEUE_READY), 0, "queue 0: not ready after reset");
}

/* From DRIVER_OK on a queue stays what it is. */
static void test_fixed_queues(const struct vdev *d)
{
	uint64_t desc;

	if (!d->pci || qemu)
		return;
	vdev_negotiate(d, VIRTIO_F_VERSION_1);
	vdev_setup_queue(d, 0);
	vdev_driver_ok(d);
	desc = read64(d->base + COMMON_QUEUE_DESC);
	for (unsigned at = COMMON_QUEUE_DESC; at < 0x38; at += 4)
		write32(d->base + at, 0x1000);
	write16(d->base + COMMON_QUEUE_SIZE, 2);
	write16(d->base + 0x1c, 0);
	check_eq(read64(d->base + COMMON_QUEUE_DESC), desc, "addresses are fixed from DRIVER_OK on");
	check_eq(read16(d->base + COMMON_QUEUE_SIZE), VQ_SIZE, "sizes too");
	check_eq(vdev_read(d, VIRTIO_MMIO_QUEUE_READY), 1, "and a queue stays ready");
	vdev_reset(d);
}

static void test_read_only(const struct vdev *d)
{
	static const uint16_t mmio[] = { VIRTIO_MMIO_MAGIC, VIRTIO_MMIO_VERSION, VIRTIO_MMIO_DEVICE_ID,
					 VIRTIO_MMIO_VENDOR_ID, VIRTIO_MMIO_DEVICE_FEATURES,
					 VIRTIO_MMIO_QUEUE_NUM_MAX, VIRTIO_MMIO_INTERRUPT_STATUS,
					 VIRTIO_MMIO_CONFIG_GENERATION };
	unsigned changed = 0;
	uint16_t n, off;

	vdev_reset(d);
	if (d->pci) {
		n = read16(d->base + COMMON_NUM_QUEUES);
		off = read16(d->base + COMMON_NOTIFY_OFF);
		write16(d->base + COMMON_NUM_QUEUES, (uint16_t)~n);
		write16(d->base + COMMON_NOTIFY_OFF, (uint16_t)~off);
		write32(d->base + 0x04, 0);
		check_eq(read16(d->base + COMMON_NUM_QUEUES), n, "num_queues can only be read");
		check_eq(read16(d->base + COMMON_NOTIFY_OFF), off, "queue_notify_off too");
		check(vdev_features(d) & VIRTIO_F_VERSION_1, "and device_feature");
		return;
	}
	for (unsigned i = 0; i < sizeof(mmio) / sizeof(mmio[0]); i++) {
		uint32_t v = read32(d->base + mmio[i]);

		write32(d->base + mmio[i], ~v);
		if (read32(d->base + mmio[i]) != v)
			changed++;
	}
	check_eq(changed, 0, "what can only be read stays");
}

/* Registers over MMIO are words (§4.2.2.2); over PCI each has its own width. */
static void test_widths(const struct vdev *d)
{
	uint64_t config = d->pci ? d->device : d->base + VIRTIO_MMIO_CONFIG;
	unsigned wrong = 0;

	vdev_reset(d);
	vdev_write(d, VIRTIO_MMIO_STATUS, STATUS_ACKNOWLEDGE);
	if (!d->pci && !qemu) {
		check_eq(read8(d->base + VIRTIO_MMIO_STATUS), 0, "a byte of a register reads 0");
		check_eq(read16(d->base + VIRTIO_MMIO_MAGIC), 0, "half of one too");
		check_eq(read64(d->base + VIRTIO_MMIO_MAGIC), 0, "and two at a time");
		write8(d->base + VIRTIO_MMIO_STATUS, 0);
		write16(d->base + VIRTIO_MMIO_STATUS, 0);
		write64(d->base + VIRTIO_MMIO_STATUS, 0);
		check_eq(vdev_status(d), STATUS_ACKNOWLEDGE, "and so written do nothing");
	}
	for (unsigned at = 0; config && at < 64; at += 8) {
		uint64_t bytes = 0, halves = 0, words = 0;

		for (unsigned i = 0; i < 8; i++)
			bytes |= (uint64_t)read8(config + at + i) << 8 * i;
		for (unsigned i = 0; i < 8; i += 2)
			halves |= (uint64_t)read16(config + at + i) << 8 * i;
		for (unsigned i = 0; i < 8; i += 4)
			words |= (uint64_t)read32(config + at + i) << 8 * i;
		if (bytes != halves || bytes != words)
			wrong++;
	}
	/* QEMU has ones behind the end, by the access */
	check(qemu || !wrong, "device configuration is the same by bytes, halves and words");
	vdev_reset(d);
}

static uint8_t entropy[64];

/* The interrupt's bit: set by a request, and gone when it is acknowledged, or read over PCI. */
static void test_interrupt_status(const struct vdev *d)
{
	uint16_t before;

	vdev_negotiate(d, VIRTIO_F_VERSION_1);
	vdev_setup_queue(d, 0);
	vdev_driver_ok(d);
	check_eq(vdev_read(d, VIRTIO_MMIO_INTERRUPT_STATUS), 0, "no interrupt yet");
	before = vring.used.idx;
	desc_set(0, entropy, sizeof(entropy), DESC_WRITE, 0);
	avail_add(0);
	vdev_kick(d, 0);
	check(wait_for(vring.used.idx != before), "a request is served");
	if (d->pci) {
		check(wait_for(read8(d->isr) & 1), "the ISR has the bit");
		check_eq(read8(d->isr), 0, "and reading clears it");
	} else {
		check(wait_for(read32(d->base + VIRTIO_MMIO_INTERRUPT_STATUS) == 1), "the bit is set");
		write32(d->base + VIRTIO_MMIO_INTERRUPT_ACK, 2);
		check_eq(read32(d->base + VIRTIO_MMIO_INTERRUPT_STATUS), 1, "another one acknowledged: still set");
		write32(d->base + VIRTIO_MMIO_INTERRUPT_ACK, 1);
		check_eq(read32(d->base + VIRTIO_MMIO_INTERRUPT_STATUS), 0, "acknowledged: gone");
	}
	vdev_reset(d);
}

static void test_device(const struct vdev *d)
{
	print("device %u over %s\n", d->id, d->pci ? "PCI" : "MMIO");
	test_legal(d);
	test_features(d);
	if (!qemu) {
		test_transitions(d, VIRTIO_F_VERSION_1, true);
		test_transitions(d, 0, false);
	}
	test_queues(d);
	test_fixed_queues(d);
	test_read_only(d);
	test_widths(d);
	if (d->id == VIRTIO_ID_RNG)
		test_interrupt_status(d);
}

void run(void)
{
	struct pci_dev dev;
	unsigned n = 0;
	struct vdev d;

	qemu = cmdline_has("qemu");
	for (unsigned slot = 0; vdev_slot(slot, &d); slot++) {
		if (!d.id || read32(d.base + VIRTIO_MMIO_VERSION) != 2)
			continue;
		test_device(&d);
		n++;
	}
	for (unsigned i = 0; pci_find(i, &dev); i++) {
		if (!vdev_pci(&dev, &d))
			continue;
		pci_enable(&dev);
		test_device(&d);
		n++;
	}
	check(n > 0, "%u devices", n);
}
