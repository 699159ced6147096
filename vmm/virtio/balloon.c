/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory balloon (virtio 1.2 §5.5), on vmm/mem.
 *
 * The driver takes pages from its guest until as many are in the balloon as config space asks for,
 * and names them on the inflate queue; the host gets their memory. Pages on the deflate queue are
 * used again: they are zeroes when they are touched, so nothing is to be done for them. Pages are of
 * 4 KiB, whatever those of the guest and the host are; of what a request names in a row, whole pages
 * of the host are given back.
 *
 * Statistics: the driver leaves a buffer of numbers with the device; to give it back is to ask for
 * new ones (§5.5.6.3), which a timer does.
 *
 * Free page reporting: buffers are free memory of the guest, which it does not use until it has them
 * back (§5.5.6.6).
 *
 * By §5.5.2 the queue of reports is number 4, but drivers and devices number those queues that the
 * negotiated features bring without gaps. As no other feature offered here has a queue behind that of
 * statistics, what comes there is reports in either case.
 */
#include <errno.h>
#include <linux/virtio_balloon.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>

#include "vmm/base/iov.h"
#include "vmm/virtio/virtio.h"

enum { INFLATEQ, DEFLATEQ, STATSQ, FIRST_REPORTSQ, N_QUEUES = 5 };

#define PAGE          (1ULL << VIRTIO_BALLOON_PFN_SHIFT)
#define PFNS          256U  /* read at once */
#define REQUEST_PAGES 4096U /* of one request; others stay where they are */
#define MAX_STATS     32U   /* of one buffer */
#define LOG_BURST     3

#define CONFIG_AT(member) offsetof(struct virtio_balloon_config, member)

struct virtio_balloon {
	struct virtio_dev dev;
	void (*changed)(void *ctx, const struct balloon_info *info);
	void *ctx;

	/* The I/O loop's. */
	struct loop_source timer;
	int stats_head; /* of the chain that the device keeps, or -1 */

	_Atomic uint32_t poison; /* what the guest fills its free pages with */

	pthread_mutex_t lock; /* protects what follows */
	struct balloon_info info;
};

static struct virtio_balloon *to_balloon(struct virtio_dev *dev)
{
	return container_of(dev, struct virtio_balloon, dev);
}

/* --- memory */

static void discard(struct virtio_balloon *b, void *p, size_t len)
{
	int r = guest_mem_discard(b->dev.mem, p, len);

	if (r < 0 && log_allowed(&b->dev.log_limit, LOG_BURST))
		log_warning("virtio-balloon: the host keeps the guest's memory: %s", strerror(-r));
}

/* Pages in a row. */
struct run {
	uint8_t *start;
	size_t len;
};

static void add_page(struct virtio_balloon *b, struct run *run, uint32_t pfn)
{
	uint8_t *page = guest_mem_ptr(b->dev.mem, pfn * PAGE, PAGE);

	/* a page that is not RAM is nobody's to give */
	if (!page)
		return;
	if (run->len && page == run->start + run->len) {
		run->len += PAGE;
		return;
	}
	if (run->len && page + PAGE == run->start) {
		run->start = page;
		run->len += PAGE;
		return;
	}
	if (run->len)
		discard(b, run->start, run->len);
	*run = (struct run){ page, PAGE };
}

/* Returns how many pages the chain names. */
static unsigned take_pages(struct virtio_balloon *b, struct vq_chain *chain)
{
	struct iovec *iov = chain->iov;
	unsigned n_iov = chain->n_out, n = 0;
	struct run run = { 0 };
	uint32_t pfns[PFNS];

	while (n < REQUEST_PAGES) {
		size_t len = iov_gather(iov, n_iov, pfns, sizeof(pfns));

		for (size_t i = 0; i < len / sizeof(pfns[0]); i++)
			add_page(b, &run, pfns[i]);
		n += (unsigned)(len / sizeof(pfns[0]));
		if (len < sizeof(pfns))
			break;
		iov_advance(&iov, &n_iov, len);
	}
	if (run.len)
		discard(b, run.start, run.len);
	return n;
}

