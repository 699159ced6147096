/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stopwatch MARKER [HOOK] -- CMD...: nanoseconds of CLOCK_MONOTONIC from just before CMD is started until it
 * writes MARKER. Then HOOK PID is run, if given, and CMD is ended.
 *
 * Prints "elapsed NS" and what HOOK prints. CMD's output goes to standard error. A program and not
 * a shell: it must cost next to nothing in the machine that it measures in.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static unsigned long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static pid_t start(char **argv, int *out)
{
	int fds[2], null;
	pid_t pid;

	if (pipe(fds) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		null = open("/dev/null", O_RDWR);
		dup2(null, 0);
		dup2(fds[1], 1);
		close(fds[0]);
		close(fds[1]);
		execvp(argv[0], argv);
		perror(argv[0]);
		_exit(127);
	}
	close(fds[1]);
	*out = fds[0];
	return pid;
}

/* True when marker came; what was read goes to standard error. */
static int wait_marker(int fd, const char *marker)
{
	static char seen[1 << 20];
	size_t len = 0;
	ssize_t n;

	while (len < sizeof(seen) - 1 && (n = read(fd, seen + len, sizeof(seen) - 1 - len)) > 0) {
		len += (size_t)n;
		seen[len] = '\0';
		if (strstr(seen, marker))
			return 1;
	}
	fprintf(stderr, "%s\n", seen);
	return 0;
}

int main(int argc, char **argv)
{
	const char *hook = NULL;
	unsigned long long t0, t1;
	char command[4096];
	int out, i = 2;
	pid_t pid;

	if (argc > 4 && strcmp(argv[2], "--") != 0)
		hook = argv[i++];
	if (i + 1 >= argc || strcmp(argv[i], "--") != 0) {
		fprintf(stderr, "usage: stopwatch MARKER [HOOK] -- CMD...\n");
		return 2;
	}
	t0 = now();
	pid = start(argv + i + 1, &out);
	if (pid < 0 || !wait_marker(out, argv[1])) {
		fprintf(stderr, "stopwatch: no \"%s\" from %s\n", argv[1], argv[i + 1]);
		return 1;
	}
	t1 = now();
	printf("elapsed %llu\n", t1 - t0);
	fflush(stdout);
	if (hook) {
		snprintf(command, sizeof(command), "%s %d", hook, (int)pid);
		if (system(command) != 0)
			return 1;
	}
	kill(pid, SIGTERM);
	close(out);
	waitpid(pid, NULL, 0);
	return 0;
}
