/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/console.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "cli/terminal.h"
#include "cli/websocket.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/macro.h"

enum { POLL_SOCKET, POLL_INPUT, POLL_SIGNAL, N_POLL };

static int write_output(void *ctx, const uint8_t *data, size_t len)
{
	while (len) {
		ssize_t n = write(STDOUT_FILENO, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Signals that would end the process end the loop instead, so that the terminal is put back. */
static int open_signals(struct hvd_error *err)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC);
	if (fd < 0)
		return hvd_err(err, errno, "cannot take signals: %s", strerror(errno));
	return fd;
}

/* 1: sent, 0: end of input, -ECANCELED: the user wants to leave, or another -errno. */
static int forward_input(struct websocket *ws, bool terminal, struct hvd_error *err)
{
	uint8_t data[1024];
	const uint8_t *escape = NULL;
	ssize_t n;
	int r = 0;

	n = read(STDIN_FILENO, data, sizeof(data));
	if (n < 0 && errno != EINTR && errno != EAGAIN && errno != EIO)
		return hvd_err(err, errno, "standard input: %s", strerror(errno));
	if (n <= 0)
		return n < 0 && errno != EIO;
	if (terminal)
		escape = memchr(data, CONSOLE_ESCAPE, (size_t)n);
	if (escape)
		n = escape - data;
	if (n > 0)
		r = websocket_send(ws, data, (size_t)n, err);
	if (r < 0)
		return r;
	return escape ? -ECANCELED : 1;
}

static int loop(struct websocket *ws, int signals, bool terminal, enum console_end *end,
		struct hvd_error *err)
{
	bool input = true;

	for (;;) {
		struct pollfd fds[N_POLL] = {
			[POLL_SOCKET] = { websocket_fd(ws), websocket_events(ws), 0 },
			[POLL_INPUT] = { input && !websocket_full(ws) ? STDIN_FILENO : -1, POLLIN,
					 0 },
			[POLL_SIGNAL] = { signals, POLLIN, 0 },
		};
		int r;

		if (poll(fds, N_POLL, -1) < 0 && errno != EINTR)
			return hvd_err(err, errno, "poll: %s", strerror(errno));
		if (fds[POLL_SIGNAL].revents) {
			*end = CONSOLE_LEFT;
			return 0;
		}
		if (fds[POLL_INPUT].revents) {
			r = forward_input(ws, terminal, err);
			if (r < 0 && r != -ECANCELED)
				return r;
			if (r == -ECANCELED || (r == 0 && terminal)) {
				*end = CONSOLE_LEFT;
				return 0;
			}
			input = r == 1;
		}
		r = websocket_handle(ws, fds[POLL_SOCKET].revents, err);
		if (r <= 0) {
			*end = CONSOLE_CLOSED;
			return r;
		}
	}
}

int console_run(const char *socket, const char *path, const char *name, enum console_end *end,
		struct hvd_error *err)
{
	AUTO(websocket_free) struct websocket *ws = NULL;
	struct terminal_raw raw = TERMINAL_RAW_NONE;
	bool terminal = isatty(STDIN_FILENO);
	AUTO(close) int signals = -1;
	int r;

	/* Frames that come with the answer are written from the loop on, in raw mode already. */
	r = websocket_open(socket, path, write_output, NULL, &ws, err);
	if (r < 0)
		return r;
	signals = open_signals(err);
	if (signals < 0)
		return signals;

	if (terminal) {
		fprintf(stderr, "Connected to console of %s; ^] leaves\n", name);
		r = terminal_raw_enter(&raw, STDIN_FILENO);
		if (r < 0)
			return hvd_err(err, -r, "terminal: %s", strerror(-r));
	}
	r = loop(ws, signals, terminal, end, err);
	terminal_raw_leave(&raw);
	if (terminal)
		fputc('\n', stderr);
	return r;
}
