/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Console device (virtio 1.2 §5.3) with its one port and its size, on vmm/console.h.
 *
 * The console's input comes on the main loop and is kept in a small FIFO, the one thing here that
 * has a lock; the I/O loop moves it into the guest's buffers.
 */
#include <errno.h>
#include <linux/virtio_console.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/iov.h"
#include "vmm/virtio/virtio.h"

#define RXQ 0
#define TXQ 1
#define FIFO_SIZE 1024

struct virtio_console {
	struct virtio_dev dev;
	struct console *console;
	struct loop_work input_work; /* to the I/O loop: the FIFO has input */

	/* The I/O loop's. */
	bool running; /* active and not suspended */
	bool claimed; /* input comes here */

	pthread_mutex_t lock; /* protects what follows */
	uint8_t fifo[FIFO_SIZE];
	size_t fifo_len;
	bool fifo_was_full;
};

/* On the main loop: what a client typed. */
static size_t take_input(void *ctx, const uint8_t *data, size_t len)
{
	struct virtio_console *vc = ctx;

	pthread_mutex_lock(&vc->lock);
	if (len > FIFO_SIZE - vc->fifo_len) {
		len = FIFO_SIZE - vc->fifo_len;
		vc->fifo_was_full = true;
	}
	memcpy(vc->fifo + vc->fifo_len, data, len);
	vc->fifo_len += len;
	pthread_mutex_unlock(&vc->lock);

	loop_post(vc->dev.io, &vc->input_work);
	return len;
}

/* Move input into one chain. Returns how much. */
static uint32_t fill_chain(struct virtio_console *vc, const struct vq_chain *chain)
{
	size_t n;

	pthread_mutex_lock(&vc->lock);
	n = iov_scatter(chain->iov + chain->n_out, chain->n_in, vc->fifo, vc->fifo_len);
	vc->fifo_len -= n;
	memmove(vc->fifo, vc->fifo + n, vc->fifo_len);
	pthread_mutex_unlock(&vc->lock);
	return (uint32_t)n;
}

static bool has_input(struct virtio_console *vc)
{
	bool has;

	pthread_mutex_lock(&vc->lock);
	has = vc->fifo_len > 0;
	pthread_mutex_unlock(&vc->lock);
	return has;
}

static void tell_of_room(struct virtio_console *vc)
{
	bool tell;

	pthread_mutex_lock(&vc->lock);
	tell = vc->fifo_was_full && vc->fifo_len < FIFO_SIZE;
	if (tell)
		vc->fifo_was_full = false;
	pthread_mutex_unlock(&vc->lock);
	if (tell)
		console_input_ready(vc->console);
}

static void serve_rx(struct virtio_console *vc)
{
	struct virtqueue *vq = &vc->dev.queue[RXQ];
	struct vq_chain chain;

	if (!vc->running)
		return;

	/* kicks tell of new buffers: of interest only when input waits for one */
	vq_disable_kick(vq);
	do {
		while (has_input(vc) && virtio_pop(&vc->dev, RXQ, &chain))
			vq_push(vq, chain.head, fill_chain(vc, &chain));
	} while (has_input(vc) && virtio_enable_kick(&vc->dev, RXQ));

	virtio_notify_queue(&vc->dev, RXQ);
	tell_of_room(vc);
}

static void on_input(struct loop_work *work)
{
	serve_rx(container_of(work, struct virtio_console, input_work));
}

/*
 * The guest talks here, so it also listens here (vmm/console.h). Before anyone sees what it says: the answer to
 * a prompt must not go to the other device.
 */
static void claim_input(struct virtio_console *vc)
{
	if (vc->claimed)
		return;
	vc->claimed = true;
	console_claim_input(vc->console, take_input, vc);
}

static void serve_tx(struct virtio_console *vc)
{
	struct virtqueue *vq = &vc->dev.queue[TXQ];
	struct vq_chain chain;
	int n = 0;

	vq_disable_kick(vq);
	do {
		while (n < VIRTIO_BATCH && virtio_pop(&vc->dev, TXQ, &chain)) {
			claim_input(vc);
			for (unsigned i = 0; i < chain.n_out; i++)
				console_write(vc->console, chain.iov[i].iov_base,
					      chain.iov[i].iov_len);
			vq_push(vq, chain.head, 0);
			n++;
		}
	} while (n < VIRTIO_BATCH && virtio_enable_kick(&vc->dev, TXQ));

	virtio_notify_queue(&vc->dev, TXQ);
	if (n == VIRTIO_BATCH)
		virtio_rekick(&vc->dev, TXQ);
}

