/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control queue (virtio 1.2 §5.1.6.5). A command is a class, a number and data that the device
 * reads, and one byte of acknowledgement that it writes. All of it is on copies.
 *
 * Which frames the driver wants is told to the tap, which filters better than we could: frames that
 * nobody wants never get here. It is no more than advice (a device may receive more), and whose frames
 * a NIC may get and send is for the host's network to decide.
 */
#include <string.h>

#include "vmm/base/iov.h"
#include "vmm/virtio/net_private.h"

/* What is left of a command's data. */
struct command {
	struct iovec *iov;
	unsigned n_iov;
	size_t len;
};

/* The next len bytes; false: there are no more so many. */
static bool take(struct command *c, void *buf, size_t len)
{
	if (c->len < len)
		return false;
	iov_gather(c->iov, c->n_iov, buf, len);
	iov_advance(&c->iov, &c->n_iov, len);
	c->len -= len;
	return true;
}

/* Exactly len bytes are the data. */
static bool take_all(struct command *c, void *buf, size_t len)
{
	return c->len == len && take(c, buf, len);
}

/* Under lock. */
static void apply_filter(struct virtio_net *net)
{
	struct tap_filter filter = { .everything = net->promisc || net->unicast_full,
				     .all_multicast = net->all_multicast || net->multicast_full,
				     .n = 1 };

	memcpy(filter.mac[0], net_config(net)->mac, sizeof(filter.mac[0]));
	memcpy(filter.mac[1], net->mac_table, net->n_macs * sizeof(net->mac_table[0]));
	filter.n += net->n_macs;
	tap_set_filter(&net->pair[0].tap, &filter);
}

static bool set_flag(struct virtio_net *net, struct command *c, bool *flag)
{
	uint8_t on;

	if (!take_all(c, &on, sizeof(on)))
		return false;
	*flag = on;
	apply_filter(net);
	return true;
}

static bool set_promisc(struct virtio_net *net, struct command *c)
{
	return set_flag(net, c, &net->promisc);
}

static bool set_all_multicast(struct virtio_net *net, struct command *c)
{
	return set_flag(net, c, &net->all_multicast);
}

/* Append a table to *n addresses; those that there is no room for are skipped, and *full says so. */
static bool take_table(struct command *c, uint8_t macs[static NET_MAX_MACS][6], unsigned *n,
		       bool *full)
{
	uint32_t entries;
	size_t fit;

	if (!take(c, &entries, sizeof(entries)) || entries > c->len / 6)
		return false;
	fit = MIN((size_t)entries, (size_t)NET_MAX_MACS - *n);
	take(c, macs[*n], fit * 6);
	*n += (unsigned)fit;
	*full = fit < entries;
	iov_advance(&c->iov, &c->n_iov, (entries - fit) * 6);
	c->len -= (entries - fit) * 6;
	return true;
}

static bool set_mac_table(struct virtio_net *net, struct command *c)
{
	uint8_t macs[NET_MAX_MACS][6] = { 0 };
	bool unicast_full, multicast_full;
	unsigned n = 0;

	if (!take_table(c, macs, &n, &unicast_full) || !take_table(c, macs, &n, &multicast_full) ||
	    c->len)
		return false;
	memcpy(net->mac_table, macs, sizeof(macs));
	net->n_macs = n;
	net->unicast_full = unicast_full;
	net->multicast_full = multicast_full;
	apply_filter(net);
	return true;
}

static void write_mac(struct virtio_net *net, const uint8_t mac[static 6])
{
	virtio_write_config(&net->dev, offsetof(struct virtio_net_config, mac), mac, 6);
	apply_filter(net);
}

static bool set_mac(struct virtio_net *net, struct command *c)
{
	static const uint8_t none[6];
	uint8_t mac[6];

	if (!take_all(c, mac, sizeof(mac)) || mac[0] & 1 || memcmp(mac, none, sizeof(mac)) == 0)
		return false;
	if (!net->trust_mac && memcmp(mac, net_config(net)->mac, sizeof(mac)) != 0)
		return false;
	write_mac(net, mac);
	return true;
}

static bool announced(struct virtio_net *net, struct command *c)
{
	if (c->len)
		return false;
	net_link_announced(net);
	return true;
}

/* Under lock. */
static void use_pairs(struct virtio_net *net, unsigned n)
{
	for (unsigned i = 1; i < net->n_pairs; i++)
		tap_attach(&net->pair[i].tap, i < n);
}

static bool set_pairs(struct virtio_net *net, struct command *c)
{
	uint16_t n;

	if (!take_all(c, &n, sizeof(n)) || n < VIRTIO_NET_CTRL_MQ_VQ_PAIRS_MIN || n > net->n_pairs)
		return false;
	use_pairs(net, n);
	return true;
}

