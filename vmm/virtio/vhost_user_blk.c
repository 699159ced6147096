/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Block device (virtio 1.2 §5.2) whose queues are served by another process over vhost-user: neither a
 * kick nor a completion passes through this one. What is here is the configuration space, and the life
 * of the rings at the backend.
 *
 * A ring is stopped when it is idle: a backend answers that it has stopped a ring while requests of it
 * are still in flight. So is every other access of the old life to guest memory over on return. A guest
 * that never lets its ring be idle, or whose disk does not answer, is waited for IDLE_SECONDS.
 *
 * A backend may end at any time. Requests then wait. Its successor is told which were in flight by the
 * record of them in shared memory; without such a record only idle rings can go on. Nor can a guest go on
 * that relies on writes which have gone with the backend's cache (args.forgets).
 */
#include <errno.h>
#include <linux/virtio_blk.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "vmm/block/vhost_user.h"
#include "vmm/virtio/virtio.h"

#define CONFIG_SIZE  offsetof(struct virtio_blk_config, max_secure_erase_sectors)
#define IDLE_SECONDS 8
#define SECTOR_SHIFT 9
#define LOG_BURST    3

#define FEATURE(name) (1ULL << VIRTIO_BLK_F_##name)

/* What this device can pass on; a backend may offer less. */
#define FEATURES                                                                                   \
	(FEATURE(SEG_MAX) | FEATURE(RO) | FEATURE(BLK_SIZE) | FEATURE(FLUSH) | FEATURE(TOPOLOGY) |  \
	 FEATURE(CONFIG_WCE) | FEATURE(MQ) | FEATURE(DISCARD) | FEATURE(WRITE_ZEROES))

struct vhost_user_blk {
	struct virtio_dev dev;
	char *name;
	unsigned flags; /* VHOST_USER_* */
	bool forgets;
	struct loop *main;
	struct loop_work lost_work;
	void (*lost)(void *ctx, struct virtio_dev *dev);
	void *ctx;
	_Atomic bool write_cache, is_lost;

	/* The I/O loop's. */
	struct vhost_user *backend; /* NULL: has ended */
	struct loop_source src;
	struct vhost_user_inflight inflight; /* fd -1: none */
	bool served[VIRTIO_MAX_QUEUES];
	bool was_served; /* some ring, since the driver has started the device */
	uint16_t base[VIRTIO_MAX_QUEUES];
	bool impatient; /* one queue was not to be waited for: nor are the others */
	struct log_limit log_limit;
};

static struct vhost_user_blk *to_blk(struct virtio_dev *dev)
{
	return container_of(dev, struct vhost_user_blk, dev);
}

static struct virtio_blk_config *config_of(struct vhost_user_blk *blk)
{
	return (struct virtio_blk_config *)blk->dev.config;
}

static void drop_inflight(struct vhost_user_blk *blk)
{
	if (blk->inflight.fd >= 0)
		close(blk->inflight.fd);
	blk->inflight.fd = -1;
}

static void forget_backend(void *arg)
{
	struct vhost_user_blk *blk = arg;

	loop_remove(&blk->src);
	blk->backend = vhost_user_free(blk->backend);
	memset(blk->served, 0, sizeof(blk->served));
}

/* It has ended, or is given up. The rings stay as they are. */
static void lose_backend(struct vhost_user_blk *blk)
{
	vhost_user_end(blk->backend);
	forget_backend(blk);
	if (log_allowed(&blk->log_limit, LOG_BURST))
		log_warning("%s: its storage daemon has gone; requests wait", blk->name);
	blk->is_lost = true;
	loop_post(blk->main, &blk->lost_work);
}

static void on_lost(struct loop_work *work)
{
	struct vhost_user_blk *blk = container_of(work, struct vhost_user_blk, lost_work);

	/* there may be the next one by now */
	if (blk->is_lost)
		blk->lost(blk->ctx, &blk->dev);
}

