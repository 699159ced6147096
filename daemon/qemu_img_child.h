/* SPDX-License-Identifier: Apache-2.0 */
/* qemu-img as a child of an hvd that has no system bus; for daemon/qemu_img.c. */
#pragma once

#include <stddef.h>
#include <systemd/sd-event.h>

#include "vmm/base/err.h"

struct qemu_img_child;

typedef void (*qemu_img_child_fn)(void *ctx, int r, const struct hvd_error *err);

/*
 * argv[0] is the program. stdio become its descriptors 0 to 2, fds keep their numbers; all stay the caller's.
 * fn is called once, when it has ended: from the event loop. 0 or -errno.
 */
int qemu_img_child_start(sd_event *event, char **argv, const int stdio[3], const int *fds, size_t n_fds,
			 unsigned timeout_sec, qemu_img_child_fn fn, void *ctx, struct qemu_img_child **ret);

/* Kills and reaps it if it has not ended. */
struct qemu_img_child *qemu_img_child_free(struct qemu_img_child *child);
