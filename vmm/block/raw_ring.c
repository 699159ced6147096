/* SPDX-License-Identifier: Apache-2.0 */
/* Queues of raw disks: io_uring. */
#include <errno.h>
#include <liburing.h>
#include <linux/falloc.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

#include "vmm/base/iov.h"
#include "vmm/block/raw_private.h"

#define BOUNCE_ALIGN 4096
#define BOUNCE_SIZE (64 * KIB)
#define SUBMIT_ROUNDS 8

struct raw_ring {
	struct disk_queue queue;
	struct io_uring ring;
	bool have_ring, enabled;
	struct loop_source src;  /* an eventfd that the ring signals */
	struct loop_work resubmit;
	unsigned in_flight; /* added and not done */

	uint8_t *bounce;
	struct block_request *bouncing; /* has the bounce buffer */
	struct list bounce_queue;       /* wait for it */
};

static struct raw_ring *to_ring(struct disk_queue *queue)
{
	return container_of(queue, struct raw_ring, queue);
}

static const struct raw *raw_of(const struct raw_ring *ring)
{
	return container_of(ring->queue.disk, struct raw, disk);
}

/* The disk's place among the descriptors that are registered with the ring. */
#define DISK 0

/*
 * How to make a range read as zero, by preference. A hole does so too; but where the space was to be
 * kept, only if the file system has nothing better.
 */
static int fallocate_mode(const struct block_request *req)
{
	bool hole = req->op == BLOCK_DISCARD || req->may_unmap;

	return FALLOC_FL_KEEP_SIZE | (hole ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE);
}

/* The other one, if it will do and has not been tried. */
static int other_fallocate_mode(const struct block_request *req)
{
	if (req->op != BLOCK_WRITE_ZEROES || req->raw.fallocate_mode != fallocate_mode(req))
		return 0;
	return req->raw.fallocate_mode ^ (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE);
}

static bool needs_bounce(const struct disk_geometry *g, const struct block_request *req)
{
	if (!g->direct)
		return false;
	for (unsigned i = 0; i < req->n_iov; i++)
		if (!IS_ALIGNED((uintptr_t)req->iov[i].iov_base, g->mem_align) ||
		    !IS_ALIGNED(req->iov[i].iov_len, g->block))
			return true;
	return false;
}

static void prepare_bounced(struct raw_ring *ring, struct block_request *req,
			    struct io_uring_sqe *sqe)
{
	req->raw.bounced = (uint32_t)MIN(req->len, BOUNCE_SIZE);
	if (req->op == BLOCK_READ) {
		io_uring_prep_read(sqe, DISK, ring->bounce, req->raw.bounced, req->offset);
		return;
	}
	iov_gather(req->iov, req->n_iov, ring->bounce, req->raw.bounced);
	io_uring_prep_write(sqe, DISK, ring->bounce, req->raw.bounced, req->offset);
}

static void prepare_direct(struct block_request *req, struct io_uring_sqe *sqe)
{
	const struct iovec *iov = req->iov;
	unsigned len = (unsigned)iov->iov_len;
	bool write = req->op == BLOCK_WRITE;

	/* the plain forms spare the kernel the copy of the list */
	if (req->n_iov > 1 && write)
		io_uring_prep_writev(sqe, DISK, iov, req->n_iov, req->offset);
	else if (req->n_iov > 1)
		io_uring_prep_readv(sqe, DISK, iov, req->n_iov, req->offset);
	else if (write)
		io_uring_prep_write(sqe, DISK, iov->iov_base, len, req->offset);
	else
		io_uring_prep_read(sqe, DISK, iov->iov_base, len, req->offset);
}

/* The next step of a request: all of it that is left, or a bounce buffer full. */
static void step(struct raw_ring *ring, struct block_request *req)
{
	/* Never NULL: each of at most `depth` requests has at most one entry waiting. */
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->ring);

	switch (req->op) {
	case BLOCK_READ:
	case BLOCK_WRITE:
		if (ring->bouncing == req)
			prepare_bounced(ring, req, sqe);
		else
			prepare_direct(req, sqe);
		if (req->durable)
			sqe->rw_flags = RWF_DSYNC;
		break;
	case BLOCK_FLUSH:
		io_uring_prep_fsync(sqe, DISK, IORING_FSYNC_DATASYNC);
		break;
	case BLOCK_DISCARD:
	case BLOCK_WRITE_ZEROES:
		io_uring_prep_fallocate(sqe, DISK, req->raw.fallocate_mode, (off_t)req->offset,
					(off_t)req->len);
		break;
	}
	io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE);
	io_uring_sqe_set_data(sqe, req);
}

static void finish(struct raw_ring *ring, struct block_request *req, int result)
{
	struct block_request *next = NULL;

	if (ring->bouncing == req) {
		ring->bouncing = NULL;
		if (!list_empty(&ring->bounce_queue)) {
			next = list_entry(ring->bounce_queue.next, struct block_request, node);
			list_remove(&next->node);
			ring->bouncing = next;
		}
	}
	ring->in_flight--;
	req->done(req, result);
	if (next)
		step(ring, next);
}