static void console_kick(struct virtio_dev *dev, unsigned queue)
{
	struct virtio_console *vc = container_of(dev, struct virtio_console, dev);

	if (queue == TXQ)
		serve_tx(vc);
	else
		serve_rx(vc);
}

static int console_activate(struct virtio_dev *dev)
{
	struct virtio_console *vc = container_of(dev, struct virtio_console, dev);

	vc->running = true;
	/* Linux looks at the size only when told that it has changed. */
	if (virtio_has_feature(dev, VIRTIO_CONSOLE_F_SIZE) && console_size(vc->console).columns)
		virtio_notify_config(dev);
	return 0;
}

static void console_quiesce(struct virtio_dev *dev)
{
	container_of(dev, struct virtio_console, dev)->running = false;
}

static void console_resume(struct virtio_dev *dev)
{
	struct virtio_console *vc = container_of(dev, struct virtio_console, dev);

	vc->running = true;
	serve_rx(vc);
	serve_tx(vc);
}

static void console_reset(struct virtio_dev *dev)
{
	struct virtio_console *vc = container_of(dev, struct virtio_console, dev);

	vc->running = false;
	if (vc->claimed)
		console_claim_input(vc->console, NULL, NULL);
	vc->claimed = false;

	pthread_mutex_lock(&vc->lock);
	vc->fifo_len = 0;
	vc->fifo_was_full = false;
	pthread_mutex_unlock(&vc->lock);
}

static void cancel_input(void *arg)
{
	struct virtio_console *vc = arg;

	loop_cancel(vc->dev.io, &vc->input_work);
}

static void console_destroy(struct virtio_dev *dev)
{
	struct virtio_console *vc = container_of(dev, struct virtio_console, dev);

	loop_call(dev->io, cancel_input, vc);
	pthread_mutex_destroy(&vc->lock);
	free(vc);
}

static void write_size(struct virtio_console *vc)
{
	const struct console_size size = console_size(vc->console);
	const uint16_t words[] = { size.columns, size.rows }; /* little-endian, as is all of Linux's arm64 */

	_Static_assert(offsetof(struct virtio_console_config, rows) == sizeof(words[0]), "one write");
	virtio_write_config(&vc->dev, offsetof(struct virtio_console_config, cols), words, sizeof(words));
}

/* The size may be another. */
static int console_update(struct virtio_dev *dev, const void *args, struct hvd_error *err)
{
	write_size(container_of(dev, struct virtio_console, dev));
	virtio_notify_config(dev);
	return 0;
}

static const struct virtio_ops console_ops = {
	.name = "console",
	.id = VIRTIO_ID_CONSOLE,
	.config_size = sizeof(struct virtio_console_config),
	.activate = console_activate,
	.kick = console_kick,
	.reset = console_reset,
	.quiesce = console_quiesce,
	.resume = console_resume,
	.update = console_update,
	.destroy = console_destroy,
};

int virtio_console_new(struct console *console, const struct guest_mem *mem, struct loop *io,
		       struct virtio_dev **ret, struct hvd_error *err)
{
	AUTO(virtio_dev_free) struct virtio_dev *dev = NULL;
	struct virtio_console *vc = calloc(1, sizeof(*vc));
	int r;

	if (!vc)
		return hvd_err(err, ENOMEM, "out of memory");

	vc->console = console;
	vc->input_work.fn = on_input;
	pthread_mutex_init(&vc->lock, NULL);
	dev = &vc->dev;
	r = virtio_dev_init(dev, &console_ops, 2, mem, io);
	if (r < 0)
		return hvd_err(err, -r, "virtio-console: %s", strerror(-r));
	dev->host_features |= 1ULL << VIRTIO_CONSOLE_F_SIZE;
	write_size(vc);
	*ret = TAKE(dev);
	return 0;
}
