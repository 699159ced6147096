/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients that mean no good, against the real server: whatever they do, what they hold is bounded and
 * a fresh client beside them is served.
 */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/http_client.h"
#include "tests/unit/patience.h"
#include "tests/unit/rig.h"
#include "vmm/base/macro.h"

#define JSON   "Content-Type: application/json\r\n"
#define STREAM "Accept: text/event-stream\r\n"
#define GET    "GET /v1/vms HTTP/1.1\r\nHost: h\r\n\r\n"
#define POST   "POST /v1/vms HTTP/1.1\r\nHost: h\r\n" JSON

#define IDLE        1000
#define CONNECTIONS 64            /* what a user may have in these tests */
#define MEMORY_MAX  (96 * MIB)    /* of sanitizers for the most part, by which it grows */

static struct http_conn *conn, *many;

static int setup(void **state)
{
	struct rlimit files;

	conn = malloc(sizeof(*conn));
	/* untouched pages cost nothing */
	many = calloc(IDLE, sizeof(*many));
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	return conn && many ? 0 : -1;
}

static int teardown(void **state)
{
	free(conn);
	free(many);
	return 0;
}

static void start(struct rig *rig)
{
	rig_start_vmm(rig, "up");
	rig_start(rig);
}

static void expect_bounded(size_t before)
{
	size_t now = rig_resident();

	if (now > before + MEMORY_MAX)
		fail_msg("%zu bytes more than before", now - before);
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/*
 * The status of a request on a connection of its own, which stays. A client that was itself about as slow as
 * no request may be, on a machine that has better things to do, asks again when it was cut.
 */
static unsigned ask_anew(struct http_conn *c, const struct rig *rig, const char *path, const char *headers)
{
	unsigned limit = rig->http.request_timeout ? rig->http.request_timeout : 20, status;
	uint64_t begin;

	for (;;) {
		begin = now_ms();
		http_connect(c, rig->socket);
		status = http_ask(c, "GET", path, headers, NULL);
		if (status || now_ms() - begin < limit * 500)
			return status;
		http_close(c);
	}
}

static void expect_served(const struct rig *rig)
{
	assert_int_equal(ask_anew(conn, rig, "/v1/vms?fields=name", NULL), 200);
	assert_string_equal(conn->answer.body, "{\"items\":[{\"name\":\"up\"}]}\n");
	http_close(conn);
}

static void expect_problem(unsigned status, const char *code)
{
	char text[64];

	assert_int_equal(conn->answer.status, status);
	assert_string_equal(http_header(conn, "Content-Type"), "application/problem+json");
	snprintf(text, sizeof(text), "\"code\":\"%s\"", code);
	assert_non_null(strstr(conn->answer.body, text));
}

/* Wait until the server has left no more than max of many's first n connections. */
static void expect_ended(int n, int max)
{
	struct pollfd *fds = calloc((size_t)n, sizeof(*fds));
	int left = n;

	assert_non_null(fds);
	for (int i = 0; i < n; i++)
		fds[i] = (struct pollfd){ .fd = many[i].fd, .events = POLLRDHUP };
	while (left > max) {
		assert_true(poll(fds, (nfds_t)n, PATIENCE_MS) > 0);
		for (int i = 0; i < n; i++)
			if (fds[i].revents) {
				fds[i].fd = -1;
				fds[i].revents = 0;
				left--;
			}
	}
	free(fds);
}

static void close_many(int n)
{
	for (int i = 0; i < n; i++)
		http_close(&many[i]);
}

/* Silent ones, and ones in the middle of a head or of a body: the oldest make room. */
static void test_idle(void **state)
{
	static const char *const begun[] = { "", "GET /v1/v", GET, POST "Content-Length: 60000\r\n\r\n{" };
	struct rig rig;
	size_t before;

	rig_init(&rig);
	rig.http.max_per_peer = CONNECTIONS;
	start(&rig);
	expect_served(&rig);
	before = rig_resident();
	for (int i = 0; i < IDLE; i++) {
		const char *text = begun[i % (int)ARRAY_SIZE(begun)];

		http_connect(&many[i], rig.socket);
		/* the server may have closed it by now */
		send(many[i].fd, text, strlen(text), MSG_NOSIGNAL);
		if (i % 100 == 99)
			expect_served(&rig);
	}
	expect_served(&rig);
	expect_ended(IDLE, CONNECTIONS);
	expect_bounded(before);
	expect_served(&rig);
	close_many(IDLE);
	rig_clear(&rig);
}

static void open_stream(struct http_conn *c, const struct rig *rig)
{
	assert_int_equal(ask_anew(c, rig, "/v1/events", STREAM), 200);
}

/* Connections that are in use are nobody's to take away. */
static void test_too_many_in_use(void **state)
{
	struct rig rig;

	rig_init(&rig);
	rig.http.max_per_peer = 3;
	start(&rig);
	for (int i = 0; i < 3; i++)
		open_stream(&many[i], &rig);
	http_connect(conn, rig.socket);
	assert_int_equal(http_read(conn, false), 429);
	expect_problem(429, "too-many-connections");
	assert_int_equal(http_read(conn, false), 0);
	http_close(conn);

	/* one that waits makes room, and only for one */
	http_close(&many[0]);
	do {
		http_close(&many[0]);
		http_connect(&many[0], rig.socket);
	} while (http_ask(&many[0], "GET", "/v1/vms", NULL, NULL) != 200);
	expect_served(&rig);
	assert_int_equal(http_read(&many[0], false), 0);
	close_many(3);
	rig_clear(&rig);

	rig_init(&rig);
	rig.http.max_connections = 1;
	start(&rig);
	open_stream(&many[0], &rig);
	http_connect(conn, rig.socket);
	assert_int_equal(http_read(conn, false), 503);
	expect_problem(503, "try-again");
	http_close(conn);
	http_close(&many[0]);
	rig_clear(&rig);
}

/* A request that never gets whole ends with its connection, though bytes keep coming. */
static void test_drip(void **state)
{
	static const char head[] = POST "Content-Length: 60000\r\n\r\n";
	struct rig rig;
	size_t n = 0;

	rig_init(&rig);
	rig.http.request_timeout = 1;
	rig.http.idle_timeout = 1;
	rig_start(&rig);
	for (int again = 0; again < 2; again++) {
		/* the second time on a connection that was kept alive, and in the body */
		if (again) {
			assert_int_equal(ask_anew(conn, &rig, "/v1/vms", NULL), 200);
			http_write(conn, head, sizeof(head) - 1);
		} else {
			http_connect(conn, rig.socket);
		}
		for (n = 0; n < PATIENCE_MS / 20 && http_write(conn, again ? " " : head + n % 9, 1); n++)
			poll(NULL, 0, 20);
		assert_true(n < PATIENCE_MS / 20);
		http_close(conn);
	}
	/* and one that says nothing at all */
	http_connect(conn, rig.socket);
	assert_int_equal(http_read(conn, false), 0);
	http_close(conn);
	rig_clear(&rig);
}

/* A hundred drips at once, in heads and in bodies; then all have been cut. */
static void test_many_drips(void **state)
{
	static const char head[] = POST "Content-Length: 60000\r\n\r\n";
	const int n = 60;
	struct rig rig;
	int open;

	rig_init(&rig);
	rig.http.max_per_peer = CONNECTIONS;
	rig.http.request_timeout = 1;
	start(&rig);
	for (int i = 0; i < n; i++) {
		http_connect(&many[i], rig.socket);
		if (i % 2)
			http_write(&many[i], head, sizeof(head) - 1);
	}
	do {
		open = 0;
		for (int i = 0; i < n; i++)
			open += http_write(&many[i], i % 2 ? " " : "A", 1);
		expect_served(&rig);
		poll(NULL, 0, 20);
	} while (open);
	close_many(n);
	rig_clear(&rig);
}

/* Thousands of requests in a row by a client that reads no answer. */
static void test_pipelining_without_reading(void **state)
{
	size_t before, sent = 0;
	struct rig rig;

	rig_init(&rig);
	rig.http.request_timeout = 1;
	start(&rig);
	expect_served(&rig);
	before = rig_resident();
	http_connect(&many[0], rig.socket);
	while (http_write(&many[0], GET, sizeof(GET) - 1)) {
		sent++;
		assert_true(sent < 1000000);
		if (sent % 5000 == 0)
			expect_served(&rig);
	}
	expect_bounded(before);
	expect_served(&rig);
	http_close(&many[0]);
	rig_clear(&rig);
}

/* As many streams as there may be, none of which is read while a lot happens. */
static void test_streams_without_reading(void **state)
{
	const int n = 16;
	struct rig rig;
	size_t before;

	rig_init(&rig);
	rig.http.request_timeout = 1;
	rig.http.max_streams = (unsigned)n;
	start(&rig);
	expect_served(&rig);
	for (int i = 0; i < n; i++)
		open_stream(&many[i], &rig);
	before = rig_resident();
	assert_int_equal(ask_anew(conn, &rig, "/v1/events", STREAM), 503);
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(http_ask(conn, "POST", "/v1/vms/up/actions/pause", NULL, NULL), 204);
		assert_int_equal(http_ask(conn, "POST", "/v1/vms/up/actions/resume", NULL, NULL), 204);
	}
	http_close(conn);
	expect_ended(n, 0);
	expect_bounded(before);
	/* their places are free */
	open_stream(conn, &rig);
	http_close(conn);
	close_many(n);
	rig_clear(&rig);
}

