/* SPDX-License-Identifier: Apache-2.0 */
/* Events over REST: as a list and as a stream, for clients that read and for those that do not. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "tests/unit/http_client.h"
#include "tests/unit/patience.h"
#include "tests/unit/rig.h"
#include "vmm/base/macro.h"

#define STREAM "Accept: text/event-stream\r\n"
#define JSON   "Content-Type: application/json\r\n"

struct scene {
	struct rig rig;
	struct http_conn conn, stream;
};

static int set_up(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));

	rig_init(&s->rig);
	rig_start_vmm(&s->rig, "up");
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	struct scene *s = *state;

	http_close(&s->conn);
	http_close(&s->stream);
	rig_clear(&s->rig);
	free(s);
	return 0;
}

static void start(struct scene *s)
{
	rig_start(&s->rig);
	http_connect(&s->conn, s->rig.socket);
	http_connect(&s->stream, s->rig.socket);
}

static unsigned ask(struct scene *s, const char *method, const char *path)
{
	return http_ask(&s->conn, method, path, NULL, NULL);
}

static void expect(struct scene *s, const char *part)
{
	if (!strstr(s->conn.answer.body, part))
		fail_msg("no %s in %s", part, s->conn.answer.body);
}

static void test_list(void **state)
{
	struct scene *s = *state;

	start(s);
	assert_int_equal(ask(s, "POST", "/v1/vms/up/actions/pause"), 204);
	assert_int_equal(ask(s, "POST", "/v1/vms/up/actions/pause"), 409);
	assert_int_equal(ask(s, "GET", "/v1/events"), 200);
	expect(s, "\"type\":\"started\"");
	expect(s, "\"type\":\"state\",\"resource\":\"/v1/vms/up\",\"vm\":\"up\",\"vm_uuid\":\"");
	expect(s, "\"state\":\"paused\"");
	expect(s, "\"operation\":\"vm.pause\",\"outcome\":\"succeeded\",\"by\":{\"front\":\"rest\","
		  "\"uid\":");
	expect(s, "\"outcome\":\"failed\",\"code\":\"conflict\",\"detail\":\"VM up is paused; ");

	assert_int_equal(ask(s, "GET", "/v1/events?type=operation&limit=1"), 200);
	expect(s, "{\"items\":[{\"seq\":");
	expect(s, "\"outcome\":\"failed\"");
	assert_null(strstr(s->conn.answer.body, "},{\"seq\""));
	assert_int_equal(ask(s, "GET", "/v1/events?vm=other"), 200);
	assert_string_equal(s->conn.answer.body, "{\"items\":[]}\n");
	assert_int_equal(ask(s, "GET", "/v1/events?since=1000000"), 200);
	expect(s, "{\"items\":[{\"seq\":0,");
	expect(s, "\"type\":\"gap\"");
	assert_int_equal(ask(s, "GET", "/v1/events?type=gap"), 422);
	assert_int_equal(ask(s, "GET", "/v1/events?limit=0"), 422);
	assert_int_equal(ask(s, "GET", "/v1/events?limit=100000"), 422);
	assert_int_equal(ask(s, "GET", "/v1/events?since=x"), 422);
}

/* All events, in pages of two, as "1,2,3,": each once, and in order. */
static void read_pages(struct scene *s, const char *query, char *seqs, size_t size)
{
	char path[160];
	const char *next, *at;

	*seqs = '\0';
	snprintf(path, sizeof(path), "/v1/events?limit=2%s", query);
	do {
		assert_int_equal(ask(s, "GET", path), 200);
		for (at = s->conn.answer.body; (at = strstr(at, "{\"seq\":")); at++)
			snprintf(seqs + strlen(seqs), size - strlen(seqs), "%d,", atoi(at + 7));
		next = strstr(s->conn.answer.body, "\"next\":\"");
		snprintf(path, sizeof(path), "/v1/events?limit=2%s&cursor=%d", query,
			 next ? atoi(next + 8) : 0);
	} while (next);
}

