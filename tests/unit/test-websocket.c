/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "daemon/websocket.h"
#include "tests/unit/patience.h"
#include "vmm/base/macro.h"

enum { TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10, FIN = 0x80 };

struct session {
	sd_event *event;
	struct websocket *ws;
	int client, sock; /* the two ends of the connection */
	int guest;        /* the other end of the stream */
};

static void on_closed(void *ctx)
{
	struct session *s = ctx;

	s->ws = websocket_free(s->ws);
	close(s->sock);
	s->sock = -1;
}

static void start_with(struct session *s, bool read_only, const void *early, size_t n_early)
{
	int sock[2], stream[2];

	assert_true(sd_event_new(&s->event) >= 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sock), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, stream), 0);
	s->sock = sock[0];
	s->client = sock[1];
	s->guest = stream[1];
	struct websocket_config config = {
		.sock = s->sock,
		.stream = stream[0],
		.read_only = read_only,
		.early = early,
		.n_early = n_early,
		.closed = on_closed,
		.ctx = s,
	};
	assert_int_equal(websocket_new(s->event, &config, &s->ws), 0);
}

static void start(struct session *s)
{
	start_with(s, false, NULL, 0);
}

/* Until there is nothing to do; that it becomes so is part of the test. */
static void settle(struct session *s)
{
	for (unsigned turns = 0; sd_event_run(s->event, 0) > 0; turns++)
		assert_true(turns < 100000);
}

static void finish(struct session *s)
{
	if (s->ws)
		on_closed(s);
	close(s->client);
	close(s->guest);
	sd_event_unref(s->event);
}

/* Head and masked payload (RFC 6455 §5.2) of at most 64 KiB - 1. Returns the length. */
static size_t frame(uint8_t *buf, uint8_t head, const void *data, size_t n)
{
	static const uint8_t mask[4] = { 0x12, 0x34, 0x56, 0x78 };
	size_t at = 0;

	buf[at++] = head;
	if (n < 126) {
		buf[at++] = (uint8_t)(0x80 | n);
	} else {
		buf[at++] = 0x80 | 126;
		buf[at++] = (uint8_t)(n >> 8);
		buf[at++] = (uint8_t)n;
	}
	memcpy(buf + at, mask, 4);
	at += 4;
	for (size_t i = 0; i < n; i++)
		buf[at + i] = ((const uint8_t *)data)[i] ^ mask[i % 4];
	return at + n;
}

static void send_frame(struct session *s, uint8_t head, const void *data, size_t n)
{
	uint8_t buf[8192];
	size_t len = frame(buf, head, data, n);

	assert_int_equal(send(s->client, buf, len, 0), len);
	settle(s);
}

/* These bytes and no others, as soon as they come. */
static void expect_bytes(struct session *s, int fd, const void *want, size_t n)
{
	uint8_t buf[8192];
	size_t got = 0;

	for (int turns = 0; got < n; turns++) {
		ssize_t r = recv(fd, buf + got, sizeof(buf) - got, MSG_DONTWAIT);

		assert_true(turns < PATIENCE_MS / 10);
		if (r > 0)
			got += (size_t)r;
		else
			assert_true(sd_event_run(s->event, 10000) >= 0);
	}
	assert_int_equal(got, n);
	assert_memory_equal(buf, want, n);
}

static void expect_nothing(int fd)
{
	char c;

	assert_int_equal(recv(fd, &c, 1, MSG_DONTWAIT), -1);
}

static void expect_close(struct session *s, unsigned status)
{
	uint8_t buf[256];
	ssize_t n = recv(s->client, buf, sizeof(buf), MSG_DONTWAIT);

	assert_true(n >= 2);
	assert_int_equal(buf[0], FIN | CLOSE);
	assert_int_equal(buf[1] ? buf[2] << 8 | buf[3] : 0, status);
}

static void test_accept_key(void **state)
{
	char accept[WEBSOCKET_ACCEPT_SIZE];

	/* the example of RFC 6455 §1.3 */
	assert_int_equal(websocket_accept_key("dGhlIHNhbXBsZSBub25jZQ==", accept), 0);
	assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
	assert_true(websocket_accept_key("", accept) < 0);
	assert_true(websocket_accept_key("dGhlIHNhbXBsZSBub25jZQ=", accept) < 0);
	assert_true(websocket_accept_key("dGhlIHNhbXBsZSBub25jZSE=", accept) < 0);
	assert_true(websocket_accept_key("!!!!!!!!!!!!!!!!!!!!!!==", accept) < 0);
}

