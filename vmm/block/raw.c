/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/block/raw.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/falloc.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

#include "vmm/base/iov.h"

#define BOUNCE_ALIGN 4096
#define BOUNCE_SIZE (64 * KIB)
#define SUBMIT_ROUNDS 8

struct raw {
	int fd;
	bool read_only, ignore_flush;
	struct disk_geometry geometry;

	struct loop *io;
	struct io_uring ring;
	bool have_ring, enabled;
	struct loop_source src;  /* an eventfd that the ring signals */
	struct loop_work resubmit;
	unsigned depth, in_flight; /* queued and not done */
	void (*batch_done)(void *ctx);
	void *ctx;

	uint8_t *bounce;
	struct block_request *bouncing; /* has the bounce buffer */
	struct list bounce_queue;       /* wait for it */
};

static int fallocate_mode(enum block_op op)
{
	return FALLOC_FL_KEEP_SIZE |
	       (op == BLOCK_DISCARD ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE);
}

static bool needs_bounce(const struct raw *raw, const struct block_request *req)
{
	const struct disk_geometry *g = &raw->geometry;

	if (!g->direct)
		return false;
	for (unsigned i = 0; i < req->n_iov; i++)
		if (!IS_ALIGNED((uintptr_t)req->iov[i].iov_base, g->mem_align) ||
		    !IS_ALIGNED(req->iov[i].iov_len, g->block))
			return true;
	return false;
}

static void prepare_bounced(struct raw *raw, struct block_request *req, struct io_uring_sqe *sqe)
{
	req->bounced = (uint32_t)MIN(req->len, BOUNCE_SIZE);
	if (req->op == BLOCK_READ) {
		io_uring_prep_read(sqe, raw->fd, raw->bounce, req->bounced, req->offset);
		return;
	}
	iov_gather(req->iov, req->n_iov, raw->bounce, req->bounced);
	io_uring_prep_write(sqe, raw->fd, raw->bounce, req->bounced, req->offset);
}

static void prepare_direct(struct raw *raw, struct block_request *req, struct io_uring_sqe *sqe)
{
	const struct iovec *iov = req->iov;
	unsigned len = (unsigned)iov->iov_len;
	bool write = req->op == BLOCK_WRITE;

	/* the plain forms spare the kernel the copy of the list */
	if (req->n_iov > 1 && write)
		io_uring_prep_writev(sqe, raw->fd, iov, req->n_iov, req->offset);
	else if (req->n_iov > 1)
		io_uring_prep_readv(sqe, raw->fd, iov, req->n_iov, req->offset);
	else if (write)
		io_uring_prep_write(sqe, raw->fd, iov->iov_base, len, req->offset);
	else
		io_uring_prep_read(sqe, raw->fd, iov->iov_base, len, req->offset);
}

/* The next step of a request: all of it that is left, or a bounce buffer full. */
static void step(struct raw *raw, struct block_request *req)
{
	/* Never NULL: each of at most `depth` requests has at most one entry waiting. */
	struct io_uring_sqe *sqe = io_uring_get_sqe(&raw->ring);

	switch (req->op) {
	case BLOCK_READ:
	case BLOCK_WRITE:
		if (raw->bouncing == req)
			prepare_bounced(raw, req, sqe);
		else
			prepare_direct(raw, req, sqe);
		break;
	case BLOCK_FLUSH:
		io_uring_prep_fsync(sqe, raw->fd, IORING_FSYNC_DATASYNC);
		break;
	case BLOCK_DISCARD:
	case BLOCK_WRITE_ZEROES:
		io_uring_prep_fallocate(sqe, raw->fd, req->fallocate_mode, (off_t)req->offset,
					(off_t)req->len);
		break;
	}
	io_uring_sqe_set_data(sqe, req);
}

static void finish(struct raw *raw, struct block_request *req, int result)
{
	struct block_request *next = NULL;

	if (raw->bouncing == req) {
		raw->bouncing = NULL;
		if (!list_empty(&raw->bounce_queue)) {
			next = list_entry(raw->bounce_queue.next, struct block_request, node);
			list_remove(&next->node);
			raw->bouncing = next;
		}
	}
	raw->in_flight--;
	req->done(req, result);
	if (next)
		step(raw, next);
}

