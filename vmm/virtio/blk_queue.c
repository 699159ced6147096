/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request is a header that the device reads, data, and one status byte that it writes; how these
 * fall into descriptors is the driver's choice (virtio 1.2 §5.2.6). One I/O loop wake-up takes what
 * there is, submits it with one system call and raises one interrupt for what has completed.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/iov.h"
#include "vmm/virtio/blk_private.h"

#define ROUNDS 4 /* of the queue in one wake-up */
#define LOG_BURST 3

struct blk_request {
	struct block_request io;
	struct blk_queue *q;
	struct list node; /* while held */
	uint8_t *status;  /* in guest memory */
	uint32_t bytes;   /* that it is about */
	struct vq_chain chain;
};

/* The data part of a request: what is between the header and the status byte. */
struct blk_data {
	struct iovec *out, *in;
	unsigned n_out, n_in;
	uint32_t out_len, in_len;
};

static void answer(struct blk_request *req, uint8_t status)
{
	struct blk_queue *q = req->q;

	*req->status = status;
	vq_push(&q->blk->dev.queue[q->index], req->chain.head,
		status == VIRTIO_BLK_S_OK ? req->chain.in_len : 0);
	q->unused[q->n_unused++] = req;
}

static void report(struct blk_queue *q, const struct block_request *io, int error)
{
	static const char *const names[] = {
		[BLOCK_READ] = "read",   [BLOCK_WRITE] = "write",
		[BLOCK_FLUSH] = "flush", [BLOCK_DISCARD] = "discard",
		[BLOCK_WRITE_ZEROES] = "write of zeroes",
	};

	if (log_allowed(&q->log_limit, LOG_BURST))
		log_warning("disk %s: %s at byte %llu: %s", q->blk->name, names[io->op],
			    (unsigned long long)io->offset, strerror(-error));
}

static bool holds(const struct virtio_blk *blk, int error)
{
	enum virtio_blk_on_error on_error = blk->on_error;

	switch (on_error) {
	case VIRTIO_BLK_STOP:
		return true;
	case VIRTIO_BLK_STOP_WHEN_FULL:
		return error == -ENOSPC || error == -EDQUOT;
	case VIRTIO_BLK_REPORT:
		break;
	}
	return false;
}

static void failed(struct blk_request *req, int error)
{
	struct blk_queue *q = req->q;
	struct virtio_blk *blk = q->blk;

	report(q, &req->io, error);
	counter_add(&q->counters[DISK_ERRORS], 1);
	if (!holds(blk, error)) {
		answer(req, VIRTIO_BLK_S_IOERR);
		return;
	}
	list_append(&q->held, &req->node);
	blk->failed(blk->ctx, blk->name, error);
}

static void count(const struct blk_request *req)
{
	static const struct {
		enum disk_counter requests, bytes;
	} of[] = {
		[BLOCK_READ] = { DISK_READS, DISK_READ_BYTES },
		[BLOCK_WRITE] = { DISK_WRITES, DISK_WRITTEN_BYTES },
		[BLOCK_FLUSH] = { DISK_FLUSHES, DISK_WRITTEN_BYTES }, /* of no bytes */
		[BLOCK_DISCARD] = { DISK_DISCARDS, DISK_DISCARDED_BYTES },
		[BLOCK_WRITE_ZEROES] = { DISK_DISCARDS, DISK_DISCARDED_BYTES },
	};
	struct counter *counters = req->q->counters;

	counter_add(&counters[of[req->io.op].requests], 1);
	counter_add(&counters[of[req->io.op].bytes], req->bytes);
}

static void on_done(struct block_request *io, int result)
{
	struct blk_request *req = container_of(io, struct blk_request, io);

	if (result == 0) {
		count(req);
		answer(req, VIRTIO_BLK_S_OK);
	} else if (result == -EOPNOTSUPP) {
		answer(req, VIRTIO_BLK_S_UNSUPP);
	} else {
		failed(req, result);
	}
}

