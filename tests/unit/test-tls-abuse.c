/* SPDX-License-Identifier: Apache-2.0 */
/* What test-http-abuse does, over TLS: where libmicrohttpd has GnuTLS between a client and its requests. */
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
#include "tests/unit/rig.h"
#include "tests/unit/tls_client.h"
#include "vmm/base/macro.h"

#define JSON	   "Content-Type: application/json\r\n"
#define POST	   "POST /v1/vms HTTP/1.1\r\nHost: h\r\n" JSON
#define MANY	   12
#define TIMEOUT_SEC 4 /* enough for an honest handshake on a busy machine */
#define MEMORY_MAX (320 * MIB) /* AddressSanitizer keeps 256 MiB of what has been freed */

struct scene {
	struct rig rig;
	struct http_conn conn; /* over the unix socket */
	struct tls_conn fresh, many[MANY];
	char bearer[128]; /* the header */
};

static int set_up(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));
	const char *at;
	char token[64];

	assert_non_null(s);
	rig_init(&s->rig);
	s->rig.tls = true;
	s->rig.http.request_timeout = TIMEOUT_SEC;
	rig_start_vmm(&s->rig, "up");
	rig_start(&s->rig);
	http_connect(&s->conn, s->rig.socket);
	assert_int_equal(http_ask(&s->conn, "POST", "/v1/certificate", JSON, "{\"name\":\"h\"}"), 201);
	assert_int_equal(http_ask(&s->conn, "POST", "/v1/tokens", JSON,
				  "{\"name\":\"t\",\"role\":\"admin\"}"), 201);
	at = strstr(s->conn.answer.body, "\"token\":\"");
	assert_true(at && sscanf(at + 9, "%63[^\"]", token) == 1);
	snprintf(s->bearer, sizeof(s->bearer), "Authorization: Bearer %s\r\n", token);
	http_close(&s->conn);
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	struct scene *s = *state;

	rig_clear(&s->rig);
	free(s);
	return 0;
}

static bool send_head(const struct scene *s, struct tls_conn *c, const char *line, const char *headers)
{
	char text[512];

	snprintf(text, sizeof(text), "%s HTTP/1.1\r\nHost: h\r\n%s%s\r\n", line, s->bearer, headers);
	return tls_send(c, text, strlen(text));
}

/* On both sockets. */
static void expect_served(struct scene *s)
{
	tls_connect(&s->fresh, s->rig.port, NULL, NULL);
	assert_int_equal(s->fresh.handshake, 0);
	assert_true(send_head(s, &s->fresh, "GET /v1/vms?fields=name", "Connection: close\r\n"));
	assert_int_equal(tls_read_all(&s->fresh), 200);
	assert_non_null(strstr(s->fresh.text, "{\"items\":[{\"name\":\"up\"}]}\n"));
	tls_close(&s->fresh);
	http_connect(&s->conn, s->rig.socket);
	assert_int_equal(http_ask(&s->conn, "GET", "/v1/vms?fields=name", NULL, NULL), 200);
	http_close(&s->conn);
}

/* a record of 16 KiB with a hello of as many, as far as it goes */
static const char hello[] = "\x16\x03\x01\x40\x00\x01\x00\x3f\xfc\x03\x03";

/* Half a handshake ends by its deadline, and until then hvd has better things to do. */
static void test_half_handshake(void **state)
{
	struct scene *s = *state;
	unsigned long turns = atomic_load(&s->rig.turns);

	for (int i = 0; i < MANY; i++) {
		tls_connect_plain(&s->many[i], s->rig.port);
		assert_true(tls_send(&s->many[i], hello, sizeof(hello) - 1));
	}
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(tls_read_all(&s->many[i]), 0);
		assert_int_equal(s->many[i].end, 0);
		tls_close(&s->many[i]);
	}
	/* few, if all that came was there when hvd came to it */
	assert_in_range(atomic_load(&s->rig.turns) - turns, 1, 1000);
}

/* Bytes that come one by one in a handshake, a head, a body: all of them end. */
static void test_drips(void **state)
{
	struct scene *s = *state;
	int open;

	for (int i = 0; i < MANY; i++) {
		struct tls_conn *c = &s->many[i];

		if (i % 3 == 0) {
			tls_connect_plain(c, s->rig.port);
			assert_true(tls_send(c, hello, sizeof(hello) - 1));
			continue;
		}
		tls_connect(c, s->rig.port, NULL, NULL);
		assert_int_equal(c->handshake, 0);
		if (i % 3 == 2)
			assert_true(send_head(s, c, "POST /v1/vms", JSON "Content-Length: 60000\r\n"));
	}
	do {
		open = 0;
		for (int i = 0; i < MANY; i++)
			open += tls_send(&s->many[i], i % 3 == 2 ? " " : "A", 1);
		expect_served(s);
		poll(NULL, 0, 50);
	} while (open);
	for (int i = 0; i < MANY; i++)
		tls_close(&s->many[i]);
}

/* Requests in a row by a client that reads no answer. */
static void test_no_reader(void **state)
{
	struct scene *s = *state;
	size_t before, n = 0;

	expect_served(s);
	before = rig_resident();
	tls_connect(&s->many[0], s->rig.port, NULL, NULL);
	while (send_head(s, &s->many[0], "GET /v1/openapi.json", ""))
		assert_true(n++ < 1000000);
	assert_true(rig_resident() < before + MEMORY_MAX);
	expect_served(s);
	tls_close(&s->many[0]);
}

/* A client that goes in its head and in its body, without a word. */
static void test_gone(void **state)
{
	static const char body[] = "{\"name\": \"half\", \"boot\": {\"kernel\": \"/bin/sh\"}}";
	struct scene *s = *state;
	char head[512];
	size_t n;

	n = (size_t)snprintf(head, sizeof(head), POST "%sContent-Length: %zu\r\n\r\n%s", s->bearer,
			     sizeof(body) - 1, body);
	for (size_t at = 0; at < n; at += 9) {
		tls_connect(&s->many[0], s->rig.port, NULL, NULL);
		assert_true(!at || tls_send(&s->many[0], head, at));
		tls_close(&s->many[0]);
	}
	expect_served(s); /* with no VM "half" */
}

/* What is no record in the middle of a session, and a record that has been changed. */
static void test_broken_session(void **state)
{
	static const char *const texts[] = {
		"GET /v1/vms HTTP/1.1\r\nHost: h\r\n\r\n",
		"\x17\x03\x03\x00\x20_1234567890123456789012345678901",
		"\x15\x03\x03\x00\x02\x02\x28",
	};
	struct scene *s = *state;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct tls_conn *c = &s->many[i];
		/* the second has a NUL in it: lengths are those of its header */
		size_t n = i == 0 ? strlen(texts[0]) : 5 + (size_t)texts[i][4];

		tls_connect(c, s->rig.port, NULL, NULL);
		assert_true(send_head(s, c, "GET /v1/vms/up/vcpus", ""));
		assert_true(tls_expect(c, "HTTP/1.1 200 "));
		assert_true(tls_expect(c, "}\n"));
		assert_int_equal(send(c->fd, texts[i], n, MSG_NOSIGNAL), n);
		assert_int_equal(tls_read_all(c), 0);
		tls_close(c);
	}
	expect_served(s);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_half_handshake), T(test_drips),	       T(test_no_reader),
		T(test_gone),		T(test_broken_session),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
