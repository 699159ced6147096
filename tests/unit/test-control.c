/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/control.h"
#include "vmm/base/macro.h"

static int pair[2];

static int set_up(void **state)
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair);
}

static int tear_down(void **state)
{
	close(pair[0]);
	close(pair[1]);
	return 0;
}

static int count_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void test_round_trip(void **state)
{
	struct control_message in, out = { .version = CONTROL_VERSION, .type = CONTROL_CONSOLE,
					   .serial = 7, .arg = 1 };
	int fds[CONTROL_MAX_FDS], sent[2], before;
	struct stat a, b;
	size_t n;

	assert_int_equal(pipe(sent), 0);
	before = count_fds();
	assert_int_equal(control_send(pair[0], &out, sent, 2), 0);
	n = CONTROL_MAX_FDS;
	assert_int_equal(control_recv(pair[1], &in, fds, &n), 1);
	assert_memory_equal(&in, &out, sizeof(in));
	assert_int_equal(n, 2);

	/* the same files, in order, close-on-exec */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(fstat(sent[i], &a), 0);
		assert_int_equal(fstat(fds[i], &b), 0);
		assert_int_equal(a.st_ino, b.st_ino);
		assert_true(fcntl(fds[i], F_GETFD) & FD_CLOEXEC);
		close(fds[i]);
	}
	assert_int_equal(count_fds(), before);
	close(sent[0]);
	close(sent[1]);
}

static void test_empty_and_closed(void **state)
{
	struct control_message in;
	size_t n = 0;

	assert_int_equal(control_recv(pair[1], &in, NULL, &n), -EAGAIN);
	shutdown(pair[0], SHUT_WR);
	assert_int_equal(control_recv(pair[1], &in, NULL, &n), 0);
}

/* Bytes that are no message, with a descriptor beside them that must not be leaked. */
static void send_raw(const void *data, size_t len, int fd)
{
	struct iovec iov = { (void *)data, len };
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} cmsg = { .header = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &cmsg,
			      .msg_controllen = sizeof(cmsg) };

	memcpy(CMSG_DATA(&cmsg.header), &fd, sizeof(fd));
	assert_int_equal(sendmsg(pair[0], &msg, 0), len);
}

static void test_malformed(void **state)
{
	struct {
		struct control_message msg;
		char more;
	} longer = { .msg = { .version = CONTROL_VERSION } };
	struct control_message in, wrong_version = { .version = CONTROL_VERSION + 1 };
	const struct {
		const void *data;
		size_t len;
	} bad[] = {
		{ "x", 1 },
		{ &longer, sizeof(longer.msg) - 1 },
		{ &longer, sizeof(longer.msg) + 1 },
		{ &wrong_version, sizeof(wrong_version) },
		{ "", 0 }, /* nothing but a descriptor */
	};
	int fds[CONTROL_MAX_FDS], before = count_fds();

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		size_t n = CONTROL_MAX_FDS;

		send_raw(bad[i].data, bad[i].len, STDERR_FILENO);
		memset(&in, 0xaa, sizeof(in));
		assert_int_equal(control_recv(pair[1], &in, fds, &n), -EBADMSG);
		assert_int_equal(count_fds(), before);
		assert_int_equal(in.type, 0xaaaaaaaa); /* untouched */
	}
}

/* A receiver without room keeps none, and leaks none. */
static void test_unwanted_descriptors(void **state)
{
	struct control_message in, out = { .version = CONTROL_VERSION, .type = CONTROL_REPLY };
	int before = count_fds(), fds[1];
	size_t n = 0;

	assert_int_equal(control_send(pair[0], &out, (int[]){ 0, 1, 2 }, 3), 0);
	assert_int_equal(control_recv(pair[1], &in, NULL, &n), 1);
	assert_int_equal(n, 0);
	assert_int_equal(count_fds(), before);

	assert_int_equal(control_send(pair[0], &out, (int[]){ 0, 1, 2 }, 3), 0);
	n = 1;
	assert_int_equal(control_recv(pair[1], &in, fds, &n), 1);
	assert_int_equal(n, 1);
	close(fds[0]);
	assert_int_equal(count_fds(), before);
}

static void test_unterminated_strings(void **state)
{
	struct control_message in, out = { .version = CONTROL_VERSION, .type = CONTROL_REPLY,
					   .result = -EIO };
	struct hvd_error err = { 0 };
	size_t n = 0;

	memset(out.field, 'f', sizeof(out.field));
	memset(out.text, 't', sizeof(out.text));
	assert_int_equal(control_send(pair[0], &out, NULL, 0), 0);
	assert_int_equal(control_recv(pair[1], &in, NULL, &n), 1);
	assert_int_equal(strlen(in.field), sizeof(in.field) - 1);
	assert_int_equal(strlen(in.text), sizeof(in.text) - 1);
	assert_int_equal(control_get_error(&in, &err), -EIO);
}

static void test_errors(void **state)
{
	struct control_message msg = { 0 };
	struct hvd_error in = { 0 }, out = { 0 };

	hvd_err_field(&in, EBUSY, "disks[0].path", "in use");
	control_set_error(&msg, -EBUSY, &in);
	assert_int_equal(control_get_error(&msg, &out), -EBUSY);
	assert_memory_equal(&in.field, &out.field, strlen(in.field) + 1);
	assert_string_equal(in.msg, out.msg);

	memset(&msg, 0, sizeof(msg));
	control_set_error(&msg, -ENOMEM, NULL);
	assert_int_equal(control_get_error(&msg, &out), -ENOMEM);
	assert_string_equal(out.msg, strerror(ENOMEM));

	control_set_error(&msg, 0, NULL);
	assert_int_equal(control_get_error(&msg, &out), 0);

	msg.result = -1000000;
	assert_int_equal(control_get_error(&msg, &out), -EPROTO);
	msg.result = INT32_MIN;
	assert_int_equal(control_get_error(&msg, &out), -EPROTO);
}

/* A peer that does not read must not hold the sender. */
static void test_full(void **state)
{
	struct control_message msg = { .version = CONTROL_VERSION };
	int r = 0;

	for (int i = 0; r == 0 && i < 100000; i++)
		r = control_send(pair[0], &msg, NULL, 0);
	assert_int_equal(r, -EAGAIN);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_round_trip), TEST(test_empty_and_closed), TEST(test_malformed),
		TEST(test_unwanted_descriptors), TEST(test_unterminated_strings), TEST(test_errors),
		TEST(test_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
