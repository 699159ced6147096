/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The WebSocket client against a peer that answers well and badly. The peer is a child process on a
 * Unix socket that writes frames byte by byte (RFC 6455 §5.2), as no well-behaved server would. And the
 * console that is on it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <gnutls/crypto.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/console.h"
#include "cli/replay.h"
#include "cli/websocket.h"
#include "tests/unit/patience.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/macro.h"

static int listener; /* of the server that runs: for its child's further connections */

struct server {
	char dir[64], path[96];
	int listener;
	pid_t pid;
};

struct received {
	uint8_t data[4096];
	size_t len;
};

static int keep(void *ctx, const uint8_t *data, size_t len)
{
	struct received *received = ctx;

	assert_true(received->len + len <= sizeof(received->data));
	memcpy(received->data + received->len, data, len);
	received->len += len;
	return 0;
}

/* serve runs in the child, on one connection. */
static void server_start(struct server *server, void (*serve)(int fd))
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	strcpy(server->dir, "/tmp/hvd-test-ws-XXXXXX");
	assert_non_null(mkdtemp(server->dir));
	snprintf(server->path, sizeof(server->path), "%s/sock", server->dir);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", server->path);
	server->listener = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(server->listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(server->listener, 1), 0);

	listener = server->listener;
	server->pid = fork();
	assert_true(server->pid >= 0);
	if (server->pid)
		return;
	serve(accept(server->listener, NULL, NULL));
	_exit(0);
}

static void server_stop(struct server *server)
{
	int status;

	close(server->listener);
	assert_int_equal(waitpid(server->pid, &status, 0), server->pid);
	assert_int_equal(status, 0);
	unlink(server->path);
	rmdir(server->dir);
}

static void put(int fd, const void *data, size_t len)
{
	if (write(fd, data, len) != (ssize_t)len)
		_exit(2);
}

static void get(int fd, void *data, size_t len)
{
	for (size_t n = 0; n < len;) {
		ssize_t got = read(fd, (char *)data + n, len - n);

		if (got <= 0)
			_exit(7);
		n += (size_t)got;
	}
}

/* The key of the request, which is checked. */
static void read_request(int fd, char key[static 64])
{
	char head[4096] = "";
	size_t len = 0;
	const char *at;

	while (!strstr(head, "\r\n\r\n")) {
		ssize_t n = read(fd, head + len, sizeof(head) - 1 - len);

		if (n <= 0)
			_exit(3);
		len += (size_t)n;
		head[len] = '\0';
	}
	at = strstr(head, "Sec-WebSocket-Key: ");
	if (strncmp(head, "GET /v1/vms/demo/console HTTP/1.1\r\n", 35) || !at ||
	    !strstr(head, "Upgrade: websocket\r\n") ||
	    !strstr(head, "Sec-WebSocket-Version: 13\r\n"))
		_exit(4);
	if (sscanf(at, "Sec-WebSocket-Key: %60s", key) != 1)
		_exit(5);
}

