/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/websocket.h"

#include <curl/curl.h>
#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <wslay/wslay.h>

#include "cli/client.h"
#include "vmm/base/macro.h"

#define HEAD_MAX             8192
#define QUEUED_MAX           64 /* messages */
#define HANDSHAKE_TIMEOUT_MS 10000
#define KEY_LEN              25 /* base64 of 16 bytes, and NUL */
#define ACCEPT_LEN           29 /* base64 of 20 bytes, and NUL */

struct websocket {
	const struct target *target;
	CURL *curl;
	int fd; /* curl's */
	wslay_event_context_ptr wslay;
	websocket_data_fn fn;
	void *ctx;
	int fn_error; /* what fn returned when it failed */
	bool eof;

	/* What the server sent: the head of its answer, and frames that came along with it. */
	char head[HEAD_MAX + 1];
	size_t head_len, head_used;
};

/* By libcurl, which knows how to get there; what is spoken then is ours. */
static int connect_to(struct websocket *ws, const char *path, struct hvd_error *err)
{
	curl_socket_t fd = CURL_SOCKET_BAD;
	CURLcode code;

	if (target_apply(ws->target, ws->curl, path) < 0)
		return hvd_err(err, ENOMEM, "out of memory");
	curl_easy_setopt(ws->curl, CURLOPT_CONNECT_ONLY, 1L);
	code = curl_easy_perform(ws->curl);
	if (code == CURLE_OK)
		code = curl_easy_getinfo(ws->curl, CURLINFO_ACTIVESOCKET, &fd);
	if (code != CURLE_OK || fd == CURL_SOCKET_BAD)
		return target_error(ws->target, ws->curl, code, err);
	ws->fd = fd;
	return 0;
}

static int base64(const void *data, unsigned size, char *text, size_t text_size)
{
	gnutls_datum_t in = { .data = (unsigned char *)data, .size = size }, out;

	if (gnutls_base64_encode2(&in, &out) < 0)
		return -ENOMEM;
	snprintf(text, text_size, "%.*s", (int)out.size, out.data);
	gnutls_free(out.data);
	return 0;
}

/* RFC 6455 §4.2.2: what a server that speaks WebSocket answers to this key. */
static int accept_for(const char *key, char accept[static ACCEPT_LEN])
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	char text[KEY_LEN + sizeof(guid)];
	unsigned char hash[20];

	snprintf(text, sizeof(text), "%s%s", key, guid);
	if (gnutls_hash_fast(GNUTLS_DIG_SHA1, text, strlen(text), hash) < 0)
		return -EIO;
	return base64(hash, sizeof(hash), accept, ACCEPT_LEN);
}

static int wait_for(const struct websocket *ws, short events)
{
	struct pollfd pfd = { .fd = ws->fd, .events = events };
	int n = poll(&pfd, 1, HANDSHAKE_TIMEOUT_MS);

	return n > 0 ? 0 : n ? -errno : -ETIMEDOUT;
}

static int send_all(const struct websocket *ws, const char *data, size_t len)
{
	int r = 0;

	while (len && r == 0) {
		size_t n = 0;
		CURLcode code = curl_easy_send(ws->curl, data, len, &n);

		if (code == CURLE_AGAIN)
			r = wait_for(ws, POLLOUT);
		else if (code != CURLE_OK)
			r = -EPIPE;
		data += n;
		len -= n;
	}
	return r;
}

/* One more piece of the answer. 1, 0 at its end, -errno. */
static int read_head(struct websocket *ws)
{
	CURLcode code;
	size_t n;
	int r;

	if (ws->head_len == HEAD_MAX)
		return -EMSGSIZE;
	while ((code = curl_easy_recv(ws->curl, ws->head + ws->head_len, HEAD_MAX - ws->head_len,
				      &n)) == CURLE_AGAIN) {
		r = wait_for(ws, POLLIN);
		if (r < 0)
			return r;
	}
	if (code != CURLE_OK)
		return -ECONNRESET;
	ws->head_len += n;
	ws->head[ws->head_len] = '\0';
	return n > 0;
}

/* Value of a header in head, or NULL; *len is its length. */
static const char *header(const char *head, const char *name, size_t *len)
{
	size_t n = strlen(name);

	for (const char *line = strstr(head, "\r\n"); line; line = strstr(line, "\r\n")) {
		line += 2;
		if (!strncasecmp(line, name, n) && line[n] == ':') {
			line += n + 1;
			line += strspn(line, " \t");
			*len = strcspn(line, " \t\r\n");
			return line;
		}
	}
	return NULL;
}