/* What a call to the backend returned. A refusal leaves rings in a state that nobody knows. */
static bool succeeded(struct vhost_user_blk *blk, int r)
{
	if (r < 0)
		lose_backend(blk);
	return r >= 0;
}

static void on_backend(struct loop_source *src, uint32_t events)
{
	struct vhost_user_blk *blk = container_of(src, struct vhost_user_blk, src);

	/* it has no business to send anything by itself */
	lose_backend(blk);
}

/* --- the configuration space */

/* §5.2.5.2: a driver that cannot flush gets a disk that writes through. */
static void send_write_cache(void *arg)
{
	struct vhost_user_blk *blk = arg;
	uint8_t wce = blk->write_cache;

	if (blk->backend && vhost_user_features(blk->backend) & FEATURE(CONFIG_WCE))
		succeeded(blk, vhost_user_set_config(blk->backend,
						     offsetof(struct virtio_blk_config, wce), &wce,
						     sizeof(wce)));
}

static void set_write_cache(struct vhost_user_blk *blk, bool on)
{
	uint8_t wce = on;

	virtio_write_config(&blk->dev, offsetof(struct virtio_blk_config, wce), &wce, sizeof(wce));
	blk->write_cache = on;
	loop_call(blk->dev.io, send_write_cache, blk);
}

static void blk_negotiated(struct virtio_dev *dev)
{
	set_write_cache(to_blk(dev), virtio_has_feature(dev, VIRTIO_BLK_F_FLUSH));
}

static void blk_set_config(struct virtio_dev *dev, uint64_t offset, uint64_t value, unsigned len)
{
	if (offset == offsetof(struct virtio_blk_config, wce) && len == 1 &&
	    virtio_has_feature(dev, VIRTIO_BLK_F_CONFIG_WCE))
		set_write_cache(to_blk(dev),
				value & 1 && virtio_has_feature(dev, VIRTIO_BLK_F_FLUSH));
}

/* --- rings */

static int start_ring(struct vhost_user_blk *blk, unsigned q)
{
	struct virtio_dev *dev = &blk->dev;
	struct vq_ring ring;
	int r;

	vq_lend(&dev->queue[q], &ring);
	r = vhost_user_start(blk->backend, &(struct vhost_user_ring){
		.index = q,
		.size = ring.size,
		.base = blk->base[q],
		.desc = ring.desc,
		.avail = ring.avail,
		.used = ring.used,
		.kick = dev->kick_fd[q],
		.call = dev->transport->queue_eventfd(dev->transport, q),
	});
	if (!succeeded(blk, r))
		return r;
	blk->served[q] = blk->was_served = true;
	/* for what came while nobody looked */
	virtio_rekick(dev, q);
	return 0;
}

/* Nothing is in flight: what the driver has offered is used. */
static bool is_idle(const struct virtqueue *vq)
{
	return vq_used_index(vq) == vq_avail_index(vq);
}

/* Sleeps for a moment; false: the backend has ended meanwhile. */
static bool wait_a_moment(struct vhost_user_blk *blk)
{
	struct pollfd p = { .fd = vhost_user_fd(blk->backend), .events = POLLIN };

	return poll(&p, 1, 1) == 0;
}

static void wait_until_idle(struct vhost_user_blk *blk, const struct virtqueue *vq)
{
	struct timespec start, now;

	clock_gettime(CLOCK_MONOTONIC, &start);
	while (!blk->impatient && !is_idle(vq)) {
		if (!wait_a_moment(blk))
			return;
		clock_gettime(CLOCK_MONOTONIC, &now);
		blk->impatient = now.tv_sec - start.tv_sec >= IDLE_SECONDS;
	}
	if (blk->impatient && log_allowed(&blk->log_limit, LOG_BURST))
		log_warning("%s: requests are still in flight after %d s", blk->name, IDLE_SECONDS);
}

