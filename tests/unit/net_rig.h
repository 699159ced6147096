/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network device with sockets in place of the queues of a tap: one datagram is one frame. Buffers
 * are 128 KiB apart, and descriptor i is that of buffer i.
 */
#pragma once

#include <linux/virtio_net.h>

#include "tests/unit/virtio_driver.h"
#include "vmm/net/tap.h"

#define RXQ 0
#define TXQ 1
#define MRG (1ULL << VIRTIO_NET_F_MRG_RXBUF)
#define NET_RIG_PAIRS 4

struct net_rig {
	struct driver d;
	struct virtio_net_args args; /* that the device was made from; for virtio_update() */
	unsigned n_pairs;
	int peers[NET_RIG_PAIRS]; /* the other ends of the "taps" */
	int peer;                 /* the first */
	struct loop *second;      /* a loop beside that of the driver to spread pairs over, or NULL */
};

/* For cmocka: one pair, MAC address 02:00:00:00:00:01. */
int net_rig_set_up(void **state);
int net_rig_tear_down(void **state);

/* The same with other arguments; taps are filled in. */
void net_rig_open(struct net_rig *f, const struct virtio_net_args *args);

/* Offer n receive buffers of len bytes each: descriptors and buffers i … i + n. */
void net_offer(struct net_rig *f, uint16_t i, uint16_t n, uint32_t len);
/* The same on another queue. */
void net_offer_on(struct net_rig *f, unsigned queue, uint16_t i, uint16_t n, uint32_t len);

uint8_t *net_buffer(struct net_rig *f, uint16_t i);

/* A frame with a header of zeroes, as from a tap; content depends on seed. */
void net_frame(uint8_t *buf, size_t len, uint8_t seed);

/* It comes in. */
void net_arrive(struct net_rig *f, size_t len, uint8_t seed);

/* Take the next frame from used buffers of the receive queue; checks that it is whole. */
void net_expect_frame(struct net_rig *f, size_t len, uint8_t seed, unsigned n_buffers);

/* The next frame that was sent is this one. */
void net_expect_sent(struct net_rig *f, const uint8_t *expected, size_t len);

/* Send buffer i, of len bytes; does not wait. */
void net_send(struct net_rig *f, uint16_t i, uint32_t len);

/* The I/O loop has done what it had to. */
void net_settle(struct net_rig *f);

/*
 * A command on control queue `queue`: data is put into buffers 20 and up, in pieces of at most piece
 * bytes. Returns the acknowledgement.
 */
uint8_t net_command(struct net_rig *f, unsigned queue, uint8_t class, uint8_t number,
		    const void *data, size_t len, uint32_t piece);
