/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "vmm/base/cleanup.h"
#include "vmm/base/macro.h"

#define USEC_PER_SEC 1000000ULL

struct child {
	pid_t pid; /* 0: reaped */
	int pidfd;
	bool late;
	sd_event_source *io, *timer;
	child_fn fn;
	void *ctx;
};

struct child *child_free(struct child *child)
{
	if (!child)
		return NULL;
	sd_event_source_disable_unref(child->io);
	sd_event_source_disable_unref(child->timer);
	if (child->pid > 0) {
		kill(child->pid, SIGKILL);
		while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	if (child->pidfd >= 0)
		close(child->pidfd);
	free(child);
	return NULL;
}

/* In the child: never returns. */
_Noreturn static void become(const struct child_program *program, pid_t parent)
{
	static char *const environment[] = { "LC_ALL=C", NULL };
	const rlim_t space = program->address_space ? program->address_space : RLIM_INFINITY;
	const struct rlimit none = { 0 }, memory = { space, space };
	sigset_t signals;

	sigemptyset(&signals);
	sigprocmask(SIG_SETMASK, &signals, NULL);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || setrlimit(RLIMIT_CORE, &none) < 0 ||
	    setrlimit(RLIMIT_AS, &memory) < 0)
		_exit(127);
	for (int i = 0; i < 3; i++)
		if (dup2(program->stdio[i], i) < 0)
			_exit(127);
	if (close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
		_exit(127);
	for (size_t i = 0; i < program->n_fds; i++)
		if (fcntl(program->fds[i], F_SETFD, 0) < 0)
			_exit(127);
	execve(program->argv[0], program->argv, environment);
	_exit(127);
}

static int on_exit_seen(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct child *child = userdata;
	struct hvd_error err = { 0 };
	siginfo_t info = { 0 };
	int r = 0;

	if (waitid(P_PIDFD, (id_t)fd, &info, WEXITED | WNOHANG) < 0 || !info.si_pid)
		return 0;
	child->pid = 0;
	child->io = sd_event_source_disable_unref(child->io);
	child->timer = sd_event_source_disable_unref(child->timer);
	if (child->late)
		r = hvd_err(&err, ETIMEDOUT, "took too long");
	else if (info.si_code != CLD_EXITED)
		r = hvd_err(&err, EIO, "was killed by signal %d", info.si_status);
	else if (info.si_status)
		r = hvd_err(&err, EIO, "failed with status %d", info.si_status);
	child->fn(child->ctx, r, r < 0 ? &err : NULL);
	return 0;
}

static int on_late(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct child *child = userdata;

	/* it may be hvd that is late: an end that is there counts */
	if (poll(&(struct pollfd){ child->pidfd, POLLIN, 0 }, 1, 0) > 0)
		return 0;
	child->late = true;
	kill(child->pid, SIGKILL);
	return 0;
}

int child_start(sd_event *event, const struct child_program *program, child_fn fn, void *ctx,
		struct child **ret)
{
	AUTO(child_free) struct child *child = calloc(1, sizeof(*child));
	pid_t self = getpid();
	int r = 0;

	if (!child)
		return -ENOMEM;
	child->fn = fn;
	child->ctx = ctx;
	child->pidfd = -1;
	child->pid = fork();
	if (child->pid < 0)
		return -errno;
	if (child->pid == 0)
		become(program, self);
	child->pidfd = pidfd_open(child->pid, 0);
	if (child->pidfd < 0)
		return -errno;
	fcntl(child->pidfd, F_SETFD, FD_CLOEXEC);
	r = sd_event_add_io(event, &child->io, child->pidfd, EPOLLIN, on_exit_seen, child);
	if (r >= 0 && program->timeout_sec)
		r = sd_event_add_time_relative(event, &child->timer, CLOCK_MONOTONIC,
					       program->timeout_sec * USEC_PER_SEC, 0, on_late, child);
	if (r < 0)
		return r;
	*ret = TAKE(child);
	return 0;
}
