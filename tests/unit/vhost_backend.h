/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vhost-user-blk backend on a thread of its own, for tests of the front end: it maps the memory that it
 * is given and serves rings there, from a disk that is an array.
 *
 * It can misbehave: hold requests, end in the middle, and answer one request with what the test says.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define BACKEND_DISK_SIZE  (1U << 20)
#define BACKEND_MAX_QUEUES 4

struct backend_ring {
	uint32_t size;
	uint64_t desc, avail, used; /* addresses at the front end */
	int kick, call;             /* -1: none */
	uint16_t next;
	bool started;
};

struct vhost_backend {
	/* The test's, set before the thread starts. */
	uint64_t features, protocol;
	unsigned max_queues;
	uint8_t *disk; /* BACKEND_DISK_SIZE bytes, which outlive it */
	/* An answer to this request of the protocol (0: none) is these bytes, header and all. */
	uint32_t lie_about;
	const void *lie;
	uint32_t lie_len;
	_Atomic bool hold;      /* take requests, and complete none */
	_Atomic bool seen_held; /* it has taken one so */

	int sock, wake;
	pthread_t thread;
	bool running;
	_Atomic unsigned starts, stops;
	_Atomic uint32_t wce; /* as last set; UINT32_MAX: never */
	_Atomic uint64_t accepted; /* features of the driver */
	uint8_t *memory;
	uint64_t memory_size, memory_host;
	uint8_t *inflight; /* for each queue 256 bytes: 1 for a head in flight */
	uint64_t inflight_size;
	struct backend_ring ring[BACKEND_MAX_QUEUES];
};

/* A sound backend, not running yet. */
void backend_init(struct vhost_backend *b, uint8_t *disk);

/* Run it; returns the front end's socket. */
int backend_start(struct vhost_backend *b);

/* It ends at once, as if killed. */
void backend_kill(struct vhost_backend *b);
