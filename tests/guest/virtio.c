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

bool vdev_find(uint32_t id, unsigned index, struct vdev *ret)
{
	struct vdev d;

	for (unsigned slot = 0; vdev_slot(slot, &d); slot++) {
		if (d.id == id && index-- == 0) {
			*ret = d;
			return true;
		}
	}
	return false;
}

uint32_t vdev_status(const struct vdev *d)
{
	return read32(d->base + VIRTIO_MMIO_STATUS);
}

bool vdev_reset(const struct vdev *d)
{
	write32(d->base + VIRTIO_MMIO_STATUS, 0);
	return wait_for(vdev_status(d) == 0);
}

uint64_t vdev_features(const struct vdev *d)
{
	uint64_t v;

	write32(d->base + VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
	v = (uint64_t)read32(d->base + VIRTIO_MMIO_DEVICE_FEATURES) << 32;
	write32(d->base + VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
	return v | read32(d->base + VIRTIO_MMIO_DEVICE_FEATURES);
}

bool vdev_negotiate(const struct vdev *d, uint64_t features)
{
	if (!vdev_reset(d))
		return false;
	write32(d->base + VIRTIO_MMIO_STATUS, STATUS_ACKNOWLEDGE);
	write32(d->base + VIRTIO_MMIO_STATUS, STATUS_ACKNOWLEDGE | STATUS_DRIVER);
	write32(d->base + VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	write32(d->base + VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)features);
	write32(d->base + VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	write32(d->base + VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(features >> 32));
	write32(d->base + VIRTIO_MMIO_STATUS,
		STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK);
	return vdev_status(d) & STATUS_FEATURES_OK;
}

static void write_address(uint64_t reg, uint64_t v)
{
	write32(reg, (uint32_t)v);
	write32(reg + 4, (uint32_t)(v >> 32));
}

void vdev_setup_queue_at(const struct vdev *d, unsigned queue, uint32_t size, uint64_t desc,
			 uint64_t avail, uint64_t used)
{
	write32(d->base + VIRTIO_MMIO_QUEUE_SEL, queue);
	write32(d->base + VIRTIO_MMIO_QUEUE_NUM, size);
	write_address(d->base + VIRTIO_MMIO_QUEUE_DESC, desc);
	write_address(d->base + VIRTIO_MMIO_QUEUE_AVAIL, avail);
	write_address(d->base + VIRTIO_MMIO_QUEUE_USED, used);
	write32(d->base + VIRTIO_MMIO_QUEUE_READY, 1);
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
	write32(d->base + VIRTIO_MMIO_STATUS, vdev_status(d) | STATUS_DRIVER_OK);
}

void vdev_kick(const struct vdev *d, unsigned queue)
{
	barrier();
	write32(d->base + VIRTIO_MMIO_QUEUE_NOTIFY, queue);
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
