/* SPDX-License-Identifier: Apache-2.0 */
/*
 * With vhost-net the kernel serves the rings while the link is up, and only then: it knows no links.
 * While the link is down frames of the driver are dropped here.
 *
 * Nobody tells us when the tap goes away or down, because nobody here reads it: once in a while it is
 * looked at, by asking whether it is writable.
 */
#include <errno.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

#include "vmm/virtio/net_private.h"

#define TICK_SECONDS 1

/* What the kernel takes a part in. */
#define RING_FEATURES                                                                              \
	(1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_NET_F_MRG_RXBUF |                             \
	 1ULL << VIRTIO_RING_F_EVENT_IDX | 1ULL << VIRTIO_RING_F_INDIRECT_DESC)

/* Under net->lock, as the interrupt may move meanwhile. */
static int give_to_kernel(struct net_pair *pair, unsigned queue)
{
	struct virtio_dev *dev = &pair->net->dev;
	struct vhost_ring args = {
		.kick = dev->kick_fd[queue],
		.error = pair->broken.fd,
		.call = dev->transport->queue_eventfd(dev->transport, queue),
	};
	struct vq_ring ring;
	int r;

	vq_lend(&dev->queue[queue], &ring);
	args.size = ring.size;
	args.next_avail = ring.next_avail;
	args.desc = ring.desc;
	args.avail = ring.avail;
	args.used = ring.used;
	r = vhost_start(&pair->vhost, queue % 2, &args, pair->tap.fd);
	pair->at_work[queue % 2] = r >= 0;
	return r;
}

static int start(struct net_pair *pair, unsigned queue)
{
	int r;

	pthread_mutex_lock(&pair->net->lock);
	r = give_to_kernel(pair, queue);
	pthread_mutex_unlock(&pair->net->lock);
	return r;
}

static void stop(struct net_pair *pair, unsigned queue)
{
	struct virtio_net *net = pair->net;

	pthread_mutex_lock(&net->lock);
	pair->at_work[queue % 2] = false;
	vq_take_back(&net->dev.queue[queue], vhost_stop(&pair->vhost, queue % 2));
	pthread_mutex_unlock(&net->lock);
}

/* The guest has broken a ring: it stands still, and so does all of the device. */
static void on_broken(struct loop_source *src, uint32_t events)
{
	struct net_pair *pair = container_of(src, struct net_pair, broken);

	for (unsigned queue = net_rxq(pair); queue <= net_txq(pair); queue++)
		if (pair->at_work[queue % 2])
			stop(pair, queue);
	virtio_broken(&pair->net->dev, "a ring that vhost-net cannot use");
}

static void on_tap(struct loop_source *src, uint32_t events)
{
	struct net_pair *pair = container_of(src, struct net_pair, src);

	if (tap_is_gone(&pair->tap)) {
		net_link_tap_gone(pair->net);
		loop_remove(&pair->tick);
	} else if (events & EPOLLOUT) {
		pair->writable = true;
		net_link_tap(pair->net, true);
	}
}

static void set_tick(struct net_pair *pair)
{
	const struct itimerspec time = { .it_value.tv_sec = TICK_SECONDS };

	timerfd_settime(pair->tick.fd, 0, &time, NULL);
}

/* If the tap is writable, that is reported anew before the next tick. */
static void on_tick(struct loop_source *src, uint32_t events)
{
	struct net_pair *pair = container_of(src, struct net_pair, tick);

	if (!pair->writable && !tap_is_gone(&pair->tap))
		net_link_tap(pair->net, false);
	pair->writable = false;
	loop_modify(&pair->src, EPOLLOUT | EPOLLET);
	set_tick(pair);
}

static int watch_tap(struct net_pair *pair)
{
	int r;

	if (pair->index > 0 || pair->src.loop)
		return 0;
	pair->writable = true;
	r = loop_add(net_loop(pair), &pair->src, EPOLLOUT | EPOLLET);
	if (r >= 0)
		r = loop_add(net_loop(pair), &pair->tick, EPOLLIN | EPOLLET);
	set_tick(pair);
	return r;
}

int net_vhost_init(struct net_pair *pair, int fd, struct hvd_error *err)
{
	struct virtio_net *net = pair->net;
	int r;

	pair->vhost.fd = fd;
	pair->src.fn = on_tap;
	pair->broken = (struct loop_source){ .fn = on_broken };
	pair->tick = (struct loop_source){ .fn = on_tick };
	pair->broken.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pair->tick.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (pair->broken.fd < 0 || pair->tick.fd < 0)
		return hvd_err(err, errno, "vhost-net: %s", strerror(errno));
	if (!pair->tap.offloads)
		return hvd_err(err, EINVAL, "vhost-net serves taps only");
	r = vhost_setup(fd, net->dev.mem, &pair->vhost, err);
	if (r < 0)
		return r;
	net->dev.host_features &= pair->vhost.features | ~RING_FEATURES;
	return 0;
}

void net_vhost_destroy(struct net_pair *pair)
{
	if (pair->vhost.fd < 0)
		return;
	close(pair->vhost.fd);
	if (pair->broken.fd >= 0)
		close(pair->broken.fd);
	if (pair->tick.fd >= 0)
		close(pair->tick.fd);
}

int net_vhost_activate(struct net_pair *pair)
{
	return vhost_set_features(&pair->vhost, pair->net->dev.guest_features & RING_FEATURES);
}

int net_vhost_start(struct net_pair *pair, unsigned queue)
{
	int r = watch_tap(pair);

	if (r >= 0 && !pair->broken.loop)
		r = loop_add(net_loop(pair), &pair->broken, EPOLLIN | EPOLLET);
	if (r < 0 || !pair->net->up)
		return r;
	r = start(pair, queue);
	return r < 0 ? r : 1;
}

void net_vhost_stop(struct net_pair *pair, unsigned queue)
{
	if (pair->at_work[queue % 2])
		stop(pair, queue);
	if (pair->receiving || pair->transmitting)
		return;
	loop_remove(&pair->broken);
	loop_remove(&pair->tick);
	loop_remove(&pair->src);
}

static void follow(struct net_pair *pair, unsigned queue)
{
	struct virtio_dev *dev = &pair->net->dev;
	bool up = pair->net->up;
	int r = 0;

	if (up == pair->at_work[queue % 2])
		return;
	if (up)
		r = start(pair, queue);
	else
		stop(pair, queue);
	if (r >= 0)
		r = virtio_take_kicks(dev, queue, !up);
	if (r < 0)
		virtio_broken(dev, "the host lacks resources to serve a queue");
}

void net_vhost_follow_link(struct net_pair *pair)
{
	if (pair->receiving)
		follow(pair, net_rxq(pair));
	if (pair->transmitting)
		follow(pair, net_txq(pair));
}

void net_vhost_interrupt_moved(struct net_pair *pair, unsigned queue)
{
	struct virtio_dev *dev = &pair->net->dev;

	pthread_mutex_lock(&pair->net->lock);
	if (pair->at_work[queue % 2])
		vhost_set_call(&pair->vhost, queue % 2,
			       dev->transport->queue_eventfd(dev->transport, queue));
	pthread_mutex_unlock(&pair->net->lock);
}
