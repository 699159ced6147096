/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#include "api/vm_schema.h"
#include "daemon/control.h"
#include "daemon/worker.h"
#include "daemon/worker_counters.h"
#include "vmm/base/log.h"
#include "vmm/vmm.h"

#define CONNECTIONS_MAX 16

/* How long a guest may take to shut down when systemd ends the unit; less than its TimeoutStopSec. */
#define SHUTDOWN_SECONDS 60

struct worker;

struct connection {
	struct list node;
	struct loop_source src;
	struct worker *worker;
};

struct worker {
	struct loop *loop;
	const struct sandbox *sandbox;
	struct vm_config config;
	uint32_t spec; /* the number that came with it */
	struct vmm *vmm; /* NULL until CONTROL_START */
	/* A CONTROL_UPDATE that the guest has a part in. */
	struct {
		bool pending;
		struct connection *conn; /* NULL: has gone */
		struct control_message request;
		struct vm_config config;
	} update;
	struct list connections;
	unsigned n_connections;
	struct loop_source listener, signals, deadline;
	bool started; /* CONTROL_START has come */
	struct balloon_info balloon; /* actual 0: there is none */
	struct hvd_error why; /* the VM is in its state; code 0: no error */
	int status;   /* of exit */
};

static void connection_free(struct connection *conn)
{
	struct worker *worker = conn->worker;

	if (worker->update.conn == conn)
		worker->update.conn = NULL;
	loop_remove(&conn->src);
	list_remove(&conn->node);
	close(conn->src.fd);
	free(conn);
	worker->n_connections--;
}

/*
 * A peer that does not read is cut off: it can connect again and ask for the state. The loop sees the
 * end of file and frees conn, which the caller may be using.
 */
static void send_or_cut(struct connection *conn, const struct control_message *msg)
{
	int r = control_send(conn->src.fd, msg, NULL, 0);

	if (r < 0) {
		log_warning("control connection: %s", strerror(-r));
		shutdown(conn->src.fd, SHUT_RDWR);
	}
}

static void broadcast(struct worker *worker, enum vmm_reason reason, const struct hvd_error *err)
{
	struct control_message msg = { .version = CONTROL_VERSION, .type = CONTROL_EVENT,
				       .state = vmm_state(worker->vmm), .reason = reason };
	struct connection *conn;

	control_set_error(&msg, err ? err->code : 0, err);
	list_for_each(conn, &worker->connections, node)
		send_or_cut(conn, &msg);
}

static void on_state(void *ctx, enum vmm_state state, enum vmm_reason reason,
		     const struct hvd_error *err)
{
	struct worker *worker = ctx;

	/* From within vmm_create() there is nobody to be told yet. */
	if (!worker->vmm)
		return;
	worker->why = err ? *err : (struct hvd_error){ 0 };
	broadcast(worker, reason, err);
	if (state != VMM_STOPPED) {
		if (err)
			log_warning("%s: %s", vmm_state_names[state], err->msg);
		return;
	}
	if (err) {
		log_err("%s", err->msg);
		worker->status = worker_exit_status(reason);
	} else {
		log_info("stopped: %s", vmm_reason_names[reason]);
	}
	loop_quit(worker->loop);
}

static void send_balloon(struct connection *conn)
{
	struct control_message msg = { .version = CONTROL_VERSION, .type = CONTROL_BALLOON,
				       .balloon = conn->worker->balloon };

	send_or_cut(conn, &msg);
}

static void on_memory(void *ctx, const struct balloon_info *info)
{
	struct worker *worker = ctx;
	struct connection *conn;

	worker->balloon = *info;
	list_for_each(conn, &worker->connections, node)
		send_balloon(conn);
}

static void send_disk_lost(struct connection *conn, const char *id)
{
	struct control_message msg = { .version = CONTROL_VERSION, .type = CONTROL_DISK_LOST,
				       .state = vmm_state(conn->worker->vmm) };

	snprintf(msg.field, sizeof(msg.field), "%s", id);
	send_or_cut(conn, &msg);
}

static void on_disk_lost(void *ctx, const char *id)
{
	struct worker *worker = ctx;
	struct connection *conn;

	if (!worker->vmm)
		return;
	list_for_each(conn, &worker->connections, node)
		send_disk_lost(conn, id);
}

