/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "vmm/base/log.h"

/* Standard error, which is a pipe meanwhile. */
struct tap {
	int saved, pipes[2];
};

static void tap_begin(struct tap *tap)
{
	tap->saved = dup(STDERR_FILENO);
	assert_int_equal(pipe2(tap->pipes, O_NONBLOCK), 0);
	dup2(tap->pipes[1], STDERR_FILENO);
}

static void tap_end(struct tap *tap, char *buf, size_t size)
{
	ssize_t n;

	dup2(tap->saved, STDERR_FILENO);
	n = read(tap->pipes[0], buf, size - 1);
	buf[n > 0 ? n : 0] = '\0';
	close(tap->saved);
	close(tap->pipes[0]);
	close(tap->pipes[1]);
}

/* What log_line() writes. */
static void capture(char *buf, size_t size, int priority, const char *text)
{
	struct tap tap;

	tap_begin(&tap);
	log_line(priority, "%s", text);
	tap_end(&tap, buf, size);
}

static void writes_whole_lines(void **state)
{
	char buf[4096], text[3000];

	unsetenv("JOURNAL_STREAM");
	log_open(LOG_INFO);
	capture(buf, sizeof(buf), LOG_INFO, "hello");
	assert_string_equal(buf, "hello\n");

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	capture(buf, sizeof(buf), LOG_INFO, text);
	assert_int_equal(strlen(buf), 1023);
	assert_int_equal(buf[1022], '\n');
}

static void drops_what_is_below_the_level(void **state)
{
	char buf[64];

	log_open(LOG_WARNING);
	capture(buf, sizeof(buf), LOG_INFO, "hello");
	assert_string_equal(buf, "");
	assert_false(log_enabled(LOG_INFO));
	assert_true(log_enabled(LOG_ERR));
}

static void tells_the_journal_the_priority(void **state)
{
	char buf[64];

	setenv("JOURNAL_STREAM", "8:1", 1);
	log_open(LOG_INFO);
	capture(buf, sizeof(buf), LOG_ERR, "hello");
	assert_string_equal(buf, "<3>hello\n");
	unsetenv("JOURNAL_STREAM");
	log_open(LOG_INFO);
}

static void limits_bursts(void **state)
{
	struct log_limit limit;
	unsigned allowed;
	uint64_t window;
	struct tap tap;
	char buf[256];

	/* 3 in a window of 10 s; once more, should the loop cross into the next one */
	do {
		limit = (struct log_limit){ 0 };
		allowed = log_allowed(&limit, 3);
		window = limit.window;
		tap_begin(&tap);
		for (int i = 1; i < 1000; i++)
			allowed += log_allowed(&limit, 3);
		tap_end(&tap, buf, sizeof(buf));
	} while (limit.window != window);
	assert_int_equal(allowed, 3);
	assert_int_equal(limit.suppressed, 997);

	/* another window, which tells what the last one left out */
	limit.window--;
	limit.suppressed = 7;
	tap_begin(&tap);
	assert_true(log_allowed(&limit, 3));
	tap_end(&tap, buf, sizeof(buf));
	assert_non_null(strstr(buf, "7 more lines"));
	assert_int_equal(limit.suppressed, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_whole_lines),
		cmocka_unit_test(drops_what_is_below_the_level),
		cmocka_unit_test(tells_the_journal_the_priority),
		cmocka_unit_test(limits_bursts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
