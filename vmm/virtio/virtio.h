/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Device core: what every virtio device and every transport share (virtio 1.2 §2, §3).
 *
 * Three layers, each its own file: the ring (virtqueue.c), the transport with features, status and
 * queue registers (mmio.c, pci.c), and the device with its callbacks (blk.c, net.c, …). Devices
 * never see registers; transports never see requests.
 *
 * Threads: register accesses come from vCPU threads and take dev->lock. activate, kick and reset
 * run on the device's I/O loop; the core gets them there (loop_call), so a device has no lock of
 * its own. A device with several queues may spread them over the VM's I/O loops: a queue belongs to
 * one of them, and start_queue, kick and stop_queue run there. Lock order: a vCPU waits for I/O
 * loops while it holds dev->lock, hence an I/O loop never takes it; what both sides touch (status,
 * config_generation) is atomic.
 */
#pragma once

#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <pthread.h>

#include "vmm/balloon.h"
#include "vmm/base/err.h"
#include "vmm/base/log.h"
#include "vmm/base/loop.h"
#include "vmm/base/rate.h"
#include "vmm/console.h"
#include "vmm/counters.h"
#include "vmm/virtio/virtqueue.h"

#define VIRTIO_MAX_QUEUES 17 /* eight pairs and a control queue */

/* Chains served before other devices of the same I/O loop get their turn; see virtio_rekick(). */
#define VIRTIO_BATCH 64

struct virtio_dev;

struct virtio_ops {
	const char *name;
	uint16_t id;
	size_t config_size; /* bytes of config space, little-endian in dev->config */
	uint64_t features;  /* beyond those of the core: VERSION_1, EVENT_IDX, INDIRECT_DESC */

	/* On a vCPU, under dev->lock. The driver has settled the features. May be NULL. */
	void (*negotiated)(struct virtio_dev *dev);
	/* Likewise: it writes to config space, which is left to the device. All is within it. NULL: ignored. */
	void (*set_config)(struct virtio_dev *dev, uint64_t offset, uint64_t value, unsigned len);

	/* On the I/O loop. activate: DRIVER_OK was set, queues are served from here on. */
	int (*activate)(struct virtio_dev *dev);
	/*
	 * On the queue's loop, only for queues that the driver has set up; kick() comes between them.
	 * start: after activate and after resume. stop: before reset and before quiesce, also after a
	 * start that failed; I/O in flight has completed on return. May be NULL. A start that returns 1
	 * leaves kicks to somebody else, until virtio_take_kicks().
	 */
	int (*start_queue)(struct virtio_dev *dev, unsigned queue);
	void (*stop_queue)(struct virtio_dev *dev, unsigned queue);
	/*
	 * NULL: the queues are served outside of this process, by who is given kick_fd and the
	 * transport's queue_eventfd(); the core then leaves kick_fd alone.
	 */
	void (*kick)(struct virtio_dev *dev, unsigned queue);
	/*
	 * On the I/O loop, between activate and reset: queue_eventfd() of the transport is another
	 * one now, also while the queue is stopped. May be NULL.
	 */
	void (*interrupt_moved)(struct virtio_dev *dev, unsigned queue);
	/*
	 * Returns when no request of the old life can touch guest memory any more. Also called
	 * after an activate that failed half-way.
	 */
	void (*reset)(struct virtio_dev *dev);
	/* Suspend and continue with the VM: I/O in flight has completed on return. May be NULL. */
	void (*quiesce)(struct virtio_dev *dev);
	void (*resume)(struct virtio_dev *dev);
	/*
	 * Change what can change while the driver is at work. args: what the device would be made
	 * from now (struct virtio_NAME_args; descriptors in it are -1). What cannot change, or has
	 * not, is left alone. On failure nothing has changed. NULL: nothing can.
	 */
	int (*update)(struct virtio_dev *dev, const void *args, struct hvd_error *err);
	/*
	 * Add what it has counted to values, by the numbers of vmm/counters.h. Main loop; the device may be at
	 * work. NULL: it counts nothing.
	 */
	void (*count)(const struct virtio_dev *dev, uint64_t *values);
	/* Frees dev; it is not active, or was never built to the end. Any thread. */
	void (*destroy)(struct virtio_dev *dev);
};