static void transferred(struct raw *raw, struct block_request *req, uint32_t bytes)
{
	if (raw->bouncing == req && req->op == BLOCK_READ)
		iov_scatter(req->iov, req->n_iov, raw->bounce, bytes);
	iov_advance(&req->iov, &req->n_iov, bytes);
	req->offset += bytes;
	req->len -= bytes;

	if (req->len)
		step(raw, req);
	else
		finish(raw, req, 0);
}

static void complete(struct raw *raw, struct block_request *req, int result)
{
	bool moves_data = req->op == BLOCK_READ || req->op == BLOCK_WRITE;

	if (result == -EINTR || result == -EAGAIN)
		step(raw, req);
	else if (result > 0 && moves_data)
		transferred(raw, req, (uint32_t)result);
	else if (result == 0 && moves_data) /* the file was cut shorter */
		finish(raw, req, -EIO);
	else if (result == -EOPNOTSUPP && req->fallocate_mode & FALLOC_FL_ZERO_RANGE) {
		/* a hole reads as zeroes just as well */
		req->fallocate_mode = fallocate_mode(BLOCK_DISCARD);
		step(raw, req);
	} else {
		finish(raw, req, result);
	}
}

/*
 * The kernel signals the eventfd only while nobody looks at the completion queue: what has
 * completed by the time a submission returns, as reads from the page cache have, wakes no one.
 * When this is switched on again, the queue has to be looked at once more.
 */
static void want_signal(struct raw *raw, bool on)
{
	io_uring_cq_eventfd_toggle(&raw->ring, on);
	atomic_thread_fence(memory_order_seq_cst);
}

/* Returns how many entries were taken from the completion queue. */
static unsigned reap(struct raw *raw)
{
	struct io_uring_cqe *cqe;
	unsigned n = 0;

	/* asks the kernel to run what it deferred, if it says there is something */
	while (!io_uring_peek_cqe(&raw->ring, &cqe)) {
		struct block_request *req = io_uring_cqe_get_data(cqe);
		int result = cqe->res;

		io_uring_cqe_seen(&raw->ring, cqe);
		complete(raw, req, result);
		n++;
	}
	return n;
}

unsigned raw_submit(struct raw *raw)
{
	unsigned n = 0;

	want_signal(raw, false);
	for (int i = 0; i < SUBMIT_ROUNDS && io_uring_sq_ready(&raw->ring); i++) {
		if (io_uring_submit_and_get_events(&raw->ring) < 0)
			break;
		n += reap(raw);
	}
	want_signal(raw, true);
	n += reap(raw);

	/* The kernel is short of memory, or a file slow in small steps: first others' turn. */
	if (io_uring_sq_ready(&raw->ring))
		loop_post(raw->io, &raw->resubmit);
	return n;
}

static void on_resubmit(struct loop_work *work)
{
	struct raw *raw = container_of(work, struct raw, resubmit);

	raw_submit(raw);
	raw->batch_done(raw->ctx);
}

static void on_signal(struct loop_source *src, uint32_t events)
{
	struct raw *raw = container_of(src, struct raw, src);
	unsigned n;

	want_signal(raw, false);
	n = reap(raw);
	n += raw_submit(raw);
	if (n)
		raw->batch_done(raw->ctx);
}

static int check_access(const struct raw *raw, const struct block_request *req)
{
	if (raw->read_only && req->op != BLOCK_READ && req->op != BLOCK_FLUSH)
		return -EROFS;
	if (req->offset > raw->geometry.size || req->len > raw->geometry.size - req->offset)
		return -EINVAL;
	return 0;
}

void raw_queue(struct raw *raw, struct block_request *req)
{
	bool nothing = req->op == BLOCK_FLUSH ? raw->ignore_flush || raw->read_only : !req->len;
	int r = check_access(raw, req);

	if (r < 0 || nothing) {
		req->done(req, r);
		return;
	}

	req->fallocate_mode = 0;
	raw->in_flight++;
	if (req->op == BLOCK_DISCARD || req->op == BLOCK_WRITE_ZEROES) {
		req->fallocate_mode = fallocate_mode(req->op);
	} else if (req->op != BLOCK_FLUSH && needs_bounce(raw, req)) {
		if (raw->bouncing) {
			list_append(&raw->bounce_queue, &req->node);
			return;
		}
		raw->bouncing = req;
	}
	step(raw, req);
}

