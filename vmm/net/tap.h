/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taps: a descriptor on which one read(2) or write(2) is one Ethernet frame behind a virtio-net
 * header of TAP_HEADER bytes (virtio 1.2 §5.1.6). Knows nothing of virtio's rings.
 *
 * The interface is made by whoever opens it (vmm/files.h), with IFF_TAP | IFF_NO_PI | IFF_VNET_HDR.
 * Any other datagram descriptor that speaks the same format (a socket) serves too, without offloads.
 */
#pragma once

#include <stdbool.h>

#include "vmm/base/err.h"

#define TAP_HEADER 12
#define TAP_FRAME_MAX (TAP_HEADER + 65550) /* with segmentation offload, §5.1.6.3.1 */

struct tap {
	int fd;
	bool offloads; /* the kernel segments and checksums for it */
};

/*
 * Make fd non-blocking and set its header size. fd stays the caller's. -EINVAL: a tap without
 * IFF_VNET_HDR or a tun.
 */
int tap_setup(int fd, struct tap *ret, struct hvd_error *err);

/* What frames given to us may leave undone: checksums, and TCP segmentation of IPv4 and IPv6. */
void tap_set_offloads(const struct tap *tap, bool csum, bool tso4, bool tso6);