/*
 * How a transport interrupts the driver. From the I/O loop, config_changed from any thread: no lock
 * that a vCPU may hold while it waits for the I/O loop.
 */
struct virtio_transport {
	void (*queue_used)(struct virtio_transport *transport, unsigned queue);
	/*
	 * The transport's own eventfd, which does for the queue what queue_used() does without this
	 * process: for one that serves the queue elsewhere (the host kernel, another process).
	 * Masks of the guest are heeded behind it. -1: the driver wants no interrupt. It is good
	 * until ops->interrupt_moved() or the device's reset. On the device's I/O loop.
	 */
	int (*queue_eventfd)(struct virtio_transport *transport, unsigned queue);
	void (*config_changed)(struct virtio_transport *transport);
};

/* An eventfd that the guest's notifications of one queue arrive on. */
struct virtio_kick {
	struct loop_source src;
	struct virtio_dev *dev;
	unsigned queue;
	bool started; /* between start_queue and stop_queue */
};

/* I/O loops to spread queues over: they run on loop[first], the next on the one behind it, and round. */
struct virtio_loops {
	struct loop *const *loop;
	unsigned n, first;
};

/* First member of each device's own struct. */
struct virtio_dev {
	const struct virtio_ops *ops;
	const struct guest_mem *mem;
	struct loop *io;
	unsigned n_queues;
	struct loop *queue_io[VIRTIO_MAX_QUEUES]; /* io, unless spread */

	pthread_mutex_t lock; /* registers: features, status, queue set-up, config */
	uint64_t host_features, guest_features;
	_Atomic uint8_t status; /* VIRTIO_CONFIG_S_* */
	_Atomic uint32_t config_generation;
	uint8_t *config;

	struct virtio_transport *transport; /* NULL until the device is plugged into one */
	int kick_fd[VIRTIO_MAX_QUEUES];     /* eventfds, bound to ioeventfds by the machine */

	/* The I/O loops'. */
	struct virtio_kick kick[VIRTIO_MAX_QUEUES];
	struct virtqueue queue[VIRTIO_MAX_QUEUES];
	bool active;    /* this and holds: changed under lock */
	unsigned holds; /* reasons for which it is suspended */
	struct log_limit log_limit;
};

/* What an error of the host's disk does. */
enum virtio_blk_on_error {
	VIRTIO_BLK_REPORT,         /* the guest is told */
	VIRTIO_BLK_STOP,           /* the request is held, whoever made the device is told */
	VIRTIO_BLK_STOP_WHEN_FULL, /* that, when there is no space left; other errors are reported */
};

/* What a device is made from. Descriptors become the device's own in either outcome. */
struct virtio_blk_args {
	int fd;
	bool read_only;
	bool direct;      /* fd was opened with O_DIRECT */
	bool ignore_flush;
	uint64_t size;      /* bytes: a file that is smaller is enlarged; 0: it stays as it is */
	const char *name;   /* for the log; copied */
	const char *serial; /* may be NULL; copied */
	unsigned n_queues;  /* 0: one */
	const struct virtio_loops *loops; /* to spread them over, or NULL */
	struct rate_limit ops_limit, bytes_limit; /* of requests, and of what they read and write */
	enum virtio_blk_on_error on_error;
	/*
	 * From an I/O loop: a request has met this error (negative errno) and is held until the VM
	 * has been quiesced and resumed.
	 */
	void (*failed)(void *ctx, const char *name, int error);
	void *ctx;
};

