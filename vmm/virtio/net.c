/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Network device (virtio 1.2 §5.1) on a tap.
 *
 * The tap speaks the same header as the device, so a frame is one readv(2) or writev(2) straight to
 * or from guest memory, or vhost-net's business. Each pair of queues has a queue of the tap.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/virtio/net_private.h"

#define FEATURE(name) (1ULL << VIRTIO_NET_F_##name)

/* Up to mtu: what follows belongs to features not offered. */
#define CONFIG_SIZE offsetof(struct virtio_net_config, speed)

/* The control queue is behind the pairs that the driver knows of (§5.1.2). */
static unsigned control_queue(const struct virtio_net *net)
{
	return virtio_has_feature(&net->dev, VIRTIO_NET_F_MQ) ? 2 * net->n_pairs : 2;
}

static bool is_control(const struct virtio_net *net, unsigned queue)
{
	return queue == control_queue(net) && virtio_has_feature(&net->dev, VIRTIO_NET_F_CTRL_VQ);
}

/* The pair that a queue is of, or NULL: it is the control queue, or of no use to the driver. */
static struct net_pair *pair_of(struct virtio_net *net, unsigned queue)
{
	return queue < control_queue(net) ? &net->pair[queue / 2] : NULL;
}

static int net_activate(struct virtio_dev *dev)
{
	struct virtio_net *net = to_net(dev);

	tap_set_offloads(&net->pair[0].tap, net_offloads(dev->guest_features));
	for (unsigned i = 0; i < net->n_pairs; i++) {
		int r = net->pair[i].vhost.fd < 0 ? 0 : net_vhost_activate(&net->pair[i]);

		if (r < 0)
			return r;
	}
	return 0;
}

static int net_start_queue(struct virtio_dev *dev, unsigned queue)
{
	struct net_pair *pair = pair_of(to_net(dev), queue);

	return pair ? net_pair_start(pair, queue) : 0;
}

static void net_stop_queue(struct virtio_dev *dev, unsigned queue)
{
	struct net_pair *pair = pair_of(to_net(dev), queue);

	if (pair)
		net_pair_stop(pair, queue);
}

static void net_kick(struct virtio_dev *dev, unsigned queue)
{
	struct virtio_net *net = to_net(dev);
	struct net_pair *pair = pair_of(net, queue);

	if (is_control(net, queue))
		net_ctrl_serve(net, queue);
	else if (pair && queue == net_rxq(pair))
		net_rx_serve(pair);
	else if (pair)
		net_tx_serve(pair);
}

static void net_interrupt_moved(struct virtio_dev *dev, unsigned queue)
{
	struct net_pair *pair = pair_of(to_net(dev), queue);

	if (pair && pair->vhost.fd >= 0)
		net_vhost_interrupt_moved(pair, queue);
}

static void net_reset(struct virtio_dev *dev)
{
	struct virtio_net *net = to_net(dev);

	/* frames that wait for the next driver come whole: it may not know offloads */
	tap_set_offloads(&net->pair[0].tap, 0);
	net_ctrl_reset(net);
	net_link_reset(net);
}

static void set_policies(struct virtio_net *net, const struct virtio_net_args *args)
{
	uint64_t now = rate_now();

	rate_set(&net->rx_rate, &args->rx_frames, &args->rx_bytes, now);
	rate_set(&net->tx_rate, &args->tx_frames, &args->tx_bytes, now);
	pthread_mutex_lock(&net->lock);
	net->trust_mac = args->trust_mac;
	pthread_mutex_unlock(&net->lock);
}

static int net_update(struct virtio_dev *dev, const void *update, struct hvd_error *err)
{
	const struct virtio_net_args *args = update;
	struct virtio_net *net = to_net(dev);

	set_policies(net, args);
	net_link_set(net, !args->link_down);
	for (unsigned i = 0; i < net->n_pairs; i++)
		net_pair_changed(&net->pair[i]);
	return 0;
}

static void net_count(const struct virtio_dev *dev, uint64_t *values)
{
	const struct virtio_net *net = container_of(dev, const struct virtio_net, dev);

	for (unsigned i = 0; i < net->n_pairs; i++) {
		const struct net_pair *pair = &net->pair[i];

		values[NIC_RX_DROPPED] += counter_get(&pair->rx_dropped);
		values[NIC_TX_DROPPED] += counter_get(&pair->tx_dropped);
		values[NIC_RX_THROTTLED_NS] += counter_get(&pair->rx_gate.shut_ns);
		values[NIC_TX_THROTTLED_NS] += counter_get(&pair->tx_gate.shut_ns);
	}
}

static void net_destroy(struct virtio_dev *dev)
{
	struct virtio_net *net = to_net(dev);

	for (unsigned i = 0; i < net->n_pairs; i++)
		net_pair_destroy(&net->pair[i]);
	pthread_mutex_destroy(&net->lock);
	free(net->name);
	free(net);
}