/* ---- what one request can be ---- */

static struct rig shared;

static int start_shared(void **state)
{
	rig_init(&shared);
	start(&shared);
	http_connect(conn, shared.socket);
	return 0;
}

static int stop_shared(void **state)
{
	http_close(conn);
	rig_clear(&shared);
	return 0;
}

static void send_anew(const char *bytes, size_t n)
{
	http_close(conn);
	http_connect(conn, shared.socket);
	assert_true(http_write(conn, bytes, n));
}

/* Two opinions on where a body ends: an answer, and no second request out of the rest. */
static void test_conflicting_lengths(void **state)
{
#define SMUGGLED "GET /v1/host HTTP/1.1\r\nHost: h\r\n\r\n"
	static const char *const heads[] = {
		POST "Content-Length: 2\r\nContent-Length: 38\r\n\r\n{}" SMUGGLED,
		POST "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}" SMUGGLED,
		POST "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" SMUGGLED,
		POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" SMUGGLED,
		POST "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n" SMUGGLED,
		POST "Transfer-Encoding: identity\r\n\r\n{}" SMUGGLED,
		POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n\r\n0\r\n\r\n" SMUGGLED,
	};

	for (size_t i = 0; i < ARRAY_SIZE(heads); i++) {
		send_anew(heads[i], strlen(heads[i]));
		if (http_read(conn, false) != 400)
			fail_msg("%zu: %u %s", i, conn->answer.status, conn->answer.body);
		expect_problem(400, "bad-syntax");
		if (!http_header(conn, "Connection"))
			fail_msg("%zu: %s", i, conn->answer.head);
		assert_int_equal(http_read(conn, false), 0);
	}
	/* lengths that are none: libmicrohttpd's own words */
	static const char *const bad[] = { "2, 2", "+2", "0x2", "2 2", "99999999999999999999", "" };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		char text[256];

		snprintf(text, sizeof(text), POST "Content-Length: %s\r\n\r\n{}" SMUGGLED, bad[i]);
		send_anew(text, strlen(text));
		http_read(conn, false);
		if (conn->answer.status != 400 && conn->answer.status != 413)
			fail_msg("\"%s\": %u", bad[i], conn->answer.status);
		assert_int_equal(http_read(conn, false), 0);
	}
}

