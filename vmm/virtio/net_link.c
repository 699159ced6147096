/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The link is up when it is configured so and the host's interface is up. An interface that has been
 * deleted does not come back: the descriptors are dead.
 */
#include "vmm/virtio/net_private.h"

#define LOG_BURST 3

/* Under lock. */
static void set_status(struct virtio_net *net, uint16_t status)
{
	virtio_write_config(&net->dev, offsetof(struct virtio_net_config, status), &status,
			    sizeof(status));
}

static bool driver_announces(const struct virtio_net *net)
{
	return net->dev.status & VIRTIO_CONFIG_S_DRIVER_OK &&
	       virtio_has_feature(&net->dev, VIRTIO_NET_F_GUEST_ANNOUNCE);
}

/* Under lock. §5.1.6.5.4: a driver whose link has come up may be elsewhere on the network. */
static void update(struct virtio_net *net)
{
	bool up = net->link_up && net->tap_up && !net->tap_gone;
	uint16_t status = up ? VIRTIO_NET_S_LINK_UP : 0;

	if (up == net->up)
		return;
	net->up = up;
	if (up && driver_announces(net))
		status |= VIRTIO_NET_S_ANNOUNCE;
	set_status(net, status);
	virtio_notify_config(&net->dev);
	for (unsigned i = 0; i < net->n_pairs; i++)
		net_pair_changed(&net->pair[i]);
}

void net_link_set(struct virtio_net *net, bool up)
{
	pthread_mutex_lock(&net->lock);
	net->link_up = up;
	update(net);
	pthread_mutex_unlock(&net->lock);
}

void net_link_tap(struct virtio_net *net, bool up)
{
	pthread_mutex_lock(&net->lock);
	if (up != net->tap_up && log_allowed(&net->log_limit, LOG_BURST))
		log_info("NIC %s: its interface on the host is %s", net->name, up ? "up" : "down");
	net->tap_up = up;
	update(net);
	pthread_mutex_unlock(&net->lock);
}

void net_link_tap_gone(struct virtio_net *net)
{
	pthread_mutex_lock(&net->lock);
	if (!net->tap_gone)
		log_warning("NIC %s: its interface on the host has been deleted: the link is down",
			    net->name);
	net->tap_gone = true;
	update(net);
	pthread_mutex_unlock(&net->lock);
}

void net_link_announced(struct virtio_net *net)
{
	pthread_mutex_lock(&net->lock);
	set_status(net, net->up ? VIRTIO_NET_S_LINK_UP : 0);
	pthread_mutex_unlock(&net->lock);
}

void net_link_reset(struct virtio_net *net)
{
	pthread_mutex_lock(&net->lock);
	net->tap_up = true;
	net->up = net->link_up && !net->tap_gone;
	set_status(net, net->up ? VIRTIO_NET_S_LINK_UP : 0);
	pthread_mutex_unlock(&net->lock);
}
