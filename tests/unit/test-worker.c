/* SPDX-License-Identifier: Apache-2.0 */
/* The real hvd-vmm, as far as it gets without KVM: its options, and how it takes bad requests. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/control.h"
#include "tests/unit/patience.h"
#include "vmm/base/macro.h"

struct run {
	pid_t pid;
	int sock; /* our end of its standard input */
};

static void path_of_worker(char path[static 4096])
{
	const char *top = getenv("top_builddir");

	snprintf(path, 4096, "%s/hvd-vmm", top ? top : ".");
}

/* errors: where its standard error goes. */
static pid_t spawn(int input, int errors, const char *a, const char *b)
{
	char path[4096];
	pid_t pid;

	path_of_worker(path);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(input, STDIN_FILENO);
		dup2(errors, STDERR_FILENO);
		/* LeakSanitizer stops and reads the process, which its sandbox forbids. */
		setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
		execl(path, path, a, b, NULL);
		_exit(127);
	}
	return pid;
}

static int status_of(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void check_refused(const char *a, const char *b, int status, const char *text)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), errors[2];
	char out[4096] = "";
	ssize_t n;
	size_t len = 0;
	pid_t pid;

	assert_int_equal(pipe2(errors, O_CLOEXEC), 0);
	pid = spawn(null, errors[1], a, b);
	close(errors[1]);
	while ((n = read(errors[0], out + len, sizeof(out) - 1 - len)) > 0)
		len += (size_t)n;
	assert_int_equal(status_of(pid), status);
	if (!strstr(out, text))
		fail_msg("no \"%s\" in: %s", text, out);
	close(errors[0]);
	close(null);
}

static void test_command_line(void **state)
{
	char path[] = "/tmp/hvd-test.XXXXXX";
	int fd = mkstemp(path);

	check_refused(NULL, NULL, 2, "--config");
	check_refused("--nonsense", NULL, 2, "nonsense");
	check_refused("--config", "/nonexistent/vm.json", 1, "/nonexistent/vm.json");
	assert_true(fd >= 0);
	check_refused("--config", path, 1, path);
	assert_int_equal(write(fd, "{\"name\":\"a\",\"vcpus\":0}", 22), 22);
	check_refused("--config", path, 1, "vcpus");
	close(fd);
	unlink(path);
}

static void start(struct run *run)
{
	int pair[2], null = open("/dev/null", O_RDWR | O_CLOEXEC);

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	run->pid = spawn(pair[1], null, NULL, NULL);
	run->sock = pair[0];
	close(pair[1]);
	close(null);
}

static void request(struct run *run, enum control_type type, const int *fds, size_t n,
		    struct control_message *reply)
{
	const struct control_message msg = { .version = CONTROL_VERSION, .type = type, .serial = 5 };
	struct pollfd poll_in = { .fd = run->sock, .events = POLLIN };
	size_t none = 0;

	assert_int_equal(control_send(run->sock, &msg, fds, n), 0);
	assert_int_equal(poll(&poll_in, 1, PATIENCE_MS), 1);
	assert_int_equal(control_recv(run->sock, reply, NULL, &none), 1);
	assert_int_equal(reply->type, CONTROL_REPLY);
	assert_int_equal(reply->serial, 5);
}

static int make_spec(const char *text)
{
	int fd = memfd_create("spec", MFD_CLOEXEC);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	lseek(fd, 0, SEEK_SET);
	return fd;
}

static void test_too_early(void **state)
{
	struct control_message reply;
	struct run run;

	start(&run);
	request(&run, CONTROL_STATUS, NULL, 0, &reply);
	assert_int_equal(reply.result, -EAGAIN);
	request(&run, CONTROL_CONSOLE, (int[]){ 0 }, 1, &reply);
	assert_int_equal(reply.result, -EAGAIN);
	request(&run, 4711, NULL, 0, &reply);
	assert_int_equal(reply.result, -EOPNOTSUPP);
	request(&run, 0, NULL, 0, &reply);
	assert_int_equal(reply.result, -EOPNOTSUPP);
	close(run.sock);
	assert_int_equal(status_of(run.pid), 1);
}

static void check_bad_start(const int *fds, size_t n, int result, const char *field)
{
	struct control_message reply;
	struct run run;

	start(&run);
	request(&run, CONTROL_START, fds, n, &reply);
	assert_int_equal(reply.result, result);
	assert_string_equal(reply.field, field);
	assert_int_equal(status_of(run.pid), 1); /* by itself */
	close(run.sock);
}

static void test_bad_starts(void **state)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int fds[] = { make_spec("{"), null, null, null };

	check_bad_start(NULL, 0, -EBADMSG, "");
	check_bad_start(fds, 1, -EBADMSG, "");
	check_bad_start(fds, 4, -EBADMSG, "");
	close(fds[0]);

	fds[0] = make_spec("{\"name\":\"a\",\"boot\":{\"kernel\":\"/k\"},\"vcpus\":0}");
	check_bad_start(fds, 4, -ERANGE, "vcpus");
	close(fds[0]);

	/* descriptors that do not fit the spec, and a listener that is none */
	fds[0] = make_spec("{\"name\":\"a\",\"boot\":{\"kernel\":\"/k\"}}");
	check_bad_start(fds, 3, -EBADMSG, "");
	lseek(fds[0], 0, SEEK_SET);
	check_bad_start(fds, 4, -ENOTSOCK, "");
	close(fds[0]);
	close(null);
}

/* hvd dies before it has sent anything, or sends what is no message. */
static void test_nonsense(void **state)
{
	struct run run;

	start(&run);
	close(run.sock);
	assert_int_equal(status_of(run.pid), 1);

	start(&run);
	assert_int_equal(send(run.sock, "nonsense", 8, 0), 8);
	assert_int_equal(status_of(run.pid), 1);
	close(run.sock);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_command_line),
		cmocka_unit_test(test_too_early),
		cmocka_unit_test(test_bad_starts),
		cmocka_unit_test(test_nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
