/* SPDX-License-Identifier: Apache-2.0 */
/* Operations over REST: a stop that lasts until the VM's process has gone. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/http_prefer.h"
#include "tests/unit/http_client.h"
#include "tests/unit/rig.h"
#include "vmm/base/macro.h"

#define ASYNC "Prefer: respond-async\r\n"
#define STOP  "/v1/vms/up/actions/stop"

struct scene {
	struct rig rig;
	struct http_conn conn, other;
	char path[64]; /* of the operation */
};

static int set_up(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));

	rig_init(&s->rig);
	rig_start_vmm(&s->rig, "up");
	rig_start(&s->rig);
	http_connect(&s->conn, s->rig.socket);
	http_connect(&s->other, s->rig.socket);
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	struct scene *s = *state;

	http_close(&s->conn);
	http_close(&s->other);
	rig_clear(&s->rig);
	free(s);
	return 0;
}

static void expect(struct http_conn *conn, const char *part)
{
	if (!strstr(conn->answer.body, part))
		fail_msg("no %s in %s", part, conn->answer.body);
}

static void begin(struct scene *s)
{
	assert_int_equal(http_ask(&s->conn, "POST", STOP, ASYNC, NULL), 202);
	assert_string_equal(http_header(&s->conn, "Preference-Applied"), "respond-async");
	snprintf(s->path, sizeof(s->path), "%s", http_header(&s->conn, "Location"));
	assert_memory_equal(s->path, "/v1/operations/", 15);
	expect(&s->conn, "\"kind\":\"vm.stop\",\"resource\":\"/v1/vms/up\",\"vm\":\"up\"");
	expect(&s->conn, "\"state\":\"running\",\"cancellable\":false");
}

static void test_life(void **state)
{
	struct scene *s = *state;
	char path[96], wait[160];

	begin(s);
	assert_int_equal(http_ask(&s->conn, "GET", s->path, NULL, NULL), 200);
	expect(&s->conn, "\"state\":\"running\"");
	snprintf(path, sizeof(path), "%s?wait=1", s->path);
	assert_int_equal(http_ask(&s->conn, "GET", path, NULL, NULL), 200);
	expect(&s->conn, "\"state\":\"running\"");
	assert_int_equal(http_ask(&s->conn, "GET", "/v1/operations", NULL, NULL), 200);
	expect(&s->conn, s->path + 15);
	assert_int_equal(http_ask(&s->conn, "DELETE", s->path, NULL, NULL), 409);
	expect(&s->conn, "vm.stop cannot be cancelled");

	/* one waits while the end comes */
	snprintf(wait, sizeof(wait), "GET %s?wait=60 HTTP/1.1\r\nHost: h\r\n\r\n", s->path);
	assert_true(http_write(&s->other, wait, strlen(wait)));
	rig_end_vmm(&s->rig);
	assert_int_equal(http_read(&s->other, false), 200);
	expect(&s->other, "\"state\":\"succeeded\",\"cancellable\":false");
	expect(&s->other, "\"finished_usec\":");
	assert_int_equal(http_ask(&s->conn, "GET", path, NULL, NULL), 200);
	expect(&s->conn, "\"state\":\"succeeded\"");
	assert_int_equal(http_ask(&s->conn, "DELETE", s->path, NULL, NULL), 409);
	expect(&s->conn, "has ended: it has succeeded");

	assert_int_equal(http_ask(&s->conn, "GET", "/v1/events?type=operation", NULL, NULL), 200);
	expect(&s->conn, "\"outcome\":\"running\"");
	expect(&s->conn, "\"outcome\":\"succeeded\"");
	expect(&s->conn, s->path + 15);
}

static void test_patience(void **state)
{
	static const char stop[] = "POST " STOP " HTTP/1.1\r\nHost: h\r\n\r\n";
	struct scene *s = *state;

	/* the first is patient as clients are used to be; another's patience is over */
	assert_true(http_write(&s->other, stop, sizeof(stop) - 1));
	assert_int_equal(http_ask(&s->conn, "POST", STOP, "Prefer: wait=1, foo\r\n", NULL), 202);
	assert_int_equal(http_ask(&s->conn, "POST", STOP, "Prefer: wait=0\r\n", NULL), 202);
	rig_end_vmm(&s->rig);
	assert_int_equal(http_read(&s->other, false), 204);
	assert_null(http_header(&s->other, "Location"));
}

