/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QMP, the control protocol of QEMU's programs (QEMU's docs/interop/qmp-spec.rst): JSON objects, a line
 * each, over a Unix socket; here with one qemu-storage-daemon, on the event loop.
 *
 * The other side parses images of strangers: it is not trusted. Lines are bounded, and one that is
 * not QMP ends the connection. Callbacks come from the event loop; they may free the client.
 */
#pragma once

#include <jansson.h>
#include <systemd/sd-event.h>

#include "vmm/base/cleanup.h"
#include "vmm/base/err.h"

struct qmp;

struct qmp_ops {
	void (*ready)(void *ctx);  /* it has greeted: all that its command line says is done */
	void (*closed)(void *ctx); /* it has ended, or broken the protocol; once, and nothing after it */
};

/* result is the answer's, to be looked at only; NULL when r < 0: what the other side said is in err. */
typedef void (*qmp_reply_fn)(void *ctx, int r, json_t *result, const struct hvd_error *err);

/* sock: connected, taken over in either outcome. 0 or -errno. */
int qmp_new(sd_event *event, int sock, const struct qmp_ops *ops, void *ctx, struct qmp **ret);
/* Commands that are under way are not answered any more. */
struct qmp *qmp_free(struct qmp *qmp);
DEFINE_AUTO(struct qmp *, qmp_free);

/*
 * Execute a command once those before it are done; arguments (or NULL) are taken over. fn, if not NULL, is
 * called once, unless the connection ends before. -ENOMEM.
 */
int qmp_execute(struct qmp *qmp, const char *command, json_t *arguments, qmp_reply_fn fn, void *ctx);

/* What an image, or a daemon that it has taken over, has a person read: printable ASCII, and not too long. */
void qmp_printable(const char *text, char *buf, size_t size);
