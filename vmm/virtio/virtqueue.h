/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Split virtqueues (virtio 1.2 §2.7), device side. Devices see iovecs; every check of what the
 * guest wrote is here.
 *
 * A ring is three arrays in guest memory: the descriptor table (what the driver offers), the
 * available ring (heads of chains, written by the driver) and the used ring (heads given back,
 * written by the device). vq_pop() takes the next chain, follows and checks it, copies each
 * descriptor once and returns host addresses; vq_push() puts the head on the used ring;
 * vq_flush() makes pushed heads visible and says whether the driver wants an interrupt
 * (VIRTIO_F_EVENT_IDX, §2.7.7).
 *
 * A queue belongs to one I/O loop: all functions on that thread, or while the device is not
 * active. Nothing allocates. A ring that breaks a rule is dead (-EBADMSG) until reset: the device
 * core then sets DEVICE_NEEDS_RESET. A head that the device holds cannot come a second time, so
 * at most `size` chains are ever out and the used ring cannot overflow.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "vmm/mem/guest_mem.h"

#define VQ_MAX_SIZE 256
#define VQ_MAX_SEGS 128 /* segments of one chain, direct or indirect */

struct virtqueue {
	/* Set through the transport while the device is not active. */
	uint16_t size; /* 1 … VQ_MAX_SIZE, a power of two; anything else does not activate */
	bool ready;
	uint64_t desc, avail, used; /* IPA */

	/* Why the ring is dead, for the log; NULL while it is sound. */
	const char *broken;

	/* Private to virtqueue.c. Indexes run freely and wrap at 2^16. */
	const struct guest_mem *mem;
	struct vring_desc *desc_ring;
	struct vring_avail *avail_ring; /* NULL: not active */
	struct vring_used *used_ring;
	uint16_t last_avail; /* next entry to take */
	uint16_t seen_avail; /* the driver's index when last read */
	uint16_t next_used, flushed_used;
	bool event_idx, indirect;
	uint64_t held[VQ_MAX_SIZE / 64]; /* bitmap of heads popped and not pushed */
};

struct vq_chain {
	uint16_t head;
	uint16_t n_out, n_in;     /* iov[0 … n_out) is read by the device, then n_in written */
	uint32_t out_len, in_len; /* bytes; their sum fits 32 bits */
	struct iovec iov[VQ_MAX_SEGS]; /* none is empty */
};

/*
 * Check size, alignment and addresses and begin to serve the ring (§2.7, §4.2.2). features are
 * the negotiated bits. Returns 0 or -EBADMSG.
 */
int vq_activate(struct virtqueue *vq, const struct guest_mem *mem, uint64_t features);

/* Back to the state after creation: not ready, of the largest size. */
void vq_reset(struct virtqueue *vq);

/* 1: chain filled; 0: nothing available, or not active; -EBADMSG: the guest broke the ring. */
int vq_pop(struct virtqueue *vq, struct vq_chain *chain);

/* Take back the last vq_pop(), as if it had not been; heads newest first. */
void vq_unpop(struct virtqueue *vq, uint16_t head);

/* Give a chain back; written: bytes the device wrote into its in part. */
void vq_push(struct virtqueue *vq, uint16_t head, uint32_t written);

/* Publish what was pushed; true: the guest is to be interrupted. */
bool vq_flush(struct virtqueue *vq);

/*
 * Somebody else (another process, the host kernel) takes chains from the ring and gives them back: where
 * it is and where to go on. The device holds no chain, and has flushed. Taken back: where that one has
 * got to.
 */
struct vq_ring {
	void *desc, *avail, *used;
	uint16_t size, next_avail;
};
void vq_lend(const struct virtqueue *vq, struct vq_ring *ret);
void vq_take_back(struct virtqueue *vq, uint16_t next_avail);

/* The driver's and the device's index of an active ring, as they are in guest memory. */
uint16_t vq_avail_index(const struct virtqueue *vq);
uint16_t vq_used_index(const struct virtqueue *vq);

/*
 * Ask for no kicks while the device polls, and ask for them again. vq_enable_kick() returns true
 * when buffers came meanwhile: poll once more.
 */
void vq_disable_kick(struct virtqueue *vq);
bool vq_enable_kick(struct virtqueue *vq);