void raw_drain(struct raw *raw)
{
	while (raw->in_flight) {
		int r = io_uring_submit_and_wait(&raw->ring, 1);

		/* any other would come for ever; closing the ring ends what is in flight then */
		if (r < 0 && r != -EINTR && r != -EAGAIN && r != -EBUSY)
			break;
		reap(raw);
	}
	loop_cancel(raw->io, &raw->resubmit);
}

int raw_start(struct raw *raw)
{
	if (!raw->enabled) {
		/* liburing 2.3 declares io_uring_enable_rings(), but its shared library lacks it */
		if (syscall(__NR_io_uring_register, raw->ring.ring_fd, IORING_REGISTER_ENABLE_RINGS,
			    NULL, 0) < 0)
			return -errno;
		raw->enabled = true;
	}

	/* spares a look-up of the descriptor in every call; works without */
	io_uring_register_ring_fd(&raw->ring);
	return loop_add(raw->io, &raw->src, EPOLLIN | EPOLLET);
}

void raw_stop(struct raw *raw)
{
	loop_remove(&raw->src);
	/* an I/O loop outlives the disks of a VM that is reset */
	io_uring_unregister_ring_fd(&raw->ring);
}

/*
 * One thread submits, and completions are run when it asks for them rather than by interrupting
 * it (Linux 6.1). Disabled until raw_start(), which makes the caller that thread.
 */
static int create_ring(struct raw *raw, struct hvd_error *err)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_R_DISABLED | IORING_SETUP_SINGLE_ISSUER |
			 IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
	};
	int r;

	r = io_uring_queue_init_params(raw->depth, &raw->ring, &params);
	if (r == -EINVAL) {
		params = (struct io_uring_params){ .flags = IORING_SETUP_R_DISABLED };
		r = io_uring_queue_init_params(raw->depth, &raw->ring, &params);
	}
	if (r < 0)
		return hvd_err(err, -r, "cannot set up io_uring: %s", strerror(-r));
	raw->have_ring = true;

	/* The ring's own descriptor would not do: deferred completions do not wake who polls it. */
	raw->src.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	raw->src.fn = on_signal;
	if (raw->src.fd < 0)
		return hvd_err(err, errno, "cannot make an eventfd: %s", strerror(errno));
	r = io_uring_register_eventfd(&raw->ring, raw->src.fd);
	return r < 0 ? hvd_err(err, -r, "cannot set up io_uring: %s", strerror(-r)) : 0;
}

int raw_new(const struct raw_args *args, struct loop *io, struct raw **ret, struct hvd_error *err)
{
	AUTO(close) int fd = args->fd;
	AUTO(raw_free) struct raw *raw = calloc(1, sizeof(*raw));
	int r;

	if (!raw)
		return hvd_err(err, ENOMEM, "out of memory");

	raw->fd = TAKE_FD(fd);
	raw->read_only = args->read_only;
	raw->ignore_flush = args->ignore_flush;
	raw->depth = args->depth;
	raw->batch_done = args->batch_done;
	raw->ctx = args->ctx;
	raw->io = io;
	raw->src.fd = -1;
	raw->resubmit.fn = on_resubmit;
	list_init(&raw->bounce_queue);

	r = disk_geometry_probe(raw->fd, args->direct, &raw->geometry, err);
	if (r < 0)
		return r;

	if (raw->geometry.direct) {
		raw->bounce = aligned_alloc(BOUNCE_ALIGN, BOUNCE_SIZE);
		if (!raw->bounce)
			return hvd_err(err, ENOMEM, "out of memory");
	}

	r = create_ring(raw, err);
	if (r < 0)
		return r;

	*ret = TAKE(raw);
	return 0;
}

struct raw *raw_free(struct raw *raw)
{
	if (!raw)
		return NULL;

	if (raw->have_ring)
		io_uring_queue_exit(&raw->ring);
	if (raw->src.fd >= 0)
		close(raw->src.fd);
	if (raw->fd >= 0)
		close(raw->fd);
	free(raw->bounce);
	free(raw);
	return NULL;
}

const struct disk_geometry *raw_geometry(const struct raw *raw)
{
	return &raw->geometry;
}