static void blk_stop_queue(struct virtio_dev *dev, unsigned q)
{
	struct vhost_user_blk *blk = to_blk(dev);

	if (!blk->served[q])
		return;
	wait_until_idle(blk, &dev->queue[q]);
	if (succeeded(blk, vhost_user_stop(blk->backend, q, &blk->base[q])))
		blk->served[q] = false;
}

/* 0 also without a backend: requests wait for one. */
static int blk_start_queue(struct virtio_dev *dev, unsigned q)
{
	struct vhost_user_blk *blk = to_blk(dev);

	blk->impatient = false;
	if (blk->backend)
		start_ring(blk, q);
	return 0;
}

static void blk_interrupt_moved(struct virtio_dev *dev, unsigned q)
{
	struct vhost_user_blk *blk = to_blk(dev);

	if (blk->served[q])
		succeeded(blk, vhost_user_set_call(blk->backend, q,
						   dev->transport->queue_eventfd(dev->transport, q)));
}

/* What a backend must know before rings start; fresh: requests of former lives are forgotten. */
static int set_up(struct vhost_user_blk *blk, bool fresh)
{
	struct virtio_dev *dev = &blk->dev;
	uint64_t base = guest_mem_base(dev->mem), size = guest_mem_size(dev->mem);
	int r;

	r = vhost_user_set_features(blk->backend, dev->guest_features);
	if (r == 0)
		r = vhost_user_set_memory(blk->backend, base, size,
					  guest_mem_ptr(dev->mem, base, size), guest_mem_fd(dev->mem));
	if (r < 0)
		return r;
	if (fresh) {
		drop_inflight(blk);
		r = vhost_user_inflight_new(blk->backend, (uint16_t)dev->n_queues, VQ_MAX_SIZE,
					    &blk->inflight);
		if (r < 0)
			return r;
	}
	if (blk->inflight.fd >= 0) {
		r = vhost_user_inflight_give(blk->backend, &blk->inflight);
		if (r < 0)
			return r;
	}
	send_write_cache(blk);
	return blk->backend ? 0 : -EPIPE;
}

static int blk_activate(struct virtio_dev *dev)
{
	struct vhost_user_blk *blk = to_blk(dev);

	memset(blk->base, 0, sizeof(blk->base));
	blk->was_served = false;
	drop_inflight(blk);
	if (blk->backend)
		succeeded(blk, set_up(blk, true));
	return 0;
}

/* Rings have been stopped. */
static void blk_reset(struct virtio_dev *dev)
{
	struct vhost_user_blk *blk = to_blk(dev);

	drop_inflight(blk);
	blk->impatient = false;
}

/* --- the next backend */

static bool all_idle(const struct virtio_dev *dev)
{
	for (unsigned q = 0; q < dev->n_queues; q++)
		if (dev->queue[q].ready && !is_idle(&dev->queue[q]))
			return false;
	return true;
}

/* Why the driver must reset the device before it can use the next backend, or NULL. */
static const char *what_is_lost(const struct vhost_user_blk *blk)
{
	if (!blk->was_served)
		return NULL;
	if (blk->forgets && blk->write_cache)
		return "its storage daemon ended, and with it writes that were not flushed";
	if (blk->inflight.fd < 0 && !all_idle(&blk->dev))
		return "its storage daemon ended, and nobody knows which requests are done";
	return NULL;
}

/* The device is active: its rings go on where they were. */
static void take_over_rings(struct vhost_user_blk *blk)
{
	struct virtio_dev *dev = &blk->dev;
	const char *lost = what_is_lost(blk);

	for (unsigned q = 0; q < dev->n_queues; q++)
		if (dev->queue[q].ready)
			blk->base[q] = vq_used_index(&dev->queue[q]);
	if (lost) {
		virtio_broken(dev, lost);
		return;
	}
	if (!succeeded(blk, set_up(blk, blk->inflight.fd < 0)))
		return;
	for (unsigned q = 0; q < dev->n_queues; q++) {
		int call = dev->transport->queue_eventfd(dev->transport, q);

		if (!dev->kick[q].started || start_ring(blk, q) < 0)
			continue;
		/* the last that the old one has done may have gone without an interrupt */
		if (call >= 0)
			(void)!write(call, &(uint64_t){ 1 }, sizeof(uint64_t));
	}
}

