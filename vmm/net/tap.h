/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taps: a descriptor on which one read(2) or write(2) is one Ethernet frame behind a virtio-net
 * header of TAP_HEADER bytes (virtio 1.2 §5.1.6). Knows nothing of virtio's rings.
 *
 * The interface is made by whoever opens it (vmm/nic_files.h), with IFF_TAP | IFF_NO_PI |
 * IFF_VNET_HDR; a descriptor is one of its queues. Any other datagram descriptor that speaks the same
 * format (a socket) serves too, without offloads, queues and filter.
 *
 * What is set here is the interface's, not the descriptor's, but for tap_attach().
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "vmm/base/err.h"

#define TAP_HEADER 12
#define TAP_FRAME_MAX (TAP_HEADER + 65550) /* with segmentation offload, §5.1.6.3.1 */

struct tap {
	int fd;
	unsigned offloads; /* TAP_* that the kernel does for it */
};

/* TUN_F_*, of which older headers lack the last ones. Those of USO come together. */
#define TAP_CSUM 0x01U
#define TAP_TSO4 0x02U
#define TAP_TSO6 0x04U
#define TAP_ECN  0x08U
#define TAP_USO4 0x20U
#define TAP_USO6 0x40U
#define TAP_USO  (TAP_USO4 | TAP_USO6)

/*
 * Make fd non-blocking, set its header size, and find out what it can. fd stays the caller's. -EINVAL: a
 * tap without IFF_VNET_HDR or a tun.
 */
int tap_setup(int fd, struct tap *ret, struct hvd_error *err);

/* What frames given to us may leave undone: checksums and segmentation. */
void tap_set_offloads(const struct tap *tap, unsigned offloads);

/* Have the queue, which is not the interface's only one, or have the others get its frames too. */
void tap_attach(const struct tap *tap, bool attached);

/* Whose frames come in, beside broadcasts. */
#define TAP_FILTER_MAX 64
struct tap_filter {
	bool everything, all_multicast;
	unsigned n; /* unicast first: the kernel compares the first few of them, and hashes multicast */
	uint8_t mac[TAP_FILTER_MAX][6];
};

/* More may come in than what the filter says; never less. */
void tap_set_filter(const struct tap *tap, const struct tap_filter *filter);

/* The interface has been deleted; errnum is what read(2) or write(2) has said. */
bool tap_says_gone(int errnum);
/* … and when nothing has been read or written. */
bool tap_is_gone(const struct tap *tap);

/* What a write says when the interface is down; EPOLLOUT comes when it is up again. */
bool tap_says_down(int errnum);