static const struct virtio_ops net_ops = {
	.name = "net",
	.id = VIRTIO_ID_NET,
	.config_size = CONFIG_SIZE,
	.features = FEATURE(MAC) | FEATURE(STATUS) | FEATURE(MRG_RXBUF) | NET_CTRL_FEATURES,
	.activate = net_activate,
	.start_queue = net_start_queue,
	.stop_queue = net_stop_queue,
	.kick = net_kick,
	.interrupt_moved = net_interrupt_moved,
	.reset = net_reset,
	.update = net_update,
	.count = net_count,
	.destroy = net_destroy,
};

/* What the kernel does for frames of the driver, and may leave to it. */
static uint64_t offload_features(unsigned offloads)
{
	uint64_t features = 0;

	if (offloads)
		features |= FEATURE(CSUM) | FEATURE(HOST_TSO4) | FEATURE(HOST_TSO6) |
			    FEATURE(HOST_ECN) | FEATURE(GUEST_CSUM) | FEATURE(GUEST_TSO4) |
			    FEATURE(GUEST_TSO6) | FEATURE(GUEST_ECN) | FEATURE(CTRL_GUEST_OFFLOADS);
	if (offloads & TAP_USO)
		features |= 1ULL << NET_F_GUEST_USO4 | 1ULL << NET_F_GUEST_USO6 |
			    1ULL << NET_F_HOST_USO;
	return features;
}

/* §5.1.4; offers what depends on the configuration and the tap. */
static void fill_config(struct virtio_net *net, const struct virtio_net_args *args)
{
	struct virtio_net_config *config = net_config(net);

	static const uint8_t none[6];

	net->dev.host_features |= offload_features(net->pair[0].tap.offloads);
	/* the driver chooses one */
	if (memcmp(args->mac, none, sizeof(none)) == 0)
		net->dev.host_features &= ~FEATURE(MAC);
	if (net->n_pairs > 1)
		net->dev.host_features |= FEATURE(MQ);
	if (args->mtu)
		net->dev.host_features |= FEATURE(MTU);
	config->max_virtqueue_pairs = (uint16_t)net->n_pairs;
	config->mtu = args->mtu;
	memcpy(net->mac, args->mac, sizeof(net->mac));
	net->link_up = !args->link_down;
}

/* Every descriptor becomes a pair's, or is closed when r, how it went so far, is a failure. */
static int make_pairs(struct virtio_net *net, const struct virtio_net_args *args, int r,
		      struct hvd_error *err)
{
	for (unsigned i = 0; i < args->n_pairs; i++) {
		AUTO(close) int tap = args->taps[i];
		AUTO(close) int vhost = args->vhosts ? args->vhosts[i] : -1;

		if (r >= 0)
			r = net_pair_init(&net->pair[i], net, i, TAKE_FD(tap), TAKE_FD(vhost), err);
	}
	return r;
}

static int init_device(struct virtio_net *net, const struct virtio_net_args *args,
		       const struct guest_mem *mem, struct loop *io, struct hvd_error *err)
{
	struct virtio_dev *dev = &net->dev;
	int r = virtio_dev_init(dev, &net_ops, 2 * net->n_pairs + 1, mem, io);

	if (r < 0)
		return hvd_err(err, -r, "virtio-net: %s", strerror(-r));
	if (args->loops) {
		virtio_spread(dev, args->loops, 2);
		dev->queue_io[2 * net->n_pairs] = io;
	}
	return 0;
}

static struct virtio_net *allocate(const struct virtio_net_args *args)
{
	struct virtio_net *net = calloc(1, sizeof(*net) + args->n_pairs * sizeof(net->pair[0]));
	char *name = strdup(args->name ? args->name : "");

	if (!net || !name) {
		free(net);
		free(name);
		return NULL;
	}
	net->name = name;
	net->n_pairs = args->n_pairs;
	pthread_mutex_init(&net->lock, NULL);
	return net;
}

int virtio_net_new(const struct virtio_net_args *args, const struct guest_mem *mem, struct loop *io,
		   struct virtio_dev **ret, struct hvd_error *err)
{
	AUTO(virtio_dev_free) struct virtio_dev *dev = NULL;
	struct virtio_net *net = allocate(args);
	int r;

	if (!net) {
		make_pairs(NULL, args, -ENOMEM, NULL);
		return hvd_err(err, ENOMEM, "out of memory");
	}

	dev = &net->dev;
	r = init_device(net, args, mem, io, err);
	r = make_pairs(net, args, r, err);
	if (r < 0)
		return r;

	set_policies(net, args);
	fill_config(net, args);
	net_ctrl_reset(net);
	net_link_reset(net);
	*ret = TAKE(dev);
	return 0;
}