static void transferred(struct raw_ring *ring, struct block_request *req, uint32_t bytes)
{
	if (ring->bouncing == req && req->op == BLOCK_READ)
		iov_scatter(req->iov, req->n_iov, ring->bounce, bytes);
	iov_advance(&req->iov, &req->n_iov, bytes);
	req->offset += bytes;
	req->len -= bytes;

	if (req->len)
		step(ring, req);
	else
		finish(ring, req, 0);
}

/* A range that was made to read as zero; there is no flag to make that durable by itself. */
static void zeroed(struct raw_ring *ring, struct block_request *req)
{
	if (!req->durable) {
		finish(ring, req, 0);
		return;
	}
	req->op = BLOCK_FLUSH;
	step(ring, req);
}

static void complete(struct raw_ring *ring, struct block_request *req, int result)
{
	bool moves_data = req->op == BLOCK_READ || req->op == BLOCK_WRITE;
	int other = result == -EOPNOTSUPP ? other_fallocate_mode(req) : 0;

	if (result == -EINTR || result == -EAGAIN) {
		step(ring, req);
	} else if (other) {
		req->raw.fallocate_mode = other;
		step(ring, req);
	} else if (moves_data && result > 0) {
		transferred(ring, req, (uint32_t)result);
	} else if (moves_data && result == 0) { /* the file was cut shorter */
		finish(ring, req, -EIO);
	} else if (result == 0 && req->op != BLOCK_FLUSH) {
		zeroed(ring, req);
	} else {
		finish(ring, req, result);
	}
}

/*
 * The kernel signals the eventfd only while nobody looks at the completion queue: what has
 * completed by the time a submission returns, as reads from the page cache have, wakes no one.
 * When this is switched on again, the queue has to be looked at once more.
 */
static void want_signal(struct raw_ring *ring, bool on)
{
	io_uring_cq_eventfd_toggle(&ring->ring, on);
	atomic_thread_fence(memory_order_seq_cst);
}

/* Returns how many entries were taken from the completion queue. */
static unsigned reap(struct raw_ring *ring)
{
	struct io_uring_cqe *cqe;
	unsigned n = 0;

	/* asks the kernel to run what it deferred, if it says there is something */
	while (!io_uring_peek_cqe(&ring->ring, &cqe)) {
		struct block_request *req = io_uring_cqe_get_data(cqe);
		int result = cqe->res;

		io_uring_cqe_seen(&ring->ring, cqe);
		complete(ring, req, result);
		n++;
	}
	return n;
}

static unsigned submit(struct raw_ring *ring)
{
	unsigned n = 0;

	want_signal(ring, false);
	for (int i = 0; i < SUBMIT_ROUNDS && io_uring_sq_ready(&ring->ring); i++) {
		if (io_uring_submit_and_get_events(&ring->ring) < 0)
			break;
		n += reap(ring);
	}
	want_signal(ring, true);
	n += reap(ring);

	/* The kernel is short of memory, or a file slow in small steps: first others' turn. */
	if (io_uring_sq_ready(&ring->ring))
		loop_post(ring->queue.io, &ring->resubmit);
	return n;
}

static void on_resubmit(struct loop_work *work)
{
	struct raw_ring *ring = container_of(work, struct raw_ring, resubmit);

	submit(ring);
	ring->queue.args.batch_done(ring->queue.args.ctx);
}

static void on_signal(struct loop_source *src, uint32_t events)
{
	struct raw_ring *ring = container_of(src, struct raw_ring, src);
	unsigned n;

	want_signal(ring, false);
	n = reap(ring);
	n += submit(ring);
	if (n)
		ring->queue.args.batch_done(ring->queue.args.ctx);
}

static int check_access(const struct disk *disk, const struct block_request *req)
{
	uint64_t size = disk->size;

	if (disk->read_only && req->op != BLOCK_READ && req->op != BLOCK_FLUSH)
		return -EROFS;
	if (req->offset > size || req->len > size - req->offset)
		return -EINVAL;
	return 0;
}

static void ring_add(struct disk_queue *queue, struct block_request *req)
{
	struct raw_ring *ring = to_ring(queue);
	const struct raw *raw = raw_of(ring);
	bool nothing = req->op == BLOCK_FLUSH ? raw->ignore_flush || raw->disk.read_only
					      : !req->len;
	int r = check_access(&raw->disk, req);

	if (r < 0 || nothing) {
		req->done(req, r);
		return;
	}

	ring->in_flight++;
	req->durable &= !raw->ignore_flush && req->op != BLOCK_READ;
	if (req->op == BLOCK_DISCARD || req->op == BLOCK_WRITE_ZEROES) {
		req->raw.fallocate_mode = fallocate_mode(req);
	} else if (req->op != BLOCK_FLUSH && needs_bounce(&raw->disk.geometry, req)) {
		if (ring->bouncing) {
			list_append(&ring->bounce_queue, &req->node);
			return;
		}
		ring->bouncing = req;
	}
	step(ring, req);
}