static void test_bad_chunks(void **state)
{
	static const char *const chunks[] = {
		"x\r\n", "-1\r\n", "FFFFFFFFFFFFFFFFF\r\n", "2\r\n{}{}\r\n0\r\n\r\n", "\r\n\r\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(chunks); i++) {
		char text[256];

		snprintf(text, sizeof(text), POST "Transfer-Encoding: chunked\r\n\r\n%s", chunks[i]);
		send_anew(text, strlen(text));
		shutdown(conn->fd, SHUT_WR);
		http_read(conn, false);
		assert_true(!conn->answer.status || (conn->answer.status >= 400 &&
						     conn->answer.status < 500));
	}
	expect_served(&shared);
	http_connect(conn, shared.socket);
}

static void test_deep_and_doubled_json(void **state)
{
	const size_t n = 60000;
	char *deep = malloc(n + 1);

	assert_non_null(deep);
	memset(deep, '[', n);
	deep[n] = '\0';
	assert_int_equal(http_ask(conn, "POST", "/v1/vms", JSON, deep), 400);
	expect_problem(400, "bad-syntax");
	for (size_t i = 0; i + 5 <= n; i += 5)
		memcpy(deep + i, "{\"a\":", 5);
	assert_int_equal(http_ask(conn, "POST", "/v1/vms", JSON, deep), 400);
	expect_problem(400, "bad-syntax");
	/* one more level than there may be, and closed as it should be */
	memset(deep, '[', 33);
	memset(deep + 33, ']', 33);
	deep[66] = '\0';
	assert_int_equal(http_ask(conn, "POST", "/v1/vms", JSON, deep), 400);
	assert_non_null(strstr(conn->answer.body, "deep"));
	free(deep);
	assert_int_equal(http_ask(conn, "POST", "/v1/vms", JSON,
				  "{\"name\":\"a\",\"boot\":{\"kernel\":\"/bin/sh\",\"kernel\":\"/x\"}}"),
			 400);
	expect_problem(400, "bad-syntax");
	assert_int_equal(http_ask(conn, "POST", "/v1/vms", JSON,
				  "{\"name\":\"a\\u0000b\",\"boot\":{\"kernel\":\"/bin/sh\"}}"), 400);
	expect_problem(400, "bad-syntax");
}