static int adopt_backend(struct vhost_user_blk *blk, struct vhost_user **backend,
			 struct hvd_error *err)
{
	struct virtio_dev *dev = &blk->dev;
	int r;

	blk->src = (struct loop_source){ .fd = vhost_user_fd(*backend), .fn = on_backend };
	r = loop_add(dev->io, &blk->src, EPOLLIN | EPOLLRDHUP);
	if (r < 0)
		return hvd_err(err, -r, "%s: %s", blk->name, strerror(-r));
	blk->backend = TAKE(*backend);
	blk->is_lost = false;
	return 0;
}

struct reconnect {
	struct vhost_user_blk *blk;
	struct vhost_user *backend;
	struct hvd_error *err;
	int r;
};

static void reconnect_on_loop(void *arg)
{
	struct reconnect *re = arg;
	struct vhost_user_blk *blk = re->blk;
	struct virtio_dev *dev = &blk->dev;

	forget_backend(blk);
	re->r = adopt_backend(blk, &re->backend, re->err);
	if (re->r == 0 && dev->active && !(dev->status & VIRTIO_CONFIG_S_NEEDS_RESET))
		take_over_rings(blk);
}

static int check_same(struct vhost_user_blk *blk, struct vhost_user *backend, struct hvd_error *err)
{
	uint64_t wanted = blk->dev.host_features & FEATURES & ~FEATURE(MQ);

	if ((vhost_user_features(backend) & wanted) != wanted ||
	    vhost_user_max_queues(backend) < blk->dev.n_queues)
		return hvd_err(err, EINVAL, "%s: the new storage daemon offers less than the old one",
			       blk->name);
	return 0;
}

int virtio_vhost_user_blk_reconnect(struct virtio_dev *dev, int sock, struct hvd_error *err)
{
	struct reconnect re = { .blk = to_blk(dev), .err = err };
	int r;

	r = vhost_user_new(sock, re.blk->flags, &re.backend, err);
	if (r < 0)
		return hvd_err_prefix(err, r, "%s", re.blk->name);
	r = check_same(re.blk, re.backend, err);
	if (r == 0) {
		loop_call(dev->io, reconnect_on_loop, &re);
		r = re.r;
	}
	vhost_user_free(re.backend);
	return r;
}

bool virtio_vhost_user_blk_is_lost(const struct virtio_dev *dev)
{
	return container_of(dev, struct vhost_user_blk, dev)->is_lost;
}

/* --- the device */

/* Its size, if it has grown. */
static int blk_update(struct virtio_dev *dev, const void *update, struct hvd_error *err)
{
	struct vhost_user_blk *blk = to_blk(dev);
	const struct virtio_vhost_user_blk_args *args = update;
	uint64_t capacity = args->size >> SECTOR_SHIFT;

	if (capacity <= config_of(blk)->capacity)
		return 0;
	virtio_write_config(dev, offsetof(struct virtio_blk_config, capacity), &capacity,
			    sizeof(capacity));
	virtio_notify_config(dev);
	return 0;
}

static void blk_destroy(struct virtio_dev *dev)
{
	struct vhost_user_blk *blk = to_blk(dev);

	loop_call(dev->io, forget_backend, blk);
	loop_cancel(blk->main, &blk->lost_work);
	drop_inflight(blk);
	free(blk->name);
	free(blk);
}

