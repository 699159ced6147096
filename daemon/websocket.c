/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/websocket.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <wslay/wslay.h>

#include "vmm/base/macro.h"

#define INPUT_SIZE 4096         /* of the client, not yet taken by the stream */
#define CHUNK_SIZE 4096         /* of the stream, one message */
#define OUTPUT_MAX (32 * 1024)  /* queued for the client before the stream is left unread */
#define OUTPUT_MESSAGES_MAX 64  /* … counting pongs, which the client causes */
#define CLOSE_USEC (5 * 1000000ULL)
/*
 * A guest writes byte by byte, and each would wake hvd and the client. What follows a short
 * message is left to gather for as long as nobody notices.
 */
#define GATHER_USEC (10 * 1000ULL)

struct websocket {
	struct websocket_config config; /* without early */
	uint8_t *early;
	size_t n_early, early_used;
	wslay_event_context_ptr wslay;
	sd_event_source *sock_source, *stream_source, *begin, *gather_timer, *close_timer;
	uint8_t head[16]; /* of a frame, to go out with its payload */
	size_t n_head;
	uint8_t input[INPUT_SIZE];
	size_t n_input;
	bool data_frame; /* the frame being received is data, not control */
	bool gathering;  /* the stream is left unread until the timer fires */
	bool closing;    /* our close frame is queued; nothing more goes to or from the stream */
	bool over;
};

int websocket_accept_key(const char *key, char ret[static WEBSOCKET_ACCEPT_SIZE])
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	gnutls_datum_t in = { .data = (unsigned char *)key, .size = (unsigned)strlen(key) };
	gnutls_datum_t out;
	unsigned char hash[20];
	char text[24 + sizeof(guid)];
	size_t n;

	if (in.size != 24 || gnutls_base64_decode2(&in, &out) < 0)
		return -EINVAL;
	n = out.size;
	gnutls_free(out.data);
	if (n != 16)
		return -EINVAL;

	memcpy(text, key, 24);
	memcpy(text + 24, guid, sizeof(guid));
	if (gnutls_hash_fast(GNUTLS_DIG_SHA1, text, strlen(text), hash) < 0)
		return -ENOTSUP;
	in = (gnutls_datum_t){ .data = hash, .size = sizeof(hash) };
	if (gnutls_base64_encode2(&in, &out) < 0)
		return -ENOMEM;
	memcpy(ret, out.data, WEBSOCKET_ACCEPT_SIZE - 1);
	ret[WEBSOCKET_ACCEPT_SIZE - 1] = '\0';
	gnutls_free(out.data);
	return 0;
}

/* A pong is queued for each ping: the client must take some before it may send more. */
static bool may_receive(const struct websocket *ws)
{
	return ws->n_input < INPUT_SIZE &&
	       wslay_event_get_queued_msg_count(ws->wslay) < OUTPUT_MESSAGES_MAX;
}

/*
 * Payload is never longer than the bytes that carried it, and wslay keeps no more than a partial
 * header between calls: reading no more than there is room for means input[] cannot overflow.
 */
static ssize_t on_recv(wslay_event_context_ptr wslay, uint8_t *buf, size_t len, int flags,
		       void *data)
{
	struct websocket *ws = data;
	ssize_t n;

	if (!may_receive(ws)) {
		wslay_event_set_error(wslay, WSLAY_ERR_WOULDBLOCK);
		return -1;
	}
	len = MIN(len, INPUT_SIZE - ws->n_input);

	if (ws->early_used < ws->n_early) {
		len = MIN(len, ws->n_early - ws->early_used);
		memcpy(buf, ws->early + ws->early_used, len);
		ws->early_used += len;
		return (ssize_t)len;
	}
	n = recv(ws->config.sock, buf, len, MSG_DONTWAIT);
	if (n > 0)
		return n;
	wslay_event_set_error(wslay, n < 0 && (errno == EAGAIN || errno == EINTR)
					     ? WSLAY_ERR_WOULDBLOCK
					     : WSLAY_ERR_CALLBACK_FAILURE);
	return -1;
}

