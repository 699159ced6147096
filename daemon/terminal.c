/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <termios.h>
#include <unistd.h>

#include "vmm/base/macro.h"

#define ESCAPE 0x01 /* ^A */
#define BUFFER 4096

static const char help_text[] = "\r\n"
				"^A x   end the VM\r\n"
				"^A ^A  send ^A to the guest\r\n"
				"^A h   this help\r\n";

/*
 * State of the process, not of a VM: there is one terminal, and a signal handler has no other way
 * to find it.
 */
static struct termios saved;
static volatile sig_atomic_t is_raw;

static void restore(void)
{
	if (is_raw)
		tcsetattr(STDIN_FILENO, TCSANOW, &saved);
	is_raw = 0;
}

static void on_fatal(int sig)
{
	restore();
	raise(sig); /* SA_RESETHAND: now with its default action */
}

static void restore_on_signals(void)
{
	static const int fatal[] = { SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS };
	struct sigaction action = { .sa_handler = on_fatal, .sa_flags = SA_RESETHAND };

	for (size_t i = 0; i < ARRAY_SIZE(fatal); i++)
		sigaction(fatal[i], &action, NULL);
	atexit(restore);
}

static int make_raw(void)
{
	struct termios raw;

	if (tcgetattr(STDIN_FILENO, &saved) < 0)
		return -errno;
	restore_on_signals();
	raw = saved;
	cfmakeraw(&raw);
	is_raw = 1;
	return tcsetattr(STDIN_FILENO, TCSANOW, &raw) < 0 ? -errno : 0;
}

size_t terminal_filter(bool *escaped, const char *in, size_t len, char *out, char *action)
{
	size_t n = 0;

	*action = 0;
	for (size_t i = 0; i < len; i++) {
		if (!*escaped && in[i] == ESCAPE) {
			*escaped = true;
			continue;
		}
		if (*escaped && (in[i] == 'x' || in[i] == 'h'))
			*action = in[i];
		else
			out[n++] = in[i];
		*escaped = false;
	}
	return n;
}

/* To the terminal, a pipe or a file: blocking, as the guest never waits for its console. */
static void write_out(const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(STDOUT_FILENO, data, len);

		if (n < 0 && errno == EAGAIN)
			poll(&(struct pollfd){ .fd = STDOUT_FILENO, .events = POLLOUT }, 1, -1);
		else if (n < 0 && errno != EINTR)
			return;
		if (n > 0) {
			data += n;
			len -= (size_t)n;
		}
	}
}

static void on_input(struct loop_source *src, uint32_t events)
{
	struct terminal *term = container_of(src, struct terminal, input);
	char in[BUFFER], filtered[BUFFER], action = 0;
	ssize_t n = read(src->fd, in, sizeof(in));
	const char *out = in;
	size_t len = (size_t)n;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		loop_remove(src); /* end of input; the VM goes on */
		return;
	}
	if (is_raw) {
		len = terminal_filter(&term->escaped, in, (size_t)n, filtered, &action);
		out = filtered;
	}
	/* What does not fit, because the guest does not read, is lost as on a serial line. */
	if (len > 0)
		(void)!write(term->stream.fd, out, len);
	if (action == 'h')
		write_out(help_text, sizeof(help_text) - 1);
	if (action == 'x')
		term->leave(term->ctx);
}

/* Returns false at the end of the stream, or when nothing is there. */
static bool copy_out(struct terminal *term)
{
	char data[BUFFER];
	ssize_t n = read(term->stream.fd, data, sizeof(data));

	if (n > 0)
		write_out(data, (size_t)n);
	return n > 0;
}

static void on_output(struct loop_source *src, uint32_t events)
{
	struct terminal *term = container_of(src, struct terminal, stream);

	if (!copy_out(term) && (events & (EPOLLHUP | EPOLLERR)))
		loop_remove(src);
}

int terminal_open(struct terminal *term, struct loop *loop, int stream, void (*leave)(void *ctx),
		  void *ctx)
{
	int r;

	*term = (struct terminal){ .loop = loop, .leave = leave, .ctx = ctx };
	term->input = (struct loop_source){ .fd = STDIN_FILENO, .fn = on_input };
	term->stream = (struct loop_source){ .fd = stream, .fn = on_output };

	r = loop_add(loop, &term->stream, EPOLLIN);
	if (r < 0)
		return r;
	if (isatty(STDIN_FILENO)) {
		r = make_raw();
		if (r < 0)
			return r;
	}
	/* A file or /dev/null cannot be watched (-EPERM), and has nothing to wait for. */
	r = loop_add(loop, &term->input, EPOLLIN);
	return r == -EPERM ? 0 : r;
}

void terminal_close(struct terminal *term)
{
	loop_remove(&term->input);
	loop_remove(&term->stream);
	while (copy_out(term))
		;
	close(term->stream.fd);
	restore();
}