/* Names lead nowhere but to what has them, whichever way in they come. */
static void test_names(void **state)
{
	static const char *const paths[] = {
		"/v1/vms/../host", "/v1/vms/..", "/v1/vms/.", "/v1/vms/%2e%2e/host", "/v1/./host",
		"/v1//host", "/v1/vms/..%2f..%2fetc%2fpasswd", "/v1/vms/up%00", "/v1/vms/up%00/xml",
		"/v1/vms/up;x", "/v1/vms/up\\..", "//v1/vms", "/v1/networks/../vms/up",
		"/v1/vms/up/disks/../xml", "/v1/operations/../../etc/passwd", "http://h/v1/vms", "*",
	};
	static const char *const names[] = {
		"..", ".", "../up", "a/b", "/etc/passwd", "-x", "a b", "a\\\\b", "a\\nb", "\\u0001", "",
	};

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		if (http_ask(conn, "GET", paths[i], NULL, NULL) != 404)
			fail_msg("GET %s: %u %s", paths[i], conn->answer.status, conn->answer.body);
		expect_problem(404, "not-found");
	}
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char body[128];

		snprintf(body, sizeof(body), "{\"name\":\"%s\",\"boot\":{\"kernel\":\"/bin/sh\"}}",
			 names[i]);
		if (http_ask(conn, "POST", "/v1/vms", JSON, body) != 422)
			fail_msg("name %s: %u %s", names[i], conn->answer.status,
				 conn->answer.body);
	}
}

/*
 * A NUL where text should be. libmicrohttpd takes method and target up to it, and so what is behind it
 * must not matter; anywhere else it is an error or the end.
 */
static void test_nul_bytes(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
	} requests[] = {
#define BYTES(text) { text, sizeof(text) - 1 }
		BYTES("PATCH /v1/vms\0/up HTTP/1.1\r\nHost: h\r\n\r\n"),
		BYTES("PUT\0 /v1/vms HTTP/1.1\r\nHost: h\r\n\r\n"),
		BYTES("DELETE /v1/vms/other\0/v1/vms/up HTTP/1.1\r\nHost: h\r\n\r\n"),
		BYTES("\0GET /v1/vms HTTP/1.1\r\nHost: h\r\n\r\n"),
		BYTES(POST "Content-Length: 3\r\n\r\n{}\0"),
		BYTES(POST "Content-Length: 3\r\n\r\n\0{}"),
		BYTES("POST /v1/vms/import HTTP/1.1\r\nHost: h\r\nContent-Type: application/xml\r\n"
		      "Content-Length: 9\r\n\r\n<domain\0>"),
	};

	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		send_anew(requests[i].bytes, requests[i].n);
		shutdown(conn->fd, SHUT_WR);
		http_read(conn, false);
		if (conn->answer.status && (conn->answer.status < 400 || conn->answer.status >= 500))
			fail_msg("%zu: %u %s", i, conn->answer.status, conn->answer.body);
	}
	expect_served(&shared);
	http_connect(conn, shared.socket);
}

/* A client that goes at each point of its body; with bodies of both kinds, and a second request behind. */
static void test_gone_in_body(void **state)
{
	static const char body[] = POST "Content-Length: 64\r\n\r\n"
					"{\"name\":\"gone\",\"boot\":{\"kernel\":\"/bin/sh\"}}";
	static const char chunked[] = POST "Transfer-Encoding: chunked\r\n\r\n"
					   "20\r\n{\"name\":\"gone\",\"boot\":{\"kernel\":";

	for (size_t n = sizeof(POST) - 1; n < sizeof(body) - 1; n += 3) {
		send_anew(body, n);
		send_anew(chunked, MIN(n, sizeof(chunked) - 1));
		/* a reset instead of an end */
		setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &(struct linger){ 1, 0 },
			   sizeof(struct linger));
	}
	http_close(conn);
	expect_served(&shared); /* and "gone" is not */
	http_connect(conn, shared.socket);
}

#define SHARED(test) cmocka_unit_test_setup_teardown(test, start_shared, stop_shared)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_idle),
		cmocka_unit_test(test_too_many_in_use),
		cmocka_unit_test(test_drip),
		cmocka_unit_test(test_many_drips),
		cmocka_unit_test(test_pipelining_without_reading),
		cmocka_unit_test(test_streams_without_reading),
		SHARED(test_conflicting_lengths),
		SHARED(test_bad_chunks),
		SHARED(test_deep_and_doubled_json),
		SHARED(test_names),
		SHARED(test_nul_bytes),
		SHARED(test_gone_in_body),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