struct virtio_vhost_user_blk_args {
	int sock; /* connected to a vhost-user-blk backend; see vmm/block/vhost_user.h */
	bool assume_inflight; /* VHOST_USER_ASSUME_INFLIGHT */
	uint64_t size;  /* bytes that it has at least, whatever the backend says */
	const char *name;  /* for the log; copied */
	unsigned n_queues; /* at most; 0: one */
	/*
	 * When the backend ends, writes that it has acknowledged may be lost unless the guest has
	 * flushed them: then it cannot go on with the next one before it has reset the device.
	 */
	bool forgets;
	/* On the main loop: the backend has ended, see virtio_vhost_user_blk_reconnect(). */
	struct loop *main;
	void (*lost)(void *ctx, struct virtio_dev *dev);
	void *ctx;
};

struct virtio_net_args {
	const char *name; /* for the log; copied */
	unsigned n_pairs; /* 1 … VIRTIO_MAX_QUEUES / 2 */
	const int *taps;   /* one for each pair, queues of one interface; see vmm/net/tap.h */
	const int *vhosts; /* likewise, of vhost-net; NULL: frames are moved in this process */
	const struct virtio_loops *loops; /* to spread pairs over, or NULL; io is the first */
	uint8_t mac[6]; /* all zero: the driver chooses one */
	bool trust_mac; /* the driver may give it another MAC address */
	uint16_t mtu;   /* 0: the driver is told nothing */
	bool link_down;
	/* Of frames, and of their bytes without the header; not with vhosts. rx: to the driver. */
	struct rate_limit rx_frames, rx_bytes, tx_frames, tx_bytes;
};

struct virtio_balloon_args {
	uint64_t target; /* bytes of its memory that the guest is to have; 0: all */
	bool deflate_on_oom;      /* the guest may take pages back when it has no others */
	bool page_reporting; /* it may give back what it does not use, target or not */
	unsigned stats_period;    /* seconds between statistics; 0: only when the driver starts */
	/* From a vCPU or the I/O loop, one at a time: what the guest has, or says, has changed. */
	void (*changed)(void *ctx, const struct balloon_info *info);
	void *ctx;
};

struct virtio_vsock_args {
	uint64_t cid;       /* of the guest, 3 or more */
	int listener;       /* where programs of the host connect, a listening non-blocking unix socket; or -1 */
	const char *folder; /* of the sockets vsock_PORT that the guest reaches; NULL: none; copied */
};

struct virtio_rng_args {
	struct rate_limit bytes_limit;
};

/*
 * Errors are those of the backend (vmm/block/raw.h, vmm/net/tap.h) and -ENOMEM, -EMFILE; the
 * result is freed with virtio_dev_free().
 */
int virtio_blk_new(const struct virtio_blk_args *args, const struct guest_mem *mem, struct loop *io,
		   struct virtio_dev **ret, struct hvd_error *err);
/*
 * A block device whose queues a backend serves. mem is shared (guest_mem_new_shared()). When the backend
 * ends, the guest's requests wait for the next one.
 */
int virtio_vhost_user_blk_new(const struct virtio_vhost_user_blk_args *args,
			      const struct guest_mem *mem, struct loop *io, struct virtio_dev **ret,
			      struct hvd_error *err);
/*
 * The next backend, of the same disk; sock is taken over in either outcome. Main loop; vCPUs may run, and
 * the device may be quiesced.
 */
int virtio_vhost_user_blk_reconnect(struct virtio_dev *dev, int sock, struct hvd_error *err);
bool virtio_vhost_user_blk_is_lost(const struct virtio_dev *dev); /* any thread */
bool virtio_is_vhost_user_blk(const struct virtio_dev *dev);
int virtio_net_new(const struct virtio_net_args *args, const struct guest_mem *mem, struct loop *io,
		   struct virtio_dev **ret, struct hvd_error *err);
/* What virtio_update() changes is the console's size. */
int virtio_console_new(struct console *console, const struct guest_mem *mem, struct loop *io,
		       struct virtio_dev **ret, struct hvd_error *err);
int virtio_balloon_new(const struct virtio_balloon_args *args, const struct guest_mem *mem,
		       struct loop *io, struct virtio_dev **ret, struct hvd_error *err);
int virtio_vsock_new(const struct virtio_vsock_args *args, const struct guest_mem *mem,
		     struct loop *io, struct virtio_dev **ret, struct hvd_error *err);
