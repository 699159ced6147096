/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver for tests: brings a virtio device up through its registers as a guest does, and builds
 * rings in guest memory, sound or broken.
 *
 * Registers are called by their names in virtio-mmio. On PCI the same register is accessed in its
 * place there, so that a test can run over either transport: DRIVER_RUN() does so with both.
 *
 * The device's I/O loop runs on a thread of its own. Descriptors and buffers are chosen by the
 * test: buffers live in the data area, addressed by offset.
 */
#pragma once

#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/base/loop.h"
#include "vmm/mem/guest_mem.h"
#include "tests/unit/pci_rig.h"
#include "vmm/virtio/mmio.h"
#include "vmm/virtio/pci.h"

#define DRIVER_RAM_BASE 0x40000000ULL
#define DRIVER_RAM_SIZE (4 * MIB)
#define DRIVER_DATA (DRIVER_RAM_BASE + MIB) /* the data area */
#define DRIVER_QUEUE_SIZE 16
#define DRIVER_BAR 0x10000000U /* where the device's BAR is, on PCI */

/* Features that every test device gets unless it says otherwise. */
#define DRIVER_FEATURES                                                                            \
	(1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_RING_F_EVENT_IDX |                            \
	 1ULL << VIRTIO_RING_F_INDIRECT_DESC)

struct driver_queue {
	uint16_t size;
	uint64_t desc_ipa, avail_ipa, used_ipa;
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	uint16_t last_used;
};

struct driver {
	struct guest_mem *mem;
	struct loop *io;
	pthread_t io_thread;
	struct virtio_dev *dev;
	bool over_pci;
	struct virtio_mmio mmio;
	struct pci_rig rig;
	struct virtio_pci pci;
	struct driver_queue queue[VIRTIO_MAX_QUEUES];
};

/* Over which transport driver_set_device() plugs devices in. */
void driver_use_pci(bool over_pci);

/* Run a group of tests over MMIO, then over PCI. */
#define DRIVER_RUN(tests)                                                                          \
	({                                                                                         \
		int failed_ = cmocka_run_group_tests_name("mmio", tests, NULL, NULL);              \
                                                                                                   \
		driver_use_pci(true);                                                              \
		failed_ + cmocka_run_group_tests_name("pci", tests, NULL, NULL);                   \
	})
/* An I/O loop on a thread of its own; it runs when start returns. */
void driver_start_loop(struct loop **ret, pthread_t *thread);
void driver_stop_loop(struct loop *loop, pthread_t thread);

/* Guest memory and a running I/O loop; then make the device with d->mem and d->io. */
void driver_open(struct driver *d);
void driver_set_device(struct driver *d, struct virtio_dev *dev);
void driver_close(struct driver *d); /* frees the device too */

uint32_t driver_read(struct driver *d, unsigned reg);
void driver_write(struct driver *d, unsigned reg, uint32_t value);
void driver_write64(struct driver *d, unsigned reg_low, uint64_t value);

/* §3.1.1. Steps up to FEATURES_OK, queue set-up, DRIVER_OK; start does all of them. */
void driver_negotiate(struct driver *d, uint64_t features);
void driver_set_up_queue(struct driver *d, unsigned q, uint16_t size);
void driver_start(struct driver *d, uint64_t features);
void driver_reset(struct driver *d);

/* Lay a ring out in guest memory, without telling the device. */
void driver_queue_init(struct driver_queue *q, const struct guest_mem *mem, unsigned index,
		       uint16_t size);

/* Address of a byte of the data area, for descriptors and for the test. */
uint64_t data_ipa(uint64_t offset);
void *data_ptr(struct driver *d, uint64_t offset);

void queue_desc(struct driver_queue *q, uint16_t i, uint64_t ipa, uint32_t len, uint16_t flags,
		uint16_t next);
void queue_avail(struct driver_queue *q, uint16_t head);

/* Kick, and wait until n more chains are used. Fails the test when that does not come. */
void driver_kick(struct driver *d, unsigned q);
void driver_wait_used(struct driver *d, unsigned q, unsigned n);
struct vring_used_elem driver_used(struct driver *d, unsigned q); /* the next of those */

/* Wait for an interrupt of this kind: VIRTIO_MMIO_INT_VRING or VIRTIO_MMIO_INT_CONFIG. */
void driver_wait_interrupt(struct driver *d, uint32_t kind);

/* Wait until the device asks for a reset; it must raise a config interrupt. */
void driver_wait_broken(struct driver *d);