/* What a client must know that comes later than the event. */
static void tell_lost_disks(struct connection *conn)
{
	const struct worker *worker = conn->worker;

	for (size_t i = 0; i < worker->config.n_disks; i++)
		if (vmm_disk_is_lost(worker->vmm, worker->config.disks[i].id))
			send_disk_lost(conn, worker->config.disks[i].id);
}

static void on_reset(void *ctx)
{
	struct worker *worker = ctx;

	log_info("reset");
	worker->why = (struct hvd_error){ 0 };
	broadcast(worker, VMM_REASON_NONE, NULL);
}

/* Answer a request. err may be NULL. */
static void answer(struct connection *conn, const struct control_message *request, int r,
		   const struct hvd_error *err)
{
	struct worker *worker = conn->worker;
	struct control_message msg = { .version = CONTROL_VERSION, .type = CONTROL_REPLY,
				       .serial = request->serial, .arg = worker->spec,
				       .changing = worker->update.pending };

	control_set_error(&msg, r, err);
	if (r >= 0)
		snprintf(msg.text, sizeof(msg.text), "%s", worker->why.msg);
	msg.state = worker->vmm ? vmm_state(worker->vmm) : VMM_CREATED;
	send_or_cut(conn, &msg);
}

/* The VM has this configuration now. */
static void take_config(struct worker *worker, const struct vm_config *config, uint32_t number)
{
	schema_clear(&vm_schema, &worker->config);
	worker->config = *config;
	worker->spec = number;
}

/* Who came while an update of somebody else was under way waits for its end. */
static void tell_settled(struct worker *worker, const struct connection *asked)
{
	struct control_message msg = { .version = CONTROL_VERSION, .type = CONTROL_SETTLED,
				       .state = vmm_state(worker->vmm), .arg = worker->spec };
	struct connection *conn;

	snprintf(msg.text, sizeof(msg.text), "%s", worker->why.msg);
	list_for_each(conn, &worker->connections, node)
		if (conn != asked)
			send_or_cut(conn, &msg);
}

static void on_updated(void *ctx, int r, const struct hvd_error *err)
{
	struct worker *worker = ctx;
	struct vm_config config = worker->update.config;

	worker->update.config = (struct vm_config){ 0 };
	worker->update.pending = false;
	if (r >= 0)
		take_config(worker, &config, worker->update.request.arg);
	else
		schema_clear(&vm_schema, &config);
	if (worker->update.conn)
		answer(worker->update.conn, &worker->update.request, r, err);
	tell_settled(worker, worker->update.conn);
	worker->update.conn = NULL;
}

static void on_thread(void *ctx, enum vmm_thread kind)
{
	struct worker *worker = ctx;

	worker_enter_sandbox(worker->sandbox, kind);
}

static const struct vmm_hooks hooks = {
	.state_changed = on_state,
	.updated = on_updated,
	.memory_changed = on_memory,
	.disk_lost = on_disk_lost,
	.was_reset = on_reset,
	.thread_started = on_thread,
};

static void on_connect(struct loop_source *src, uint32_t events);

static int listen_on(struct worker *worker, int fd)
{
	int type, r;
	socklen_t len = sizeof(type);

	worker->listener = (struct loop_source){ .fd = fd, .fn = on_connect };
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &type, &len) < 0)
		return -errno;
	r = type ? loop_add(worker->loop, &worker->listener, EPOLLIN) : -EINVAL;
	return r;
}