/* What ends at once is no operation. */
static void test_quick(void **state)
{
	struct scene *s = *state;

	assert_int_equal(http_ask(&s->conn, "POST", "/v1/vms/up/actions/start", ASYNC, NULL), 409);
	assert_int_equal(http_ask(&s->conn, "PATCH", "/v1/vms/up",
				  ASYNC "Content-Type: application/json\r\n", "{\"vcpus\":2}"),
			 200);
	assert_int_equal(http_ask(&s->conn, "GET", "/v1/operations", NULL, NULL), 200);
	assert_string_equal(s->conn.answer.body, "{\"items\":[]}\n");
	assert_int_equal(http_ask(&s->conn, "GET", "/v1/operations/nothing", NULL, NULL), 404);
	assert_int_equal(http_ask(&s->conn, "DELETE", "/v1/operations/nothing", NULL, NULL), 404);
	assert_int_equal(http_ask(&s->conn, "GET", "/v1/operations/x?wait=601", NULL, NULL), 404);
	begin(s);
	strcat(s->path, "?wait=601");
	assert_int_equal(http_ask(&s->conn, "GET", s->path, NULL, NULL), 422);
}

/* hvd ends while somebody waits, and knows afterwards what has become of it. */
static void test_restart(void **state)
{
	struct scene *s = *state;
	char wait[160];

	begin(s);
	snprintf(wait, sizeof(wait), "GET %s?wait=60 HTTP/1.1\r\nHost: h\r\n\r\n", s->path);
	assert_true(http_write(&s->other, wait, strlen(wait)));
	/* so that it has been read */
	assert_int_equal(http_ask(&s->conn, "GET", s->path, NULL, NULL), 200);
	rig_stop(&s->rig);
	while (http_read(&s->other, false))
		;
	rig_end_vmm(&s->rig);
	rig_start(&s->rig);
	http_close(&s->conn);
	http_connect(&s->conn, s->rig.socket);
	assert_int_equal(http_ask(&s->conn, "GET", s->path, NULL, NULL), 200);
	expect(&s->conn, "\"state\":\"succeeded\"");
	/* it was not called an end when hvd ended */
	assert_int_equal(http_ask(&s->conn, "GET", "/v1/events?type=operation", NULL, NULL), 200);
	assert_null(strstr(s->conn.answer.body, "\"outcome\":\"cancelled\""));
	expect(&s->conn, "\"outcome\":\"succeeded\"");
}

static void expect_prefer(const char *text, bool async, int wait)
{
	struct prefer prefer = { 0 };

	prefer_parse(text, &prefer);
	assert_int_equal(prefer.respond_async, async);
	assert_int_equal(prefer.has_wait ? (int)prefer.wait : -1, wait);
}

static void test_prefer(void **state)
{
	expect_prefer("", false, -1);
	expect_prefer("respond-async", true, -1);
	expect_prefer("Respond-Async, WAIT=10", true, 10);
	expect_prefer("wait = \"7\"", false, 7);
	expect_prefer(",, wait=5;x=1 , wait=6", false, 5);
	expect_prefer("return=\"a,wait=1\", wait=2", false, 2);
	expect_prefer("return=\"a\\\",wait=1\", wait=2", false, 2);
	expect_prefer("wait=-1", false, -1);
	expect_prefer("wait", false, -1);
	expect_prefer("wait=1x", false, -1);
	expect_prefer("wait=99999999999999999999", false, 600);
	expect_prefer("respond-asynchronously, waiting=3", false, -1);
	expect_prefer("\"", false, -1);
	expect_prefer("wait=\"", false, -1);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_life),	 T(test_patience),
		T(test_quick),	 T(test_restart),
		cmocka_unit_test(test_prefer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