static const struct {
	uint64_t feature;
	unsigned tap;
} offloads[] = {
	{ 1ULL << VIRTIO_NET_F_GUEST_CSUM, TAP_CSUM }, { 1ULL << VIRTIO_NET_F_GUEST_TSO4, TAP_TSO4 },
	{ 1ULL << VIRTIO_NET_F_GUEST_TSO6, TAP_TSO6 }, { 1ULL << VIRTIO_NET_F_GUEST_ECN, TAP_ECN },
	{ 1ULL << NET_F_GUEST_USO4, TAP_USO4 },        { 1ULL << NET_F_GUEST_USO6, TAP_USO6 },
};

unsigned net_offloads(uint64_t features)
{
	unsigned taps = 0;

	for (size_t i = 0; i < ARRAY_SIZE(offloads); i++)
		if (features & offloads[i].feature)
			taps |= offloads[i].tap;
	return taps;
}

/* Of those negotiated only (§5.1.6.5.6.1). */
static bool set_offloads(struct virtio_net *net, struct command *c)
{
	uint64_t features, allowed = 0;

	for (size_t i = 0; i < ARRAY_SIZE(offloads); i++)
		allowed |= net->dev.guest_features & offloads[i].feature;
	if (!take_all(c, &features, sizeof(features)) || features & ~allowed)
		return false;
	tap_set_offloads(&net->pair[0].tap, net_offloads(features));
	return true;
}

/* run: under lock, unless it takes that itself. */
static const struct {
	uint8_t class, number, feature;
	bool unlocked;
	bool (*run)(struct virtio_net *net, struct command *c);
} commands[] = {
	{ VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, VIRTIO_NET_F_CTRL_RX, false, set_promisc },
	{ VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_ALLMULTI, VIRTIO_NET_F_CTRL_RX, false,
	  set_all_multicast },
	{ VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, VIRTIO_NET_F_CTRL_RX, false,
	  set_mac_table },
	{ VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, VIRTIO_NET_F_CTRL_MAC_ADDR, false,
	  set_mac },
	{ VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK, VIRTIO_NET_F_GUEST_ANNOUNCE, true,
	  announced },
	{ VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, VIRTIO_NET_F_MQ, false, set_pairs },
	{ VIRTIO_NET_CTRL_GUEST_OFFLOADS, VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET,
	  VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, false, set_offloads },
};

static bool run(struct virtio_net *net, struct command *c)
{
	struct virtio_net_ctrl_hdr header = { 0 };
	bool done = false;

	take(c, &header, sizeof(header));
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (commands[i].class != header.class || commands[i].number != header.cmd ||
		    !virtio_has_feature(&net->dev, commands[i].feature))
			continue;
		if (!commands[i].unlocked)
			pthread_mutex_lock(&net->lock);
		done = commands[i].run(net, c);
		if (!commands[i].unlocked)
			pthread_mutex_unlock(&net->lock);
	}
	return done;
}

static void answer(struct virtio_net *net, unsigned queue, struct vq_chain *chain)
{
	struct command c = { chain->iov, chain->n_out, chain->out_len };
	uint8_t ack = run(net, &c) ? VIRTIO_NET_OK : VIRTIO_NET_ERR;

	iov_scatter(chain->iov + chain->n_out, chain->n_in, &ack, sizeof(ack));
	vq_push(&net->dev.queue[queue], chain->head, sizeof(ack));
}

void net_ctrl_serve(struct virtio_net *net, unsigned queue)
{
	struct virtio_dev *dev = &net->dev;
	struct vq_chain chain;
	int n = 0;

	do {
		while (n < VIRTIO_BATCH && virtio_pop(dev, queue, &chain)) {
			if (chain.out_len < sizeof(struct virtio_net_ctrl_hdr) || !chain.in_len) {
				virtio_broken(dev, "a command without header or acknowledgement");
				break;
			}
			answer(net, queue, &chain);
			n++;
		}
	} while (n < VIRTIO_BATCH && virtio_enable_kick(dev, queue));

	virtio_notify_queue(dev, queue);
	if (n == VIRTIO_BATCH)
		virtio_rekick(dev, queue);
}

void net_ctrl_reset(struct virtio_net *net)
{
	pthread_mutex_lock(&net->lock);
	net->promisc = true;
	net->all_multicast = net->unicast_full = net->multicast_full = false;
	net->n_macs = 0;
	write_mac(net, net->mac);
	use_pairs(net, 1);
	pthread_mutex_unlock(&net->lock);
}
