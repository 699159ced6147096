/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program that hvd runs as a child of its own: hvd-xml, and qemu-img where there is no system bus to have
 * systemd run it. It gets no new privileges, no other descriptors, an empty environment, and its end when hvd
 * ends.
 *
 * On the event loop.
 */
#pragma once

#include <stdint.h>
#include <systemd/sd-event.h>

#include "vmm/base/cleanup.h"
#include "vmm/base/err.h"

struct child;

/* Its end: r < 0 when that was no exit with status 0. The child may be freed in there. */
typedef void (*child_fn)(void *ctx, int r, const struct hvd_error *err);

struct child_program {
	char *const *argv;       /* argv[0] is its path */
	int stdio[3];            /* its descriptors 0 to 2 */
	const int *fds;          /* descriptors that it has beside them, of the same numbers */
	size_t n_fds;
	uint64_t address_space;  /* bytes; 0: no limit */
	unsigned timeout_sec;    /* it is killed then; 0: it takes as long as it takes */
};

/*
 * Descriptors stay the caller's. fn is called once, when it has ended: from the event loop, and not after
 * child_free(). 0 or -errno; that there is no such program is told by fn.
 */
int child_start(sd_event *event, const struct child_program *program, child_fn fn, void *ctx,
		struct child **ret);

/* Kills and reaps it if it has not ended. */
struct child *child_free(struct child *child);
DEFINE_AUTO(struct child *, child_free);