/* The server answered with an ordinary response: read it to its end and say what it says. */
static int refusal(struct websocket *ws, unsigned status, char *body, struct hvd_error *err)
{
	size_t len, wanted = 0;
	const char *length = header(ws->head, "Content-Length", &len);
	int r = 1;

	if (length)
		wanted = strtoul(length, NULL, 10);
	while (r == 1 && (!length || (size_t)(ws->head + ws->head_len - body) < wanted))
		r = read_head(ws);
	return client_problem(status, body, (size_t)(ws->head + ws->head_len - body), err);
}

static int check_answer(struct websocket *ws, const char *key, struct hvd_error *err)
{
	char *end, expected[ACCEPT_LEN];
	const char *accept;
	unsigned status;
	size_t len;
	int r;

	while (!(end = strstr(ws->head, "\r\n\r\n"))) {
		r = read_head(ws);
		if (r <= 0)
			return hvd_err(err, r ? -r : EIO, "waiting for hvd's answer: %s",
				       r ? strerror(-r) : "it closed the connection");
	}
	end += 4;
	if (sscanf(ws->head, "HTTP/1.1 %3u", &status) != 1)
		return hvd_err(err, EIO, "what answers is no HTTP server");
	if (status != 101)
		return refusal(ws, status, end, err);

	r = accept_for(key, expected);
	if (r < 0)
		return hvd_err(err, -r, "cannot compute a SHA-1");
	accept = header(ws->head, "Sec-WebSocket-Accept", &len);
	if (!accept || len != strlen(expected) || strncmp(accept, expected, len))
		return hvd_err(err, EIO, "what answers does not speak WebSocket");
	ws->head_used = (size_t)(end - ws->head);
	return 0;
}

static int handshake(struct websocket *ws, const char *path, struct hvd_error *err)
{
	const char *token = ws->target->token;
	AUTO(free) char *request = NULL;
	unsigned char nonce[16];
	char key[KEY_LEN];
	int r;

	if (gnutls_rnd(GNUTLS_RND_NONCE, nonce, sizeof(nonce)) < 0 ||
	    base64(nonce, sizeof(nonce), key, sizeof(key)) < 0)
		return hvd_err(err, EIO, "cannot make a random key");
	if (asprintf(&request,
		     "GET %s HTTP/1.1\r\n"
		     "Host: %s\r\n"
		     "%s%s%s"
		     "User-Agent: hvcli/" PACKAGE_VERSION "\r\n"
		     "Connection: Upgrade\r\n"
		     "Upgrade: websocket\r\n"
		     "Sec-WebSocket-Version: 13\r\n"
		     "Sec-WebSocket-Key: %s\r\n\r\n",
		     path, target_authority(ws->target), token ? "Authorization: Bearer " : "",
		     token ? token : "", token ? "\r\n" : "", key) < 0) {
		request = NULL;
		return hvd_err(err, ENOMEM, "out of memory");
	}
	r = send_all(ws, request, strlen(request));
	if (r < 0)
		return hvd_err(err, -r, "cannot send to hvd: %s", strerror(-r));
	return check_answer(ws, key, err);
}

static ssize_t on_recv(wslay_event_context_ptr wslay, uint8_t *buf, size_t len, int flags,
		       void *ctx)
{
	struct websocket *ws = ctx;
	CURLcode code;
	size_t n = 0;

	/* What came together with the answer to the handshake is first. */
	if (ws->head_used < ws->head_len) {
		len = MIN(len, ws->head_len - ws->head_used);
		memcpy(buf, ws->head + ws->head_used, len);
		ws->head_used += len;
		return (ssize_t)len;
	}
	code = curl_easy_recv(ws->curl, buf, len, &n);
	if (code == CURLE_OK && n > 0)
		return (ssize_t)n;
	ws->eof = code != CURLE_AGAIN;
	wslay_event_set_error(wslay, code == CURLE_AGAIN ? WSLAY_ERR_WOULDBLOCK
							 : WSLAY_ERR_CALLBACK_FAILURE);
	return -1;
}

static ssize_t on_send(wslay_event_context_ptr wslay, const uint8_t *data, size_t len, int flags,
		       void *ctx)
{
	struct websocket *ws = ctx;
	size_t n = 0;
	CURLcode code = curl_easy_send(ws->curl, data, len, &n);

	if (code == CURLE_OK)
		return (ssize_t)n;
	ws->eof = code != CURLE_AGAIN;
	wslay_event_set_error(wslay, code == CURLE_AGAIN ? WSLAY_ERR_WOULDBLOCK
							 : WSLAY_ERR_CALLBACK_FAILURE);
	return -1;
}

