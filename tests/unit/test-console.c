/* SPDX-License-Identifier: Apache-2.0 */
/* The console with real sockets; the main loop runs in turns on the test's thread. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "vmm/console.h"

struct sink {
	char got[4096];
	size_t len, room;
};

struct fixture {
	struct loop *loop;
	struct console *console;
	struct sink uart, virtio;
};

static size_t take(void *ctx, const uint8_t *data, size_t len)
{
	struct sink *sink = ctx;

	len = MIN(len, sink->room);
	memcpy(sink->got + sink->len, data, len);
	sink->len += len;
	sink->room -= len;
	return len;
}

static int set_up(void **state)
{
	static struct fixture f;

	f = (struct fixture){ .uart.room = 4096, .virtio.room = 4096 };
	assert_int_equal(loop_new(&f.loop), 0);
	assert_int_equal(console_new(f.loop, &f.console), 0);
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	console_free(f->console);
	loop_free(f->loop);
	return 0;
}

/* A pair of sockets whose other end calls quit when the loop comes to it: all before is done. */
struct marker {
	struct loop_source src;
	int other;
};

static void on_marker(struct loop_source *src, uint32_t events)
{
	loop_quit(src->loop);
}

/* Let the loop do what there is to do. */
static void turn(struct fixture *f)
{
	for (int i = 0; i < 8; i++) {
		struct marker m = { .src.fn = on_marker };
		int pair[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
		m.src.fd = pair[0];
		assert_int_equal(write(pair[1], "x", 1), 1);
		assert_int_equal(loop_add(f->loop, &m.src, POLLIN), 0);
		assert_int_equal(loop_run(f->loop), 0);
		loop_remove(&m.src);
		close(pair[0]);
		close(pair[1]);
	}
}

/* Attach a client; returns its own end, non-blocking. */
static int attach(struct fixture *f, bool writer)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	fcntl(pair[1], F_SETFL, O_NONBLOCK);
	assert_int_equal(console_attach(f->console, pair[0], writer, NULL), 0);
	return pair[1];
}

static void say(struct fixture *f, const char *text)
{
	console_write(f->console, (const uint8_t *)text, strlen(text));
}

static void expect(int fd, const char *text)
{
	char buf[4096] = "";

	if (read(fd, buf, sizeof(buf) - 1) < 0)
		assert_int_equal(errno, EAGAIN);
	assert_string_equal(buf, text);
}

static void test_output_and_scrollback(void **state)
{
	struct fixture *f = *state;
	int early, late;

	say(f, "boot ");
	early = attach(f, false);
	turn(f);
	expect(early, "boot ");
	say(f, "log");
	say(f, "in: ");
	turn(f);
	expect(early, "login: ");
	turn(f);
	expect(early, "");

	late = attach(f, false);
	turn(f);
	expect(late, "boot login: ");
	expect(early, "");
	close(early);
	close(late);
}

static void test_scrollback_is_bounded(void **state)
{
	struct fixture *f = *state;
	static char got[2 * CONSOLE_SCROLLBACK];
	size_t total = 0;
	ssize_t n;
	int fd;

	for (unsigned i = 0; i < 20000; i++) {
		char line[16];

		snprintf(line, sizeof(line), "%08u\n", i);
		say(f, line);
	}
	fd = attach(f, false);
	do {
		turn(f);
		n = read(fd, got + total, sizeof(got) - total);
		total += n > 0 ? (size_t)n : 0;
	} while (n > 0);
	assert_int_equal(total, CONSOLE_SCROLLBACK);
	assert_memory_equal(got + total - 9, "00019999\n", 9);
	close(fd);
}

static void test_one_write_larger_than_the_ring(void **state)
{
	struct fixture *f = *state;
	size_t len = 3 * CONSOLE_SCROLLBACK + 5;
	uint8_t *data = malloc(len), got[100];
	int fd;

	memset(data, 'a', len);
	data[len - CONSOLE_SCROLLBACK] = 'b';
	console_write(f->console, data, len);
	free(data);
	fd = attach(f, false);
	turn(f);
	assert_int_equal(read(fd, got, sizeof(got)), sizeof(got));
	assert_int_equal(got[0], 'b');
	assert_int_equal(got[1], 'a');
	close(fd);
}