/* The answer of a WebSocket server to the request, with more bytes right behind it. */
static void accept_with(int fd, const void *more, size_t len)
{
	char key[64], text[256], answer[1024];
	gnutls_datum_t hash = { .data = (unsigned char[20]){ 0 }, .size = 20 }, base64;
	int n;

	read_request(fd, key);
	snprintf(text, sizeof(text), "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
	if (gnutls_hash_fast(GNUTLS_DIG_SHA1, text, strlen(text), hash.data) < 0 ||
	    gnutls_base64_encode2(&hash, &base64) < 0)
		_exit(6);
	n = snprintf(answer, sizeof(answer),
		     "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
		     "Connection: Upgrade\r\nsec-websocket-accept: %.*s\r\n\r\n",
		     (int)base64.size, base64.data);
	gnutls_free(base64.data);
	memcpy(answer + n, more, len);
	put(fd, answer, (size_t)n + len);
}

static int connect_to(struct server *server, struct received *received, struct websocket **ws,
		      struct hvd_error *err)
{
	static struct target target;

	target.socket = server->path;
	return websocket_open(&target, "/v1/vms/demo/console", keep, received, ws, err);
}

static int handle_once(struct websocket *ws, struct hvd_error *err)
{
	struct pollfd pfd = { websocket_fd(ws), websocket_events(ws), 0 };

	assert_int_equal(poll(&pfd, 1, PATIENCE_MS), 1);
	return websocket_handle(ws, pfd.revents, err);
}

/* Handle what comes until the other side closes it: 0, or the error. */
static int run_to_end(struct websocket *ws, struct hvd_error *err)
{
	int r;

	do
		r = handle_once(ws, err);
	while (r > 0);
	return r;
}

/* Frames byte by byte, as a slow or ill-meaning network has them. */
static void put_slowly(int fd, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		put(fd, &data[i], 1);
}

/* "hel" together with the answer; then "lo" in two fragments with a ping between; then the end. */
static void serve_frames(int fd)
{
	uint8_t pong[7];

	accept_with(fd, (uint8_t[]){ 0x82, 3, 'h', 'e', 'l' }, 5);
	get(fd, pong, sizeof(pong)); /* the client has seen that, and sends "x" */
	put_slowly(fd, (uint8_t[]){ 0x02, 1, 'l', 0x89, 1, '!' }, 6);
	/* The pong is masked, as all that a client sends: 2 bytes, 4 of mask, the content. */
	get(fd, pong, sizeof(pong));
	if (pong[0] != 0x8a || pong[1] != (0x80 | 1) || (pong[6] ^ pong[2]) != '!')
		_exit(8);
	put_slowly(fd, (uint8_t[]){ 0x80, 1, 'o', 0x88, 2, 0x03, 0xe8 }, 7);
}

static void test_frames(void **state)
{
	struct received received = { .len = 0 };
	struct websocket *ws;
	struct server server;

	server_start(&server, serve_frames);
	assert_int_equal(connect_to(&server, &received, &ws, NULL), 0);
	/* What came with the answer does not wait for more to come. */
	assert_int_equal(handle_once(ws, NULL), 1);
	assert_int_equal(received.len, 3);
	assert_int_equal(websocket_send(ws, (const uint8_t *)"x", 1, NULL), 0);
	assert_int_equal(run_to_end(ws, NULL), 0);
	assert_int_equal(received.len, 5);
	assert_memory_equal(received.data, "hello", 5);
	websocket_close(ws);
	server_stop(&server);
}

/* Sends back what it gets, unmasked. */
static void serve_echo(int fd)
{
	uint8_t frame[2 + 4 + 5], answer[2 + 5] = { 0x82, 5 };

	accept_with(fd, "", 0);
	get(fd, frame, sizeof(frame));
	if (frame[0] != 0x82 || frame[1] != (0x80 | 5))
		_exit(10);
	for (size_t i = 0; i < 5; i++)
		answer[2 + i] = frame[6 + i] ^ frame[2 + i % 4];
	put(fd, answer, sizeof(answer));
}

static void test_send(void **state)
{
	struct received received = { .len = 0 };
	struct websocket *ws;
	struct server server;

	server_start(&server, serve_echo);
	assert_int_equal(connect_to(&server, &received, &ws, NULL), 0);
	assert_int_equal(websocket_send(ws, (const uint8_t *)"a\0\xff" "bc", 5, NULL), 0);
	assert_true(websocket_events(ws) & POLLOUT);
	assert_int_equal(run_to_end(ws, NULL), 0); /* ends without a close frame */
	assert_int_equal(received.len, 5);
	assert_memory_equal(received.data, "a\0\xff" "bc", 5);
	websocket_close(ws);
	server_stop(&server);
}

static void serve_wrong_accept(int fd)
{
	static const char answer[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
				     "Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n";
	char key[64];

	read_request(fd, key);
	put(fd, answer, strlen(answer));
}

static void serve_conflict(int fd)
{
	static const char body[] = "{\"status\": 409, \"code\": \"conflict\","
				   " \"detail\": \"the keyboard is taken\"}";
	char key[64], answer[512];

	read_request(fd, key);
	snprintf(answer, sizeof(answer),
		 "HTTP/1.1 409 Conflict\r\nContent-Type: application/problem+json\r\n"
		 "Content-Length: %zu\r\n\r\n",
		 strlen(body));
	put(fd, answer, strlen(answer));
	put(fd, body, strlen(body));
	/* Stays open, as connections do: the client must not wait for the end. */
	if (read(fd, key, 1) != 0)
		_exit(11);
}

static void serve_nothing(int fd)
{
	char key[64];

	read_request(fd, key);
}

static void serve_other(int fd)
{
	char key[64];

	read_request(fd, key);
	put(fd, "220 mail.example\r\n\r\n", 20);
}

static void serve_endless_head(int fd)
{
	char key[64], line[1000];

	read_request(fd, key);
	memset(line, 'x', sizeof(line));
	signal(SIGPIPE, SIG_IGN);
	for (int i = 0; i < 100; i++)
		if (write(fd, line, sizeof(line)) < 0)
			return;
}

static void test_refusals(void **state)
{
	static const struct {
		void (*serve)(int fd);
		const char *message;
	} rows[] = {
		{ serve_wrong_accept, "does not speak WebSocket" },
		{ serve_conflict, "the keyboard is taken" },
		{ serve_nothing, "closed the connection" },
		{ serve_other, "no HTTP server" },
		{ serve_endless_head, "waiting for hvd's answer" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct received received = { .len = 0 };
		struct hvd_error err = { 0 };
		struct websocket *ws = NULL;
		struct server server;
		int r;

		server_start(&server, rows[i].serve);
		r = connect_to(&server, &received, &ws, &err);
		assert_true(r < 0 && err.code == r && !ws);
		if (!strstr(err.msg, rows[i].message))
			fail_msg("\"%s\" is not in \"%s\"", rows[i].message, err.msg);
		server_stop(&server);
	}
}

static void test_nobody_there(void **state)
{
	struct hvd_error err = { 0 };
	const struct target target = { .socket = "/nonexistent/hvd.sock" };
	struct websocket *ws = NULL;

	assert_int_equal(websocket_open(&target, "/v1/vms/x/console", keep, NULL,
					&ws, &err),
			 -ENOTCONN);
	assert_non_null(strstr(err.msg, "systemctl start hvd"));
}

/* ---- the console, on connections that end ---- */

static void put_text(int fd, const char *text)
{
	uint8_t head[2] = { 0x82, (uint8_t)strlen(text) };

	put(fd, head, 2);
	put(fd, text, strlen(text));
}

/*
 * hvd goes away in the middle of a frame; a new one begins with scrollback, for which it has to wait longer than
 * the console would for more of it. Then once more.
 */
static void serve_twice(int fd)
{
	accept_with(fd, (uint8_t[]){ 0x82, 4, 'o', 'n', 'e', '\n', 0x82, 9, 't' }, 9);
	close(fd);
	fd = accept(listener, NULL, NULL);
	accept_with(fd, "", 0);
	sleep(6);
	put_text(fd, "boot\none\n");
	put_text(fd, "two\n");
	close(fd);
	fd = accept(listener, NULL, NULL);
	accept_with(fd, "", 0);
	put_text(fd, "more than scrollback holds\n");
	put(fd, (uint8_t[]){ 0x88, 2, 0x03, 0xe8 }, 4);
	close(fd);
}

static int asked;

/* It goes on twice, the first time after hvd has not answered, and then it has stopped. */
static int goes_on(void *ctx, struct hvd_error *err)
{
	static const int answers[] = { -EAGAIN, 1, 1, 0 };

	assert_true((size_t)asked < ARRAY_SIZE(answers));
	return answers[asked++];
}

/* What console_run() prints, with nothing on standard input. */
static int run_console(const char *path, char *output, size_t size, struct hvd_error *err)
{
	const struct target hvd = { .socket = path };
	struct console_target target = { .target = &hvd, .path = "/v1/vms/demo/console",
					 .name = "demo", .goes_on = goes_on };
	int in = dup(STDIN_FILENO), out = dup(STDOUT_FILENO), error = dup(STDERR_FILENO), ends[2], r;
	ssize_t n;

	assert_int_equal(pipe(ends), 0);
	assert_true(freopen("/dev/null", "r", stdin) != NULL);
	dup2(ends[1], STDOUT_FILENO);
	dup2(ends[1], STDERR_FILENO);
	close(ends[1]);
	asked = 0;
	r = console_run(&target, err);
	dup2(in, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(error, STDERR_FILENO);
	close(in);
	close(out);
	close(error);
	n = read(ends[0], output, size - 1);
	close(ends[0]);
	assert_true(n >= 0);
	output[n] = '\0';
	return r;
}

static void test_console_reconnects(void **state)
{
	struct hvd_error err = { 0 };
	struct server server;
	char output[4096];

	server_start(&server, serve_twice);
	assert_int_equal(run_console(server.path, output, sizeof(output), &err), 0);
	assert_int_equal(err.code, 0);
	assert_string_equal(output, "one\nConnection lost, reconnecting…\ntwo\n"
				    "Connection lost, reconnected\nmore than scrollback holds\n");
	assert_int_equal(asked, 4);
	server_stop(&server);
}

static int add_text(void *ctx, const uint8_t *data, size_t len)
{
	strncat(ctx, (const char *)data, len);
	return 0;
}

static void test_replay(void **state)
{
	static const struct {
		const char *before, *again, *shown;
	} rows[] = {
		{ "", "all", "all" },
		{ "abc", "abc", "" },
		{ "abc", "abcdef", "def" },
		{ "abc", "xyz", "xyz" },
		{ "abc", "ab", "ab" },
		{ "prompt$ ", "prompt$ prompt$ x", "x" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char shown[256] = "";
		struct replay replay = { .show = add_text, .ctx = shown };

		assert_int_equal(replay_data(&replay, (const uint8_t *)rows[i].before, strlen(rows[i].before)), 0);
		shown[0] = '\0';
		assert_int_equal(replay_again(&replay), 0);
		for (const char *p = rows[i].again; *p; p++)
			assert_int_equal(replay_data(&replay, (const uint8_t *)p, 1), 0);
		assert_string_equal(shown, "");
		assert_int_equal(replay_settle(&replay), 0);
		assert_false(replay_holds(&replay));
		assert_string_equal(shown, rows[i].shown);
		replay_clear(&replay);
	}
}

static int count(void *ctx, const uint8_t *data, size_t len)
{
	*(size_t *)ctx += len;
	return 0;
}

/* More than is held is shown, and all of it. */
static void test_replay_of_much(void **state)
{
	AUTO(free) uint8_t *much = malloc(REPLAY_HELD);
	size_t shown = 0;
	struct replay replay = { .show = count, .ctx = &shown };

	for (uint32_t i = 0, x = 1; i < REPLAY_HELD; i++) {
		x = x * 1664525 + 1013904223; /* never the same twice */
		much[i] = (uint8_t)(x >> 24);
	}
	assert_int_equal(replay_data(&replay, much, 1000), 0);
	assert_int_equal(replay_again(&replay), 0);
	assert_int_equal(replay_data(&replay, much, REPLAY_HELD), 0);
	assert_int_equal(shown, 1000);
	assert_int_equal(replay_data(&replay, much, 1), 0);
	assert_int_equal(shown, REPLAY_HELD + 1);
	replay_clear(&replay);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames),
		cmocka_unit_test(test_send),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_nobody_there),
		cmocka_unit_test(test_console_reconnects),
		cmocka_unit_test(test_replay),
		cmocka_unit_test(test_replay_of_much),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
