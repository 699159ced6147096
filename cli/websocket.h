/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Client of a WebSocket (RFC 6455) of hvd: handshake, then binary messages both
 * ways. Non-blocking after the handshake: the caller polls.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/target.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/err.h"

struct websocket;

/* Bytes that arrived. Returns 0, or -errno, which ends the connection with that error. */
typedef int (*websocket_data_fn)(void *ctx, const uint8_t *data, size_t len);

/*
 * Connect, and ask for path ("/v1/vms/demo/console"). A refusal is the error that the server's
 * problem+json says. -ENOTCONN and -EACCES as client_call().
 */
int websocket_open(const struct target *target, const char *path, websocket_data_fn fn, void *ctx,
		   struct websocket **ret, struct hvd_error *err);

/* Says good-bye when that does not block, then closes. */
struct websocket *websocket_close(struct websocket *ws);
DEFINE_AUTO(struct websocket *, websocket_close);

int websocket_fd(const struct websocket *ws);
short websocket_events(const struct websocket *ws); /* for poll(2) */

/* After poll(2): send what waits, deliver what came. 1: open, 0: the other side closed it, -errno.
 */
int websocket_handle(struct websocket *ws, short revents, struct hvd_error *err);

/* Queue a binary message; data is copied. 0 or -ENOMEM. */
int websocket_send(struct websocket *ws, const uint8_t *data, size_t len, struct hvd_error *err);

/* True while so much waits to be sent that the caller should not read more to send. */
bool websocket_full(const struct websocket *ws);
