/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WebSocket (RFC 6455), the server's side: handshake key, and a session that joins an upgraded
 * connection to a byte stream (a VM's console).
 *
 * Bytes from the stream go out as binary messages; data frames of the client, binary or text, go to
 * the stream as they arrive. Both ways are bounded: when one side does not read, the other is no
 * longer read from. Pings are answered. The session lives on an sd-event loop; all functions are to
 * be called on its thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-event.h>

#include "vmm/base/cleanup.h"

#define WEBSOCKET_ACCEPT_SIZE 29 /* base64 of a SHA-1, and NUL */

struct websocket;

/* Sec-WebSocket-Accept for a Sec-WebSocket-Key (§4.2.2). -EINVAL: the key is not 16 bytes. */
int websocket_accept_key(const char *key, char ret[static WEBSOCKET_ACCEPT_SIZE]);

struct websocket_config {
	int sock;          /* connected, after the handshake; stays the caller's */
	int stream;        /* taken over on success */
	const void *early; /* bytes that were read from sock with the handshake; copied */
	size_t n_early;
	bool read_only;    /* data of the client ends the session with 1008 (policy violation) */

	/* Called once from the loop when the session is over; the callee may free the session. */
	void (*closed)(void *ctx);
	void *ctx;
};

int websocket_new(sd_event *event, const struct websocket_config *config, struct websocket **ret);
struct websocket *websocket_free(struct websocket *ws);
DEFINE_AUTO(struct websocket *, websocket_free);