static const struct virtio_ops vhost_user_blk_ops = {
	.name = "vhost-user-blk",
	.id = VIRTIO_ID_BLOCK,
	.config_size = CONFIG_SIZE,
	.negotiated = blk_negotiated,
	.set_config = blk_set_config,
	.activate = blk_activate,
	.start_queue = blk_start_queue,
	.stop_queue = blk_stop_queue,
	.interrupt_moved = blk_interrupt_moved,
	.reset = blk_reset,
	.update = blk_update,
	.destroy = blk_destroy,
};

bool virtio_is_vhost_user_blk(const struct virtio_dev *dev)
{
	return dev->ops == &vhost_user_blk_ops;
}

static int fill_config(struct vhost_user_blk *blk, struct vhost_user *backend, uint64_t size,
		       struct hvd_error *err)
{
	struct virtio_blk_config *config = config_of(blk);
	struct virtio_dev *dev = &blk->dev;
	uint64_t offered = vhost_user_features(backend);
	int r;

	if (!(offered & 1ULL << VIRTIO_F_VERSION_1))
		return hvd_err(err, EOPNOTSUPP, "the storage daemon knows no virtio 1.0");
	r = vhost_user_get_config(backend, config, CONFIG_SIZE);
	if (r < 0)
		return hvd_err(err, -r, "the storage daemon does not tell the disk's properties");

	/* MQ is ours to offer, as n_queues is */
	dev->host_features &= offered;
	dev->host_features |= offered & FEATURES & ~FEATURE(MQ);
	if (dev->n_queues > 1)
		dev->host_features |= FEATURE(MQ);
	config->num_queues = (uint16_t)dev->n_queues;
	config->wce = 1;
	config->capacity = MAX(config->capacity, size >> SECTOR_SHIFT);
	return 0;
}

static int make(struct vhost_user_blk *blk, const struct virtio_vhost_user_blk_args *args,
		struct vhost_user *backend, const struct guest_mem *mem, struct loop *io,
		struct hvd_error *err)
{
	unsigned n_queues = MIN(args->n_queues ? args->n_queues : 1, vhost_user_max_queues(backend));
	int r;

	n_queues = MIN(n_queues, (unsigned)VIRTIO_MAX_QUEUES);
	r = virtio_dev_init(&blk->dev, &vhost_user_blk_ops, n_queues, mem, io);
	if (r < 0)
		return hvd_err(err, -r, "vhost-user-blk: %s", strerror(-r));
	blk->name = strdup(args->name ? args->name : "");
	if (!blk->name)
		return hvd_err(err, ENOMEM, "out of memory");
	return fill_config(blk, backend, args->size, err);
}

int virtio_vhost_user_blk_new(const struct virtio_vhost_user_blk_args *args,
			      const struct guest_mem *mem, struct loop *io, struct virtio_dev **ret,
			      struct hvd_error *err)
{
	AUTO(vhost_user_free) struct vhost_user *backend = NULL;
	AUTO(virtio_dev_free) struct virtio_dev *dev = NULL;
	unsigned flags = args->assume_inflight ? VHOST_USER_ASSUME_INFLIGHT : 0;
	struct reconnect adoption = { .err = err };
	struct vhost_user_blk *blk;
	int r;

	r = vhost_user_new(args->sock, flags, &backend, err);
	if (r < 0)
		return r;
	blk = calloc(1, sizeof(*blk));
	if (!blk)
		return hvd_err(err, ENOMEM, "out of memory");
	dev = &blk->dev;
	blk->inflight.fd = -1;
	blk->flags = flags;
	blk->forgets = args->forgets;
	blk->main = args->main;
	blk->lost_work.fn = on_lost;
	blk->lost = args->lost;
	blk->ctx = args->ctx;
	blk->write_cache = true;
	r = make(blk, args, backend, mem, io, err);
	if (r < 0)
		return r;

	adoption.blk = blk;
	adoption.backend = TAKE(backend);
	loop_call(io, reconnect_on_loop, &adoption);
	vhost_user_free(adoption.backend);
	if (adoption.r == 0)
		*ret = TAKE(dev);
	return adoption.r;
}