static void test_pages(void **state)
{
	struct scene *s = *state;
	char seqs[256], path[64];
	unsigned long newest;

	start(s);
	assert_int_equal(ask(s, "POST", "/v1/vms/up/actions/pause"), 204);
	assert_int_equal(ask(s, "POST", "/v1/vms/up/actions/resume"), 204);
	assert_int_equal(ask(s, "GET", "/v1/events?limit=1&fields=seq"), 200);
	assert_int_equal(sscanf(s->conn.answer.body, "{\"items\":[{\"seq\":%lu}]}", &newest), 1);
	assert_true(newest >= 5);
	read_pages(s, "&since=0", seqs, sizeof(seqs));
	for (unsigned long i = 1, at = 0; i <= newest; i++) {
		char *end;

		assert_int_equal(strtoul(seqs + at, &end, 10), i);
		at = (unsigned long)(end - seqs) + 1;
	}
	/* there are none behind the last, and the last ones have none behind them */
	snprintf(path, sizeof(path), "/v1/events?cursor=%lu", newest);
	assert_int_equal(ask(s, "GET", path), 200);
	assert_string_equal(s->conn.answer.body, "{\"items\":[]}\n");
	assert_int_equal(ask(s, "GET", "/v1/events?limit=2"), 200);
	assert_null(strstr(s->conn.answer.body, "\"next\""));
	/* a page that is full of all that the filter takes */
	assert_int_equal(ask(s, "GET", "/v1/events?since=0&type=operation&limit=2"), 200);
	assert_null(strstr(s->conn.answer.body, "\"next\""));

	assert_int_equal(ask(s, "GET", "/v1/events?cursor=web"), 422);
	expect(s, "\"cursor\"");
	assert_int_equal(ask(s, "GET", "/v1/events?cursor=1000000"), 200);
	expect(s, "\"type\":\"gap\"");
}

static void test_fields(void **state)
{
	struct scene *s = *state;

	start(s);
	assert_int_equal(ask(s, "POST", "/v1/vms/up/actions/pause"), 204);
	assert_int_equal(ask(s, "GET", "/v1/events?type=operation&fields=operation,by.front,vm"), 200);
	assert_string_equal(s->conn.answer.body,
			    "{\"items\":[{\"vm\":\"up\",\"operation\":\"vm.pause\","
			    "\"by\":{\"front\":\"rest\"}}]}\n");
	assert_int_equal(ask(s, "GET", "/v1/events?since=1000000&fields=type"), 200);
	expect(s, "{\"items\":[{\"type\":\"gap\"},{\"type\":\"started\"},");
	assert_int_equal(ask(s, "GET", "/v1/events?fields=colour"), 422);
	expect(s, "there is no member colour");

	/* a stream is told by since where to begin, and has events as they are */
	assert_int_equal(http_ask(&s->conn, "GET", "/v1/events?fields=seq", STREAM, NULL), 422);
	expect(s, "\"fields\"");
	assert_int_equal(http_ask(&s->conn, "GET", "/v1/events?cursor=1", STREAM, NULL), 422);
	expect(s, "\"cursor\"");
}

/* Until text has come on the stream; what was before it is dropped. */
static void wait_for(struct scene *s, const char *text)
{
	struct http_conn *c = &s->stream;
	char *found;

	while (c->buf[c->n] = '\0', !(found = strstr(c->buf, text))) {
		ssize_t n = recv(c->fd, c->buf + c->n, sizeof(c->buf) - 1 - c->n, 0);

		if (n <= 0)
			fail_msg("no %s in %s", text, c->buf);
		c->n += (size_t)n;
	}
	found += strlen(text);
	c->n -= (size_t)(found - c->buf);
	memmove(c->buf, found, c->n);
}

static void open_stream(struct scene *s, const char *path, const char *headers)
{
	char head[512];

	snprintf(head, sizeof(head), "GET %s HTTP/1.1\r\nHost: h\r\n" STREAM "%s\r\n", path,
		 headers);
	assert_true(http_write(&s->stream, head, strlen(head)));
	wait_for(s, "HTTP/1.1 200 OK\r\n");
	wait_for(s, "Content-Type: text/event-stream\r\n");
	wait_for(s, "retry: ");
}

static void test_stream(void **state)
{
	struct scene *s = *state;

	start(s);
	open_stream(s, "/v1/events", "");
	assert_int_equal(ask(s, "POST", "/v1/vms/up/actions/pause"), 204);
	wait_for(s, "\nid: ");
	wait_for(s, "\nevent: state\ndata: {\"seq\":");
	wait_for(s, "\"state\":\"paused\"}\n\n");
	wait_for(s, "event: operation\n");
	assert_int_equal(ask(s, "POST", "/v1/vms/up/actions/resume"), 204);
	wait_for(s, "\"state\":\"running\"}\n\n");
}