static unsigned take_nothing(struct virtio_balloon *b, struct vq_chain *chain)
{
	return 1;
}

/* Memory that reads as something else than zeroes is the guest's to fill: it is left alone. */
static unsigned take_reports(struct virtio_balloon *b, struct vq_chain *chain)
{
	bool poisoned = virtio_has_feature(&b->dev, VIRTIO_BALLOON_F_PAGE_POISON) && b->poison;

	for (unsigned i = 0; !poisoned && i < chain->n_in; i++) {
		const struct iovec *iov = &chain->iov[chain->n_out + i];

		discard(b, iov->iov_base, iov->iov_len);
	}
	return chain->n_in + 1;
}

/* A turn ends after so many pages, not so many requests. */
static void serve(struct virtio_balloon *b, unsigned queue,
		  unsigned (*take)(struct virtio_balloon *b, struct vq_chain *chain))
{
	struct virtqueue *vq = &b->dev.queue[queue];
	struct vq_chain chain;
	unsigned n = 0;

	vq_disable_kick(vq);
	do {
		while (n < REQUEST_PAGES && virtio_pop(&b->dev, queue, &chain)) {
			n += take(b, &chain) + 1;
			vq_push(vq, chain.head, 0);
		}
	} while (n < REQUEST_PAGES && virtio_enable_kick(&b->dev, queue));

	virtio_notify_queue(&b->dev, queue);
	if (n >= REQUEST_PAGES)
		virtio_rekick(&b->dev, queue);
}

/* --- what is told */

static uint64_t wall_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void set_actual(struct virtio_balloon *b, uint32_t pages)
{
	uint64_t memory = guest_mem_size(b->dev.mem);

	pthread_mutex_lock(&b->lock);
	b->info.actual = memory - MIN(memory - PAGE, pages * PAGE); /* one that runs has some */
	b->changed(b->ctx, &b->info);
	pthread_mutex_unlock(&b->lock);
}

static void set_stats(struct virtio_balloon *b, const struct balloon_stats *stats)
{
	pthread_mutex_lock(&b->lock);
	b->info.stats = stats ? *stats : (struct balloon_stats){ 0 };
	b->info.stats_usec = stats ? wall_clock() : 0;
	b->changed(b->ctx, &b->info);
	pthread_mutex_unlock(&b->lock);
}

static void read_stats(struct virtio_balloon *b, const struct vq_chain *chain)
{
	static const size_t places[] = {
		[VIRTIO_BALLOON_S_SWAP_IN] = offsetof(struct balloon_stats, swap_in),
		[VIRTIO_BALLOON_S_SWAP_OUT] = offsetof(struct balloon_stats, swap_out),
		[VIRTIO_BALLOON_S_MAJFLT] = offsetof(struct balloon_stats, major_faults),
		[VIRTIO_BALLOON_S_MINFLT] = offsetof(struct balloon_stats, minor_faults),
		[VIRTIO_BALLOON_S_MEMFREE] = offsetof(struct balloon_stats, free),
		[VIRTIO_BALLOON_S_MEMTOT] = offsetof(struct balloon_stats, total),
		[VIRTIO_BALLOON_S_AVAIL] = offsetof(struct balloon_stats, available),
		[VIRTIO_BALLOON_S_CACHES] = offsetof(struct balloon_stats, caches),
	};
	struct virtio_balloon_stat read[MAX_STATS];
	size_t n = iov_gather(chain->iov, chain->n_out, read, sizeof(read)) / sizeof(read[0]);
	struct balloon_stats stats = { 0 };

	for (size_t i = 0; i < n; i++) {
		uint16_t tag = read[i].tag;
		uint64_t value = read[i].val;

		if (tag < ARRAY_SIZE(places))
			memcpy((char *)&stats + places[tag], &value, sizeof(value));
	}
	set_stats(b, &stats);
}

