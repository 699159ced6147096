/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entropy device (virtio 1.2 §5.4): buffers filled from getrandom(2), at most REQUEST_MAX bytes
 * each, so that no guest keeps the I/O loop busy for long. What the limit does not let pass waits in the ring.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "vmm/virtio/virtio.h"

#define REQUEST_MAX 4096
#define BATCH 16

struct virtio_rng {
	struct virtio_dev dev;
	struct rate rate;
	struct rate_gate gate;
	struct loop_work retry; /* the limit has changed */
};

static struct virtio_rng *to_rng(struct virtio_dev *dev)
{
	return container_of(dev, struct virtio_rng, dev);
}

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

/* Answer the next request. False: there is none, or it may not be answered yet. */
static bool serve_one(struct virtio_rng *rng)
{
	struct virtqueue *vq = &rng->dev.queue[0];
	struct vq_chain chain;

	if (!virtio_pop(&rng->dev, 0, &chain))
		return false;
	if (!rate_gate_pass(&rng->gate, MIN(chain.in_len, (uint32_t)REQUEST_MAX))) {
		vq_unpop(vq, chain.head);
		return false;
	}
	vq_push(vq, chain.head, fill_chain(&chain));
	return true;
}

static void rng_kick(struct virtio_dev *dev, unsigned queue)
{
	struct virtio_rng *rng = to_rng(dev);
	int n = 0;

	vq_disable_kick(&dev->queue[0]);
	do {
		while (n < BATCH && !rng->gate.shut && serve_one(rng))
			n++;
		/* kicks are of no use while the gate is shut: whoever opens it looks at the ring */
	} while (n < BATCH && !rng->gate.shut && virtio_enable_kick(dev, 0));

	virtio_notify_queue(dev, 0);
	if (n == BATCH)
		virtio_rekick(dev, 0);
}

static void on_gate_opened(struct rate_gate *gate)
{
	rng_kick(&container_of(gate, struct virtio_rng, gate)->dev, 0);
}

static void on_retry(struct loop_work *work)
{
	rate_gate_retry(&container_of(work, struct virtio_rng, retry)->gate);
}

static int rng_activate(struct virtio_dev *dev)
{
	return 0;
}

static int rng_start_queue(struct virtio_dev *dev, unsigned queue)
{
	int r = rate_gate_start(&to_rng(dev)->gate, dev->io);

	if (r < 0)
		return r;
	rng_kick(dev, 0);
	return 0;
}

static void rng_stop_queue(struct virtio_dev *dev, unsigned queue)
{
	rate_gate_stop(&to_rng(dev)->gate);
}

/* Requests are served whole within a kick: nothing is ever in flight. */
static void rng_reset(struct virtio_dev *dev)
{
}

static void set_limit(struct virtio_rng *rng, const struct virtio_rng_args *args)
{
	static const struct rate_limit none;

	rate_set(&rng->rate, &none, &args->bytes_limit, rate_now());
}

static int rng_update(struct virtio_dev *dev, const void *args, struct hvd_error *err)
{
	struct virtio_rng *rng = to_rng(dev);

	set_limit(rng, args);
	loop_post(dev->io, &rng->retry);
	return 0;
}

static void cancel_on_loop(void *arg)
{
	struct virtio_rng *rng = arg;

	loop_cancel(rng->dev.io, &rng->retry);
}

static void rng_destroy(struct virtio_dev *dev)
{
	struct virtio_rng *rng = to_rng(dev);

	loop_call(dev->io, cancel_on_loop, rng);
	rate_gate_destroy(&rng->gate);
	free(rng);
}

static const struct virtio_ops rng_ops = {
	.name = "rng",
	.id = VIRTIO_ID_RNG,
	.activate = rng_activate,
	.start_queue = rng_start_queue,
	.stop_queue = rng_stop_queue,
	.kick = rng_kick,
	.reset = rng_reset,
	.update = rng_update,
	.destroy = rng_destroy,
};

int virtio_rng_new(const struct virtio_rng_args *args, const struct guest_mem *mem, struct loop *io,
		   struct virtio_dev **ret, struct hvd_error *err)
{
	struct virtio_rng *rng = calloc(1, sizeof(*rng));
	AUTO(virtio_dev_free) struct virtio_dev *dev = NULL;
	int r;

	if (!rng)
		return hvd_err(err, ENOMEM, "out of memory");
	dev = &rng->dev;
	rng->retry.fn = on_retry;
	set_limit(rng, args);

	r = virtio_dev_init(dev, &rng_ops, 1, mem, io);
	if (r >= 0)
		r = rate_gate_init(&rng->gate, &rng->rate, on_gate_opened);
	if (r < 0)
		return hvd_err(err, -r, "virtio-rng: %s", strerror(-r));
	*ret = TAKE(dev);
	return 0;
}
