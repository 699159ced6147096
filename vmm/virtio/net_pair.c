/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "vmm/virtio/net_private.h"

void net_pair_watch(struct net_pair *pair, bool frames)
{
	uint32_t events = EPOLLET | (frames ? EPOLLIN : 0) | (pair->awaits_up ? EPOLLOUT : 0);

	if (!pair->src.loop || events == pair->watched)
		return;
	pair->watched = events;
	loop_modify(&pair->src, events);
}

static void watch_as_before(struct net_pair *pair)
{
	net_pair_watch(pair, pair->watched & EPOLLIN);
}

void net_pair_error(struct net_pair *pair, int errnum)
{
	if (tap_says_gone(errnum)) {
		net_link_tap_gone(pair->net);
	} else if (tap_says_down(errnum) && pair->src.loop) {
		pair->awaits_up = true;
		net_link_tap(pair->net, false);
		watch_as_before(pair);
	}
}

static void on_tap(struct loop_source *src, uint32_t events)
{
	struct net_pair *pair = container_of(src, struct net_pair, src);

	if (events & EPOLLERR && tap_is_gone(&pair->tap)) {
		net_link_tap_gone(pair->net);
		return;
	}
	if (pair->awaits_up && events & EPOLLOUT) {
		pair->awaits_up = false;
		net_link_tap(pair->net, true);
		watch_as_before(pair);
	}
	net_rx_serve(pair);
}

static void on_rx_gate_opened(struct rate_gate *gate)
{
	net_rx_serve(container_of(gate, struct net_pair, rx_gate));
}

static void on_tx_gate_opened(struct rate_gate *gate)
{
	net_tx_serve(container_of(gate, struct net_pair, tx_gate));
}

static int start_rx(struct net_pair *pair)
{
	int r = rate_gate_start(&pair->rx_gate, net_loop(pair));

	if (r < 0)
		return r;
	pair->watched = EPOLLET | (pair->net->up ? EPOLLIN : 0);
	/* what waits in the tap is reported at once */
	return loop_add(net_loop(pair), &pair->src, pair->watched);
}

static int start_tx(struct net_pair *pair)
{
	int r = rate_gate_start(&pair->tx_gate, net_loop(pair));

	if (r < 0)
		return r;
	net_tx_serve(pair);
	return 0;
}

int net_pair_start(struct net_pair *pair, unsigned queue)
{
	bool rx = queue == net_rxq(pair);

	*(rx ? &pair->receiving : &pair->transmitting) = true;
	pair->is_down |= !pair->net->up;
	if (pair->vhost.fd >= 0)
		return net_vhost_start(pair, queue);
	return rx ? start_rx(pair) : start_tx(pair);
}

void net_pair_stop(struct net_pair *pair, unsigned queue)
{
	bool rx = queue == net_rxq(pair);

	*(rx ? &pair->receiving : &pair->transmitting) = false;
	if (pair->vhost.fd >= 0) {
		net_vhost_stop(pair, queue);
	} else if (rx) {
		rate_gate_stop(&pair->rx_gate);
		loop_remove(&pair->src);
		net_rx_rest(pair);
		pair->awaits_up = false;
	} else {
		rate_gate_stop(&pair->tx_gate);
	}
}

/* What has come while the link was down is not for after it. */
static void follow_link(struct net_pair *pair)
{
	bool up = pair->net->up;

	if (up && pair->is_down)
		net_rx_drain(pair);
	pair->is_down = !up;
	if (pair->vhost.fd >= 0)
		net_vhost_follow_link(pair);
	else if (pair->receiving)
		net_rx_serve(pair);
}

static void on_changed(struct loop_work *work)
{
	struct net_pair *pair = container_of(work, struct net_pair, changed);

	if (pair->is_down == pair->net->up)
		follow_link(pair);
	rate_gate_retry(&pair->rx_gate);
	rate_gate_retry(&pair->tx_gate);
}

void net_pair_changed(struct net_pair *pair)
{
	loop_post(net_loop(pair), &pair->changed);
}

int net_pair_init(struct net_pair *pair, struct virtio_net *net, unsigned index, int tap, int vhost,
		  struct hvd_error *err)
{
	AUTO(close) int fd = vhost;
	int r;

	pair->net = net;
	pair->index = index;
	pair->changed.fn = on_changed;
	pair->tap.fd = tap;
	pair->vhost.fd = -1;
	r = tap_setup(tap, &pair->tap, err);
	if (r < 0)
		return r;
	pair->src = (struct loop_source){ .fd = tap, .fn = on_tap };

	r = rate_gate_init(&pair->rx_gate, &net->rx_rate, on_rx_gate_opened);
	if (r >= 0)
		r = rate_gate_init(&pair->tx_gate, &net->tx_rate, on_tx_gate_opened);
	if (r < 0)
		return hvd_err(err, -r, "cannot make a timer: %s", strerror(-r));
	return fd < 0 ? 0 : net_vhost_init(pair, TAKE_FD(fd), err);
}

static void cancel_on_loop(void *arg)
{
	struct net_pair *pair = arg;

	loop_cancel(net_loop(pair), &pair->changed);
}

void net_pair_destroy(struct net_pair *pair)
{
	if (!pair->net)
		return;
	loop_call(net_loop(pair), cancel_on_loop, pair);
	rate_gate_destroy(&pair->rx_gate);
	rate_gate_destroy(&pair->tx_gate);
	net_vhost_destroy(pair);
	close(pair->tap.fd);
}