/* CVE-2016-5403, CVE-2020-27174: memory does not grow, and others are served. */
static void test_client_that_does_not_read_cve_2020_27174(void **state)
{
	struct fixture *f = *state;
	static uint8_t data[8192];
	int slow = attach(f, false), quick = attach(f, false);
	uint64_t total = 0;
	uint8_t buf[65536];
	ssize_t n;

	for (unsigned i = 0; i < 256; i++) {
		memset(data, (int)i, sizeof(data));
		console_write(f->console, data, sizeof(data));
		turn(f);
		while ((n = read(quick, buf, sizeof(buf))) > 0) {
			assert_int_equal(buf[n - 1], i);
			total += (uint64_t)n;
		}
	}
	assert_int_equal(total, 256 * sizeof(data));

	/* it lost the middle; what it gets last is the newest */
	do {
		n = read(slow, buf, sizeof(buf));
		if (n > 0)
			data[0] = buf[n - 1];
		turn(f);
	} while (n > 0);
	assert_int_equal(data[0], 255);
	close(slow);
	close(quick);
}

static void test_input(void **state)
{
	struct fixture *f = *state;
	int fd = attach(f, true), reader = attach(f, false);

	console_set_input(f->console, take, &f->uart);
	assert_int_equal(write(reader, "ignored", 7), 7);
	assert_int_equal(write(fd, "root\r", 5), 5);
	turn(f);
	assert_string_equal(f->uart.got, "root\r");
	close(fd);
	close(reader);
}

static void test_input_waits_for_a_device(void **state)
{
	struct fixture *f = *state;
	int fd = attach(f, true);

	assert_int_equal(write(fd, "early", 5), 5);
	turn(f);
	console_set_input(f->console, take, &f->uart);
	turn(f);
	assert_string_equal(f->uart.got, "early");
	close(fd);
}

static void test_back_pressure(void **state)
{
	struct fixture *f = *state;
	int fd = attach(f, true), size = 0;
	char text[2000];

	for (unsigned i = 0; i < sizeof(text); i++)
		text[i] = (char)('a' + i % 26);
	f->uart.room = 3;
	console_set_input(f->console, take, &f->uart);
	assert_int_equal(write(fd, text, sizeof(text)), sizeof(text));
	turn(f);
	assert_int_equal(f->uart.len, 3);

	/* a device that is full is not asked again before it says so */
	f->uart.room = 100;
	turn(f);
	assert_int_equal(f->uart.len, 3);
	while (f->uart.len < sizeof(text)) {
		f->uart.room = 100;
		console_input_ready(f->console);
		turn(f);
		assert_true(f->uart.len > (size_t)size);
		size = (int)f->uart.len;
	}
	assert_memory_equal(f->uart.got, text, sizeof(text));
	close(fd);
}

static void test_claimed_input(void **state)
{
	struct fixture *f = *state;
	int fd = attach(f, true);

	console_set_input(f->console, take, &f->uart);
	console_claim_input(f->console, take, &f->virtio);
	/* the boot console made anew does not take it back */
	console_set_input(f->console, take, &f->uart);
	assert_int_equal(write(fd, "hvc", 3), 3);
	turn(f);
	console_claim_input(f->console, NULL, NULL);
	assert_int_equal(write(fd, "uart", 4), 4);
	turn(f);
	assert_string_equal(f->virtio.got, "hvc");
	assert_string_equal(f->uart.got, "uart");
	close(fd);
}

