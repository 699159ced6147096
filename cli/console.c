/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/console.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "cli/replay.h"
#include "cli/terminal.h"
#include "cli/websocket.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/macro.h"

/*
 * Scrollback has no mark at its end. Where what was shown before has come again, it is over after a moment
 * without a byte, or a second since the first; where it has not, more of it may be on its way.
 */
#define SETTLE_MS         300
#define SETTLE_FOUND_MS   1000
#define SETTLE_UNKNOWN_MS 5000

#define RETRY_MS     250
#define SILENT_TRIES 4 /* a VM that has just ended is about to be known to be off */

enum { POLL_SOCKET, POLL_INPUT, POLL_SIGNAL, N_POLL };

/* ctx: an int that says that standard output takes no more. */
static int write_output(void *ctx, const uint8_t *data, size_t len)
{
	int *error = ctx;

	while (len) {
		ssize_t n = write(STDOUT_FILENO, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return *error = -errno;
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
	sigaddset(&set, SIGWINCH);
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

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

struct session {
	const struct console_target *target;
	struct websocket *ws; /* NULL: there is no connection */
	uint64_t scrollback_ms; /* when scrollback began to come on a ws that was made again */
	struct replay replay;
	int output_error; /* of standard output */
	int signals;
	bool terminal, input; /* of standard input: it is one; there is more of it */
};

enum { SESSION_LEFT, SESSION_LOST };

static void tell_size(const struct session *session)
{
	const struct winsize size = terminal_size(STDIN_FILENO);

	if (session->terminal && session->target->resized)
		session->target->resized(session->target->ctx, size.ws_col, size.ws_row);
}

/* False: the user wants to leave. */
static bool take_signal(const struct session *session)
{
	struct signalfd_siginfo info;

	if (read(session->signals, &info, sizeof(info)) != sizeof(info) || info.ssi_signo != SIGWINCH)
		return false;
	tell_size(session);
	return true;
}

static bool is_settled(const struct session *session, bool quiet)
{
	uint64_t passed = now_ms() - session->scrollback_ms;

	if (passed > SETTLE_UNKNOWN_MS)
		return true;
	return (quiet || passed > SETTLE_FOUND_MS) && replay_is_found(&session->replay);
}

/* One round of poll(2). 1: go on, SESSION_LEFT, -EIO: the connection has ended, other -errno. */
static int turn(struct session *session, struct hvd_error *err)
{
	struct websocket *ws = session->ws;
	struct pollfd fds[N_POLL] = {
		[POLL_SOCKET] = { websocket_fd(ws), websocket_events(ws), 0 },
		[POLL_INPUT] = { session->input && !websocket_full(ws) ? STDIN_FILENO : -1, POLLIN, 0 },
		[POLL_SIGNAL] = { session->signals, POLLIN, 0 },
	};
	bool holds = replay_holds(&session->replay) && session->replay.n_held;
	int r, n;

	n = poll(fds, N_POLL, holds ? SETTLE_MS : -1);
	if (n < 0 && errno != EINTR)
		return hvd_err(err, errno, "poll: %s", strerror(errno));
	if (!holds)
		session->scrollback_ms = now_ms();
	if (holds && is_settled(session, n == 0) && replay_settle(&session->replay) < 0)
		return -EIO;
	if (fds[POLL_SIGNAL].revents && !take_signal(session))
		return SESSION_LEFT;
	if (fds[POLL_INPUT].revents) {
		r = forward_input(ws, session->terminal, err);
		if (r == -ECANCELED || (r == 0 && session->terminal))
			return SESSION_LEFT;
		if (r < 0)
			return r;
		session->input = r == 1;
	}
	return websocket_handle(ws, fds[POLL_SOCKET].revents, &(struct hvd_error){ 0 }) == 1 ? 1 : -EIO;
}

/* Until the user leaves (SESSION_LEFT) or the connection ends (SESSION_LOST); or -errno. */
static int follow(struct session *session, struct hvd_error *err)
{
	int r;

	do {
		r = turn(session, err);
	} while (r == 1);
	if (r != -EIO)
		return r;
	session->ws = websocket_close(session->ws);
	replay_settle(&session->replay);
	return session->output_error ? hvd_err(err, -session->output_error, "standard output: %s",
					       strerror(-session->output_error))
				     : SESSION_LOST;
}

/* Wait a moment. True: the user wants to leave. */
static bool pause_or_leave(const struct session *session)
{
	struct pollfd fds[] = {
		{ session->terminal ? STDIN_FILENO : -1, POLLIN, 0 },
		{ session->signals, POLLIN, 0 },
	};
	uint8_t data[256];
	ssize_t n;

	if (poll(fds, 2, RETRY_MS) <= 0)
		return false;
	if (fds[1].revents)
		return !take_signal(session);
	/* what is typed now reaches nobody */
	n = read(STDIN_FILENO, data, sizeof(data));
	return n == 0 || (n > 0 && memchr(data, CONSOLE_ESCAPE, (size_t)n));
}

/* On a line of its own, beside what the guest writes. */
static void say(const struct session *session, const char *text)
{
	fprintf(stderr, "%s%s%s\n", session->terminal ? "\r\n" : "", text, session->terminal ? "\r" : "");
}

/* 1: there is a connection again, SESSION_LEFT: the user left or the VM has stopped; -errno. */
static int reconnect(struct session *session, struct hvd_error *err)
{
	const struct console_target *target = session->target;
	struct hvd_error why = { 0 };
	bool said = false;

	for (unsigned tries = 0; tries < CONSOLE_PATIENCE * 1000 / RETRY_MS; tries++) {
		int r = target->goes_on(target->ctx, &why);

		if (r == 0)
			return SESSION_LEFT;
		if (r < 0 && r != -EAGAIN)
			return hvd_err(err, -r, "%s", why.msg);
		if (!said && (r == -EAGAIN || tries > SILENT_TRIES)) {
			say(session, "Connection lost, reconnecting…");
			said = true;
		}
		if (r == 1 && websocket_open(target->target, target->path, replay_data, &session->replay,
					     &session->ws, &why) == 0) {
			if (!said)
				say(session, "Connection lost, reconnected");
			return replay_again(&session->replay) < 0 ? hvd_err(err, ENOMEM, "out of memory") : 1;
		}
		if (pause_or_leave(session))
			return SESSION_LEFT;
	}
	return hvd_err(err, ENOTCONN, "the connection was lost, and there was no other for %d s: %s",
		       CONSOLE_PATIENCE, why.msg);
}

static int run(struct session *session, struct hvd_error *err)
{
	int r;

	do {
		r = follow(session, err);
		if (r == SESSION_LOST)
			r = reconnect(session, err);
	} while (r == 1);
	return r;
}

int console_run(const struct console_target *target, struct hvd_error *err)
{
	struct session session = {
		.target = target,
		.replay = { .show = write_output, .ctx = &session.output_error },
		.terminal = isatty(STDIN_FILENO),
		.input = true,
	};
	struct terminal_raw raw = TERMINAL_RAW_NONE;
	AUTO(close) int signals = -1;
	int r;

	/* Frames that come with the answer are written from the loop on, in raw mode already. */
	r = websocket_open(target->target, target->path, replay_data, &session.replay, &session.ws, err);
	if (r == 0)
		r = session.signals = signals = open_signals(err);
	if (r >= 0 && session.terminal) {
		fprintf(stderr, "Connected to console of %s; ^] leaves\n", target->name);
		r = terminal_raw_enter(&raw, STDIN_FILENO);
		if (r < 0)
			hvd_err(err, -r, "terminal: %s", strerror(-r));
	}
	if (r >= 0) {
		tell_size(&session);
		r = run(&session, err);
	}
	terminal_raw_leave(&raw);
	if (session.terminal && r >= 0)
		fputc('\n', stderr);
	websocket_close(session.ws);
	replay_clear(&session.replay);
	return r;
}
