/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhost-net: the host kernel moves frames between a tap and a pair of rings in guest memory, woken by
 * one eventfd and waking by another. Knows nothing of virtio devices.
 *
 * A descriptor of /dev/vhost-net is one pair: ring 0 receives, ring 1 transmits. It works on the memory
 * of the process that has set it up, with a thread of the kernel's that belongs to that process. Rings
 * that the guest breaks are told of through the error eventfd, and stand still. Any thread.
 */
#pragma once

#include <stdint.h>

#include "vmm/base/err.h"
#include "vmm/mem/guest_mem.h"

struct vhost {
	int fd;
	uint64_t features; /* of virtio, that it offers */
};

struct vhost_ring {
	uint16_t size;
	uint16_t next_avail; /* where to go on */
	void *desc, *avail, *used;
	int kick, error; /* eventfds */
	int call;        /* likewise, or -1: nobody wants to know */
};

/* fd stays the caller's, and mem must stay as long as rings are at work. Errors of the kernel. */
int vhost_setup(int fd, const struct guest_mem *mem, struct vhost *ret, struct hvd_error *err);

/* Of those offered; no ring is at work. 0 or -errno. */
int vhost_set_features(const struct vhost *vhost, uint64_t features);

/* 0 or -errno; then the ring is at rest. */
int vhost_start(const struct vhost *vhost, unsigned ring, const struct vhost_ring *args, int tap);

/* Returns with the ring at rest and nothing in flight: where it would go on. */
uint16_t vhost_stop(const struct vhost *vhost, unsigned ring);

/* Have another eventfd for interrupts. */
void vhost_set_call(const struct vhost *vhost, unsigned ring, int call);
