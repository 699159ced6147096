/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio.h"

volatile struct vring vring;

bool vdev_slot(unsigned slot, struct vdev *ret)
{
	struct fdt_device dev;

	if (!fdt_find("virtio,mmio", slot, &dev))
		return false;
	*ret = (struct vdev){ .base = dev.base,
			      .id = read32(dev.base + VIRTIO_MMIO_DEVICE_ID),
			      .vendor = read32(dev.base + VIRTIO_MMIO_VENDOR_ID),
			      .intid = dev.intid,
			      .slot = slot };
	return true;
}

/* Where registers of virtio-mmio are in the common configuration of PCI (virtio 1.2 §4.1.4.3). */
static const struct {
	uint16_t mmio;
	uint8_t at, len;
} common[] = {
	{ VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0x00, 4 }, { VIRTIO_MMIO_DEVICE_FEATURES, 0x04, 4 },
	{ VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0x08, 4 }, { VIRTIO_MMIO_DRIVER_FEATURES, 0x0c, 4 },
	{ VIRTIO_MMIO_STATUS, 0x14, 1 },	      { VIRTIO_MMIO_CONFIG_GENERATION, 0x15, 1 },
	{ VIRTIO_MMIO_QUEUE_SEL, 0x16, 2 },	      { VIRTIO_MMIO_QUEUE_NUM, 0x18, 2 },
	{ VIRTIO_MMIO_QUEUE_NUM_MAX, 0x18, 2 },	      { VIRTIO_MMIO_QUEUE_READY, 0x1c, 2 },
	{ VIRTIO_MMIO_QUEUE_DESC, 0x20, 4 },	      { VIRTIO_MMIO_QUEUE_DESC + 4, 0x24, 4 },
	{ VIRTIO_MMIO_QUEUE_AVAIL, 0x28, 4 },	      { VIRTIO_MMIO_QUEUE_AVAIL + 4, 0x2c, 4 },
	{ VIRTIO_MMIO_QUEUE_USED, 0x30, 4 },	      { VIRTIO_MMIO_QUEUE_USED + 4, 0x34, 4 },
};

#define N_COMMON (sizeof(common) / sizeof(common[0]))

uint32_t vdev_read(const struct vdev *d, unsigned reg)
{
	if (!d->pci)
		return read32(d->base + reg);
	if (reg == VIRTIO_MMIO_INTERRUPT_STATUS)
		return read8(d->isr);
	for (unsigned i = 0; i < N_COMMON; i++)
		if (common[i].mmio == reg)
			return (uint32_t)read_width(d->base + common[i].at, common[i].len);
	return 0;
}

void vdev_write(const struct vdev *d, unsigned reg, uint32_t value)
{
	if (!d->pci)
		write32(d->base + reg, value);
	else if (reg == VIRTIO_MMIO_QUEUE_NOTIFY)
		write16(d->notify + (uint64_t)value * d->notify_each, (uint16_t)value);
	for (unsigned i = 0; d->pci && i < N_COMMON; i++)
		if (common[i].mmio == reg)
			write_width(d->base + common[i].at, value, common[i].len);
}

/* Structures by their capabilities (virtio 1.2 §4.1.4). */
#define CAP_VENDOR 9
enum { CFG_COMMON = 1, CFG_NOTIFY, CFG_ISR, CFG_DEVICE };

bool vdev_pci(const struct pci_dev *dev, struct vdev *ret)
{
	uint32_t ids = pci_read32(dev, 0);
	struct vdev d = { .pci = true, .dev = *dev };
	unsigned cap;

	if ((ids & 0xffff) != 0x1af4 || ids >> 16 < 0x1040)
		return false;
	d.id = (ids >> 16) - 0x1040;
	d.vendor = pci_read32(dev, 0x2c) & 0xffff;
	for (unsigned i = 0; (cap = pci_capability(dev, CAP_VENDOR, i)) != 0; i++) {
		uint64_t at = dev->bar[pci_read8(dev, cap + 4) % 6] + pci_read32(dev, cap + 8);

		switch (pci_read8(dev, cap + 3)) {
		case CFG_COMMON:
			d.base = at;
			break;
		case CFG_ISR:
			d.isr = at;
			break;
		case CFG_DEVICE:
			d.device = at;
			break;
		case CFG_NOTIFY:
			d.notify = at;
			d.notify_each = pci_read32(dev, cap + 16);
			break;
		}
	}
	*ret = d;
	return d.base && d.isr && d.notify;
}