/* Descriptors: spec, listener, files. All are taken over. */
static int start(struct worker *worker, int *fds, size_t n, struct hvd_error *err)
{
	struct vm_files files = VM_FILES_INIT;
	AUTO(close) int spec = n > 0 ? fds[0] : -1;
	int r;

	worker->listener.fd = n > 1 ? fds[1] : -1;
	worker->started = true;
	r = n < 2 ? hvd_err(err, EBADMSG, "CONTROL_START needs a spec and a listener")
		  : worker_read_config(spec, &worker->config, err);
	if (r < 0) {
		for (size_t i = 2; i < n; i++)
			close(fds[i]);
		return hvd_err_prefix(err, r, "spec");
	}

	r = vm_files_unpack(&worker->config, NULL, fds + 2, n - 2, &files);
	if (r < 0)
		return hvd_err(err, -r, "CONTROL_START: descriptors do not fit the spec");
	r = listen_on(worker, worker->listener.fd);
	if (r < 0) {
		vm_files_close(&files);
		return hvd_err(err, -r, "control socket: %s", strerror(-r));
	}

	r = vmm_create(&worker->config, &files, worker->loop, &hooks, worker, &worker->vmm, err);
	return r < 0 ? r : vmm_start(worker->vmm, err);
}

/* Returns 1 when the answer comes later. */
typedef int (*request_fn)(struct worker *worker, const struct control_message *msg, int *fds,
			  size_t *n, struct hvd_error *err);

static int do_status(struct worker *worker, const struct control_message *msg, int *fds, size_t *n,
		     struct hvd_error *err)
{
	return 0; /* every reply has the state; reply() adds the rest */
}

static int do_pause(struct worker *worker, const struct control_message *msg, int *fds, size_t *n,
		    struct hvd_error *err)
{
	return vmm_pause(worker->vmm, err);
}

static int do_resume(struct worker *worker, const struct control_message *msg, int *fds, size_t *n,
		     struct hvd_error *err)
{
	return vmm_resume(worker->vmm, err);
}

static int do_reset(struct worker *worker, const struct control_message *msg, int *fds, size_t *n,
		    struct hvd_error *err)
{
	return vmm_reset(worker->vmm, err);
}

static int do_resize_console(struct worker *worker, const struct control_message *msg, int *fds,
			     size_t *n, struct hvd_error *err)
{
	const struct console_size size = { (uint16_t)msg->arg, (uint16_t)(msg->arg >> 16) };

	return vmm_resize_console(worker->vmm, size, err);
}

static int do_power_button(struct worker *worker, const struct control_message *msg, int *fds,
			   size_t *n, struct hvd_error *err)
{
	return vmm_power_button(worker->vmm, err);
}

static int update(struct worker *worker, const struct vm_config *config, const int *fds, size_t n,
		  struct hvd_error *err)
{
	struct vm_files files = VM_FILES_INIT;
	int r;

	r = vm_files_unpack(config, &worker->config, fds, n, &files);
	if (r < 0)
		return hvd_err(err, -r, "CONTROL_UPDATE: descriptors do not fit the spec");
	return vmm_update(worker->vmm, config, &files, err);
}

/* Descriptors: spec, then files of what is new. */
static int do_update(struct worker *worker, const struct control_message *msg, int *fds, size_t *n,
		     struct hvd_error *err)
{
	struct vm_config config;
	size_t n_files = *n - 1;
	int r;

	if (*n < 1)
		return hvd_err(err, EBADMSG, "CONTROL_UPDATE needs a spec");
	r = worker_read_config(fds[0], &config, err);
	if (r < 0)
		return hvd_err_prefix(err, r, "spec");

	*n = 1; /* the others find an owner */
	r = update(worker, &config, fds + 1, n_files, err);
	if (r < 0) {
		schema_clear(&vm_schema, &config);
	} else if (r == 0) {
		take_config(worker, &config, msg->arg);
	} else {
		worker->update.pending = true;
		worker->update.request = *msg;
		worker->update.config = config;
	}
	return r;
}

/* A socket to the next storage daemon of a disk. */
static int do_disk(struct worker *worker, const struct control_message *msg, int *fds, size_t *n,
		   struct hvd_error *err)
{
	if (*n != 1)
		return hvd_err(err, EBADMSG, "CONTROL_DISK needs one descriptor");
	*n = 0; /* the VM owns it in either outcome */
	return vmm_reconnect_disk(worker->vmm, msg->field, fds[0], err);
}

static int do_stop(struct worker *worker, const struct control_message *msg, int *fds, size_t *n,
		   struct hvd_error *err)
{
	return 0; /* after the reply: see reply() */
}

