/* SPDX-License-Identifier: Apache-2.0 */
/* The log of events: order, gaps, filters, and what is left of it after a restart. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "api/json.h"
#include "daemon/event_log.h"
#include "vmm/base/log.h"
#include "vmm/base/macro.h"

struct place {
	char folder[32], path[48];
	struct event_log *log;
};

static const struct event_filter all;

static void open_log(struct place *p)
{
	struct hvd_error err = { 0 };

	if (event_log_new(p->path, &p->log, &err) < 0)
		fail_msg("%s", err.msg);
}

static int set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	log_open(LOG_CRIT);
	strcpy(p->folder, "/tmp/hvd-test.XXXXXX");
	assert_non_null(mkdtemp(p->folder));
	snprintf(p->path, sizeof(p->path), "%s/events", p->folder);
	open_log(p);
	*state = p;
	return 0;
}

static int tear_down(void **state)
{
	struct place *p = *state;
	char command[96];

	event_log_free(p->log);
	snprintf(command, sizeof(command), "rm -rf '%s'", p->folder);
	assert_int_equal(system(command), 0);
	free(p);
	return 0;
}

static void add(struct place *p, enum event_type type, const char *vm, const char *detail)
{
	struct event event = { .type = type, .vm = (char *)vm,
			       .detail = detail ? strdup(detail) : NULL };

	memset(event.vm_uuid, vm ? vm[0] : 0, sizeof(event.vm_uuid));
	event_log_add(p->log, &event);
	free(event.detail);
}

static void expect_next(const struct place *p, uint64_t after, const struct event_filter *filter,
			uint64_t want)
{
	const struct event_entry *entry = event_log_next(p->log, after, filter);

	assert_int_equal(entry ? entry->seq : 0, want);
}

static void test_order(void **state)
{
	struct place *p = *state;
	AUTO(json_decref) json_t *json = NULL;

	expect_next(p, 0, &all, 0);
	assert_int_equal(event_log_oldest(p->log), 1);
	assert_int_equal(event_log_newest(p->log), 0);
	add(p, EVENT_ADDED, "a", NULL);
	add(p, EVENT_STATE, "a", "bad \xff byte");
	assert_int_equal(event_log_newest(p->log), 2);
	expect_next(p, 0, &all, 1);
	expect_next(p, 1, &all, 2);
	expect_next(p, 2, &all, 0);
	expect_next(p, 77, &all, 0);

	json = json_loads(event_log_next(p->log, 1, &all)->json, 0, NULL);
	assert_string_equal(json_string_value(json_object_get(json, "type")), "state");
	assert_string_equal(json_string_value(json_object_get(json, "detail")), "bad ? byte");
	assert_int_equal(json_integer_value(json_object_get(json, "seq")), 2);
	assert_true(json_integer_value(json_object_get(json, "time_usec")) > 1);
	/* what does not apply is left out */
	assert_null(json_object_get(json, "by"));
	assert_null(json_object_get(json, "generation"));
	assert_null(json_object_get(json, "resource"));
}

static void test_filter(void **state)
{
	struct place *p = *state;
	struct event_options by_type = { .type = (char[]){ "added,removed" } };
	struct event_options by_vm = { .vm = (char[]){ "b" } };
	struct event_options by_uuid = {
		.vm = (char[]){ "62626262-6262-6262-6262-626262626262" },
	};
	struct event_options wrong = { .type = (char[]){ "added,gap" } };
	struct hvd_error err = { 0 };
	struct event_filter filter;

	add(p, EVENT_ADDED, "a", NULL);
	add(p, EVENT_ADDED, "b", NULL);
	add(p, EVENT_STATE, "b", NULL);
	add(p, EVENT_REMOVED, "a", NULL);
	add(p, EVENT_STARTED, NULL, NULL);

	assert_int_equal(event_filter_init(&filter, &by_type, NULL), 0);
	expect_next(p, 2, &filter, 4);
	expect_next(p, 4, &filter, 0);
	assert_int_equal(event_log_last(p->log, 2, &filter), 1);
	assert_int_equal(event_log_last(p->log, 3, &filter), 0);
	assert_int_equal(event_filter_init(&filter, &by_vm, NULL), 0);
	expect_next(p, 0, &filter, 2);
	expect_next(p, 3, &filter, 0);
	assert_int_equal(event_filter_init(&filter, &by_uuid, NULL), 0);
	expect_next(p, 2, &filter, 3);
	assert_int_equal(event_filter_init(&filter, &wrong, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "'gap'"));
}

/* The ring is bounded in number and in bytes; who asks for what has gone is told. */
static void test_gap(void **state)
{
	struct place *p = *state;
	char *text = NULL, big[4000];
	uint64_t seq = 0;

	assert_int_equal(event_log_gap(p->log, 0, &seq, &text), 0);
	assert_int_equal(event_log_gap(p->log, 1, &seq, &text), 1);
	assert_non_null(strstr(text, "there is no event 1 yet"));
	assert_int_equal(seq, 0);
	free(text);

	for (int i = 0; i < EVENT_LIST_MAX + 10; i++)
		add(p, EVENT_STATE, "a", NULL);
	assert_int_equal(event_log_newest(p->log) - event_log_oldest(p->log) + 1, EVENT_LIST_MAX);
	assert_int_equal(event_log_gap(p->log, 9, &seq, &text), 1);
	assert_int_equal(seq, 10);
	assert_non_null(strstr(text, "events 10 to 10 are not kept any more"));
	free(text);
	assert_int_equal(event_log_gap(p->log, 10, &seq, &text), 0);
	expect_next(p, 10, &all, 11);

	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	for (int i = 0; i < 1000; i++)
		add(p, EVENT_STATE, "a", big);
	assert_true(event_log_newest(p->log) - event_log_oldest(p->log) <
		    EVENT_BYTES_MAX / sizeof(big));
	assert_true(event_log_newest(p->log) - event_log_oldest(p->log) > 200);
}

