/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Socket device (virtio 1.2 §5.10), in process: streams between the guest and unix sockets of the host.
 *
 * A program of the guest that connects to CID 2, port P reaches who listens on the unix socket vsock_P in
 * a folder. A program of the host connects to the device's own listening socket, says
 * "CONNECT P\n" and is then connected to port P of the guest, which it is told by "OK" and a number.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "vmm/base/iov.h"
#include "vmm/virtio/vsock_private.h"

enum { RXQ, TXQ, EVENTQ, N_QUEUES };

_Static_assert(sizeof(struct virtio_vsock_hdr) == 44, "§5.10.6");

static struct vsock *to_vsock(struct virtio_dev *dev)
{
	return container_of(dev, struct vsock, dev);
}

/* --- to the guest */

static bool has_output(const struct vsock *v)
{
	return v->n_resets || !list_empty(&v->ready);
}

static void take_reset(struct vsock *v, struct virtio_vsock_hdr *hdr)
{
	const struct vsock_ports *ports = &v->resets[v->first_reset];

	hdr->op = VIRTIO_VSOCK_OP_RST;
	hdr->src_port = ports->host;
	hdr->dst_port = ports->guest;
	v->first_reset = (v->first_reset + 1) % VSOCK_MAX_RESETS;
	v->n_resets--;
}

/* Who has something is asked in turn, and goes to the end of the row. */
static bool next_packet(struct vsock *v, struct virtio_vsock_hdr *hdr, struct iovec *iov, unsigned n)
{
	for (unsigned i = 0; i < VSOCK_MAX_CONNECTIONS && !list_empty(&v->ready); i++) {
		struct vsock_conn *c = list_entry(v->ready.next, struct vsock_conn, ready);
		struct iovec payload[VQ_MAX_SEGS];

		list_remove(&c->ready);
		list_append(&v->ready, &c->ready);
		memcpy(payload, iov, n * sizeof(*iov));
		if (vsock_produce(c, hdr, payload, n))
			return true;
	}
	return false;
}

/* Returns false when nothing has come of it, and the chain is not used. */
static bool fill_chain(struct vsock *v, struct vq_chain *chain)
{
	struct virtio_vsock_hdr hdr = {
		.src_cid = VSOCK_HOST_CID, .dst_cid = v->cid, .type = VIRTIO_VSOCK_TYPE_STREAM,
	};
	struct iovec in[VQ_MAX_SEGS], *iov = in;
	unsigned n = chain->n_in;

	if (chain->in_len <= sizeof(hdr)) {
		virtio_broken(&v->dev, "a receive buffer without room for data");
		return false;
	}
	memcpy(in, chain->iov + chain->n_out, n * sizeof(*in));
	iov_advance(&iov, &n, sizeof(hdr));
	if (v->n_resets)
		take_reset(v, &hdr);
	else if (!next_packet(v, &hdr, iov, n))
		return false;

	iov_scatter(chain->iov + chain->n_out, chain->n_in, &hdr, sizeof(hdr));
	vq_push(&v->dev.queue[RXQ], chain->head, (uint32_t)sizeof(hdr) + hdr.len);
	return true;
}

void vsock_send(struct vsock *v)
{
	struct virtqueue *vq = &v->dev.queue[RXQ];
	bool was_full = v->n_resets == VSOCK_MAX_RESETS;
	struct vq_chain chain;
	int n = 0;

	if (!v->running)
		return;

	/* kicks tell of new buffers: of interest only when something waits for one */
	vq_disable_kick(vq);
	do {
		while (n < VIRTIO_BATCH && has_output(v) && virtio_pop(&v->dev, RXQ, &chain)) {
			n++;
			if (!fill_chain(v, &chain)) {
				vq_unpop(vq, chain.head);
				break;
			}
		}
	} while (n < VIRTIO_BATCH && has_output(v) && virtio_enable_kick(&v->dev, RXQ));

	virtio_notify_queue(&v->dev, RXQ);
	if (n == VIRTIO_BATCH)
		virtio_rekick(&v->dev, RXQ);
	/* packets of the guest have waited for that */
	if (was_full && v->n_resets < VSOCK_MAX_RESETS)
		virtio_rekick(&v->dev, TXQ);
}

/* --- from the guest */

static bool may_take(const struct vsock *v)
{
	return v->n_resets < VSOCK_MAX_RESETS;
}

/* Nobody knows this connection (§5.10.6.5). */
static void refuse(struct vsock *v, const struct virtio_vsock_hdr *hdr)
{
	if (hdr->op == VIRTIO_VSOCK_OP_RST)
		return;
	v->resets[(v->first_reset + v->n_resets) % VSOCK_MAX_RESETS] =
		(struct vsock_ports){ .host = hdr->dst_port, .guest = hdr->src_port };
	v->n_resets++;
}