/* Sectors are checked before they become bytes, so that no product overflows. */
static bool in_disk(const struct disk *disk, uint64_t sector, uint64_t len)
{
	uint32_t block = disk->geometry.block;
	uint64_t size = disk->size;

	return sector <= size >> BLK_SECTOR_SHIFT && len <= size - (sector << BLK_SECTOR_SHIFT) &&
	       IS_ALIGNED(sector << BLK_SECTOR_SHIFT, block) && IS_ALIGNED(len, block);
}

/* io: what is to be done, but for the offset, which is in sectors. */
static void transfer(struct blk_request *req, uint64_t sector, struct block_request io)
{
	struct blk_queue *q = req->q;
	const struct disk *disk = q->blk->disk;
	bool writes = io.op != BLOCK_READ && io.op != BLOCK_FLUSH;

	/* the guest's mistakes, which no policy for errors of the host is about */
	if (!in_disk(disk, sector, io.len) || (writes && disk->read_only)) {
		answer(req, VIRTIO_BLK_S_IOERR);
		return;
	}
	req->io = io;
	req->io.offset = sector << BLK_SECTOR_SHIFT;
	req->io.durable = q->blk->durable;
	req->io.done = on_done;
	req->bytes = (uint32_t)io.len;
	disk_queue_add(q->disk, &req->io);
}

static void start_read(struct blk_request *req, uint64_t sector, struct blk_data *data)
{
	transfer(req, sector, (struct block_request){
		.op = BLOCK_READ,
		.len = data->in_len,
		.iov = data->in,
		.n_iov = data->n_in,
	});
}

static void start_write(struct blk_request *req, uint64_t sector, struct blk_data *data)
{
	transfer(req, sector, (struct block_request){
		.op = BLOCK_WRITE,
		.len = data->out_len,
		.iov = data->out,
		.n_iov = data->n_out,
	});
}

static void start_flush(struct blk_request *req, uint64_t sector, struct blk_data *data)
{
	transfer(req, 0, (struct block_request){ .op = BLOCK_FLUSH });
}