static void test_both_ways(void **state)
{
	struct session s;

	start(&s);
	send_frame(&s, FIN | BINARY, "ls\r", 3);
	expect_bytes(&s, s.guest, "ls\r", 3);
	send_frame(&s, FIN | TEXT, "a", 1);
	expect_bytes(&s, s.guest, "a", 1);

	/* in two fragments, with a ping between them */
	send_frame(&s, BINARY, "ab", 2);
	send_frame(&s, FIN | PING, "hi", 2);
	send_frame(&s, FIN | 0, "cd", 2);
	expect_bytes(&s, s.guest, "abcd", 4);
	expect_bytes(&s, s.client, "\x8a\x02hi", 4);

	assert_int_equal(send(s.guest, "login: ", 7, 0), 7);
	settle(&s);
	expect_bytes(&s, s.client, "\x82\x07login: ", 9);
	finish(&s);
}

/* What a guest writes byte by byte is gathered, and all there in order. */
static void test_output_byte_by_byte(void **state)
{
	struct session s;
	uint8_t buf[4096];
	size_t sent = 0, got = 0, next = 0;

	start(&s);
	for (int turns = 0; next < 1000; turns++) {
		size_t at = 0, len;
		ssize_t r;

		assert_true(turns < PATIENCE_MS / 10);
		if (sent < 1000 && send(s.guest, &(uint8_t){ (uint8_t)sent }, 1, MSG_DONTWAIT) == 1)
			sent++;
		assert_true(sd_event_run(s.event, sent < 1000 ? 100 : 10000) >= 0);
		r = recv(s.client, buf + got, sizeof(buf) - got, MSG_DONTWAIT);
		got += r > 0 ? (size_t)r : 0;
		for (; got - at >= 2; at += len) {
			size_t head = buf[at + 1] < 126 ? 2 : 4;

			assert_int_equal(buf[at], FIN | BINARY);
			if (got - at < head)
				break;
			len = head == 2 ? buf[at + 1] : (size_t)buf[at + 2] << 8 | buf[at + 3];
			len += head;
			if (got - at < len)
				break;
			for (size_t i = head; i < len; i++)
				assert_int_equal(buf[at + i], (uint8_t)next++);
		}
		got -= at;
		memmove(buf, buf + at, got);
	}
	finish(&s);
}

static void test_early_bytes(void **state)
{
	struct session s;
	uint8_t buf[64];
	size_t n = frame(buf, FIN | BINARY, "early", 5);

	start_with(&s, false, buf, n);
	settle(&s);
	expect_bytes(&s, s.guest, "early", 5);

	/* a frame may be cut anywhere */
	finish(&s);
	start_with(&s, false, buf, 3);
	assert_int_equal(send(s.client, buf + 3, n - 3, 0), n - 3);
	settle(&s);
	expect_bytes(&s, s.guest, "early", 5);
	finish(&s);
}

static void test_client_closes(void **state)
{
	struct session s;

	start(&s);
	send_frame(&s, FIN | CLOSE, "\x03\xe8", 2);
	expect_close(&s, 1000);
	assert_null(s.ws);
	assert_int_equal(recv(s.guest, (char[1]){ 0 }, 1, MSG_DONTWAIT), 0);
	finish(&s);
}

static void test_client_vanishes(void **state)
{
	struct session s;

	start(&s);
	close(s.client);
	settle(&s);
	assert_null(s.ws);
	s.client = -1;
	finish(&s);
}

static void test_stream_closes(void **state)
{
	struct session s;

	start(&s);
	assert_int_equal(send(s.guest, "bye", 3, 0), 3);
	close(s.guest);
	s.guest = -1;
	settle(&s);
	expect_bytes(&s, s.client,
		     "\x82\x03"
		     "bye"
		     "\x88\x18\x03\xe8"
		     "the console was closed",
		     31);
	assert_non_null(s.ws);
	send_frame(&s, FIN | CLOSE, "\x03\xe8", 2);
	assert_null(s.ws);
	finish(&s);
}

