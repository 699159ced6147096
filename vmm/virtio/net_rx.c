/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How large the next frame is shows only when it has been read, and with offloads it may have 64 KiB,
 * so buffers for that much are kept popped in a window. As long as frames are small only the first
 * few of them are offered, with a spill area behind that catches the rest of a larger one. Frames
 * that find no buffers wait in the tap; the driver's next kick goes on.
 */
#include <errno.h>
#include <string.h>

#include "vmm/base/iov.h"
#include "vmm/virtio/net_private.h"

#define SMALL_SEGS 7U /* and the spill area: as many as the kernel takes without allocating */
#define DRAIN_MAX  65536 /* frames: far more than the queue of a tap holds */

static struct iovec *window_iov(struct net_window *w)
{
	return w->iov + w->first_iov;
}

static struct net_chain *window_chain(struct net_window *w)
{
	return w->chains + w->first_chain;
}

static void forget_chains(struct net_window *w, unsigned n)
{
	for (; n; n--) {
		struct net_chain *chain = window_chain(w);

		w->len -= chain->len;
		w->first_iov += chain->n_iov;
		w->n_iov -= chain->n_iov;
		w->first_chain++;
		w->n_chains--;
	}
}

/* Room for one more chain at the end; what is left moves to the front when that has no place. */
static bool has_room(struct net_window *w)
{
	if (w->first_chain + w->n_chains == VQ_MAX_SIZE ||
	    w->first_iov + w->n_iov + VQ_MAX_SEGS > NET_RX_MAX_SEGS) {
		memmove(w->chains, window_chain(w), w->n_chains * sizeof(w->chains[0]));
		memmove(w->iov, window_iov(w), w->n_iov * sizeof(w->iov[0]));
		w->first_chain = w->first_iov = 0;
	}
	return w->n_chains < VQ_MAX_SIZE && w->n_iov + VQ_MAX_SEGS <= NET_RX_MAX_SEGS;
}

static void add_chain(struct net_window *w, const struct vq_chain *chain)
{
	window_chain(w)[w->n_chains++] = (struct net_chain){
		.head = chain->head,
		.n_iov = chain->n_in,
		.len = chain->in_len,
	};
	memcpy(window_iov(w) + w->n_iov, chain->iov + chain->n_out,
	       chain->n_in * sizeof(chain->iov[0]));
	w->n_iov += chain->n_in;
	w->len += chain->in_len;
}

/* Returns false when there is no buffer at all. */
static bool fill_window(struct net_pair *pair)
{
	struct virtio_dev *dev = &pair->net->dev;
	struct net_window *w = &pair->window;
	/* with mergeable buffers a frame may use several chains */
	size_t want = virtio_has_feature(dev, VIRTIO_NET_F_MRG_RXBUF) ? TAP_FRAME_MAX : 1;
	struct vq_chain chain;

	while (w->len < want && has_room(w) && virtio_pop(dev, net_rxq(pair), &chain)) {
		if (chain.in_len < TAP_HEADER) {
			virtio_broken(dev, "a receive buffer smaller than the header");
			break;
		}
		add_chain(w, &chain);
	}
	return w->n_chains;
}

/* Give `len` bytes of a frame that lie in the window to the driver. */
static void deliver(struct net_pair *pair, size_t len)
{
	struct virtqueue *vq = &pair->net->dev.queue[net_rxq(pair)];
	struct net_window *w = &pair->window;
	uint16_t n = 0;

	for (size_t left = len; left; n++) {
		struct net_chain *chain = window_chain(w) + n;
		size_t part = MIN(left, chain->len);

		vq_push(vq, chain->head, (uint32_t)part);
		left -= part;
	}
	iov_scatter_at(window_iov(w), w->n_iov, offsetof(struct virtio_net_hdr_v1, num_buffers), &n,
		       sizeof(n));
	forget_chains(w, n);
}

/* Read one frame. Returns false when there is none. */
static bool receive(struct net_pair *pair)
{
	struct net_window *w = &pair->window;
	struct iovec *iov = window_iov(w), saved;
	unsigned small = MIN(w->n_iov, SMALL_SEGS), n = w->large_frames ? w->n_iov : small;
	size_t room = iov_len(iov, n);
	ssize_t len;

	saved = iov[n];
	iov[n] = (struct iovec){ .iov_base = w->spill, .iov_len = sizeof(w->spill) };
	len = readv(pair->tap.fd, iov, (int)n + 1);
	iov[n] = saved;

	if (len < 0) {
		net_pair_error(pair, errno);
		return errno == EINTR;
	}
	if (len < TAP_HEADER)
		return len > 0;
	rate_gate_charge(&pair->rx_gate, (uint32_t)len - TAP_HEADER);
	w->large_frames = (size_t)len > (n > small ? iov_len(iov, small) : room);

	/* larger than what the driver has room for: lost, as on a wire */
	if ((size_t)len > w->len) {
		counter_add(&pair->rx_dropped, 1);
		return true;
	}
	if ((size_t)len > room)
		iov_scatter(iov + n, w->n_iov - n, w->spill, (size_t)len - room);
	deliver(pair, (size_t)len);
	return true;
}

void net_rx_serve(struct net_pair *pair)
{
	struct virtio_net *net = pair->net;
	struct virtqueue *vq = &net->dev.queue[net_rxq(pair)];
	int n;

	for (n = 0; n < VIRTIO_BATCH && net->up && !pair->rx_gate.shut; n++) {
		/* kicks tell of new buffers: of interest only when there are none */
		if (!fill_window(pair) && (!vq_enable_kick(vq) || !fill_window(pair)))
			break;
		if (!receive(pair))
			break;
	}

	if (pair->window.n_chains)
		vq_disable_kick(vq);
	net_pair_watch(pair, pair->window.n_chains && net->up && !pair->rx_gate.shut);
	virtio_notify_queue(&net->dev, net_rxq(pair));
	if (n == VIRTIO_BATCH)
		virtio_rekick(&net->dev, net_rxq(pair));
}

void net_rx_rest(struct net_pair *pair)
{
	struct virtqueue *vq = &pair->net->dev.queue[net_rxq(pair)];
	struct net_window *w = &pair->window;

	while (w->n_chains)
		vq_unpop(vq, window_chain(w)[--w->n_chains].head);
	w->first_chain = w->first_iov = w->n_iov = 0;
	w->len = 0;
}

void net_rx_drain(struct net_pair *pair)
{
	uint8_t header[TAP_HEADER];

	/* what there is no room for is dropped with the frame */
	for (int n = 0; n < DRAIN_MAX; n++)
		if (read(pair->tap.fd, header, sizeof(header)) < 0 && errno != EINTR)
			break;
}
