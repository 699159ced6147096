/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/child.h"

struct end {
	struct child *child;
	unsigned calls;
	int r;
	struct hvd_error err;
};

static void on_end(void *ctx, int r, const struct hvd_error *err)
{
	struct end *end = ctx;

	end->calls++;
	end->r = r;
	if (err)
		end->err = *err;
}

/* A shell that has a second for this command. */
static void start(sd_event *event, const char *command, struct end *end)
{
	char *argv[] = { (char[]){ "/bin/sh" }, (char[]){ "-c" }, (char *)command, NULL };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	const struct child_program program = { .argv = argv, .stdio = { null, null, null }, .timeout_sec = 1 };

	assert_true(null >= 0);
	*end = (struct end){ 0 };
	assert_int_equal(child_start(event, &program, on_end, end, &end->child), 0);
	close(null);
}

static void finish(sd_event *event, struct end *end)
{
	while (!end->calls)
		assert_true(sd_event_run(event, UINT64_MAX) >= 0);
	assert_int_equal(end->calls, 1);
	child_free(end->child);
}

static void test_ends(void **state)
{
	sd_event *event;
	struct end end;

	assert_true(sd_event_new(&event) >= 0);
	start(event, "sleep 100000", &end);
	finish(event, &end);
	assert_int_equal(end.r, -ETIMEDOUT);
	assert_string_equal(end.err.msg, "took too long");
	sd_event_unref(event);
}

/* None of the children of this process runs any more; nobody has reaped them. */
static void wait_all_ended(void)
{
	char path[64], state;
	int pid, running;

	do {
		FILE *f;

		running = 0;
		snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
		f = fopen(path, "re");
		assert_non_null(f);
		while (fscanf(f, "%d", &pid) == 1) {
			FILE *stat;

			snprintf(path, sizeof(path), "/proc/%d/stat", pid);
			stat = fopen(path, "re");
			assert_non_null(stat);
			assert_int_equal(fscanf(stat, "%*d (%*[^)]) %c", &state), 1);
			fclose(stat);
			running += state != 'Z';
		}
		fclose(f);
	} while (running);
}

/* hvd was held up for longer than they had, and finds that they have ended in time. */
static void test_late_reader(void **state)
{
	enum { N = 16 };
	struct end ends[N];
	sd_event *event;

	assert_true(sd_event_new(&event) >= 0);
	for (unsigned i = 0; i < N; i++)
		start(event, i % 2 ? "exit 3" : "exit 0", &ends[i]);
	wait_all_ended();
	usleep(1000000);
	for (unsigned i = 0; i < N; i++) {
		finish(event, &ends[i]);
		assert_string_equal(ends[i].err.msg, i % 2 ? "failed with status 3" : "");
		assert_int_equal(ends[i].r, i % 2 ? -EIO : 0);
	}
	sd_event_unref(event);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_ends), cmocka_unit_test(test_late_reader) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
