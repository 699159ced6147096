/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include "api/vm_schema.h"
#include "daemon/terminal.h"
#include "daemon/worker.h"
#include "vmm/base/log.h"
#include "vmm/firmware.h"
#include "vmm/vmm.h"

struct foreground {
	struct loop *loop;
	const struct sandbox *sandbox;
	struct vm_config config;
	struct vmm *vmm;
	struct terminal term;
	bool has_term;
	struct loop_source signals;
	struct loop_work quit;
	int status;
};

static void quit(struct loop_work *work)
{
	loop_quit(container_of(work, struct foreground, quit)->loop);
}

static void on_state(void *ctx, enum vmm_state state, enum vmm_reason reason,
		     const struct hvd_error *err)
{
	struct foreground *fg = ctx;

	if (state != VMM_STOPPED) {
		if (err)
			log_warning("hvd-vmm: %s: %s", vmm_state_names[state], err->msg);
		return;
	}
	if (err) {
		log_err("hvd-vmm: %s", err->msg);
		fg->status = worker_exit_status(reason);
	}
	/* Behind what the console has posted: the guest's last words are still to be shown. */
	loop_post(fg->loop, &fg->quit);
}

static void on_thread(void *ctx, enum vmm_thread kind)
{
	struct foreground *fg = ctx;

	worker_enter_sandbox(fg->sandbox, kind);
}

static const struct vmm_hooks hooks = { .state_changed = on_state, .thread_started = on_thread };

static void leave(void *ctx)
{
	struct foreground *fg = ctx;

	vmm_stop(fg->vmm);
}

/* To that of the terminal, where there is one. */
static void resize_console(struct foreground *fg)
{
	struct winsize size;

	if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0)
		vmm_resize_console(fg->vmm, (struct console_size){ size.ws_col, size.ws_row }, NULL);
}

static void on_signal(struct loop_source *src, uint32_t events)
{
	struct foreground *fg = container_of(src, struct foreground, signals);
	struct signalfd_siginfo si;

	if (read(src->fd, &si, sizeof(si)) != sizeof(si))
		return;
	if (si.ssi_signo == SIGWINCH)
		resize_console(fg);
	else
		vmm_stop(fg->vmm);
}

static int read_config(const char *path, struct vm_config *config, struct hvd_error *err)
{
	AUTO(close) int fd = open(path, O_RDONLY | O_CLOEXEC);
	int r;

	if (fd < 0)
		return hvd_err(err, errno, "%s: %s", path, strerror(errno));
	r = worker_read_config(fd, config, err);
	if (r >= 0)
		return 0;
	/* Of the file, not of a definition that hvd keeps: the path comes first. */
	if (err->field[0])
		hvd_err_prefix(err, r, "%s", err->field);
	err->field[0] = '\0';
	return hvd_err_prefix(err, r, "%s", path);
}

static int attach_console(struct foreground *fg, struct hvd_error *err)
{
	int pair[2], r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return hvd_err(err, errno, "socketpair: %s", strerror(errno));
	fg->has_term = true;
	r = terminal_open(&fg->term, fg->loop, pair[0], leave, fg);
	if (r < 0) {
		close(pair[1]);
		return hvd_err(err, -r, "terminal: %s", strerror(-r));
	}
	return console_attach(vmm_console(fg->vmm), pair[1], true, err);
}

static int set_up(struct foreground *fg, const char *path, struct hvd_error *err)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGWINCH, 0 };
	struct vm_files files = VM_FILES_INIT;
	int r;

	r = read_config(path, &fg->config, err);
	if (r >= 0)
		r = firmware_find(&fg->config.boot, err);
	if (r < 0)
		return r;
	r = loop_new(&fg->loop);
	if (r >= 0)
		r = worker_signals(signals, &fg->signals.fd);
	if (r >= 0)
		r = loop_add(fg->loop, &fg->signals, EPOLLIN);
	if (r < 0)
		return hvd_err(err, -r, "event loop: %s", strerror(-r));

	r = vm_files_open(&fg->config, NULL, NULL, &files, err);
	if (r < 0)
		return r;
	worker_enter_sandbox(fg->sandbox, VMM_THREAD_MAIN);
	r = vmm_create(&fg->config, &files, fg->loop, &hooks, fg, &fg->vmm, err);
	if (r < 0)
		return r;
	r = attach_console(fg, err);
	if (r >= 0)
		r = vmm_start(fg->vmm, err);
	if (r >= 0)
		resize_console(fg);
	return r;
}

static void tear_down(struct foreground *fg)
{
	if (fg->has_term)
		terminal_close(&fg->term);
	vmm_free(fg->vmm);
	schema_clear(&vm_schema, &fg->config);
	loop_free(fg->loop);
	if (fg->signals.fd >= 0)
		close(fg->signals.fd);
}

int worker_foreground(const char *config_path, const struct sandbox *sandbox)
{
	struct foreground fg = {
		.sandbox = sandbox,
		.signals = { .fd = -1, .fn = on_signal },
		.quit.fn = quit,
		.status = EXIT_SUCCESS,
	};
	struct hvd_error err = { 0 };
	int r;

	r = set_up(&fg, config_path, &err);
	if (r >= 0)
		r = loop_run(fg.loop);
	tear_down(&fg);
	if (err.code)
		fprintf(stderr, "hvd-vmm: %s%s%s\n", err.field, err.field[0] ? ": " : "", err.msg);
	return r < 0 ? EXIT_FAILURE : fg.status;
}
