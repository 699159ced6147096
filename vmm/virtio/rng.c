/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entropy device (virtio 1.2 §5.4): buffers filled from getrandom(2), at most REQUEST_MAX bytes
 * each, so that no guest keeps the I/O loop busy for long.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "vmm/virtio/virtio.h"

#define REQUEST_MAX 4096
#define BATCH 16

static uint32_t fill_chain(const struct vq_chain *chain)
{
	uint32_t done = 0;

	for (unsigned i = 0; i < chain->n_in && done < REQUEST_MAX; i++) {
		const struct iovec *iov = &chain->iov[chain->n_out + i];
		size_t len = MIN(iov->iov_len, (size_t)(REQUEST_MAX - done));
		ssize_t n = getrandom(iov->iov_base, len, 0);

		if (n < 0)
			break;
		done += (uint32_t)n;
		if ((size_t)n < len)
			break;
	}
	return done;
}

static void rng_kick(struct virtio_dev *dev, unsigned queue)
{
	struct virtqueue *vq = &dev->queue[0];
	struct vq_chain chain;
	int n = 0;

	vq_disable_kick(vq);
	do {
		while (n < BATCH && virtio_pop(dev, 0, &chain)) {
			vq_push(vq, chain.head, fill_chain(&chain));
			n++;
		}
	} while (n < BATCH && virtio_enable_kick(dev, 0));

	virtio_notify_queue(dev, 0);
	if (n == BATCH)
		virtio_rekick(dev, 0);
}

static int rng_activate(struct virtio_dev *dev)
{
	return 0;
}

/* Requests are served whole within a kick: nothing is ever in flight. */
static void rng_reset(struct virtio_dev *dev)
{
}

static void rng_resume(struct virtio_dev *dev)
{
	rng_kick(dev, 0);
}

static void rng_destroy(struct virtio_dev *dev)
{
	free(dev);
}

static const struct virtio_ops rng_ops = {
	.name = "rng",
	.id = VIRTIO_ID_RNG,
	.activate = rng_activate,
	.kick = rng_kick,
	.reset = rng_reset,
	.quiesce = rng_reset,
	.resume = rng_resume,
	.destroy = rng_destroy,
};

int virtio_rng_new(const struct guest_mem *mem, struct loop *io, struct virtio_dev **ret,
		   struct hvd_error *err)
{
	AUTO(virtio_dev_free) struct virtio_dev *dev = calloc(1, sizeof(*dev));
	int r;

	if (!dev)
		return hvd_err(err, ENOMEM, "out of memory");

	r = virtio_dev_init(dev, &rng_ops, 1, mem, io);
	if (r < 0)
		return hvd_err(err, -r, "virtio-rng: %s", strerror(-r));
	*ret = TAKE(dev);
	return 0;
}
