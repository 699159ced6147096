/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Block device (virtio 1.2 §5.2) on vmm/block/raw.
 *
 * A request is a header that the device reads, data, and one status byte that it writes; how these
 * fall into descriptors is the driver's choice (§5.2.6). Requests in flight are as many as the
 * queue has entries, from a pool made when the device is activated. One I/O loop wake-up takes what
 * there is, submits it with one system call and raises one interrupt for what has completed.
 */
#include <errno.h>
#include <linux/virtio_blk.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/iov.h"
#include "vmm/base/rate.h"
#include "vmm/block/raw.h"
#include "vmm/virtio/virtio.h"

#define SECTOR_SHIFT 9
#define MAX_DISCARD_SECTORS (1U << 22) /* 2 GiB in one request */
#define ROUNDS 4                       /* of the queue in one wake-up */

/* Up to write_zeroes_may_unmap and its padding: what follows belongs to features not offered. */
#define CONFIG_SIZE offsetof(struct virtio_blk_config, max_secure_erase_sectors)

struct blk_request {
	struct block_request io;
	struct virtio_blk *blk;
	uint8_t *status; /* in guest memory */
	struct vq_chain chain;
};

struct virtio_blk {
	struct virtio_dev dev;
	struct raw *raw;
	bool read_only;
	char serial[VIRTIO_BLK_ID_BYTES];

	struct blk_request *pool; /* NULL while not active */
	/* A stack, so that few of them are touched when few are in flight. */
	struct blk_request *unused[VQ_MAX_SIZE];
	unsigned n_unused;

	struct rate rate;
	struct rate_gate gate;
};

/* The data part of a request: what is between the header and the status byte. */
struct blk_data {
	struct iovec *out, *in;
	unsigned n_out, n_in;
	uint32_t out_len, in_len;
};

static void answer(struct blk_request *req, uint8_t status)
{
	struct virtio_blk *blk = req->blk;

	*req->status = status;
	vq_push(&blk->dev.queue[0], req->chain.head,
		status == VIRTIO_BLK_S_OK ? req->chain.in_len : 0);
	blk->unused[blk->n_unused++] = req;
}

static void on_done(struct block_request *io, int result)
{
	struct blk_request *req = container_of(io, struct blk_request, io);

	if (result == 0)
		answer(req, VIRTIO_BLK_S_OK);
	else if (result == -EOPNOTSUPP)
		answer(req, VIRTIO_BLK_S_UNSUPP);
	else
		answer(req, VIRTIO_BLK_S_IOERR);
}

/* Sectors are checked before they become bytes, so that no product overflows. */
static bool in_disk(const struct virtio_blk *blk, uint64_t sector, uint64_t len)
{
	const struct disk_geometry *g = raw_geometry(blk->raw);
	uint64_t sectors = g->size >> SECTOR_SHIFT;

	return sector <= sectors && len <= g->size - (sector << SECTOR_SHIFT) &&
	       IS_ALIGNED(sector << SECTOR_SHIFT, g->block) && IS_ALIGNED(len, g->block);
}

static void transfer(struct blk_request *req, enum block_op op, uint64_t sector, struct iovec *iov,
		     unsigned n_iov, uint64_t len)
{
	if (!in_disk(req->blk, sector, len)) {
		answer(req, VIRTIO_BLK_S_IOERR);
		return;
	}
	req->io = (struct block_request){
		.op = op,
		.offset = sector << SECTOR_SHIFT,
		.len = len,
		.iov = iov,
		.n_iov = n_iov,
		.done = on_done,
	};
	raw_queue(req->blk->raw, &req->io);
}

static void start_read(struct blk_request *req, uint64_t sector, struct blk_data *data)
{
	transfer(req, BLOCK_READ, sector, data->in, data->n_in, data->in_len);
}

static void start_write(struct blk_request *req, uint64_t sector, struct blk_data *data)
{
	transfer(req, BLOCK_WRITE, sector, data->out, data->n_out, data->out_len);
}

