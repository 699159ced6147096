/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Network device (virtio 1.2 §5.1) on a tap.
 *
 * The tap speaks the same header as the device, so a frame is one readv(2) or writev(2) straight to
 * or from guest memory. The kernel checks what is in a header that the guest sends.
 *
 * Receiving: how large the next frame is shows only when it has been read, and with offloads it
 * may have 64 KiB, so buffers for that much are kept popped in a window. As long as frames are
 * small only the first few of them are offered, with a spill area behind that catches the rest of
 * a larger one. Frames that find no buffers wait in the tap; the driver's next kick goes on.
 */
#include <errno.h>
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "vmm/base/iov.h"
#include "vmm/net/tap.h"
#include "vmm/virtio/virtio.h"

#define RXQ 0
#define TXQ 1

#define RX_MAX_SEGS (2 * VQ_MAX_SEGS)
#define RX_SMALL_SEGS 7U /* and the spill area: as many as the kernel takes without allocating */
#define SPILL_SIZE (64 * KIB + 128)

/* A chain in the window. */
struct rx_chain {
	uint16_t head, n_iov;
	uint32_t len;
};

struct virtio_net {
	struct virtio_dev dev;
	struct tap tap;
	struct loop_source src; /* the tap */
	bool mergeable;         /* a frame may use several chains (VIRTIO_NET_F_MRG_RXBUF) */
	bool starved;           /* no buffers: the tap is not watched */
	bool large_frames;      /* the last frame did not fit the small part of the window */

	struct rx_chain chains[VQ_MAX_SIZE];
	struct iovec iov[RX_MAX_SEGS + 1]; /* of all chains in order; one more for the spill area */
	unsigned n_chains, n_iov;
	size_t window_len; /* bytes */
	uint8_t spill[SPILL_SIZE];
};

static void forget_chains(struct virtio_net *net, unsigned n)
{
	unsigned n_iov = 0;

	for (unsigned i = 0; i < n; i++) {
		n_iov += net->chains[i].n_iov;
		net->window_len -= net->chains[i].len;
	}
	net->n_chains -= n;
	net->n_iov -= n_iov;
	memmove(net->chains, net->chains + n, net->n_chains * sizeof(net->chains[0]));
	memmove(net->iov, net->iov + n_iov, net->n_iov * sizeof(net->iov[0]));
}

/* Returns false when there is no buffer at all. */
static bool fill_window(struct virtio_net *net)
{
	size_t want = net->mergeable ? TAP_FRAME_MAX : 1;
	struct vq_chain chain;

	while (net->window_len < want && net->n_chains < VQ_MAX_SIZE &&
	       net->n_iov + VQ_MAX_SEGS <= RX_MAX_SEGS && virtio_pop(&net->dev, RXQ, &chain)) {
		if (chain.in_len < TAP_HEADER) {
			virtio_broken(&net->dev, "a receive buffer smaller than the header");
			break;
		}
		net->chains[net->n_chains++] = (struct rx_chain){
			.head = chain.head,
			.n_iov = chain.n_in,
			.len = chain.in_len,
		};
		memcpy(net->iov + net->n_iov, chain.iov + chain.n_out,
		       chain.n_in * sizeof(chain.iov[0]));
		net->n_iov += chain.n_in;
		net->window_len += chain.in_len;
	}
	return net->n_chains;
}

/* Give `len` bytes of a frame that lie in the window to the driver. */
static void deliver(struct virtio_net *net, size_t len)
{
	struct virtqueue *vq = &net->dev.queue[RXQ];
	uint16_t n = 0;

	for (size_t left = len; left; n++) {
		size_t part = MIN(left, net->chains[n].len);

		vq_push(vq, net->chains[n].head, (uint32_t)part);
		left -= part;
	}
	iov_scatter_at(net->iov, net->n_iov, offsetof(struct virtio_net_hdr_v1, num_buffers), &n,
		       sizeof(n));
	forget_chains(net, n);
}

