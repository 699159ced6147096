/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/virtio/virtio.h"

#include <errno.h>
#include <linux/virtio_ring.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define BIT(n) (1ULL << (n))

#define CORE_FEATURES                                                                              \
	(BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_RING_F_EVENT_IDX) | BIT(VIRTIO_RING_F_INDIRECT_DESC))

#define IDENTIFIED (VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER)

#define DRIVER_BITS                                                                                \
	(IDENTIFIED | VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK |                    \
	 VIRTIO_CONFIG_S_FAILED)

#define LOG_BURST 3

static void signal_fd(int fd)
{
	/* Fails only when the counter is full: then the reader is woken anyway. */
	(void)!write(fd, &(uint64_t){ 1 }, sizeof(uint64_t));
}

static void on_kick(struct loop_source *src, uint32_t events)
{
	struct virtio_kick *kick = container_of(src, struct virtio_kick, src);
	struct virtio_dev *dev = kick->dev;

	if (!(dev->status & VIRTIO_CONFIG_S_NEEDS_RESET))
		dev->ops->kick(dev, kick->queue);
}

int virtio_dev_init(struct virtio_dev *dev, const struct virtio_ops *ops, unsigned n_queues,
		    const struct guest_mem *mem, struct loop *io)
{
	dev->ops = ops;
	dev->mem = mem;
	dev->io = io;
	dev->n_queues = n_queues;
	dev->host_features = CORE_FEATURES | ops->features;
	pthread_mutex_init(&dev->lock, NULL);
	for (unsigned i = 0; i < VIRTIO_MAX_QUEUES; i++) {
		dev->kick_fd[i] = -1;
		vq_reset(&dev->queue[i]);
	}

	dev->config = calloc(1, ops->config_size ? ops->config_size : 1);
	if (!dev->config)
		return -ENOMEM;

	for (unsigned i = 0; i < n_queues; i++) {
		dev->kick_fd[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (dev->kick_fd[i] < 0)
			return -errno;
		dev->queue_io[i] = io;
		dev->kick[i] = (struct virtio_kick){
			.src = { .fd = dev->kick_fd[i], .fn = on_kick },
			.dev = dev,
			.queue = i,
		};
	}
	return 0;
}

void virtio_spread(struct virtio_dev *dev, const struct virtio_loops *loops, unsigned together)
{
	for (unsigned i = 0; i < dev->n_queues; i++)
		dev->queue_io[i] = loops->loop[(loops->first + i / together) % loops->n];
}

int virtio_take_kicks(struct virtio_dev *dev, unsigned queue, bool take)
{
	struct loop_source *src = &dev->kick[queue].src;

	if (!take)
		loop_remove(src);
	else if (!src->loop)
		/*
		 * Edge-triggered, so that a kick costs no read(2). Adding reports what came before,
		 * if anything ever did.
		 */
		return loop_add(dev->queue_io[queue], src, EPOLLIN | EPOLLET);
	return 0;
}

/* The queues of a device that run on one loop. */
struct part {
	struct virtio_dev *dev;
	struct loop *loop;
};

static int start_queue(struct virtio_dev *dev, unsigned queue)
{
	int r = dev->ops->start_queue ? dev->ops->start_queue(dev, queue) : 0;

	return r || !dev->ops->kick ? r : virtio_take_kicks(dev, queue, true);
}

static void start_part(void *arg)
{
	const struct part *part = arg;
	struct virtio_dev *dev = part->dev;

	for (unsigned i = 0; i < dev->n_queues; i++) {
		if (dev->queue_io[i] != part->loop || !dev->queue[i].ready)
			continue;
		dev->kick[i].started = true;
		if (start_queue(dev, i) < 0)
			virtio_broken(dev, "the host lacks resources to serve a queue");
	}
}

static void stop_part(void *arg)
{
	const struct part *part = arg;
	struct virtio_dev *dev = part->dev;

	for (unsigned i = 0; i < dev->n_queues; i++) {
		if (dev->queue_io[i] != part->loop || !dev->kick[i].started)
			continue;
		loop_remove(&dev->kick[i].src);
		if (dev->ops->stop_queue)
			dev->ops->stop_queue(dev, i);
		dev->kick[i].started = false;
	}
}

/* On each loop but dev->io on which queues run: none, for most devices. */
static void on_other_loops(struct virtio_dev *dev, void (*fn)(void *part))
{
	for (unsigned i = 0; i < dev->n_queues; i++) {
		struct part part = { dev, dev->queue_io[i] };
		bool called = part.loop == dev->io;

		for (unsigned j = 0; j < i; j++)
			called |= dev->queue_io[j] == part.loop;
		if (!called)
			loop_call(part.loop, fn, &part);
	}
}

static void activate_on_loop(void *arg)
{
	struct virtio_dev *dev = arg;

	for (unsigned i = 0; i < dev->n_queues; i++) {
		struct virtqueue *vq = &dev->queue[i];

		if (vq->ready && vq_activate(vq, dev->mem, dev->guest_features) < 0) {
			virtio_broken(dev, vq->broken);
			return;
		}
	}

	dev->active = true;
	if (dev->ops->activate(dev) < 0)
		virtio_broken(dev, "the host lacks resources to start it");
	else if (!dev->holds)
		start_part(&(struct part){ dev, dev->io });
	else if (dev->ops->quiesce)
		dev->ops->quiesce(dev);
}

static void activate(struct virtio_dev *dev)
{
	loop_call(dev->io, activate_on_loop, dev);
	if (!dev->holds && !(dev->status & VIRTIO_CONFIG_S_NEEDS_RESET))
		on_other_loops(dev, start_part);
}

static void deactivate_on_loop(void *arg)
{
	struct virtio_dev *dev = arg;

	stop_part(&(struct part){ dev, dev->io });
	dev->ops->reset(dev);
	dev->active = false;
}

static void deactivate(struct virtio_dev *dev)
{
	if (!dev->active)
		return;
	on_other_loops(dev, stop_part);
	loop_call(dev->io, deactivate_on_loop, dev);
}

static void reset_device(struct virtio_dev *dev)
{
	deactivate(dev);
	for (unsigned i = 0; i < dev->n_queues; i++)
		vq_reset(&dev->queue[i]);
	dev->guest_features = 0;
	dev->status = 0;
}

struct virtio_dev *virtio_dev_free(struct virtio_dev *dev)
{
	const struct virtio_ops *ops;

	if (!dev)
		return NULL;

	ops = dev->ops;
	deactivate(dev);
	for (unsigned i = 0; i < dev->n_queues; i++)
		if (dev->kick_fd[i] >= 0)
			close(dev->kick_fd[i]);
	free(dev->config);
	pthread_mutex_destroy(&dev->lock);
	ops->destroy(dev);
	return NULL;
}

bool virtio_has_feature(const struct virtio_dev *dev, unsigned bit)
{
	return dev->guest_features & BIT(bit);
}

void virtio_notify_queue(struct virtio_dev *dev, unsigned queue)
{
	if (vq_flush(&dev->queue[queue]))
		dev->transport->queue_used(dev->transport, queue);
}

/* The generation moves before and after, so that whoever reads in between reads again. */
void virtio_write_config(struct virtio_dev *dev, size_t offset, const void *buf, size_t len)
{
	const uint8_t *bytes = buf;

	atomic_fetch_add(&dev->config_generation, 1);
	atomic_thread_fence(memory_order_release);
	for (size_t i = 0; i < len; i++)
		__atomic_store_n(&dev->config[offset + i], bytes[i], __ATOMIC_RELAXED);
	atomic_fetch_add(&dev->config_generation, 1);
}

void virtio_notify_config(struct virtio_dev *dev)
{
	atomic_fetch_add(&dev->config_generation, 1);
	if (dev->transport)
		dev->transport->config_changed(dev->transport);
}

void virtio_rekick(struct virtio_dev *dev, unsigned queue)
{
	signal_fd(dev->kick_fd[queue]);
}

void virtio_broken(struct virtio_dev *dev, const char *what)
{
	uint8_t old = atomic_fetch_or(&dev->status, VIRTIO_CONFIG_S_NEEDS_RESET);

	if (old & VIRTIO_CONFIG_S_NEEDS_RESET)
		return;

	if (log_allowed(&dev->log_limit, LOG_BURST))
		log_warning("virtio-%s: stopped until the driver resets it: %s", dev->ops->name,
			    what);
	virtio_notify_config(dev);
}

int virtio_pop(struct virtio_dev *dev, unsigned queue, struct vq_chain *chain)
{
	int r;

	/* sound queues of a broken device stop too */
	if (dev->status & VIRTIO_CONFIG_S_NEEDS_RESET)
		return 0;
	r = vq_pop(&dev->queue[queue], chain);
	if (r >= 0)
		return r;
	virtio_broken(dev, dev->queue[queue].broken);
	return 0;
}

bool virtio_enable_kick(struct virtio_dev *dev, unsigned queue)
{
	return !(dev->status & VIRTIO_CONFIG_S_NEEDS_RESET) && vq_enable_kick(&dev->queue[queue]);
}

static bool features_acceptable(const struct virtio_dev *dev)
{
	return !(dev->guest_features & ~dev->host_features) &&
	       virtio_has_feature(dev, VIRTIO_F_VERSION_1);
}

void virtio_set_status(struct virtio_dev *dev, uint8_t status)
{
	uint8_t old = dev->status, set = status & DRIVER_BITS & ~old;

	if (!status) {
		reset_device(dev);
		return;
	}

	if (((old | set) & IDENTIFIED) != IDENTIFIED || !features_acceptable(dev))
		set &= ~VIRTIO_CONFIG_S_FEATURES_OK;
	if (!((old | set) & VIRTIO_CONFIG_S_FEATURES_OK))
		set &= ~VIRTIO_CONFIG_S_DRIVER_OK;

	/* The I/O loop may set DEVICE_NEEDS_RESET at any moment. */
	atomic_fetch_or(&dev->status, set);
	if (set & VIRTIO_CONFIG_S_FEATURES_OK && dev->ops->negotiated)
		dev->ops->negotiated(dev);
	if (set & VIRTIO_CONFIG_S_DRIVER_OK)
		activate(dev);
}

uint32_t virtio_features_half(uint64_t features, uint32_t half)
{
	return half < 2 ? (uint32_t)(features >> (32 * half)) : 0;
}

void virtio_set_features_half(struct virtio_dev *dev, uint32_t half, uint32_t value)
{
	uint64_t mask;

	if (half >= 2 || dev->status & VIRTIO_CONFIG_S_FEATURES_OK)
		return;
	mask = 0xffffffffULL << (32 * half);
	dev->guest_features = (dev->guest_features & ~mask) | (uint64_t)value << (32 * half);
}

/* A queue whose interrupt has moved. */
struct moved {
	struct virtio_dev *dev;
	unsigned queue;
};

static void moved_on_loop(void *arg)
{
	const struct moved *moved = arg;

	moved->dev->ops->interrupt_moved(moved->dev, moved->queue);
}

void virtio_interrupt_moved(struct virtio_dev *dev, unsigned queue)
{
	struct moved moved = { dev, queue };

	if (dev->active && dev->ops->interrupt_moved)
		loop_call(dev->io, moved_on_loop, &moved);
}

struct update {
	struct virtio_dev *dev;
	const void *args;
	struct hvd_error *err;
	int r;
};

static void update_on_loop(void *arg)
{
	struct update *update = arg;

	update->r = update->dev->ops->update(update->dev, update->args, update->err);
}

int virtio_update(struct virtio_dev *dev, const void *args, struct hvd_error *err)
{
	struct update update = { dev, args, err, 0 };

	if (dev->ops->update)
		loop_call(dev->io, update_on_loop, &update);
	return update.r;
}

uint64_t virtio_read_config(struct virtio_dev *dev, uint64_t offset, unsigned len)
{
	uint64_t value = 0;

	if (offset > dev->ops->config_size || len > dev->ops->config_size - offset)
		return 0;

	/* no lock: the device may change it (virtio_write_config) */
	for (unsigned i = 0; i < len; i++)
		value |= (uint64_t)__atomic_load_n(&dev->config[offset + i], __ATOMIC_RELAXED)
			 << (8 * i);
	return value;
}

void virtio_set_config(struct virtio_dev *dev, uint64_t offset, uint64_t value, unsigned len)
{
	if (!dev->ops->set_config || offset > dev->ops->config_size ||
	    len > dev->ops->config_size - offset)
		return;
	pthread_mutex_lock(&dev->lock);
	dev->ops->set_config(dev, offset, value, len);
	pthread_mutex_unlock(&dev->lock);
}

static void quiesce_on_loop(void *arg)
{
	struct virtio_dev *dev = arg;

	stop_part(&(struct part){ dev, dev->io });
	if (dev->ops->quiesce)
		dev->ops->quiesce(dev);
}

static void resume_on_loop(void *arg)
{
	struct virtio_dev *dev = arg;

	if (dev->ops->resume)
		dev->ops->resume(dev);
	start_part(&(struct part){ dev, dev->io });
}

void virtio_quiesce(struct virtio_dev *dev)
{
	pthread_mutex_lock(&dev->lock);
	if (!dev->holds++ && dev->active) {
		on_other_loops(dev, stop_part);
		loop_call(dev->io, quiesce_on_loop, dev);
	}
	pthread_mutex_unlock(&dev->lock);
}

void virtio_resume(struct virtio_dev *dev)
{
	/* a broken one is not to be trusted with more than a reset, if it ever was built to the end */
	pthread_mutex_lock(&dev->lock);
	if (!--dev->holds && dev->active && !(dev->status & VIRTIO_CONFIG_S_NEEDS_RESET)) {
		loop_call(dev->io, resume_on_loop, dev);
		on_other_loops(dev, start_part);
	}
	pthread_mutex_unlock(&dev->lock);
}
