/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the network device share; nobody else includes this.
 *
 *	net.c         the device: features, configuration, life
 *	net_pair.c    one pair of queues: its life, its limits, and what becomes of its tap
 *	net_rx.c      frames from the tap to the driver
 *	net_tx.c      frames from the driver to the tap
 *	net_vhost.c   both by the host kernel instead
 *	net_ctrl.c    the control queue
 *	net_link.c    the link: up or down, and what the driver is told of it
 *
 * Queue 2i receives and queue 2i + 1 transmits; both run on one loop, where all of the pair is touched.
 * The control queue is behind the pairs that the driver knows of, and may run on any loop; what it and
 * the main loop change is under net->lock, which no frame takes.
 */
#pragma once

#include <linux/virtio_net.h>
#include <pthread.h>
#include <stdatomic.h>

#include "vmm/net/tap.h"
#include "vmm/net/vhost.h"
#include "vmm/virtio/virtio.h"

#define NET_MAX_PAIRS (VIRTIO_MAX_QUEUES / 2)

#define NET_MAX_MACS (TAP_FILTER_MAX - 1) /* beside the device's own */

/* Which older headers lack. */
#define NET_F_GUEST_USO4 54
#define NET_F_GUEST_USO6 55
#define NET_F_HOST_USO   56

#define NET_RX_MAX_SEGS (2 * VQ_MAX_SEGS)
#define NET_SPILL_SIZE  (64 * KIB + 128)

struct virtio_net;

/* A chain in the window. */
struct net_chain {
	uint16_t head, n_iov;
	uint32_t len;
};

/* Receive buffers that are popped, in order; iov has one entry more for the spill area. */
struct net_window {
	struct net_chain chains[VQ_MAX_SIZE];
	struct iovec iov[NET_RX_MAX_SEGS + 1];
	unsigned first_chain, n_chains, first_iov, n_iov;
	size_t len; /* bytes */
	bool large_frames; /* the last frame did not fit the small part of the window */
	uint8_t spill[NET_SPILL_SIZE];
};

struct net_pair {
	struct virtio_net *net;
	unsigned index;
	struct tap tap;
	struct loop_source src;   /* the tap */
	uint32_t watched;         /* events that src is added with */
	struct loop_work changed; /* link or limits */
	bool receiving, transmitting; /* the queues are started */
	bool is_down;             /* the link, as last looked at */
	bool awaits_up;           /* the interface is down, and the next to know when it is up */
	struct rate_gate rx_gate, tx_gate;
	struct counter rx_dropped, tx_dropped; /* frames that the host takes for moved */

	/* With vhost. */
	struct vhost vhost; /* fd: -1 if there is none */
	struct loop_source broken;
	struct loop_source tick; /* of the first pair: when to look at the tap */
	bool writable;           /* the tap was, since the last tick */
	_Atomic bool at_work[2]; /* the kernel serves the queue; changed under net->lock */

	struct net_window window;
};

struct virtio_net {
	struct virtio_dev dev;
	char *name;
	uint8_t mac[6]; /* as configured */
	unsigned n_pairs;
	struct rate rx_rate, tx_rate;

	_Atomic bool up; /* link and interface: frames move */

	pthread_mutex_t lock; /* protects what follows, and writes to config space */
	bool link_up;         /* as configured */
	bool tap_up, tap_gone;
	struct log_limit log_limit;
	bool trust_mac;
	/* What the driver wants to receive; *_full: the table had no room for all of them. */
	bool promisc, all_multicast, unicast_full, multicast_full;
	uint8_t mac_table[NET_MAX_MACS][6]; /* unicast, then multicast */
	unsigned n_macs;

	struct net_pair pair[];
};

static inline struct virtio_net *to_net(struct virtio_dev *dev)
{
	return container_of(dev, struct virtio_net, dev);
}

static inline struct virtio_net_config *net_config(struct virtio_net *net)
{
	return (struct virtio_net_config *)net->dev.config;
}

static inline unsigned net_rxq(const struct net_pair *pair)
{
	return 2 * pair->index;
}

static inline unsigned net_txq(const struct net_pair *pair)
{
	return 2 * pair->index + 1;
}

static inline struct loop *net_loop(const struct net_pair *pair)
{
	return pair->net->dev.queue_io[net_rxq(pair)];
}

/* --- net_pair.c */

/* Of a zeroed pair; fds become its own in either outcome, and net_pair_destroy() follows. */
int net_pair_init(struct net_pair *pair, struct virtio_net *net, unsigned index, int tap, int vhost,
		  struct hvd_error *err);
void net_pair_destroy(struct net_pair *pair);

/* On the pair's loop, for one of its queues. start: as struct virtio_ops has it. */
int net_pair_start(struct net_pair *pair, unsigned queue);
void net_pair_stop(struct net_pair *pair, unsigned queue);

/* Look at the link and the limits anew; any thread. */
void net_pair_changed(struct net_pair *pair);

/* Be called for frames of the tap, or not; on the pair's loop. */
void net_pair_watch(struct net_pair *pair, bool frames);

/* What a read or write of the tap has said; on the pair's loop. */
void net_pair_error(struct net_pair *pair, int errnum);

/* --- net_rx.c, net_tx.c: on the pair's loop */
void net_rx_serve(struct net_pair *pair);
/* The window's chains go back to the ring unused: a queue at rest is described by its indexes. */
void net_rx_rest(struct net_pair *pair);
/* Forget the frames that wait in the tap. */
void net_rx_drain(struct net_pair *pair);
void net_tx_serve(struct net_pair *pair);

/* --- net_vhost.c: on the pair's loop but for interrupt_moved, which is on the device's */
int net_vhost_init(struct net_pair *pair, int fd, struct hvd_error *err);
void net_vhost_destroy(struct net_pair *pair);
int net_vhost_activate(struct net_pair *pair);
int net_vhost_start(struct net_pair *pair, unsigned queue);
void net_vhost_stop(struct net_pair *pair, unsigned queue);
void net_vhost_follow_link(struct net_pair *pair);
void net_vhost_interrupt_moved(struct net_pair *pair, unsigned queue);

/* --- net_ctrl.c */
#define NET_CTRL_FEATURES                                                                          \
	(1ULL << VIRTIO_NET_F_CTRL_VQ | 1ULL << VIRTIO_NET_F_CTRL_RX |                             \
	 1ULL << VIRTIO_NET_F_CTRL_MAC_ADDR | 1ULL << VIRTIO_NET_F_GUEST_ANNOUNCE)

void net_ctrl_serve(struct virtio_net *net, unsigned queue);
/* As a driver finds it: one pair, its own MAC address, every frame. */
void net_ctrl_reset(struct virtio_net *net);

/* TAP_* for offloads given as feature bits. */
unsigned net_offloads(uint64_t features);

/* --- net_link.c: any thread */
void net_link_set(struct virtio_net *net, bool up); /* as configured */
void net_link_tap(struct virtio_net *net, bool up); /* of the host's interface */
void net_link_tap_gone(struct virtio_net *net);
void net_link_announced(struct virtio_net *net);
/* The driver is gone, and the tap is taken to be up. */
void net_link_reset(struct virtio_net *net);
