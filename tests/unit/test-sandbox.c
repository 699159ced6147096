/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "daemon/sandbox.h"

static void write_nothing(void)
{
	syscall(SYS_write, STDOUT_FILENO, NULL, 0);
}

static void make_socket(void)
{
	syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
}

static void make_unix_socket(void)
{
	syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0);
}

static void open_file(void)
{
	syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY);
}

static void map_memory(void)
{
	syscall(SYS_mmap, NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void receive(void)
{
	syscall(SYS_recvmsg, -1, NULL, 0);
}

static void write_file(void)
{
	syscall(SYS_pwrite64, -1, NULL, 0, 0);
	syscall(SYS_fdatasync, -1);
}

/* How a child ends that enters the sandbox of `kind` and makes the call: a signal, or 0. */
static int outcome(enum vmm_thread kind, void (*call)(void))
{
	struct sandbox *sandbox;
	int status;
	pid_t pid;

	assert_int_equal(sandbox_new(&sandbox, NULL), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		if (sandbox_enter(sandbox, kind) < 0)
			_exit(1);
		call();
		syscall(SYS_exit_group, 0);
	}
	sandbox_free(sandbox);

	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status))
		return WTERMSIG(status);
	assert_int_equal(WEXITSTATUS(status), 0);
	return 0;
}

static void each_kind_may_do_what_it_needs(void **state)
{
	for (unsigned kind = 0; kind < _VMM_THREAD_MAX; kind++)
		assert_int_equal(outcome(kind, write_nothing), 0);
	assert_int_equal(outcome(VMM_THREAD_IO, map_memory), 0);
	assert_int_equal(outcome(VMM_THREAD_MAIN, receive), 0);
	assert_int_equal(outcome(VMM_THREAD_IO, make_unix_socket), 0);
	assert_int_equal(outcome(VMM_THREAD_VCPU, write_file), 0);
	assert_int_equal(outcome(VMM_THREAD_IO, receive), 0);
}

static void nothing_else_is_survived(void **state)
{
	for (unsigned kind = 0; kind < _VMM_THREAD_MAX; kind++) {
		assert_int_equal(outcome(kind, make_socket), SIGSYS);
		assert_int_equal(outcome(kind, open_file), SIGSYS);
	}
	assert_int_equal(outcome(VMM_THREAD_VCPU, map_memory), SIGSYS);
	assert_int_equal(outcome(VMM_THREAD_VCPU, receive), SIGSYS);
	assert_int_equal(outcome(VMM_THREAD_VCPU, make_unix_socket), SIGSYS);
	assert_int_equal(outcome(VMM_THREAD_IO, write_file), SIGSYS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kind_may_do_what_it_needs),
		cmocka_unit_test(nothing_else_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