static void take_packet(struct vsock *v, struct vq_chain *chain)
{
	struct virtio_vsock_hdr hdr;
	struct iovec *iov = chain->iov;
	unsigned n = chain->n_out;
	struct vsock_conn *c;

	/* a packet that is none, or of or for somebody else, is lost */
	if (iov_gather(iov, n, &hdr, sizeof(hdr)) < sizeof(hdr) ||
	    hdr.len > chain->out_len - sizeof(hdr) || hdr.src_cid != v->cid ||
	    hdr.dst_cid != VSOCK_HOST_CID)
		return;
	iov_advance(&iov, &n, sizeof(hdr));

	c = hdr.type == VIRTIO_VSOCK_TYPE_STREAM ? vsock_find(v, hdr.dst_port, hdr.src_port) : NULL;
	if (c)
		vsock_packet(c, &hdr, iov, n);
	else if (hdr.type != VIRTIO_VSOCK_TYPE_STREAM || hdr.op != VIRTIO_VSOCK_OP_REQUEST ||
		 !vsock_request(v, &hdr))
		refuse(v, &hdr);
}

static void serve_tx(struct vsock *v)
{
	struct virtqueue *vq = &v->dev.queue[TXQ];
	struct vq_chain chain;
	int n = 0;

	vq_disable_kick(vq);
	do {
		while (n < VIRTIO_BATCH && may_take(v) && virtio_pop(&v->dev, TXQ, &chain)) {
			take_packet(v, &chain);
			vq_push(vq, chain.head, 0);
			n++;
		}
	} while (n < VIRTIO_BATCH && may_take(v) && virtio_enable_kick(&v->dev, TXQ));

	virtio_notify_queue(&v->dev, TXQ);
	if (n == VIRTIO_BATCH)
		virtio_rekick(&v->dev, TXQ);
	vsock_accept(v);
	vsock_send(v);
}

/* --- the device */

static void vsock_kick(struct virtio_dev *dev, unsigned queue)
{
	struct vsock *v = to_vsock(dev);

	/* events are of a guest that has been moved elsewhere (§5.10.6.7) */
	if (queue == TXQ)
		serve_tx(v);
	else if (queue == RXQ)
		vsock_send(v);
}

static void on_listener(struct loop_source *src, uint32_t events)
{
	struct vsock *v = container_of(src, struct vsock, listener);

	v->incoming = true;
	vsock_accept(v);
}

static int vsock_activate(struct virtio_dev *dev)
{
	struct vsock *v = to_vsock(dev);

	v->running = true;
	return v->listener.fd < 0 ? 0 : loop_add(dev->io, &v->listener, EPOLLIN | EPOLLET);
}

/* Sockets are watched on: what they tell is heeded later. */
static void vsock_quiesce(struct virtio_dev *dev)
{
	to_vsock(dev)->running = false;
}

static void vsock_resume(struct virtio_dev *dev)
{
	struct vsock *v = to_vsock(dev);

	v->running = true;
	vsock_conns_resume(v);
	serve_tx(v);
}

static void vsock_reset(struct virtio_dev *dev)
{
	struct vsock *v = to_vsock(dev);

	v->running = v->incoming = false;
	loop_remove(&v->listener);
	vsock_conns_reset(v);
	v->n_resets = v->first_reset = 0;
}

static void vsock_destroy(struct virtio_dev *dev)
{
	struct vsock *v = to_vsock(dev);

	vsock_conns_destroy(v);
	if (v->listener.fd >= 0)
		close(v->listener.fd);
	free(v->folder);
	free(v);
}

static const struct virtio_ops vsock_ops = {
	.name = "vsock",
	.id = VIRTIO_ID_VSOCK,
	.config_size = sizeof(struct virtio_vsock_config),
	.activate = vsock_activate,
	.kick = vsock_kick,
	.reset = vsock_reset,
	.quiesce = vsock_quiesce,
	.resume = vsock_resume,
	.destroy = vsock_destroy,
};

int virtio_vsock_new(const struct virtio_vsock_args *args, const struct guest_mem *mem,
		     struct loop *io, struct virtio_dev **ret, struct hvd_error *err)
{
	AUTO(close) int listener = args->listener;
	AUTO(virtio_dev_free) struct virtio_dev *dev = NULL;
	struct vsock *v = calloc(1, sizeof(*v));
	int r;

	if (!v)
		return hvd_err(err, ENOMEM, "out of memory");

	v->cid = args->cid;
	v->listener = (struct loop_source){ .fd = TAKE_FD(listener), .fn = on_listener };
	dev = &v->dev;
	r = virtio_dev_init(dev, &vsock_ops, N_QUEUES, mem, io);
	if (r == 0)
		r = vsock_conns_init(v);
	if (r == 0 && args->folder && !(v->folder = strdup(args->folder)))
		r = -ENOMEM;
	if (r < 0)
		return hvd_err(err, -r, "virtio-vsock: %s", strerror(-r));
	memcpy(dev->config, &v->cid, sizeof(v->cid));
	*ret = TAKE(dev);
	return 0;
}