/* Ask for new numbers. */
static void return_stats(struct virtio_balloon *b)
{
	if (b->stats_head < 0)
		return;
	vq_push(&b->dev.queue[STATSQ], (uint16_t)b->stats_head, 0);
	b->stats_head = -1;
}

static void serve_stats(struct virtio_balloon *b)
{
	struct vq_chain chain;
	int n = 0;

	/* one buffer is kept; a driver that has several gets them back */
	do {
		while (n < VIRTIO_BATCH && virtio_pop(&b->dev, STATSQ, &chain)) {
			return_stats(b);
			b->stats_head = chain.head;
			read_stats(b, &chain);
			n++;
		}
	} while (n < VIRTIO_BATCH && virtio_enable_kick(&b->dev, STATSQ));

	virtio_notify_queue(&b->dev, STATSQ);
	if (n == VIRTIO_BATCH)
		virtio_rekick(&b->dev, STATSQ);
}

static void on_timer(struct loop_source *src, uint32_t events)
{
	struct virtio_balloon *b = container_of(src, struct virtio_balloon, timer);
	uint64_t count;

	(void)!read(src->fd, &count, sizeof(count));
	return_stats(b);
	virtio_notify_queue(&b->dev, STATSQ);
}

/* --- the device */

static void balloon_kick(struct virtio_dev *dev, unsigned queue)
{
	struct virtio_balloon *b = to_balloon(dev);

	if (queue == INFLATEQ)
		serve(b, queue, take_pages);
	else if (queue == DEFLATEQ)
		serve(b, queue, take_nothing);
	else if (queue == STATSQ && virtio_has_feature(dev, VIRTIO_BALLOON_F_STATS_VQ))
		serve_stats(b);
	else if (virtio_has_feature(dev, VIRTIO_BALLOON_F_REPORTING))
		serve(b, queue, take_reports);
}

static void balloon_set_config(struct virtio_dev *dev, uint64_t offset, uint64_t value,
			       unsigned len)
{
	struct virtio_balloon *b = to_balloon(dev);

	if (len != sizeof(uint32_t))
		return;
	if (offset == CONFIG_AT(actual)) {
		virtio_write_config(dev, offset, &value, len);
		set_actual(b, (uint32_t)value);
	}
	if (offset == CONFIG_AT(poison_val) && virtio_has_feature(dev, VIRTIO_BALLOON_F_PAGE_POISON)) {
		virtio_write_config(dev, offset, &value, len);
		b->poison = (uint32_t)value;
	}
}

static int balloon_activate(struct virtio_dev *dev)
{
	return loop_add(dev->io, &to_balloon(dev)->timer, EPOLLIN);
}

/* The buffer of statistics goes back to the ring: a queue at rest is described by its indexes. */
static void balloon_quiesce(struct virtio_dev *dev)
{
	struct virtio_balloon *b = to_balloon(dev);

	loop_remove(&b->timer);
	if (b->stats_head >= 0)
		vq_unpop(&dev->queue[STATSQ], (uint16_t)b->stats_head);
	b->stats_head = -1;
}

static void balloon_resume(struct virtio_dev *dev)
{
	struct virtio_balloon *b = to_balloon(dev);

	if (loop_add(dev->io, &b->timer, EPOLLIN) < 0)
		virtio_broken(dev, "cannot watch the timer of statistics");
	for (unsigned i = 0; i < dev->n_queues; i++)
		balloon_kick(dev, i);
}

/* The next driver begins with an empty balloon. */
static void balloon_reset(struct virtio_dev *dev)
{
	static const uint32_t none;
	struct virtio_balloon *b = to_balloon(dev);

	loop_remove(&b->timer);
	b->stats_head = -1;
	b->poison = 0;
	virtio_write_config(dev, CONFIG_AT(actual), &none, sizeof(none));
	virtio_write_config(dev, CONFIG_AT(poison_val), &none, sizeof(none));
	set_actual(b, 0);
	set_stats(b, NULL);
}