static int on_genmask(wslay_event_context_ptr wslay, uint8_t *buf, size_t len, void *ctx)
{
	if (gnutls_rnd(GNUTLS_RND_NONCE, buf, len) == 0)
		return 0;
	wslay_event_set_error(wslay, WSLAY_ERR_CALLBACK_FAILURE);
	return -1;
}

static void on_message(wslay_event_context_ptr wslay, const struct wslay_event_on_msg_recv_arg *arg,
		       void *ctx)
{
	struct websocket *ws = ctx;

	if (wslay_is_ctrl_frame(arg->opcode) || ws->fn_error < 0)
		return;
	ws->fn_error = ws->fn(ws->ctx, arg->msg, arg->msg_length);
}

static const struct wslay_event_callbacks callbacks = {
	.recv_callback = on_recv,
	.send_callback = on_send,
	.genmask_callback = on_genmask,
	.on_msg_recv_callback = on_message,
};

int websocket_open(const struct target *target, const char *path, websocket_data_fn fn, void *ctx,
		   struct websocket **ret, struct hvd_error *err)
{
	AUTO(websocket_close) struct websocket *ws = calloc(1, sizeof(*ws));
	int r;

	if (!ws)
		return hvd_err(err, ENOMEM, "out of memory");
	ws->fd = -1;
	ws->fn = fn;
	ws->ctx = ctx;
	ws->target = target;
	ws->curl = curl_easy_init();
	if (!ws->curl)
		return hvd_err(err, ENOMEM, "cannot set up libcurl");
	r = connect_to(ws, path, err);
	if (r == 0)
		r = handshake(ws, path, err);
	if (r < 0)
		return r;
	if (wslay_event_context_client_init(&ws->wslay, &callbacks, ws) < 0) {
		ws->wslay = NULL;
		return hvd_err(err, ENOMEM, "out of memory");
	}
	*ret = TAKE(ws);
	return 0;
}

struct websocket *websocket_close(struct websocket *ws)
{
	if (!ws)
		return NULL;
	if (ws->wslay) {
		wslay_event_queue_close(ws->wslay, WSLAY_CODE_NORMAL_CLOSURE, NULL, 0);
		wslay_event_send(ws->wslay); /* an answer to the server's own close as well */
		wslay_event_context_free(ws->wslay);
	}
	curl_easy_cleanup(ws->curl);
	free(ws);
	return NULL;
}

int websocket_fd(const struct websocket *ws)
{
	return ws->fd;
}

/* Frames that came with the answer are here already: poll(2) would wait for them in vain. */
static bool has_early(const struct websocket *ws)
{
	return ws->head_used < ws->head_len;
}

short websocket_events(const struct websocket *ws)
{
	return (wslay_event_want_read(ws->wslay) ? POLLIN : 0) |
	       (wslay_event_want_write(ws->wslay) || has_early(ws) ? POLLOUT : 0);
}

int websocket_handle(struct websocket *ws, short revents, struct hvd_error *err)
{
	int r = 0;

	if (revents & POLLOUT)
		r = wslay_event_send(ws->wslay);
	if (r == 0 && (has_early(ws) || (revents & (POLLIN | POLLHUP | POLLERR))))
		r = wslay_event_recv(ws->wslay);
	if (ws->fn_error < 0)
		return hvd_err(err, -ws->fn_error, "cannot write: %s", strerror(-ws->fn_error));
	if (ws->eof || wslay_event_get_close_received(ws->wslay))
		return 0;
	if (r < 0)
		return hvd_err(err, EIO, "the connection to hvd broke");
	return websocket_events(ws) ? 1 : 0;
}

int websocket_send(struct websocket *ws, const uint8_t *data, size_t len, struct hvd_error *err)
{
	struct wslay_event_msg msg = { .opcode = WSLAY_BINARY_FRAME,
				       .msg = data,
				       .msg_length = len };

	if (wslay_event_queue_msg(ws->wslay, &msg) < 0)
		return hvd_err(err, ENOMEM, "out of memory");
	return 0;
}

bool websocket_full(const struct websocket *ws)
{
	return wslay_event_get_queued_msg_count(ws->wslay) >= QUEUED_MAX;
}