/* wslay gives a frame's head and its payload one after the other: they leave together. */
static ssize_t on_send(wslay_event_context_ptr wslay, const uint8_t *buf, size_t len, int flags,
		       void *data)
{
	struct websocket *ws = data;
	struct iovec iov[] = {
		{ ws->head, ws->n_head },
		{ (void *)buf, len },
	};
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	size_t head = ws->n_head;
	ssize_t n;

	if ((flags & WSLAY_MSG_MORE) && !head && len <= sizeof(ws->head)) {
		memcpy(ws->head, buf, len);
		ws->n_head = len;
		return (ssize_t)len;
	}
	n = sendmsg(ws->config.sock, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n > (ssize_t)head) {
		ws->n_head = 0;
		return n - (ssize_t)head;
	}
	if (n > 0) {
		ws->n_head -= (size_t)n;
		memmove(ws->head, ws->head + n, ws->n_head);
	}
	wslay_event_set_error(wslay, n >= 0 || errno == EAGAIN || errno == EINTR
					     ? WSLAY_ERR_WOULDBLOCK
					     : WSLAY_ERR_CALLBACK_FAILURE);
	return -1;
}

static int on_close_timeout(sd_event_source *source, uint64_t usec, void *data)
{
	struct websocket *ws = data;

	ws->config.closed(ws->config.ctx);
	return 0;
}

/* Say goodbye and give the client some seconds to do so too. */
static void begin_close(struct websocket *ws, unsigned status, const char *reason)
{
	sd_event *event = sd_event_source_get_event(ws->sock_source);

	if (ws->closing)
		return;
	ws->closing = true;
	ws->n_input = 0;
	sd_event_source_set_enabled(ws->stream_source, SD_EVENT_OFF);
	if (sd_event_add_time_relative(event, &ws->close_timer, CLOCK_MONOTONIC, CLOSE_USEC, 0,
				       on_close_timeout, ws) < 0)
		ws->over = true;
	wslay_event_queue_close(ws->wslay, (uint16_t)status, (const uint8_t *)reason,
				strlen(reason));
}

static void on_frame(wslay_event_context_ptr wslay,
		     const struct wslay_event_on_frame_recv_start_arg *arg, void *data)
{
	struct websocket *ws = data;

	ws->data_frame = !wslay_is_ctrl_frame(arg->opcode);
}

static void on_chunk(wslay_event_context_ptr wslay,
		     const struct wslay_event_on_frame_recv_chunk_arg *arg, void *data)
{
	struct websocket *ws = data;

	if (!ws->data_frame || ws->closing)
		return;
	if (ws->config.read_only) {
		begin_close(ws, WSLAY_CODE_POLICY_VIOLATION, "this console is read-only");
		return;
	}
	if (arg->data_length > INPUT_SIZE - ws->n_input) {
		ws->over = true;
		return;
	}
	memcpy(ws->input + ws->n_input, arg->data, arg->data_length);
	ws->n_input += arg->data_length;
}

static void write_stream(struct websocket *ws)
{
	ssize_t n;

	if (!ws->n_input || ws->closing)
		return;
	n = send(ws->config.stream, ws->input, ws->n_input, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n > 0) {
		ws->n_input -= (size_t)n;
		memmove(ws->input, ws->input + n, ws->n_input);
	} else if (errno != EAGAIN && errno != EINTR) {
		begin_close(ws, WSLAY_CODE_NORMAL_CLOSURE, "the console was closed");
	}
}

static bool may_send(const struct websocket *ws)
{
	return !ws->closing && !ws->gathering &&
	       wslay_event_get_queued_msg_length(ws->wslay) < OUTPUT_MAX;
}

static void gather(struct websocket *ws)
{
	ws->gathering =
		sd_event_source_set_time_relative(ws->gather_timer, GATHER_USEC) >= 0 &&
		sd_event_source_set_enabled(ws->gather_timer, SD_EVENT_ONESHOT) >= 0;
}

static void read_stream(struct websocket *ws)
{
	struct wslay_event_msg msg = { .opcode = WSLAY_BINARY_FRAME };
	uint8_t buf[CHUNK_SIZE];
	ssize_t n;

	if (!may_send(ws))
		return;
	n = recv(ws->config.stream, buf, sizeof(buf), MSG_DONTWAIT);
	if (n > 0) {
		msg.msg = buf;
		msg.msg_length = (size_t)n;
		if (wslay_event_queue_msg(ws->wslay, &msg) == WSLAY_ERR_NOMEM)
			ws->over = true;
		if (n < CHUNK_SIZE)
			gather(ws);
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		begin_close(ws, WSLAY_CODE_NORMAL_CLOSURE, "the console was closed");
	}
}

static void update_events(struct websocket *ws)
{
	uint32_t sock = 0, stream = 0;

	if (wslay_event_want_read(ws->wslay) && may_receive(ws))
		sock |= EPOLLIN;
	if (wslay_event_want_write(ws->wslay))
		sock |= EPOLLOUT;
	sd_event_source_set_io_events(ws->sock_source, sock);

	if (may_send(ws))
		stream |= EPOLLIN;
	if (ws->n_input)
		stream |= EPOLLOUT;
	/* off, not empty: a hang-up is always reported and would spin while we cannot read */
	sd_event_source_set_enabled(ws->stream_source,
				    stream && !ws->closing ? SD_EVENT_ON : SD_EVENT_OFF);
	sd_event_source_set_io_events(ws->stream_source, stream);
}

