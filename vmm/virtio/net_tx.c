/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A frame is one writev(2) straight from guest memory. The kernel checks what is in its header.
 */
#include <errno.h>

#include "vmm/virtio/net_private.h"

/*
 * A frame that the tap does not take (the interface is down, a header that makes no sense, a full
 * peer) is lost, as on a wire; so is one of a link that is down.
 */
static void send_frame(struct net_pair *pair, const struct vq_chain *chain)
{
	if (chain->out_len < TAP_HEADER || chain->out_len > TAP_FRAME_MAX || !pair->net->up) {
		counter_add(&pair->tx_dropped, 1);
	} else if (writev(pair->tap.fd, chain->iov, chain->n_out) < 0) {
		counter_add(&pair->tx_dropped, 1);
		net_pair_error(pair, errno);
	}
}

/* The next chain is sent. False: there is none, or it may not go ahead yet. */
static bool take(struct net_pair *pair)
{
	struct virtio_dev *dev = &pair->net->dev;
	struct virtqueue *vq = &dev->queue[net_txq(pair)];
	struct vq_chain chain;

	if (!virtio_pop(dev, net_txq(pair), &chain))
		return false;
	if (!rate_gate_pass(&pair->tx_gate, chain.out_len - MIN(chain.out_len, (uint32_t)TAP_HEADER))) {
		vq_unpop(vq, chain.head);
		return false;
	}
	send_frame(pair, &chain);
	vq_push(vq, chain.head, 0);
	return true;
}

void net_tx_serve(struct net_pair *pair)
{
	struct virtio_dev *dev = &pair->net->dev;
	struct virtqueue *vq = &dev->queue[net_txq(pair)];
	int n = 0;

	vq_disable_kick(vq);
	do {
		while (n < VIRTIO_BATCH && !pair->tx_gate.shut && take(pair))
			n++;
		/* kicks are of no use while the gate is shut: whoever opens it looks at the ring */
	} while (n < VIRTIO_BATCH && !pair->tx_gate.shut &&
		 virtio_enable_kick(dev, net_txq(pair)));

	virtio_notify_queue(dev, net_txq(pair));
	if (n == VIRTIO_BATCH && !pair->tx_gate.shut)
		virtio_rekick(dev, net_txq(pair));
}