static void restart(struct place *p)
{
	p->log = event_log_free(p->log);
	open_log(p);
}

static void file_path(const struct place *p, const char *name, char path[static 64])
{
	snprintf(path, 64, "%s/%s", p->path, name);
}

static void test_restart(void **state)
{
	struct place *p = *state;

	add(p, EVENT_ADDED, "a", NULL);
	add(p, EVENT_STATE, "b", "reason");
	restart(p);
	assert_int_equal(event_log_newest(p->log), 2);
	assert_int_equal(event_log_oldest(p->log), 1);
	assert_string_equal(event_log_next(p->log, 1, &all)->vm, "b");
	assert_non_null(strstr(event_log_next(p->log, 1, &all)->json, "\"reason\""));
	add(p, EVENT_STATE, "b", NULL);
	assert_int_equal(event_log_newest(p->log), 3);
}

/* Numbers are never used twice, whatever has become of the files. */
static void test_numbers_grow(void **state)
{
	struct place *p = *state;
	char path[64], copy[256];

	for (int i = 0; i < 5; i++)
		add(p, EVENT_STATE, "a", NULL);
	/* as after a crash: nothing was given back */
	file_path(p, "seq", path);
	snprintf(copy, sizeof(copy), "cp '%s' '%s.saved'", path, path);
	assert_int_equal(system(copy), 0);
	p->log = event_log_free(p->log);
	snprintf(copy, sizeof(copy), "mv '%s.saved' '%s'", path, path);
	assert_int_equal(system(copy), 0);
	file_path(p, "log", path);
	assert_int_equal(unlink(path), 0);
	open_log(p);
	assert_true(event_log_newest(p->log) >= 5);
	assert_int_equal(event_log_oldest(p->log), event_log_newest(p->log) + 1);

	/* and without the number, from what the log has */
	add(p, EVENT_STATE, "a", NULL);
	p->log = event_log_free(p->log);
	file_path(p, "seq", path);
	assert_int_equal(unlink(path), 0);
	open_log(p);
	assert_true(event_log_newest(p->log) > 5);
}

/* A line that was cut off is left out, and does not garble the next. */
static void test_torn_line(void **state)
{
	struct place *p = *state;
	char path[64];
	int fd;

	add(p, EVENT_ADDED, "a", NULL);
	p->log = event_log_free(p->log);
	file_path(p, "log", path);
	fd = open(path, O_WRONLY | O_APPEND);
	assert_int_equal(write(fd, "{\"seq\":2,\"ty", 12), 12);
	close(fd);
	open_log(p);
	assert_int_equal(event_log_newest(p->log), 1);
	add(p, EVENT_STATE, "b", NULL);
	restart(p);
	assert_int_equal(event_log_newest(p->log), 2);
	assert_string_equal(event_log_next(p->log, 1, &all)->vm, "b");
}

static void test_rotation(void **state)
{
	struct place *p = *state;
	uint64_t newest, oldest;
	char path[64], big[2000];
	struct stat st;

	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	for (int i = 0; i < 1200; i++)
		add(p, EVENT_STATE, "a", big);
	newest = event_log_newest(p->log);
	oldest = event_log_oldest(p->log);
	restart(p);
	assert_int_equal(event_log_newest(p->log), newest);
	assert_int_equal(event_log_oldest(p->log), oldest);
	file_path(p, "log", path);
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_size <= EVENT_FILE_MAX + 4096);
	file_path(p, "log.old", path);
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_size <= EVENT_FILE_MAX + 4096);
}

/* No place to write to: events go on in memory. */
static void test_no_file(void **state)
{
	struct place *p = *state;
	char command[128];

	p->log = event_log_free(p->log);
	snprintf(command, sizeof(command), "mkdir -p '%s/log' '%s/seq'", p->path, p->path);
	assert_int_equal(system(command), 0);
	open_log(p);
	add(p, EVENT_STATE, "a", NULL);
	add(p, EVENT_STATE, "a", NULL);
	expect_next(p, 0, &all, 1);
	expect_next(p, 1, &all, 2);
}

struct counter {
	struct event_listener listener;
	unsigned n;
	uint64_t last;
};

static void count(struct event_listener *listener, const struct event *event)
{
	struct counter *counter = container_of(listener, struct counter, listener);

	counter->n++;
	counter->last = event->seq;
}

static void test_listener(void **state)
{
	struct place *p = *state;
	struct counter counter = { .listener.fn = count };

	event_log_listen(p->log, &counter.listener);
	add(p, EVENT_STATE, "a", NULL);
	add(p, EVENT_STATE, "a", NULL);
	assert_int_equal(counter.n, 2);
	assert_int_equal(counter.last, 2);
	list_remove(&counter.listener.node);
	add(p, EVENT_STATE, "a", NULL);
	assert_int_equal(counter.n, 2);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_order),	      T(test_filter),	 T(test_gap),	   T(test_restart),
		T(test_numbers_grow), T(test_torn_line), T(test_rotation), T(test_no_file),
		T(test_listener),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