/* args->target: the guest's, config space has the balloon's. */
static void set_target(struct virtio_balloon *b, uint64_t target)
{
	uint64_t memory = guest_mem_size(b->dev.mem);
	uint32_t pages = target ? (uint32_t)((memory - MIN(memory, target)) / PAGE) : 0;

	if (memcmp(b->dev.config + CONFIG_AT(num_pages), &pages, sizeof(pages)) == 0)
		return;
	virtio_write_config(&b->dev, CONFIG_AT(num_pages), &pages, sizeof(pages));
	virtio_notify_config(&b->dev);
}

static int set_period(struct virtio_balloon *b, unsigned seconds)
{
	const struct itimerspec time = { { .tv_sec = seconds }, { .tv_sec = seconds } };

	return timerfd_settime(b->timer.fd, 0, &time, NULL) < 0 ? -errno : 0;
}

static int open_timer(struct virtio_balloon *b, unsigned seconds)
{
	b->timer.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	return b->timer.fd < 0 ? -errno : set_period(b, seconds);
}

static int balloon_update(struct virtio_dev *dev, const void *update, struct hvd_error *err)
{
	struct virtio_balloon *b = to_balloon(dev);
	const struct virtio_balloon_args *args = update;
	int r = set_period(b, args->stats_period);

	if (r < 0)
		return hvd_err(err, -r, "virtio-balloon: timer: %s", strerror(-r));
	set_target(b, args->target);
	return 0;
}

static void balloon_destroy(struct virtio_dev *dev)
{
	struct virtio_balloon *b = to_balloon(dev);

	if (b->timer.fd >= 0)
		close(b->timer.fd);
	pthread_mutex_destroy(&b->lock);
	free(b);
}

static const struct virtio_ops balloon_ops = {
	.name = "balloon",
	.id = VIRTIO_ID_BALLOON,
	.config_size = sizeof(struct virtio_balloon_config),
	.features = 1ULL << VIRTIO_BALLOON_F_STATS_VQ,
	.set_config = balloon_set_config,
	.activate = balloon_activate,
	.kick = balloon_kick,
	.reset = balloon_reset,
	.quiesce = balloon_quiesce,
	.resume = balloon_resume,
	.update = balloon_update,
	.destroy = balloon_destroy,
};

static uint64_t features_of(const struct virtio_balloon_args *args)
{
	uint64_t features = 0;

	if (args->deflate_on_oom)
		features |= 1ULL << VIRTIO_BALLOON_F_DEFLATE_ON_OOM;
	if (args->page_reporting)
		features |= 1ULL << VIRTIO_BALLOON_F_REPORTING | 1ULL << VIRTIO_BALLOON_F_PAGE_POISON;
	return features;
}

int virtio_balloon_new(const struct virtio_balloon_args *args, const struct guest_mem *mem,
		       struct loop *io, struct virtio_dev **ret, struct hvd_error *err)
{
	AUTO(virtio_dev_free) struct virtio_dev *dev = NULL;
	struct virtio_balloon *b = calloc(1, sizeof(*b));
	unsigned n_queues = args->page_reporting ? N_QUEUES : FIRST_REPORTSQ;
	int r;

	if (!b)
		return hvd_err(err, ENOMEM, "out of memory");

	b->changed = args->changed;
	b->ctx = args->ctx;
	b->stats_head = -1;
	b->info.actual = guest_mem_size(mem);
	pthread_mutex_init(&b->lock, NULL);
	b->timer = (struct loop_source){ .fd = -1, .fn = on_timer };
	dev = &b->dev;
	r = virtio_dev_init(dev, &balloon_ops, n_queues, mem, io);
	if (r == 0)
		r = open_timer(b, args->stats_period);
	if (r < 0)
		return hvd_err(err, -r, "virtio-balloon: %s", strerror(-r));
	dev->host_features |= features_of(args);
	set_target(b, args->target);
	*ret = TAKE(dev);
	return 0;
}