static unsigned ring_submit(struct disk_queue *queue)
{
	return submit(to_ring(queue));
}

static void ring_drain(struct disk_queue *queue)
{
	struct raw_ring *ring = to_ring(queue);

	while (ring->in_flight) {
		int r = io_uring_submit_and_wait(&ring->ring, 1);

		/* any other would come for ever; closing the ring ends what is in flight then */
		if (r < 0 && r != -EINTR && r != -EAGAIN && r != -EBUSY)
			break;
		reap(ring);
	}
	loop_cancel(ring->queue.io, &ring->resubmit);
}

static int ring_start(struct disk_queue *queue)
{
	struct raw_ring *ring = to_ring(queue);

	if (!ring->enabled) {
		/* liburing 2.3 declares io_uring_enable_rings(), but its shared library lacks it */
		if (syscall(__NR_io_uring_register, ring->ring.ring_fd, IORING_REGISTER_ENABLE_RINGS,
			    NULL, 0) < 0)
			return -errno;
		ring->enabled = true;
	}

	/* spares a look-up of the descriptor in every call; works without */
	io_uring_register_ring_fd(&ring->ring);
	return loop_add(ring->queue.io, &ring->src, EPOLLIN | EPOLLET);
}

static void ring_stop(struct disk_queue *queue)
{
	struct raw_ring *ring = to_ring(queue);

	loop_remove(&ring->src);
	/* an I/O loop outlives the disks of a VM that is reset */
	io_uring_unregister_ring_fd(&ring->ring);
}

static int ring_error(struct hvd_error *err, int r)
{
	return hvd_err(err, -r, "cannot set up io_uring: %s", strerror(-r));
}

/*
 * One thread submits, and completions are run when it asks for them rather than by interrupting
 * it (Linux 6.1). Disabled until ring_start(), which makes the caller that thread.
 */
static int create_ring(struct raw_ring *ring, struct hvd_error *err)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_R_DISABLED | IORING_SETUP_SINGLE_ISSUER |
			 IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
	};
	int r;

	r = io_uring_queue_init_params(ring->queue.args.depth, &ring->ring, &params);
	if (r == -EINVAL) {
		params = (struct io_uring_params){ .flags = IORING_SETUP_R_DISABLED };
		r = io_uring_queue_init_params(ring->queue.args.depth, &ring->ring, &params);
	}
	if (r < 0)
		return ring_error(err, r);
	ring->have_ring = true;

	/* The ring's own descriptor would not do: deferred completions do not wake who polls it. */
	ring->src.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (ring->src.fd < 0)
		return hvd_err(err, errno, "cannot make an eventfd: %s", strerror(errno));
	r = io_uring_register_eventfd(&ring->ring, ring->src.fd);
	/* spares taking and giving back a reference to the file with every request */
	if (r >= 0)
		r = io_uring_register_files(&ring->ring, &raw_of(ring)->fd, 1);
	return r < 0 ? ring_error(err, r) : 0;
}

static struct disk_queue *ring_free(struct disk_queue *queue)
{
	struct raw_ring *ring = to_ring(queue);

	if (ring->have_ring)
		io_uring_queue_exit(&ring->ring);
	if (ring->src.fd >= 0)
		close(ring->src.fd);
	free(ring->bounce);
	free(ring);
	return NULL;
}

static const struct disk_queue_ops ring_ops = {
	.start = ring_start,
	.stop = ring_stop,
	.add = ring_add,
	.submit = ring_submit,
	.drain = ring_drain,
	.free = ring_free,
};

int raw_ring_new(struct disk *disk, const struct disk_queue_args *args, struct loop *io,
		 struct disk_queue **ret, struct hvd_error *err)
{
	AUTO(disk_queue_free) struct disk_queue *queue = NULL;
	struct raw_ring *ring = calloc(1, sizeof(*ring));
	int r;

	if (!ring)
		return hvd_err(err, ENOMEM, "out of memory");
	ring->queue = (struct disk_queue){ &ring_ops, disk, io, *args };
	ring->src = (struct loop_source){ .fd = -1, .fn = on_signal };
	ring->resubmit.fn = on_resubmit;
	list_init(&ring->bounce_queue);
	queue = &ring->queue;

	if (disk->geometry.direct) {
		ring->bounce = aligned_alloc(BOUNCE_ALIGN, BOUNCE_SIZE);
		if (!ring->bounce)
			return hvd_err(err, ENOMEM, "out of memory");
	}
	r = create_ring(ring, err);
	if (r < 0)
		return r;

	*ret = TAKE(queue);
	return 0;
}