static void start_flush(struct blk_request *req, uint64_t sector, struct blk_data *data)
{
	transfer(req, BLOCK_FLUSH, 0, NULL, 0, 0);
}

static void start_get_id(struct blk_request *req, uint64_t sector, struct blk_data *data)
{
	iov_scatter(data->in, data->n_in, req->blk->serial, sizeof(req->blk->serial));
	answer(req, VIRTIO_BLK_S_OK);
}

/* One range a request, as max_discard_seg and max_write_zeroes_seg say (§5.2.6.2). */
static void start_range(struct blk_request *req, enum block_op op, uint32_t allowed_flags,
			const struct blk_data *data)
{
	struct virtio_blk_discard_write_zeroes range;

	if (data->out_len != sizeof(range)) {
		answer(req, VIRTIO_BLK_S_IOERR);
		return;
	}
	iov_gather(data->out, data->n_out, &range, sizeof(range));

	if (range.flags & ~allowed_flags)
		answer(req, VIRTIO_BLK_S_UNSUPP);
	else if (range.num_sectors > MAX_DISCARD_SECTORS)
		answer(req, VIRTIO_BLK_S_IOERR);
	else
		/* zeroes that may be unmapped are a discard: that reads as zero here */
		transfer(req, range.flags ? BLOCK_DISCARD : op, range.sector, NULL, 0,
			 (uint64_t)range.num_sectors << SECTOR_SHIFT);
}

static void start_discard(struct blk_request *req, uint64_t sector, struct blk_data *data)
{
	start_range(req, BLOCK_DISCARD, 0, data);
}

static void start_write_zeroes(struct blk_request *req, uint64_t sector, struct blk_data *data)
{
	start_range(req, BLOCK_WRITE_ZEROES, VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP, data);
}

static void (*const starters[])(struct blk_request *req, uint64_t sector, struct blk_data *data) = {
	[VIRTIO_BLK_T_IN] = start_read,
	[VIRTIO_BLK_T_OUT] = start_write,
	[VIRTIO_BLK_T_FLUSH] = start_flush,
	[VIRTIO_BLK_T_GET_ID] = start_get_id,
	[VIRTIO_BLK_T_DISCARD] = start_discard,
	[VIRTIO_BLK_T_WRITE_ZEROES] = start_write_zeroes,
};

/* Take the header off the front and the status byte off the end. False: the request has none. */
static bool dissect(struct blk_request *req, struct virtio_blk_outhdr *hdr, struct blk_data *data)
{
	struct vq_chain *chain = &req->chain;
	struct iovec *last = &chain->iov[chain->n_out + chain->n_in - 1];

	if (chain->out_len < sizeof(*hdr) || !chain->in_len)
		return false;

	*data = (struct blk_data){
		.out = chain->iov,
		.n_out = chain->n_out,
		.out_len = chain->out_len - sizeof(*hdr),
		.in = chain->iov + chain->n_out,
		.n_in = chain->n_in,
		.in_len = chain->in_len - 1,
	};
	iov_gather(data->out, data->n_out, hdr, sizeof(*hdr));
	iov_advance(&data->out, &data->n_out, sizeof(*hdr));

	last->iov_len--;
	req->status = (uint8_t *)last->iov_base + last->iov_len;
	if (!last->iov_len)
		data->n_in--;
	return true;
}

/* What counts against the limit of bytes. */
static uint32_t bytes_moved(const struct virtio_blk_outhdr *hdr, const struct blk_data *data)
{
	switch (hdr->type) {
	case VIRTIO_BLK_T_IN:
		return data->in_len;
	case VIRTIO_BLK_T_OUT:
		return data->out_len;
	default:
		return 0;
	}
}

