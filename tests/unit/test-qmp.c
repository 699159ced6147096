/* SPDX-License-Identifier: Apache-2.0 */
/* The QMP client; the test is the storage daemon. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "daemon/qmp.h"

#define GREETING "{\"QMP\": {\"version\": {}, \"capabilities\": [\"oob\"]}}\r\n"

static struct {
	sd_event *event;
	struct qmp *qmp;
	int peer;
	unsigned ready, closed, answers;
	struct hvd_error err;
	bool free_it;
} t;

static void on_ready(void *ctx)
{
	t.ready++;
}

static void on_closed(void *ctx)
{
	t.closed++;
	t.qmp = qmp_free(t.qmp);
}

static const struct qmp_ops ops = { on_ready, on_closed };

static void on_answer(void *ctx, int r, json_t *result, const struct hvd_error *err)
{
	t.answers++;
	assert_int_equal(r < 0, !result);
	if (r < 0)
		t.err = *err;
	if (t.free_it)
		t.qmp = qmp_free(t.qmp);
}

static int set_up(void **state)
{
	int pair[2];

	memset(&t, 0, sizeof(t));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	assert_true(sd_event_new(&t.event) >= 0);
	t.peer = pair[1];
	assert_int_equal(qmp_new(t.event, pair[0], &ops, NULL, &t.qmp), 0);
	return 0;
}

static int tear_down(void **state)
{
	qmp_free(t.qmp);
	if (t.peer >= 0)
		close(t.peer);
	sd_event_unref(t.event);
	return 0;
}

static void run(void)
{
	while (sd_event_run(t.event, 0) > 0)
		;
}

static void say(const char *text)
{
	assert_int_equal(write(t.peer, text, strlen(text)), strlen(text));
	run();
}

static void expect(const char *text)
{
	char buf[512];
	ssize_t n = read(t.peer, buf, sizeof(buf) - 1);

	if (!text) {
		assert_int_equal(n, -1);
		return;
	}
	assert_true(n > 0);
	buf[n] = '\0';
	assert_string_equal(buf, text);
}

static void greet(void)
{
	say(GREETING);
	expect("{\"execute\":\"qmp_capabilities\"}\n");
	say("{\"return\": {}}\r\n");
}

static void commands_follow_each_other(void **state)
{
	assert_int_equal(qmp_execute(t.qmp, "one", json_pack("{s:i}", "a", 1), on_answer, NULL), 0);
	assert_int_equal(qmp_execute(t.qmp, "two", NULL, on_answer, NULL), 0);
	/* nothing before it greets */
	expect(NULL);
	assert_int_equal(t.ready, 0);
	greet();
	assert_int_equal(t.ready, 1);
	expect("{\"execute\":\"one\",\"arguments\":{\"a\":1}}\n");
	say("{\"event\": \"SOMETHING\"}\r\n{\"return\": []}\r\n");
	assert_int_equal(t.answers, 1);
	expect("{\"execute\":\"two\"}\n");
	say("{\"error\": {\"class\": \"GenericError\", ");
	say("\"desc\": \"no \\u001b[31msuch thing\"}}\r\n");
	assert_int_equal(t.answers, 2);
	assert_string_equal(t.err.msg, "qemu-storage-daemon: no ?[31msuch thing");
	assert_int_equal(t.closed, 0);
}

static void callbacks_may_free_it(void **state)
{
	greet();
	t.free_it = true;
	qmp_execute(t.qmp, "one", NULL, on_answer, NULL);
	say("{\"return\": {}}\r\n{\"return\": {}}\r\n");
	assert_null(t.qmp);
}

static void its_end_is_told_once(void **state)
{
	greet();
	qmp_execute(t.qmp, "one", NULL, on_answer, NULL);
	close(t.peer);
	t.peer = -1;
	run();
	assert_int_equal(t.closed, 1);
	assert_int_equal(t.answers, 0);
}

static void nonsense_ends_it(void **state)
{
	static const char *const lines[] = { "hello\n", "[]\n", "{\"return\": {}}\n", "{}\n", "\n", "\xff\n" };

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		say(lines[i]);
		assert_int_equal(t.closed, 1);
		tear_down(state);
		set_up(state);
	}
	/* an answer that nobody waits for */
	greet();
	say("{\"return\": {}}\n");
	assert_int_equal(t.closed, 1);
}

static void a_line_without_end_is_cut(void **state)
{
	char block[4096];

	memset(block, 'x', sizeof(block));
	for (int i = 0; i < 200 && !t.closed; i++) {
		(void)!write(t.peer, block, sizeof(block));
		run();
	}
	assert_int_equal(t.closed, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(commands_follow_each_other),
		TEST(callbacks_may_free_it),
		TEST(its_end_is_told_once),
		TEST(nonsense_ends_it),
		TEST(a_line_without_end_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
