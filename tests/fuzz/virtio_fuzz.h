/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile guest out of fuzzer input, for virtio devices: a script of steps that lay out rings in
 * real guest memory, access registers, kick, and let things happen outside.
 *
 * Everything runs on the caller's thread, and the I/O loop in turns, so that an input always does
 * the same. The device lives on from input to input and is reset in between.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "vmm/base/loop.h"
#include "vmm/bus/pci_port.h"
#include "vmm/mem/guest_mem.h"
#include "vmm/virtio/mmio.h"
#include "vmm/virtio/pci.h"

#define FUZZ_RAM_BASE 0x40000000ULL
#define FUZZ_RAM_SIZE (512 * KIB)
#define FUZZ_QUEUE_STEP 0x4000 /* queue i: descriptors, then rings at 0x2000 and 0x3000 */
#define FUZZ_DATA 0x10000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is left of the input; reads zeroes at its end. */
struct fuzz_input {
	const uint8_t *data;
	size_t size;
};

uint64_t fuzz_take(struct fuzz_input *in, unsigned bytes); /* little-endian, at most 8 */

struct fuzz_guest {
	struct guest_mem *mem;
	struct loop *io;
	struct virtio_dev *dev;
	struct virtio_mmio mmio;
	/* Or, over PCI: behind a root port, with a BAR that the script may move. */
	bool over_pci;
	struct mmio_bus bus;
	struct pci_events events;
	struct pci pci;
	struct pci_port port;
	struct virtio_pci function;
	/* What can happen outside of the guest (a frame, a key); may be NULL. */
	void (*event)(struct fuzz_input *in);
};

/* Memory and a loop. Then make the device and call fuzz_plug(). */
void fuzz_open(struct fuzz_guest *g);
void fuzz_plug(struct fuzz_guest *g, struct virtio_dev *dev);
void fuzz_plug_pci(struct fuzz_guest *g, struct virtio_dev *dev); /* in place of it */

/* Bring the device up with these features, queues of 16 and rings in their places. */
void fuzz_start(struct fuzz_guest *g, uint64_t features);

/* Run the script; started: on a device that is up already. */
void fuzz_run(struct fuzz_guest *g, const uint8_t *data, size_t size, bool started);