/* Read one frame. Returns false when there is none. */
static bool receive(struct virtio_net *net)
{
	unsigned n = net->large_frames ? net->n_iov : MIN(net->n_iov, RX_SMALL_SEGS);
	struct iovec saved = net->iov[n];
	size_t room = iov_len(net->iov, n);
	ssize_t len;

	net->iov[n] = (struct iovec){ .iov_base = net->spill, .iov_len = sizeof(net->spill) };
	len = readv(net->tap.fd, net->iov, (int)n + 1);
	net->iov[n] = saved;

	if (len < 0)
		return errno == EINTR;
	if (len < TAP_HEADER)
		return len > 0;

	net->large_frames = (size_t)len > iov_len(net->iov, MIN(net->n_iov, RX_SMALL_SEGS));

	/* larger than what the driver has room for: lost, as on a wire */
	if ((size_t)len > net->window_len)
		return true;
	if ((size_t)len > room)
		iov_scatter(net->iov + n, net->n_iov - n, net->spill, (size_t)len - room);
	deliver(net, (size_t)len);
	return true;
}

static void starve(struct virtio_net *net, bool starved)
{
	if (net->starved == starved)
		return;
	net->starved = starved;
	loop_modify(&net->src, starved ? 0 : EPOLLIN | EPOLLET);
}

static void serve_rx(struct virtio_net *net)
{
	struct virtqueue *vq = &net->dev.queue[RXQ];
	int n;

	for (n = 0; n < VIRTIO_BATCH; n++) {
		/* kicks tell of new buffers: of interest only when there are none */
		if (!fill_window(net) && (!vq_enable_kick(vq) || !fill_window(net)))
			break;
		if (!receive(net))
			break;
	}

	if (net->n_chains)
		vq_disable_kick(vq);
	starve(net, !net->n_chains);
	virtio_notify_queue(&net->dev, RXQ);
	if (n == VIRTIO_BATCH)
		virtio_rekick(&net->dev, RXQ);
}

static void on_tap(struct loop_source *src, uint32_t events)
{
	serve_rx(container_of(src, struct virtio_net, src));
}

static void send_frame(struct virtio_net *net, const struct vq_chain *chain)
{
	/*
	 * A frame that the tap does not take (the interface is down, a header that makes no
	 * sense, a full peer) is lost, as on a wire.
	 */
	if (chain->out_len >= TAP_HEADER && chain->out_len <= TAP_FRAME_MAX)
		(void)!writev(net->tap.fd, chain->iov, chain->n_out);
}

static void serve_tx(struct virtio_net *net)
{
	struct virtqueue *vq = &net->dev.queue[TXQ];
	struct vq_chain chain;
	int n = 0;

	vq_disable_kick(vq);
	do {
		while (n < VIRTIO_BATCH && virtio_pop(&net->dev, TXQ, &chain)) {
			send_frame(net, &chain);
			vq_push(vq, chain.head, 0);
			n++;
		}
	} while (n < VIRTIO_BATCH && vq_enable_kick(vq));

	virtio_notify_queue(&net->dev, TXQ);
	if (n == VIRTIO_BATCH)
		virtio_rekick(&net->dev, TXQ);
}

static void net_kick(struct virtio_dev *dev, unsigned queue)
{
	struct virtio_net *net = container_of(dev, struct virtio_net, dev);

	if (queue == TXQ)
		serve_tx(net);
	else
		serve_rx(net);
}

static int net_activate(struct virtio_dev *dev)
{
	struct virtio_net *net = container_of(dev, struct virtio_net, dev);

	net->mergeable = virtio_has_feature(dev, VIRTIO_NET_F_MRG_RXBUF);
	tap_set_offloads(&net->tap, virtio_has_feature(dev, VIRTIO_NET_F_GUEST_CSUM),
			 virtio_has_feature(dev, VIRTIO_NET_F_GUEST_TSO4),
			 virtio_has_feature(dev, VIRTIO_NET_F_GUEST_TSO6));
	return loop_add(dev->io, &net->src, EPOLLIN | EPOLLET);
}