/* The next chain becomes a request. False: there is none, or it may not go ahead yet. */
static bool take(struct virtio_blk *blk)
{
	/* the ring holds no head twice, so there is a request for every chain */
	struct blk_request *req = blk->unused[blk->n_unused - 1];
	struct virtio_blk_outhdr hdr;
	struct blk_data data;

	if (!virtio_pop(&blk->dev, 0, &req->chain))
		return false;
	req->blk = blk;
	if (!dissect(req, &hdr, &data)) {
		virtio_broken(&blk->dev, "a request without header or status byte");
		return false;
	}
	if (!rate_gate_pass(&blk->gate, bytes_moved(&hdr, &data))) {
		vq_unpop(&blk->dev.queue[0], req->chain.head);
		return false;
	}

	blk->n_unused--;
	if (hdr.type < ARRAY_SIZE(starters) && starters[hdr.type])
		starters[hdr.type](req, hdr.sector, &data);
	else
		answer(req, VIRTIO_BLK_S_UNSUPP);
	return true;
}

/* Take what there is, submit it, give back what has completed, and look again before sleeping. */
static void serve(struct virtio_blk *blk)
{
	struct virtqueue *vq = &blk->dev.queue[0];

	for (int round = 0; round < ROUNDS; round++) {
		vq_disable_kick(vq);
		while (blk->n_unused && !blk->gate.shut && take(blk))
			;
		raw_submit(blk->raw);
		virtio_notify_queue(&blk->dev, 0);
		/* kicks are of no use while the gate is shut: whoever opens it looks at the ring */
		if (blk->gate.shut || !vq_enable_kick(vq))
			return;
	}
	virtio_rekick(&blk->dev, 0);
}

static void on_gate_opened(struct rate_gate *gate)
{
	serve(container_of(gate, struct virtio_blk, gate));
}

static void blk_kick(struct virtio_dev *dev, unsigned queue)
{
	serve(container_of(dev, struct virtio_blk, dev));
}

static void on_batch_done(void *ctx)
{
	serve(ctx);
}

static int blk_activate(struct virtio_dev *dev)
{
	struct virtio_blk *blk = container_of(dev, struct virtio_blk, dev);
	unsigned n = dev->queue[0].size;
	int r;

	blk->pool = calloc(n, sizeof(*blk->pool));
	if (!blk->pool)
		return -ENOMEM;
	blk->n_unused = 0;
	while (blk->n_unused < n) {
		blk->unused[blk->n_unused] = &blk->pool[n - 1 - blk->n_unused];
		blk->n_unused++;
	}
	r = raw_start(blk->raw);
	return r < 0 ? r : rate_gate_start(&blk->gate, dev->io);
}

static void blk_quiesce(struct virtio_dev *dev)
{
	struct virtio_blk *blk = container_of(dev, struct virtio_blk, dev);

	rate_gate_stop(&blk->gate);
	raw_drain(blk->raw);
	virtio_notify_queue(dev, 0);
}

static void blk_resume(struct virtio_dev *dev)
{
	struct virtio_blk *blk = container_of(dev, struct virtio_blk, dev);

	if (rate_gate_start(&blk->gate, dev->io) < 0)
		virtio_broken(dev, "the host lacks resources to continue it");
	serve(blk);
}

static void blk_reset(struct virtio_dev *dev)
{
	struct virtio_blk *blk = container_of(dev, struct virtio_blk, dev);

	rate_gate_stop(&blk->gate);
	raw_drain(blk->raw);
	raw_stop(blk->raw);
	free(blk->pool);
	blk->pool = NULL;
}

static void blk_destroy(struct virtio_dev *dev)
{
	struct virtio_blk *blk = container_of(dev, struct virtio_blk, dev);

	rate_gate_destroy(&blk->gate);
	raw_free(blk->raw);
	free(blk);
}

