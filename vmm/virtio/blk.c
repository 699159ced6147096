/* SPDX-License-Identifier: Apache-2.0 */
/* Block device (virtio 1.2 §5.2). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/block/raw.h"
#include "vmm/virtio/blk_private.h"

/* Up to write_zeroes_may_unmap and its padding: what follows belongs to features not offered. */
#define CONFIG_SIZE offsetof(struct virtio_blk_config, max_secure_erase_sectors)

#define FEATURE(name) (1ULL << VIRTIO_BLK_F_##name)

static struct virtio_blk *to_blk(struct virtio_dev *dev)
{
	return container_of(dev, struct virtio_blk, dev);
}

static struct virtio_blk_config *config_of(struct virtio_blk *blk)
{
	return (struct virtio_blk_config *)blk->dev.config;
}

/*
 * §5.2.5.2, §5.2.6.2: a driver that cannot flush, or has chosen so in the configuration, gets a disk
 * that writes through.
 */
static void set_write_cache(struct virtio_blk *blk, uint8_t wce)
{
	virtio_write_config(&blk->dev, offsetof(struct virtio_blk_config, wce), &wce, sizeof(wce));
	blk->durable = !wce;
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

static int blk_activate(struct virtio_dev *dev)
{
	struct virtio_blk *blk = to_blk(dev);

	for (unsigned i = 0; i < dev->n_queues; i++) {
		int r = dev->queue[i].ready ? blk_queue_activate(&blk->queue[i]) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}

static int blk_start_queue(struct virtio_dev *dev, unsigned queue)
{
	return blk_queue_start(&to_blk(dev)->queue[queue]);
}

static void blk_stop_queue(struct virtio_dev *dev, unsigned queue)
{
	blk_queue_stop(&to_blk(dev)->queue[queue]);
}

static void blk_kick(struct virtio_dev *dev, unsigned queue)
{
	blk_queue_serve(&to_blk(dev)->queue[queue]);
}

static void blk_reset(struct virtio_dev *dev)
{
	struct virtio_blk *blk = to_blk(dev);

	for (unsigned i = 0; i < dev->n_queues; i++)
		blk_queue_reset(&blk->queue[i]);
}

static void set_policies(struct virtio_blk *blk, const struct virtio_blk_args *args)
{
	blk->on_error = args->on_error;
	rate_set(&blk->rate, &args->ops_limit, &args->bytes_limit, rate_now());
}

static int update_size(struct virtio_blk *blk, uint64_t size, struct hvd_error *err)
{
	int r = disk_resize(blk->disk, size, err);
	uint64_t capacity = blk->disk->size >> BLK_SECTOR_SHIFT;

	if (r <= 0)
		return r;
	virtio_write_config(&blk->dev, offsetof(struct virtio_blk_config, capacity), &capacity,
			    sizeof(capacity));
	virtio_notify_config(&blk->dev);
	return 0;
}

static int blk_update(struct virtio_dev *dev, const void *update, struct hvd_error *err)
{
	struct virtio_blk *blk = to_blk(dev);
	const struct virtio_blk_args *args = update;
	int r = update_size(blk, args->size, err);

	if (r < 0)
		return r;
	set_policies(blk, args);
	for (unsigned i = 0; i < dev->n_queues; i++)
		blk_queue_retry(&blk->queue[i]);
	return 0;
}

static void blk_count(const struct virtio_dev *dev, uint64_t *values)
{
	const struct virtio_blk *blk = container_of(dev, const struct virtio_blk, dev);

	for (unsigned i = 0; i < dev->n_queues; i++) {
		const struct blk_queue *q = &blk->queue[i];

		for (unsigned k = 0; k < _DISK_COUNTER_MAX; k++)
			values[k] += counter_get(&q->counters[k]);
		values[DISK_THROTTLED_NS] += counter_get(&q->gate.shut_ns);
	}
}

static void blk_destroy(struct virtio_dev *dev)
{
	struct virtio_blk *blk = to_blk(dev);

	for (unsigned i = 0; i < dev->n_queues; i++)
		blk_queue_destroy(&blk->queue[i]);
	disk_free(blk->disk);
	free(blk->name);
	free(blk);
}

static const struct virtio_ops blk_ops = {
	.name = "blk",
	.id = VIRTIO_ID_BLOCK,
	.config_size = CONFIG_SIZE,
	.features = FEATURE(SEG_MAX) | FEATURE(BLK_SIZE) | FEATURE(FLUSH) | FEATURE(TOPOLOGY) |
		    FEATURE(CONFIG_WCE),
	.negotiated = blk_negotiated,
	.set_config = blk_set_config,
	.activate = blk_activate,
	.start_queue = blk_start_queue,
	.stop_queue = blk_stop_queue,
	.kick = blk_kick,
	.reset = blk_reset,
	.update = blk_update,
	.count = blk_count,
	.destroy = blk_destroy,
};

static uint16_t blocks_of(uint32_t bytes, uint32_t block)
{
	return (uint16_t)MIN(bytes / block, (uint32_t)UINT16_MAX);
}

/* §5.2.4; offers what depends on the disk. */
static void fill_config(struct virtio_blk *blk)
{
	struct virtio_blk_config *config = config_of(blk);
	const struct disk_geometry *g = &blk->disk->geometry;
	uint8_t exp = 0;

	while (g->physical >> exp > g->block && exp < 15)
		exp++;

	config->capacity = blk->disk->size >> BLK_SECTOR_SHIFT;
	config->seg_max = VQ_MAX_SEGS - 2; /* header and status */
	config->blk_size = g->block;
	config->physical_block_exp = exp;
	config->min_io_size = (uint16_t)(1U << exp);
	config->opt_io_size = blocks_of(g->optimal, g->block);
	config->wce = 1;
	if (blk->dev.n_queues > 1) {
		blk->dev.host_features |= FEATURE(MQ);
		config->num_queues = (uint16_t)blk->dev.n_queues;
	}

	if (blk->disk->read_only) {
		blk->dev.host_features |= FEATURE(RO);
		return;
	}
	blk->dev.host_features |= FEATURE(DISCARD) | FEATURE(WRITE_ZEROES);
	config->max_discard_sectors = BLK_MAX_DISCARD_SECTORS;
	config->max_discard_seg = 1;
	config->discard_sector_alignment = g->block << exp >> BLK_SECTOR_SHIFT;
	config->max_write_zeroes_sectors = BLK_MAX_DISCARD_SECTORS;
	config->max_write_zeroes_seg = 1;
	config->write_zeroes_may_unmap = 1;
}

static int open_disk(struct virtio_blk *blk, const struct virtio_blk_args *args, int fd,
		     struct hvd_error *err)
{
	const struct raw_args raw_args = {
		.fd = fd,
		.read_only = args->read_only,
		.direct = args->direct,
		.ignore_flush = args->ignore_flush,
	};
	int r;

	r = raw_new(&raw_args, &blk->disk, err);
	if (r >= 0 && args->size)
		r = disk_resize(blk->disk, args->size, err);
	for (unsigned i = 0; r >= 0 && i < blk->dev.n_queues; i++)
		r = blk_queue_init(&blk->queue[i], blk, i, err);
	return r;
}

int virtio_blk_new(const struct virtio_blk_args *args, const struct guest_mem *mem, struct loop *io,
		   struct virtio_dev **ret, struct hvd_error *err)
{
	unsigned n_queues = args->n_queues ? args->n_queues : 1;
	AUTO(close) int fd = args->fd;
	AUTO(virtio_dev_free) struct virtio_dev *dev = NULL;
	struct virtio_blk *blk = calloc(1, sizeof(*blk) + n_queues * sizeof(blk->queue[0]));
	int r;

	if (!blk)
		return hvd_err(err, ENOMEM, "out of memory");

	dev = &blk->dev;
	r = virtio_dev_init(dev, &blk_ops, n_queues, mem, io);
	if (r < 0)
		return hvd_err(err, -r, "virtio-blk: %s", strerror(-r));
	if (args->loops)
		virtio_spread(dev, args->loops, 1);

	blk->failed = args->failed;
	blk->ctx = args->ctx;
	blk->name = strdup(args->name ? args->name : "");
	if (!blk->name)
		return hvd_err(err, ENOMEM, "out of memory");
	if (args->serial)
		memcpy(blk->serial, args->serial, strnlen(args->serial, sizeof(blk->serial)));
	set_policies(blk, args);

	r = open_disk(blk, args, TAKE_FD(fd), err);
	if (r < 0)
		return r;
	fill_config(blk);
	*ret = TAKE(dev);
	return 0;
}