static void start_get_id(struct blk_request *req, uint64_t sector, struct blk_data *data)
{
	iov_scatter(data->in, data->n_in, req->q->blk->serial, sizeof(req->q->blk->serial));
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
	else if (range.num_sectors > BLK_MAX_DISCARD_SECTORS)
		answer(req, VIRTIO_BLK_S_IOERR);
	else
		transfer(req, range.sector, (struct block_request){
			.op = op,
			.may_unmap = range.flags,
			.len = (uint64_t)range.num_sectors << BLK_SECTOR_SHIFT,
		});
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
		.out_len = chain->out_len - (uint32_t)sizeof(*hdr),
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
static bool take(struct blk_queue *q)
{
	struct virtio_dev *dev = &q->blk->dev;
	/* the ring holds no head twice, so there is a request for every chain */
	struct blk_request *req = q->unused[q->n_unused - 1];
	struct virtio_blk_outhdr hdr;
	struct blk_data data;

	if (!virtio_pop(dev, q->index, &req->chain))
		return false;
	if (!dissect(req, &hdr, &data)) {
		virtio_broken(dev, "a request without header or status byte");
		return false;
	}
	if (!rate_gate_pass(&q->gate, bytes_moved(&hdr, &data))) {
		vq_unpop(&dev->queue[q->index], req->chain.head);
		return false;
	}

	q->n_unused--;
	req->q = q;
	if (hdr.type < ARRAY_SIZE(starters) && starters[hdr.type])
		starters[hdr.type](req, hdr.sector, &data);
	else
		answer(req, VIRTIO_BLK_S_UNSUPP);
	return true;
}

/*
 * Take what there is, submit it, give back what has completed, and look again before sleeping. A vCPU
 * that waits for this very CPU runs before that, with kicks off still: what it asks for meanwhile comes
 * as one batch, without an exit for each. Where CPUs are idle the yield returns at once.
 */
void blk_queue_serve(struct blk_queue *q)
{
	struct virtio_dev *dev = &q->blk->dev;
	struct virtqueue *vq = &dev->queue[q->index];

	for (int round = 0; round < ROUNDS; round++) {
		vq_disable_kick(vq);
		while (q->n_unused && !q->gate.shut && take(q))
			;
		disk_queue_submit(q->disk);
		virtio_notify_queue(dev, q->index);
		sched_yield();
		/* kicks are of no use while the gate is shut: whoever opens it looks at the ring */
		if (q->gate.shut || !vq_enable_kick(vq))
			return;
	}
	virtio_rekick(dev, q->index);
}

static void on_gate_opened(struct rate_gate *gate)
{
	blk_queue_serve(container_of(gate, struct blk_queue, gate));
}

static void on_retry(struct loop_work *work)
{
	rate_gate_retry(&container_of(work, struct blk_queue, retry)->gate);
}

void blk_queue_retry(struct blk_queue *q)
{
	loop_post(q->blk->dev.queue_io[q->index], &q->retry);
}

static void on_batch_done(void *ctx)
{
	blk_queue_serve(ctx);
}

int blk_queue_init(struct blk_queue *q, struct virtio_blk *blk, unsigned index,
		   struct hvd_error *err)
{
	const struct disk_queue_args args = {
		.depth = VQ_MAX_SIZE,
		.batch_done = on_batch_done,
		.ctx = q,
	};
	int r;

	q->blk = blk;
	q->index = index;
	q->retry.fn = on_retry;
	list_init(&q->held);
	r = rate_gate_init(&q->gate, &blk->rate, on_gate_opened);
	if (r < 0)
		return hvd_err(err, -r, "cannot make a timer: %s", strerror(-r));
	return disk_queue_new(blk->disk, &args, blk->dev.queue_io[index], &q->disk, err);
}

static void cancel_on_loop(void *arg)
{
	struct blk_queue *q = arg;

	loop_cancel(q->blk->dev.queue_io[q->index], &q->retry);
}

void blk_queue_destroy(struct blk_queue *q)
{
	if (q->blk)
		loop_call(q->blk->dev.queue_io[q->index], cancel_on_loop, q);
	rate_gate_destroy(&q->gate);
	disk_queue_free(q->disk);
}

int blk_queue_activate(struct blk_queue *q)
{
	unsigned n = q->blk->dev.queue[q->index].size;

	q->pool = calloc(n, sizeof(*q->pool));
	if (!q->pool)
		return -ENOMEM;
	for (q->n_unused = 0; q->n_unused < n; q->n_unused++)
		q->unused[q->n_unused] = &q->pool[n - 1 - q->n_unused];
	return 0;
}

void blk_queue_reset(struct blk_queue *q)
{
	list_init(&q->held);
	free(q->pool);
	q->pool = NULL;
}

static void retry_held(struct blk_queue *q)
{
	struct list retry;
	struct blk_request *req;

	list_init(&retry);
	list_splice(&retry, &q->held);
	list_for_each(req, &retry, node) {
		list_remove(&req->node);
		disk_queue_add(q->disk, &req->io);
	}
}

int blk_queue_start(struct blk_queue *q)
{
	int r;

	r = disk_queue_start(q->disk);
	if (r >= 0)
		r = rate_gate_start(&q->gate, q->blk->dev.queue_io[q->index]);
	if (r < 0)
		return r;
	retry_held(q);
	blk_queue_serve(q);
	return 0;
}

void blk_queue_stop(struct blk_queue *q)
{
	rate_gate_stop(&q->gate);
	disk_queue_drain(q->disk);
	disk_queue_stop(q->disk);
	virtio_notify_queue(&q->blk->dev, q->index);
}
