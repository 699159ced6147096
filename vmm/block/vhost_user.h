/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The front end of vhost-user (QEMU's docs/interop/vhost-user.rst): messages over a Unix socket to
 * another process, the backend, which then serves virtqueues by itself. Knows nothing of virtio
 * devices: features, rings and memory are numbers and addresses here.
 *
 * The backend is not trusted with more than the memory that it is given: each answer is checked for
 * what was asked and for its length, nothing it sends is kept in memory that it can change, and one
 * that does not answer within VHOST_USER_SECONDS, or answers nonsense, is given up: from then on
 * every call fails with -EPIPE.
 *
 * One thread at a time. Descriptors and memory that calls take stay the caller's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/base/cleanup.h"
#include "vmm/base/err.h"

#define VHOST_USER_SECONDS    10
#define VHOST_USER_MAX_CONFIG 256

/* What to ask of a backend beyond what it offers; see vhost_user_new(). */
#define VHOST_USER_ASSUME_INFLIGHT 1u

struct vhost_user;

/*
 * Introduce ourselves over a connected stream socket, which is taken over in either outcome.
 *
 * VHOST_USER_ASSUME_INFLIGHT: have requests in flight recorded in shared memory also where the backend
 * does not offer to. qemu-storage-daemon does not, and yet does it when told to: the library in it
 * serves every queue that way.
 *
 * -EPIPE (it does not answer, or not in this protocol), -EOPNOTSUPP (it lacks something that is named).
 */
int vhost_user_new(int sock, unsigned flags, struct vhost_user **ret, struct hvd_error *err);
struct vhost_user *vhost_user_free(struct vhost_user *vu);
DEFINE_AUTO(struct vhost_user *, vhost_user_free);
void vhost_user_end(struct vhost_user *vu); /* it is lost from now on, as the backend will see */

int vhost_user_fd(const struct vhost_user *vu); /* readable: it has ended, or sends what nobody asked */
bool vhost_user_is_lost(const struct vhost_user *vu);

uint64_t vhost_user_features(const struct vhost_user *vu); /* virtio's, that it offers */
unsigned vhost_user_max_queues(const struct vhost_user *vu);

/* len: at most VHOST_USER_MAX_CONFIG. The first bytes of its config space; and change some. */
int vhost_user_get_config(struct vhost_user *vu, void *buf, uint32_t len);
int vhost_user_set_config(struct vhost_user *vu, uint32_t offset, const void *buf, uint32_t len);

/* virtio's features that the driver has accepted. */
int vhost_user_set_features(struct vhost_user *vu, uint64_t features);

/* All of guest memory: fd is mapped here at host, and is at ipa for the guest. */
int vhost_user_set_memory(struct vhost_user *vu, uint64_t ipa, uint64_t size, const void *host, int fd);

/*
 * The record of requests in flight, which outlives the backend: fd -1 before there is one. inflight_new has
 * the backend make one for so many queues, and inflight_give gives it to that backend or to its
 * successor. 1: there is none, as the backend knows nothing of it.
 */
struct vhost_user_inflight {
	int fd;
	uint64_t size, offset;
	uint16_t n_queues, queue_size;
};
int vhost_user_inflight_new(struct vhost_user *vu, uint16_t n_queues, uint16_t queue_size,
			    struct vhost_user_inflight *ret);
int vhost_user_inflight_give(struct vhost_user *vu, const struct vhost_user_inflight *inflight);

/* A ring, by addresses here. It is served until vhost_user_stop(). */
struct vhost_user_ring {
	unsigned index;
	uint16_t size;
	uint16_t base; /* the next entry of the available ring */
	const void *desc, *avail, *used;
	int kick, call; /* eventfds; call -1: interrupt nobody */
};
int vhost_user_start(struct vhost_user *vu, const struct vhost_user_ring *ring);
int vhost_user_set_call(struct vhost_user *vu, unsigned index, int call);
int vhost_user_stop(struct vhost_user *vu, unsigned index, uint16_t *base);