static void test_one_keyboard(void **state)
{
	struct fixture *f = *state;
	struct hvd_error err = { 0 };
	int first = attach(f, true), second, pair[2];

	console_set_input(f->console, take, &f->uart);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(console_attach(f->console, pair[0], true, &err), -EBUSY);
	assert_int_equal(err.code, -EBUSY);
	/* taken all the same, and closed */
	assert_int_equal(read(pair[1], &(char){ 0 }, 1), 0);
	close(pair[1]);

	close(first);
	turn(f);
	second = attach(f, true);
	assert_int_equal(write(second, "x", 1), 1);
	turn(f);
	assert_string_equal(f->uart.got, "x");
	close(second);
}

/* `echo reboot | client`: its input ends, it still reads, and the keyboard is free. */
static void test_half_closed(void **state)
{
	struct fixture *f = *state;
	int first = attach(f, true), second;

	console_set_input(f->console, take, &f->uart);
	assert_int_equal(write(first, "reboot\r", 7), 7);
	shutdown(first, SHUT_WR);
	turn(f);
	assert_string_equal(f->uart.got, "reboot\r");
	say(f, "bye");
	turn(f);
	expect(first, "bye");
	second = attach(f, true);
	close(first);
	close(second);
}

static void test_input_before_hang_up(void **state)
{
	struct fixture *f = *state;
	int fd = attach(f, true);

	console_set_input(f->console, take, &f->uart);
	assert_int_equal(write(fd, "last words", 10), 10);
	close(fd);
	turn(f);
	assert_string_equal(f->uart.got, "last words");
}

static void test_hang_up_while_the_guest_does_not_read(void **state)
{
	struct fixture *f = *state;
	int fd = attach(f, true);
	char text[1000];

	memset(text, 'x', sizeof(text));
	assert_int_equal(write(fd, text, sizeof(text)), sizeof(text));
	turn(f);
	close(fd);
	turn(f);
	fd = attach(f, true); /* the keyboard is free */
	close(fd);
}

static void test_too_many_clients(void **state)
{
	struct fixture *f = *state;
	int fds[CONSOLE_MAX_CLIENTS], pair[2];

	for (int i = 0; i < CONSOLE_MAX_CLIENTS; i++)
		fds[i] = attach(f, false);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(console_attach(f->console, pair[0], false, NULL), -ENOSPC);
	close(pair[1]);
	close(fds[0]);
	turn(f);
	fds[0] = attach(f, false);
	for (int i = 0; i < CONSOLE_MAX_CLIENTS; i++)
		close(fds[i]);
}

static void test_file_is_refused(void **state)
{
	struct fixture *f = *state;
	struct hvd_error err = { 0 };
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	assert_int_equal(console_attach(f->console, fd, false, &err), -EPERM);
	assert_int_equal(err.code, -EPERM);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void *chatter(void *arg)
{
	for (int i = 0; i < 20000; i++)
		console_write(arg, (const uint8_t *)".", 1);
	return NULL;
}

/* Guest threads write while the main loop sends: every byte arrives once. */
static void test_writers_on_other_threads(void **state)
{
	struct fixture *f = *state;
	pthread_t threads[2];
	int fd = attach(f, false);
	size_t total = 0;
	char buf[65536];
	ssize_t n;

	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, chatter, f->console), 0);
	do {
		turn(f);
		n = read(fd, buf, sizeof(buf));
		total += n > 0 ? (size_t)n : 0;
	} while (total < 40000);
	assert_int_equal(total, 40000);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_output_and_scrollback),
		TEST(test_scrollback_is_bounded),
		TEST(test_one_write_larger_than_the_ring),
		TEST(test_client_that_does_not_read_cve_2020_27174),
		TEST(test_input),
		TEST(test_input_waits_for_a_device),
		TEST(test_back_pressure),
		TEST(test_claimed_input),
		TEST(test_one_keyboard),
		TEST(test_half_closed),
		TEST(test_input_before_hang_up),
		TEST(test_hang_up_while_the_guest_does_not_read),
		TEST(test_too_many_clients),
		TEST(test_file_is_refused),
		TEST(test_writers_on_other_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