/* Sent before the reply, which r makes a failure when some could not be. */
static int send_counters(struct connection *conn, uint32_t serial, struct hvd_error *err)
{
	AUTO(counters_clear) struct counters_list list = { 0 };
	int r = vmm_count(conn->worker->vmm, &list);

	if (r >= 0)
		r = worker_send_counters(conn->src.fd, serial, &list);
	return r < 0 ? hvd_err(err, -r, "counters: %s", strerror(-r)) : 0;
}

static int do_console(struct worker *worker, const struct control_message *msg, int *fds, size_t *n,
		      struct hvd_error *err)
{
	if (*n != 1)
		return hvd_err(err, EBADMSG, "CONTROL_CONSOLE needs one descriptor");
	*n = 0; /* the console owns it in either outcome */
	return console_attach(vmm_console(worker->vmm), fds[0], msg->arg & 1, err);
}

static const request_fn requests[] = {
	[CONTROL_STATUS] = do_status,
	[CONTROL_PAUSE] = do_pause,
	[CONTROL_RESUME] = do_resume,
	[CONTROL_RESET] = do_reset,
	[CONTROL_POWER_BUTTON] = do_power_button,
	[CONTROL_STOP] = do_stop,
	[CONTROL_CONSOLE] = do_console,
	[CONTROL_RESIZE_CONSOLE] = do_resize_console,
	[CONTROL_UPDATE] = do_update,
	[CONTROL_DISK] = do_disk,
	[CONTROL_COUNT] = do_status,
};

static int handle(struct worker *worker, const struct control_message *msg, int *fds, size_t *n,
		  struct hvd_error *err)
{
	if (msg->type == CONTROL_START) {
		size_t n_start = *n;

		if (worker->started)
			return hvd_err(err, EBUSY, "started already");
		*n = 0;
		worker->spec = msg->arg;
		return start(worker, fds, n_start, err);
	}
	if (msg->type >= ARRAY_SIZE(requests) || !requests[msg->type])
		return hvd_err(err, EOPNOTSUPP, "this hvd-vmm does not know request %u", msg->type);
	if (!worker->vmm)
		return hvd_err(err, EAGAIN, "not started yet");
	return requests[msg->type](worker, msg, fds, n, err);
}

/* Handle one request and answer it, at once or later. */
static void reply(struct connection *conn, const struct control_message *msg, int *fds, size_t n)
{
	struct worker *worker = conn->worker;
	struct hvd_error err = { 0 };
	int r;

	r = handle(worker, msg, fds, &n, &err);
	if (msg->type == CONTROL_COUNT && r >= 0)
		r = send_counters(conn, msg->serial, &err);
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
	if (r == 1)
		worker->update.conn = conn;
	else
		answer(conn, msg, r, &err);

	if (msg->type == CONTROL_STATUS && worker->balloon.actual)
		send_balloon(conn);
	if (msg->type == CONTROL_STATUS && r >= 0)
		tell_lost_disks(conn);
	if (msg->type == CONTROL_STOP && r >= 0)
		vmm_stop(worker->vmm);
	if (msg->type == CONTROL_START && r < 0 && r != -EBUSY) {
		log_err("%s%s%s", err.field, err.field[0] ? ": " : "", err.msg);
		worker->status = EXIT_FAILURE;
		loop_quit(worker->loop);
	}
}

static void on_message(struct loop_source *src, uint32_t events)
{
	struct connection *conn = container_of(src, struct connection, src);
	struct worker *worker = conn->worker;
	struct control_message msg;
	int fds[CONTROL_MAX_FDS];
	size_t n = CONTROL_MAX_FDS;
	int r;

	/* One message a turn: the loop comes back for more. */
	r = control_recv(src->fd, &msg, fds, &n);
	if (r == 1) {
		reply(conn, &msg, fds, n);
		return;
	}
	if (r == -EAGAIN || r == -EINTR)
		return;
	if (r < 0)
		log_warning("control connection: %s", strerror(-r));
	connection_free(conn);
	if (!worker->started) {
		log_err("hvd has gone before it sent a VM");
		worker->status = EXIT_FAILURE;
		loop_quit(worker->loop);
	}
}

