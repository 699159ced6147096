/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/patience.h"
#include "tests/unit/pty.h"

void pty_start(struct pty *pty, const char *const *argv, unsigned columns)
{
	struct winsize size = { .ws_row = 24, .ws_col = (unsigned short)columns };

	*pty = (struct pty){ .text = calloc(1, 1) };
	assert_non_null(pty->text);
	pty->pid = forkpty(&pty->fd, NULL, NULL, &size);
	assert_true(pty->pid >= 0);
	if (pty->pid)
		return;
	/* as in a terminal, however these tests were started */
	signal(SIGINT, SIG_DFL);
	signal(SIGQUIT, SIG_DFL);
	execvp(argv[0], (char *const *)argv);
	_exit(127);
}

void pty_type(struct pty *pty, const char *keys)
{
	assert_int_equal(write(pty->fd, keys, strlen(keys)), strlen(keys));
}

void pty_resize(struct pty *pty, unsigned columns)
{
	struct winsize size = { .ws_row = 24, .ws_col = (unsigned short)columns };

	assert_int_equal(ioctl(pty->fd, TIOCSWINSZ, &size), 0);
}

/* False: the other side has gone. */
static bool read_more(struct pty *pty)
{
	struct pollfd pfd = { pty->fd, POLLIN, 0 };
	char data[4096];
	ssize_t n;

	if (poll(&pfd, 1, PATIENCE_MS) == 0)
		fail_msg("nothing more is printed after:\n%s", pty->text + pty->seen);
	n = read(pty->fd, data, sizeof(data));
	if (n <= 0)
		return n < 0 && errno == EINTR;
	pty->text = realloc(pty->text, pty->len + (size_t)n + 1);
	assert_non_null(pty->text);
	memcpy(pty->text + pty->len, data, (size_t)n);
	pty->len += (size_t)n;
	pty->text[pty->len] = '\0';
	return true;
}

void pty_expect(struct pty *pty, const char *text)
{
	const char *at;

	while (!(at = strstr(pty->text + pty->seen, text)))
		if (!read_more(pty))
			fail_msg("it ended without \"%s\" in:\n%s", text, pty->text + pty->seen);
	pty->seen = (size_t)(at - pty->text) + strlen(text);
}

int pty_end(struct pty *pty)
{
	int status;

	while (read_more(pty))
		;
	assert_int_equal(waitpid(pty->pid, &status, 0), pty->pid);
	pty->pid = 0;
	return status;
}

void pty_free(struct pty *pty)
{
	close(pty->fd);
	if (pty->pid) {
		kill(pty->pid, SIGKILL);
		waitpid(pty->pid, NULL, 0);
	}
	free(pty->text);
}