static void test_filter(void **state)
{
	struct scene *s = *state;

	start(s);
	open_stream(s, "/v1/events?type=operation&vm=up", "");
	assert_int_equal(ask(s, "POST", "/v1/vms/up/actions/pause"), 204);
	wait_for(s, "id: ");
	s->stream.buf[s->stream.n] = '\0';
	wait_for(s, "event: operation");
	assert_int_equal(ask(s, "DELETE", "/v1/vms/up"), 409);
	wait_for(s, "id: ");
	wait_for(s, "\"operation\":\"vm.delete\"");
}

/* A client that comes back gets what it has missed, or is told that it cannot. */
static void test_replay(void **state)
{
	struct scene *s = *state;

	start(s);
	assert_int_equal(ask(s, "POST", "/v1/vms/up/actions/pause"), 204);
	open_stream(s, "/v1/events?since=0", "");
	wait_for(s, "id: 1\n");
	wait_for(s, "\"state\":\"paused\"");
	http_close(&s->stream);

	http_connect(&s->stream, s->rig.socket);
	open_stream(s, "/v1/events?since=0", "Last-Event-ID: 2\r\n");
	wait_for(s, "id: ");
	assert_int_equal(s->stream.buf[0], '3');
	http_close(&s->stream);

	http_connect(&s->stream, s->rig.socket);
	open_stream(s, "/v1/events", "Last-Event-ID: 99999\r\n");
	wait_for(s, "event: gap\n");
	wait_for(s, "id: 1\n");

	assert_int_equal(http_ask(&s->conn, "GET", "/v1/events", STREAM "Last-Event-ID: x\r\n",
				  NULL), 400);
	assert_int_equal(http_ask(&s->conn, "GET", "/v1/events?type=x", STREAM, NULL), 422);
	assert_int_equal(http_ask(&s->conn, "HEAD", "/v1/events", STREAM, NULL), 200);
}

static void test_heartbeat(void **state)
{
	struct scene *s = *state;

	s->rig.http.heartbeat = 1;
	start(s);
	open_stream(s, "/v1/events", "");
	wait_for(s, "\n:\n\n");
	wait_for(s, "\n:\n\n");
}

static void test_too_many(void **state)
{
	struct scene *s = *state;

	s->rig.http.max_streams = 1;
	start(s);
	open_stream(s, "/v1/events", "");
	assert_int_equal(http_ask(&s->conn, "GET", "/v1/events", STREAM, NULL), 503);
	/* the list is for everybody */
	assert_int_equal(ask(s, "GET", "/v1/events"), 200);
}

/* A client that does not read is cut, and nobody else notices. */
static void test_no_reader(void **state)
{
	struct scene *s = *state;
	struct pollfd p;

	s->rig.http.request_timeout = 4; /* enough for an honest request on a busy machine */
	start(s);
	/* more than the socket takes */
	for (int i = 0; i < 1500; i++) {
		assert_int_equal(ask(s, "POST", "/v1/vms/up/actions/pause"), 204);
		assert_int_equal(ask(s, "POST", "/v1/vms/up/actions/resume"), 204);
	}
	/* that of the beginning has been silent for too long by now */
	http_close(&s->stream);
	http_connect(&s->stream, s->rig.socket);
	open_stream(s, "/v1/events?since=0", "");
	p = (struct pollfd){ .fd = s->stream.fd, .events = POLLRDHUP };
	assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
	assert_true(p.revents & (POLLRDHUP | POLLHUP));
	assert_int_equal(ask(s, "GET", "/v1/vms"), 200);
}

static void test_stop(void **state)
{
	struct scene *s = *state;
	char c[4096];

	start(s);
	open_stream(s, "/v1/events", "");
	rig_stop(&s->rig);
	while (recv(s->stream.fd, c, sizeof(c), 0) > 0)
		;
	/* numbers go on where they were, and the past is there */
	rig_start(&s->rig);
	http_close(&s->conn);
	http_connect(&s->conn, s->rig.socket);
	assert_int_equal(ask(s, "GET", "/v1/events?type=started"), 200);
	expect(s, "\"type\":\"started\",\"detail\":\"" PACKAGE_VERSION "\"},{\"seq\":");
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_list),	T(test_pages),	   T(test_fields),   T(test_stream),	T(test_filter),
		T(test_replay), T(test_heartbeat), T(test_too_many), T(test_no_reader), T(test_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