/* Takes fd over. */
static int serve(struct worker *worker, int fd)
{
	struct connection *conn = calloc(1, sizeof(*conn));
	int r = -ENOMEM;

	if (conn) {
		conn->worker = worker;
		conn->src = (struct loop_source){ .fd = fd, .fn = on_message };
		r = loop_add(worker->loop, &conn->src, EPOLLIN);
	}
	if (r < 0) {
		free(conn);
		close(fd);
		return r;
	}
	list_append(&worker->connections, &conn->node);
	worker->n_connections++;
	return 0;
}

static void on_connect(struct loop_source *src, uint32_t events)
{
	struct worker *worker = container_of(src, struct worker, listener);
	int fd = accept4(src->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	if (worker->n_connections >= CONNECTIONS_MAX) {
		log_warning("more than %d control connections", CONNECTIONS_MAX);
		close(fd);
		return;
	}
	serve(worker, fd);
}

static void on_deadline(struct loop_source *src, uint32_t events)
{
	struct worker *worker = container_of(src, struct worker, deadline);

	log_warning("the guest has not shut down within %d s", SHUTDOWN_SECONDS);
	vmm_stop(worker->vmm);
}

/*
 * SIGTERM: systemd ends the unit (systemctl stop, power-off of the host). The guest gets the
 * chance to shut down; a second SIGTERM, or its deadline, ends that.
 */
static void on_signal(struct loop_source *src, uint32_t events)
{
	struct worker *worker = container_of(src, struct worker, signals);
	const struct itimerspec time = { .it_value.tv_sec = SHUTDOWN_SECONDS };
	struct signalfd_siginfo si;

	if (read(src->fd, &si, sizeof(si)) != sizeof(si))
		return;
	if (!worker->vmm) {
		loop_quit(worker->loop);
		return;
	}
	log_info("SIGTERM: pressing the power button");
	if (worker->deadline.loop || vmm_state(worker->vmm) != VMM_RUNNING ||
	    vmm_power_button(worker->vmm, NULL) < 0 ||
	    timerfd_settime(worker->deadline.fd, 0, &time, NULL) < 0 ||
	    loop_add(worker->loop, &worker->deadline, EPOLLIN) < 0)
		vmm_stop(worker->vmm);
}

static int set_up(struct worker *worker, int sock)
{
	/* the last one: machinectl poweroff */
	const int signals[] = { SIGTERM, SIGINT, SIGRTMIN + 4, 0 };
	int r;

	list_init(&worker->connections);
	worker->listener.fd = -1;
	worker->signals = (struct loop_source){ .fd = -1, .fn = on_signal };
	worker->deadline = (struct loop_source){ .fn = on_deadline };
	worker->deadline.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (worker->deadline.fd < 0)
		return -errno;

	r = loop_new(&worker->loop);
	if (r >= 0)
		r = worker_signals(signals, &worker->signals.fd);
	if (r >= 0)
		r = loop_add(worker->loop, &worker->signals, EPOLLIN);
	if (r >= 0)
		r = serve(worker, sock);
	return r;
}

static void tear_down(struct worker *worker)
{
	struct connection *conn;

	vmm_free(worker->vmm);
	worker->vmm = NULL;
	list_for_each(conn, &worker->connections, node)
		connection_free(conn);
	schema_clear(&vm_schema, &worker->config);
	schema_clear(&vm_schema, &worker->update.config);
	loop_free(worker->loop);
	if (worker->listener.fd >= 0)
		close(worker->listener.fd);
	if (worker->signals.fd >= 0)
		close(worker->signals.fd);
	if (worker->deadline.fd >= 0)
		close(worker->deadline.fd);
}

int worker_control(int sock, const struct sandbox *sandbox)
{
	struct worker worker = { .sandbox = sandbox, .status = EXIT_SUCCESS };
	int r;

	r = set_up(&worker, sock);
	if (r >= 0) {
		/* before the first message: specs, boot images and guests are not to be trusted */
		worker_enter_sandbox(sandbox, VMM_THREAD_MAIN);
		r = loop_run(worker.loop);
	}
	if (r < 0) {
		log_err("event loop: %s", strerror(-r));
		worker.status = EXIT_FAILURE;
	}
	tear_down(&worker);
	return worker.status;
}