static void test_protocol_errors(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
		unsigned status; /* 0: closed without one */
	} wrong[] = {
		{ "\x82\x01x", 3, 1002 },                /* not masked */
		{ "\x80\x80\0\0\0\0", 6, 1002 },         /* continues nothing */
		{ "\xc2\x80\0\0\0\0", 6, 1002 },         /* reserved bit */
		{ "\x83\x80\0\0\0\0", 6, 1002 },         /* reserved opcode */
		{ "\x09\x80\0\0\0\0", 6, 0 },            /* a ping in fragments */
		{ "\x89\xfe\0\x7e\0\0\0\0", 8, 0 },      /* a ping of 126 bytes */
		{ "\x88\x82\0\0\0\0\x03\xed", 8, 1002 }, /* a status that must not be sent */
	};
	struct session s;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		start(&s);
		assert_int_equal(send(s.client, wrong[i].bytes, wrong[i].n, 0), wrong[i].n);
		settle(&s);
		assert_null(s.ws);
		expect_close(&s, wrong[i].status);
		finish(&s);
	}
}

static void test_read_only(void **state)
{
	struct session s;

	start_with(&s, true, NULL, 0);
	assert_int_equal(send(s.guest, "x", 1, 0), 1);
	settle(&s);
	expect_bytes(&s, s.client, "\x82\x01x", 3);
	send_frame(&s, FIN | PING, "", 0);
	expect_bytes(&s, s.client, "\x8a\x00", 2);
	send_frame(&s, FIN | BINARY, "rm", 2);
	expect_close(&s, 1008);
	expect_nothing(s.guest);
	finish(&s);
}

/* Fill one direction until it takes no more: it must stop; then drain and compare. */
static void test_input_pressure(void **state)
{
	struct session s;
	uint8_t payload[1000], buf[1100], got[4096];
	size_t sent = 0, received = 0, n, part = 0;
	ssize_t r;

	start(&s);
	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(i * 7);
	n = frame(buf, FIN | BINARY, payload, sizeof(payload));
	do {
		r = send(s.client, buf + part, n - part, MSG_DONTWAIT);
		if (r > 0) {
			sent += (size_t)r;
			part = (part + (size_t)r) % n;
			assert_true(sent < 64 * MIB);
		}
		settle(&s);
	} while (r > 0);
	sent -= part;
	while (received < sent / n * sizeof(payload)) {
		r = recv(s.guest, got, sizeof(got), MSG_DONTWAIT);
		assert_true(r > 0);
		for (ssize_t i = 0; i < r; i++)
			assert_int_equal(got[i], payload[(received + (size_t)i) % sizeof(payload)]);
		received += (size_t)r;
		settle(&s);
	}
	finish(&s);
}

static void test_output_pressure(void **state)
{
	struct session s;
	uint8_t chunk[4096] = { 0 }, buf[8192];
	size_t sent = 0, received = 0;
	ssize_t r;

	start(&s);
	while ((r = send(s.guest, chunk, sizeof(chunk), MSG_DONTWAIT)) > 0) {
		sent += (size_t)r;
		assert_true(sent < 64 * MIB);
		settle(&s);
	}
	/* the frames carry it all, and their heads */
	while ((r = recv(s.client, buf, sizeof(buf), MSG_DONTWAIT)) > 0) {
		received += (size_t)r;
		settle(&s);
	}
	assert_true(received > sent && received < sent + sent / 8);
	finish(&s);
}

/* Pings whose pongs nobody takes must not pile up in memory. */
static void test_ping_flood(void **state)
{
	struct session s;
	uint8_t buf[256];
	size_t n = frame(buf, FIN | PING, memset(buf + 128, 'x', 100), 100), sent = 0;

	start(&s);
	while (send(s.client, buf, n, MSG_DONTWAIT) == (ssize_t)n) {
		sent += n;
		assert_true(sent < 64 * MIB);
		settle(&s);
	}
	assert_non_null(s.ws);
	finish(&s);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accept_key),          cmocka_unit_test(test_both_ways),
		cmocka_unit_test(test_output_byte_by_byte), cmocka_unit_test(test_early_bytes),
		cmocka_unit_test(test_client_closes),       cmocka_unit_test(test_client_vanishes),
		cmocka_unit_test(test_stream_closes),       cmocka_unit_test(test_protocol_errors),
		cmocka_unit_test(test_read_only),           cmocka_unit_test(test_input_pressure),
		cmocka_unit_test(test_output_pressure),     cmocka_unit_test(test_ping_flood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
