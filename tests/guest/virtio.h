/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver side of virtio over MMIO and PCI (virtio 1.2 §4.2, §4.1) with one split queue, written
 * to be misused: every byte of the ring is the payload's to break.
 *
 * Registers are called by their names in virtio-mmio; over PCI the same one is accessed in its place
 * there.
 */
#pragma once

#include "pci.h"
#include "rt.h"

#define VIRTIO_MMIO_MAGIC 0x000
#define VIRTIO_MMIO_VERSION 0x004
#define VIRTIO_MMIO_DEVICE_ID 0x008
#define VIRTIO_MMIO_VENDOR_ID 0x00c
#define VIRTIO_MMIO_DEVICE_FEATURES 0x010
#define VIRTIO_MMIO_DEVICE_FEATURES_SEL 0x014
#define VIRTIO_MMIO_DRIVER_FEATURES 0x020
#define VIRTIO_MMIO_DRIVER_FEATURES_SEL 0x024
#define VIRTIO_MMIO_QUEUE_SEL 0x030
#define VIRTIO_MMIO_QUEUE_NUM_MAX 0x034
#define VIRTIO_MMIO_QUEUE_NUM 0x038
#define VIRTIO_MMIO_QUEUE_READY 0x044
#define VIRTIO_MMIO_QUEUE_NOTIFY 0x050
#define VIRTIO_MMIO_INTERRUPT_STATUS 0x060
#define VIRTIO_MMIO_INTERRUPT_ACK 0x064
#define VIRTIO_MMIO_STATUS 0x070
#define VIRTIO_MMIO_QUEUE_DESC 0x080
#define VIRTIO_MMIO_QUEUE_AVAIL 0x090
#define VIRTIO_MMIO_QUEUE_USED 0x0a0
#define VIRTIO_MMIO_SHM_SEL 0x0ac
#define VIRTIO_MMIO_SHM_LEN 0x0b0
#define VIRTIO_MMIO_CONFIG_GENERATION 0x0fc
#define VIRTIO_MMIO_CONFIG 0x100

#define STATUS_ACKNOWLEDGE 1
#define STATUS_DRIVER 2
#define STATUS_DRIVER_OK 4
#define STATUS_FEATURES_OK 8
#define STATUS_NEEDS_RESET 0x40
#define STATUS_FAILED 0x80

#define VIRTIO_F_INDIRECT_DESC (1ull << 28)
#define VIRTIO_F_EVENT_IDX (1ull << 29)
#define VIRTIO_F_VERSION_1 (1ull << 32)

#define VIRTIO_ID_NET 1
#define VIRTIO_ID_BLOCK 2
#define VIRTIO_ID_CONSOLE 3
#define VIRTIO_ID_RNG 4

#define VENDOR_QEMU 0x554d4551

#define VQ_SIZE 8

#define DESC_NEXT 1
#define DESC_WRITE 2
#define DESC_INDIRECT 4

struct vring_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

struct vring {
	_Alignas(4096) struct vring_desc desc[VQ_SIZE];
	_Alignas(4096) struct {
		uint16_t flags, idx, ring[VQ_SIZE], used_event;
	} avail;
	_Alignas(4096) struct {
		uint16_t flags, idx;
		struct {
			uint32_t id, len;
		} ring[VQ_SIZE];
		uint16_t avail_event;
	} used;
};

extern volatile struct vring vring;

struct vdev {
	uint64_t base; /* of the registers; over PCI of the common configuration */
	uint32_t id, vendor, intid;
	unsigned slot;
	bool pci;
	uint64_t isr, notify, device; /* structures of PCI */
	uint32_t notify_each;
	struct pci_dev dev;
};

/* The slot-th virtio-mmio transport; false past the last. id 0: nothing there. */
bool vdev_slot(unsigned slot, struct vdev *ret);
/* Fill in what a PCI function is; false: it is no virtio device. Its BARs are placed. */
bool vdev_pci(const struct pci_dev *dev, struct vdev *ret);
/* The index-th device of this kind, over MMIO or else PCI. */
bool vdev_find(uint32_t id, unsigned index, struct vdev *ret);
bool vdev_find_pci(uint32_t id, unsigned index, struct vdev *ret);

uint32_t vdev_read(const struct vdev *d, unsigned reg);
void vdev_write(const struct vdev *d, unsigned reg, uint32_t value);

uint32_t vdev_status(const struct vdev *d);
bool vdev_reset(const struct vdev *d);
uint64_t vdev_features(const struct vdev *d);
/* Reset and negotiate: leaves FEATURES_OK set. False when the device refuses. */
bool vdev_negotiate(const struct vdev *d, uint64_t features);
/* Point a queue at an emptied vring (or, with _at, at addresses of one's own) and make it ready. */
void vdev_setup_queue(const struct vdev *d, unsigned queue);
void vdev_setup_queue_at(const struct vdev *d, unsigned queue, uint32_t size, uint64_t desc,
			 uint64_t avail, uint64_t used);
void vdev_driver_ok(const struct vdev *d);
void vdev_kick(const struct vdev *d, unsigned queue);

void desc_set(unsigned i, const volatile void *addr, uint32_t len, uint16_t flags, uint16_t next);
void avail_add(uint16_t head);
