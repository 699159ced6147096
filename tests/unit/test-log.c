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

/* What log_line() writes to standard error, which is a pipe meanwhile. */
static void capture(char *buf, size_t size, int priority, const char *text)
{
	int saved = dup(STDERR_FILENO), pipes[2];
	ssize_t n;

	assert_int_equal(pipe2(pipes, O_NONBLOCK), 0);
	dup2(pipes[1], STDERR_FILENO);
	log_line(priority, "%s", text);
	dup2(saved, STDERR_FILENO);

	n = read(pipes[0], buf, size - 1);
	buf[n > 0 ? n : 0] = '\0';
	close(saved);
	close(pipes[0]);
	close(pipes[1]);
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
	struct log_limit limit = { 0 };
	unsigned allowed = 0;

	for (int i = 0; i < 1000; i++)
		allowed += log_allowed(&limit, 3);
	/* 3 in a window of 10 s; the loop may just cross into the next one */
	assert_in_range(allowed, 3, 6);
	assert_int_equal(limit.suppressed, 1000 - allowed);

	/* another window */
	limit.window--;
	assert_true(log_allowed(&limit, 3));
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
