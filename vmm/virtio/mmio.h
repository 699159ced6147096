/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio over MMIO, version 2 (virtio 1.2 §4.2): registers of one device in a 512-byte region.
 *
 * Registers are 32 bits wide and accessed so; other widths read as zero and write nothing. Config
 * space from 0x100 on takes every width. Queue registers are the driver's until DRIVER_OK and
 * ignored from then on until a reset.
 */
#pragma once

#include <linux/virtio_mmio.h>

#include "vmm/bus/mmio.h"
#include "vmm/virtio/virtio.h"

#define VIRTIO_MMIO_SIZE 0x200
#define VIRTIO_MMIO_MAGIC 0x74726976  /* "virt" */
#define VIRTIO_MMIO_VENDOR 0x31445648 /* "HVD1" */

struct virtio_mmio {
	struct mmio_region region;
	struct virtio_dev *dev;
	struct virtio_transport transport;
	_Atomic uint32_t isr; /* VIRTIO_MMIO_INT_*: raised and not acknowledged */
	/*
	 * Who signals irq_fd outside of this process sets no bit of isr. A driver that finds the
	 * bit for queues set looks at its rings, needed or not: so it is always set.
	 */
	_Atomic bool served_outside;
	int irq_fd;           /* eventfd, bound to the interrupt by the machine */
	/* As written by the driver, checked when used; under dev->lock. */
	uint32_t host_features_sel, guest_features_sel, queue_sel;
};

/* dev becomes the transport's in either outcome. Returns 0 or -EMFILE. */
int virtio_mmio_init(struct virtio_mmio *t, struct virtio_dev *dev, uint64_t base);

/* Frees the device. No-op on a zeroed struct. */
void virtio_mmio_destroy(struct virtio_mmio *t);