bool vdev_find_pci(uint32_t id, unsigned index, struct vdev *ret)
{
	struct pci_dev dev;
	struct vdev d;

	for (unsigned i = 0; pci_find(i, &dev); i++) {
		if (!vdev_pci(&dev, &d) || d.id != id || index--)
			continue;
		pci_enable(&dev);
		*ret = d;
		return true;
	}
	return false;
}

bool vdev_find(uint32_t id, unsigned index, struct vdev *ret)
{
	struct vdev d;

	for (unsigned slot = 0; vdev_slot(slot, &d); slot++) {
		if (d.id == id && index-- == 0) {
			*ret = d;
			return true;
		}
	}
	return vdev_find_pci(id, index, ret);
}

uint32_t vdev_status(const struct vdev *d)
{
	return vdev_read(d, VIRTIO_MMIO_STATUS);
}

bool vdev_reset(const struct vdev *d)
{
	vdev_write(d, VIRTIO_MMIO_STATUS, 0);
	return wait_for(vdev_status(d) == 0);
}

uint64_t vdev_features(const struct vdev *d)
{
	uint64_t v;

	vdev_write(d, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
	v = (uint64_t)vdev_read(d, VIRTIO_MMIO_DEVICE_FEATURES) << 32;
	vdev_write(d, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
	return v | vdev_read(d, VIRTIO_MMIO_DEVICE_FEATURES);
}

bool vdev_negotiate(const struct vdev *d, uint64_t features)
{
	if (!vdev_reset(d))
		return false;
	vdev_write(d, VIRTIO_MMIO_STATUS, STATUS_ACKNOWLEDGE);
	vdev_write(d, VIRTIO_MMIO_STATUS, STATUS_ACKNOWLEDGE | STATUS_DRIVER);
	vdev_write(d, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	vdev_write(d, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)features);
	vdev_write(d, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	vdev_write(d, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(features >> 32));
	vdev_write(d, VIRTIO_MMIO_STATUS,
		STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK);
	return vdev_status(d) & STATUS_FEATURES_OK;
}

static void write_address(const struct vdev *d, unsigned reg, uint64_t v)
{
	vdev_write(d, reg, (uint32_t)v);
	vdev_write(d, reg + 4, (uint32_t)(v >> 32));
}

void vdev_setup_queue_at(const struct vdev *d, unsigned queue, uint32_t size, uint64_t desc,
			 uint64_t avail, uint64_t used)
{
	vdev_write(d, VIRTIO_MMIO_QUEUE_SEL, queue);
	vdev_write(d, VIRTIO_MMIO_QUEUE_NUM, size);
	write_address(d, VIRTIO_MMIO_QUEUE_DESC, desc);
	write_address(d, VIRTIO_MMIO_QUEUE_AVAIL, avail);
	write_address(d, VIRTIO_MMIO_QUEUE_USED, used);
	vdev_write(d, VIRTIO_MMIO_QUEUE_READY, 1);
}

void vdev_setup_queue(const struct vdev *d, unsigned queue)
{
	memset_((void *)&vring, 0, sizeof(vring));
	barrier();
	vdev_setup_queue_at(d, queue, VQ_SIZE, (uint64_t)vring.desc, (uint64_t)&vring.avail,
			    (uint64_t)&vring.used);
}

void vdev_driver_ok(const struct vdev *d)
{
	vdev_write(d, VIRTIO_MMIO_STATUS, vdev_status(d) | STATUS_DRIVER_OK);
}

void vdev_kick(const struct vdev *d, unsigned queue)
{
	barrier();
	vdev_write(d, VIRTIO_MMIO_QUEUE_NOTIFY, queue);
}

void desc_set(unsigned i, const volatile void *addr, uint32_t len, uint16_t flags, uint16_t next)
{
	vring.desc[i].addr = (uint64_t)addr;
	vring.desc[i].len = len;
	vring.desc[i].flags = flags;
	vring.desc[i].next = next;
}

void avail_add(uint16_t head)
{
	vring.avail.ring[vring.avail.idx % VQ_SIZE] = head;
	barrier();
	vring.avail.idx++;
}