int virtio_rng_new(const struct virtio_rng_args *args, const struct guest_mem *mem, struct loop *io,
		   struct virtio_dev **ret, struct hvd_error *err);

/*
 * Core life cycle for device files: create eventfds and config space. n_queues is at most
 * VIRTIO_MAX_QUEUES. On failure dev is still to be given to virtio_dev_free().
 */
int virtio_dev_init(struct virtio_dev *dev, const struct virtio_ops *ops, unsigned n_queues,
		    const struct guest_mem *mem, struct loop *io);

/* For a device that is being made: its queues on these loops, so many neighbours together. */
void virtio_spread(struct virtio_dev *dev, const struct virtio_loops *loops, unsigned together);

/* Resets and destroys. Main loop, vCPUs stopped, and the I/O loop still running (or never run). */
struct virtio_dev *virtio_dev_free(struct virtio_dev *dev);
DEFINE_AUTO(struct virtio_dev *, virtio_dev_free);

/* For devices, on the I/O loop. */
bool virtio_has_feature(const struct virtio_dev *dev, unsigned bit); /* negotiated */
void virtio_notify_queue(struct virtio_dev *dev, unsigned queue); /* vq_flush + interrupt */
/*
 * Change bytes of the config space under the driver's eyes, or before it sees any; a driver that
 * reads across the change sees that by the generation (§2.5.3). notify_config: raise the interrupt.
 */
void virtio_write_config(struct virtio_dev *dev, size_t offset, const void *buf, size_t len);
void virtio_notify_config(struct virtio_dev *dev);
/*
 * On the queue's loop, between start_queue and stop_queue: are kicks for this process, or for who serves
 * the queue outside of it? 0 or as loop_add().
 */
int virtio_take_kicks(struct virtio_dev *dev, unsigned queue, bool take);
void virtio_rekick(struct virtio_dev *dev, unsigned queue); /* kick again, after others' turn */
/* DEVICE_NEEDS_RESET, one log line; all queues are dead until the driver resets them (§2.1.2). */
void virtio_broken(struct virtio_dev *dev, const char *what);
/* vq_pop() that does so when the guest broke the ring. 1: got one, 0: nothing to do. */
int virtio_pop(struct virtio_dev *dev, unsigned queue, struct vq_chain *chain);
/* vq_enable_kick() for a loop around virtio_pop(): false also when that will not give any more. */
bool virtio_enable_kick(struct virtio_dev *dev, unsigned queue);

/*
 * For transports, from vCPU threads with dev->lock held. set_status is the driver's write (§3.1.1):
 * bits it may not set yet stay clear, bits once set stay until 0 is written, which resets. Features
 * are fixed from FEATURES_OK on.
 */
void virtio_set_status(struct virtio_dev *dev, uint8_t status);
/* One half of 64 feature bits, as registers have them; there are no other halves. */
uint32_t virtio_features_half(uint64_t features, uint32_t half);
void virtio_set_features_half(struct virtio_dev *dev, uint32_t half, uint32_t value);
/* What queue_eventfd() answers has changed. */
void virtio_interrupt_moved(struct virtio_dev *dev, unsigned queue);

/* ops->update, if the device has it. Main loop; vCPUs may run, and the device may be quiesced. */
int virtio_update(struct virtio_dev *dev, const void *args, struct hvd_error *err);

/*
 * The driver reads and writes config space. For transports, without dev->lock. What is not all within
 * it reads as 0.
 */
uint64_t virtio_read_config(struct virtio_dev *dev, uint64_t offset, unsigned len);
void virtio_set_config(struct virtio_dev *dev, uint64_t offset, uint64_t value, unsigned len);

/*
 * Suspend and continue the queues: with the VM (main loop, vCPUs stopped), or because the transport may
 * not access memory (vCPU threads). As often continued as suspended, whether the driver has the
 * device running or not.
 */
void virtio_quiesce(struct virtio_dev *dev);
void virtio_resume(struct virtio_dev *dev);