static const struct virtio_ops blk_ops = {
	.name = "blk",
	.id = VIRTIO_ID_BLOCK,
	.config_size = CONFIG_SIZE,
	.features = 1ULL << VIRTIO_BLK_F_SEG_MAX | 1ULL << VIRTIO_BLK_F_BLK_SIZE |
		    1ULL << VIRTIO_BLK_F_FLUSH | 1ULL << VIRTIO_BLK_F_TOPOLOGY,
	.activate = blk_activate,
	.kick = blk_kick,
	.reset = blk_reset,
	.quiesce = blk_quiesce,
	.resume = blk_resume,
	.destroy = blk_destroy,
};

/* §5.2.4; offers what depends on the disk. */
static void fill_config(struct virtio_blk *blk)
{
	struct virtio_blk_config *config = (struct virtio_blk_config *)blk->dev.config;
	const struct disk_geometry *g = raw_geometry(blk->raw);
	uint8_t exp = 0;

	while (g->physical >> exp > g->block && exp < 15)
		exp++;

	config->capacity = g->size >> SECTOR_SHIFT;
	config->seg_max = VQ_MAX_SEGS - 2; /* header and status */
	config->blk_size = g->block;
	config->physical_block_exp = exp;
	config->min_io_size = (uint16_t)(1U << exp);

	if (blk->read_only) {
		blk->dev.host_features |= 1ULL << VIRTIO_BLK_F_RO;
		return;
	}
	blk->dev.host_features |=
		1ULL << VIRTIO_BLK_F_DISCARD | 1ULL << VIRTIO_BLK_F_WRITE_ZEROES;
	config->max_discard_sectors = MAX_DISCARD_SECTORS;
	config->max_discard_seg = 1;
	config->discard_sector_alignment = g->block << exp >> SECTOR_SHIFT;
	config->max_write_zeroes_sectors = MAX_DISCARD_SECTORS;
	config->max_write_zeroes_seg = 1;
	config->write_zeroes_may_unmap = 1;
}

static void set_limits(struct virtio_blk *blk, const struct virtio_blk_args *args)
{
	rate_set(&blk->rate, &args->ops_limit, &args->bytes_limit, rate_now());
}

static void retry_on_loop(void *arg)
{
	rate_gate_retry(&((struct virtio_blk *)arg)->gate);
}

void virtio_blk_update(struct virtio_dev *dev, const struct virtio_blk_args *args)
{
	struct virtio_blk *blk = container_of(dev, struct virtio_blk, dev);

	set_limits(blk, args);
	loop_call(dev->io, retry_on_loop, blk);
}

int virtio_blk_new(const struct virtio_blk_args *args, const struct guest_mem *mem, struct loop *io,
		   struct virtio_dev **ret, struct hvd_error *err)
{
	AUTO(close) int fd = args->fd;
	AUTO(virtio_dev_free) struct virtio_dev *dev = NULL;
	struct virtio_blk *blk = calloc(1, sizeof(*blk));
	struct raw_args raw_args = {
		.read_only = args->read_only,
		.direct = args->direct,
		.ignore_flush = args->ignore_flush,
		.depth = VQ_MAX_SIZE,
		.batch_done = on_batch_done,
		.ctx = blk,
	};
	int r;

	if (!blk)
		return hvd_err(err, ENOMEM, "out of memory");

	dev = &blk->dev;
	r = virtio_dev_init(dev, &blk_ops, 1, mem, io);
	if (r < 0)
		return hvd_err(err, -r, "virtio-blk: %s", strerror(-r));

	set_limits(blk, args);
	r = rate_gate_init(&blk->gate, &blk->rate, on_gate_opened);
	if (r < 0)
		return hvd_err(err, -r, "cannot make a timer: %s", strerror(-r));

	raw_args.fd = TAKE_FD(fd);
	r = raw_new(&raw_args, io, &blk->raw, err);
	if (r < 0)
		return r;

	blk->read_only = args->read_only;
	if (args->serial)
		memcpy(blk->serial, args->serial, strnlen(args->serial, sizeof(blk->serial)));
	fill_config(blk);
	*ret = TAKE(dev);
	return 0;
}