/* Move what can be moved. May end the session: ws must not be used after it. */
static void run(struct websocket *ws, bool from_client, bool from_stream)
{
	/* nothing else wakes us for early bytes */
	if ((from_client || ws->early_used < ws->n_early) && wslay_event_recv(ws->wslay) < 0)
		ws->over = true;
	write_stream(ws);
	if (from_stream)
		read_stream(ws);
	if (wslay_event_send(ws->wslay) < 0)
		ws->over = true;

	/* also after a protocol error: its close frame is sent, and nothing more is read */
	if (!wslay_event_want_read(ws->wslay) && !wslay_event_want_write(ws->wslay))
		ws->over = true;
	if (ws->over)
		ws->config.closed(ws->config.ctx);
	else
		update_events(ws);
}

static int on_sock(sd_event_source *source, int fd, uint32_t events, void *data)
{
	struct websocket *ws = data;

	/* the peer is gone: take what it sent last, then end */
	if (events & (EPOLLHUP | EPOLLERR))
		ws->over = true;
	run(ws, true, false);
	return 0;
}

static int on_stream(sd_event_source *source, int fd, uint32_t events, void *data)
{
	run(data, false, true);
	return 0;
}

static int on_gathered(sd_event_source *source, uint64_t usec, void *data)
{
	struct websocket *ws = data;

	ws->gathering = false;
	run(ws, false, true);
	return 0;
}

static int on_begin(sd_event_source *source, void *data)
{
	run(data, true, false);
	return 0;
}

static int add_sources(struct websocket *ws, sd_event *event)
{
	int r;

	r = sd_event_add_io(event, &ws->sock_source, ws->config.sock, EPOLLIN, on_sock, ws);
	if (r < 0)
		return r;
	r = sd_event_add_io(event, &ws->stream_source, ws->config.stream, EPOLLIN, on_stream, ws);
	if (r < 0)
		return r;
	r = sd_event_add_time(event, &ws->gather_timer, CLOCK_MONOTONIC, 0, GATHER_USEC / 10,
			      on_gathered, ws);
	if (r < 0)
		return r;
	r = sd_event_source_set_enabled(ws->gather_timer, SD_EVENT_OFF);
	if (r < 0)
		return r;
	return sd_event_add_defer(event, &ws->begin, on_begin, ws);
}

int websocket_new(sd_event *event, const struct websocket_config *config, struct websocket **ret)
{
	static const struct wslay_event_callbacks callbacks = {
		.recv_callback = on_recv,
		.send_callback = on_send,
		.on_frame_recv_start_callback = on_frame,
		.on_frame_recv_chunk_callback = on_chunk,
	};
	AUTO(websocket_free) struct websocket *ws = calloc(1, sizeof(*ws));
	int r;

	if (!ws)
		return -ENOMEM;
	ws->config = *config;
	ws->config.stream = -1;
	ws->config.early = NULL;
	if (config->n_early) {
		ws->early = malloc(config->n_early);
		if (!ws->early)
			return -ENOMEM;
		memcpy(ws->early, config->early, config->n_early);
		ws->n_early = config->n_early;
	}
	if (wslay_event_context_server_init(&ws->wslay, &callbacks, ws) != 0)
		return -ENOMEM;
	/* frames go to the stream piece by piece; only control frames (≤ 125 bytes) are kept */
	wslay_event_config_set_no_buffering(ws->wslay, 1);

	ws->config.stream = config->stream;
	r = add_sources(ws, event);
	if (r < 0) {
		ws->config.stream = -1;
		return r;
	}
	*ret = TAKE(ws);
	return 0;
}

struct websocket *websocket_free(struct websocket *ws)
{
	if (!ws)
		return NULL;
	sd_event_source_disable_unref(ws->sock_source);
	sd_event_source_disable_unref(ws->stream_source);
	sd_event_source_disable_unref(ws->begin);
	sd_event_source_disable_unref(ws->gather_timer);
	sd_event_source_disable_unref(ws->close_timer);
	if (ws->wslay)
		wslay_event_context_free(ws->wslay);
	if (ws->config.stream >= 0)
		close(ws->config.stream);
	free(ws->early);
	free(ws);
	return NULL;
}