/* The window's chains go back to the ring unused: a queue at rest is described by its indexes. */
static void net_quiesce(struct virtio_dev *dev)
{
	struct virtio_net *net = container_of(dev, struct virtio_net, dev);

	loop_remove(&net->src);
	for (unsigned i = net->n_chains; i > 0; i--)
		vq_unpop(&dev->queue[RXQ], net->chains[i - 1].head);
	net->n_chains = net->n_iov = 0;
	net->window_len = 0;
	net->starved = false;
}

static void net_reset(struct virtio_dev *dev)
{
	struct virtio_net *net = container_of(dev, struct virtio_net, dev);

	net_quiesce(dev);
	/* frames that wait for the next driver come whole: it may not know offloads */
	tap_set_offloads(&net->tap, false, false, false);
}

static void net_resume(struct virtio_dev *dev)
{
	struct virtio_net *net = container_of(dev, struct virtio_net, dev);

	if (loop_add(dev->io, &net->src, EPOLLIN | EPOLLET) < 0)
		virtio_broken(dev, "cannot watch the tap");
	serve_tx(net);
}

static void net_destroy(struct virtio_dev *dev)
{
	struct virtio_net *net = container_of(dev, struct virtio_net, dev);

	if (net->tap.fd >= 0)
		close(net->tap.fd);
	free(net);
}

static const struct virtio_ops net_ops = {
	.name = "net",
	.id = VIRTIO_ID_NET,
	.config_size = offsetof(struct virtio_net_config, max_virtqueue_pairs),
	.features = 1ULL << VIRTIO_NET_F_MAC | 1ULL << VIRTIO_NET_F_STATUS |
		    1ULL << VIRTIO_NET_F_MRG_RXBUF,
	.activate = net_activate,
	.kick = net_kick,
	.reset = net_reset,
	.quiesce = net_quiesce,
	.resume = net_resume,
	.destroy = net_destroy,
};

#define OFFLOADS                                                                                   \
	(1ULL << VIRTIO_NET_F_CSUM | 1ULL << VIRTIO_NET_F_HOST_TSO4 |                              \
	 1ULL << VIRTIO_NET_F_HOST_TSO6 | 1ULL << VIRTIO_NET_F_GUEST_CSUM |                        \
	 1ULL << VIRTIO_NET_F_GUEST_TSO4 | 1ULL << VIRTIO_NET_F_GUEST_TSO6)

int virtio_net_new(const struct virtio_net_args *args, const struct guest_mem *mem, struct loop *io,
		   struct virtio_dev **ret, struct hvd_error *err)
{
	AUTO(close) int fd = args->tap;
	AUTO(virtio_dev_free) struct virtio_dev *dev = NULL;
	struct virtio_net *net = calloc(1, sizeof(*net));
	struct virtio_net_config *config;
	int r;

	if (!net)
		return hvd_err(err, ENOMEM, "out of memory");

	dev = &net->dev;
	net->tap.fd = -1;
	r = virtio_dev_init(dev, &net_ops, 2, mem, io);
	if (r < 0)
		return hvd_err(err, -r, "virtio-net: %s", strerror(-r));

	r = tap_setup(fd, &net->tap, err);
	if (r < 0)
		return r;
	net->src = (struct loop_source){ .fd = TAKE_FD(fd), .fn = on_tap };

	if (net->tap.offloads)
		dev->host_features |= OFFLOADS;
	config = (struct virtio_net_config *)dev->config;
	memcpy(config->mac, args->mac, sizeof(config->mac));
	config->status = VIRTIO_NET_S_LINK_UP;
	*ret = TAKE(dev);
	return 0;
}
