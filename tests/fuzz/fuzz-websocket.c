/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client's bytes after the handshake. The first byte chooses: bit 0 a read-only console, bit 1
 * all bytes come with the handshake, bit 2 nobody takes what is typed. Whatever comes, the session
 * ends when the client is gone.
 */
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/websocket.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_closed(void *ctx)
{
	struct websocket **ws = ctx;

	*ws = websocket_free(*ws);
}

static void drain(int fd)
{
	char buf[4096];

	while (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
}

static void run(sd_event *event, struct websocket **ws, unsigned turns)
{
	while (*ws && turns-- && sd_event_run(event, 0) > 0)
		;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct websocket *ws = NULL;
	sd_event *event;
	int sock[2], stream[2];
	uint8_t flags = size ? *data : 0;
	size_t sent = 1;

	if (sd_event_new(&event) < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, sock) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM, 0, stream) < 0)
		abort();
	struct websocket_config config = {
		.sock = sock[0],
		.stream = stream[0],
		.read_only = flags & 1,
		.closed = on_closed,
		.ctx = &ws,
	};
	if (flags & 2) {
		config.early = data + 1;
		config.n_early = size - 1;
		sent = size;
	}
	if (websocket_new(event, &config, &ws) < 0)
		abort();
	send(stream[1], "login: ", 7, MSG_NOSIGNAL);
	while (ws && sent < size) {
		ssize_t n = send(sock[1], data + sent, size - sent > 97 ? 97 : size - sent,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n <= 0)
			break;
		sent += (size_t)n;
		run(event, &ws, 4);
		if (!(flags & 4))
			drain(stream[1]);
	}
	run(event, &ws, 16);
	drain(sock[1]);
	close(sock[1]);
	run(event, &ws, 1000);
	if (ws)
		abort();
	close(sock[0]);
	close(stream[1]);
	sd_event_unref(event);
	return 0;
}
