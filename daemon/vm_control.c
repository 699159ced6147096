/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on a VM whose process runs, and what the process tells by itself. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "daemon/vm_private.h"
#include "vmm/base/log.h"

#define KILL_DELAY_USEC (5 * 1000000ULL)

/* One request under way, and what follows when it has been granted. */
struct vm_op {
	struct vm *vm;
	void (*granted)(struct vm_op *op);
	int *fd, stream; /* console */
	vm_done_fn done;
	void *ctx;
};

struct stop_waiter {
	struct list node;
	vm_done_fn done;
	void *ctx;
};

/* For a person. An error's own text says more. */
static const char *end_text(const struct control_message *msg)
{
	switch (msg->reason) {
	case VMM_REASON_GUEST_SHUTDOWN:
		return "guest shut down";
	case VMM_REASON_GUEST_REBOOT:
		return "guest rebooted (on_reboot is stop)";
	case VMM_REASON_HOST_STOP:
		return "stopped";
	default:
		return msg->text[0] ? msg->text : "hvd-vmm failed";
	}
}

void vm_apply_message(struct vm *vm, const struct control_message *msg)
{
	switch (msg->state) {
	case VMM_RUNNING:
		/* with a remark: not that it goes on after all */
		if (!vm->stop_wanted && !(vm->state == VM_STOPPING && msg->text[0]))
			vm_set_state(vm, VM_RUNNING, msg->text[0] ? msg->text : NULL);
		break;
	case VMM_PAUSED:
		/* paused by itself, it tells why */
		vm_set_state(vm, VM_PAUSED, msg->text[0] ? msg->text : NULL);
		break;
	case VMM_STOPPED:
		vm->end = msg->reason < _VMM_REASON_MAX ? msg->reason : VMM_REASON_ERROR;
		vm_set_text(&vm->end_text, end_text(msg));
		break;
	default:
		break; /* being built: the start that is under way tells more */
	}
}

static void on_event(void *ctx, const struct control_message *msg)
{
	struct vm *vm = ctx;

	if (msg->type == CONTROL_BALLOON) {
		vm->memory = msg->balloon;
		return;
	}
	if (msg->type == CONTROL_SETTLED) {
		vm_update_recover(vm, msg->arg);
		return;
	}
	/* While it is being started, only its end matters. */
	if (!vm->start || msg->state == VMM_STOPPED)
		vm_apply_message(vm, msg);
}

static void on_closed(void *ctx)
{
	struct vm *vm = ctx;

	vm->control = control_client_free(vm->control);
	vm_find_process(vm);
}

static void on_disk_lost(void *ctx, const char *id)
{
	vm_storage_lost(ctx, id);
}

const struct control_client_ops vm_control_ops = {
	.event = on_event,
	.disk_lost = on_disk_lost,
	.closed = on_closed,
};

static void op_finish(struct vm_op *op, int r, const struct hvd_error *err)
{
	op->done(op->ctx, r, err);
	free(op);
}

static void on_reply(void *ctx, int r, const struct control_message *reply,
		     const struct hvd_error *err)
{
	struct vm_op *op = ctx;

	if (r >= 0)
		op->granted(op);
	else if (op->stream >= 0)
		close(op->stream);
	op_finish(op, r, err);
}

static int op_send(struct vm_op *op, enum control_type type, uint32_t arg, const int *fds, size_t n,
		   struct hvd_error *err)
{
	struct vm *vm = op->vm;

	if (!vm->control)
		return hvd_err(err, EAGAIN, "VM %s cannot be reached just now; try again",
			       vm->config.name);
	return control_client_request(vm->control, type, arg, fds, n, on_reply, op, err);
}

static struct vm_op *op_new(struct vm *vm, void (*granted)(struct vm_op *), vm_done_fn done,
			    void *ctx)
{
	struct hvd_error err = { 0 };
	struct vm_op *op = malloc(sizeof(*op));

	if (!op) {
		done(ctx, hvd_err(&err, ENOMEM, "out of memory"), &err);
		return NULL;
	}
	*op = (struct vm_op){ .vm = vm, .granted = granted, .stream = -1, .done = done, .ctx = ctx };
	return op;
}

static void request_with(struct vm *vm, enum control_type type, uint32_t arg,
			 void (*granted)(struct vm_op *), vm_done_fn done, void *ctx)
{
	struct hvd_error err = { 0 };
	struct vm_op *op = op_new(vm, granted, done, ctx);
	int r;

	if (!op)
		return;
	r = op_send(op, type, arg, NULL, 0, &err);
	if (r < 0)
		op_finish(op, r, &err);
}

static void request(struct vm *vm, enum control_type type, void (*granted)(struct vm_op *),
		    vm_done_fn done, void *ctx)
{
	request_with(vm, type, 0, granted, done, ctx);
}

static void pause_granted(struct vm_op *op)
{
	vm_set_state(op->vm, VM_PAUSED, NULL);
}

static void run_granted(struct vm_op *op)
{
	vm_set_state(op->vm, VM_RUNNING, NULL);
}

static void shutdown_granted(struct vm_op *op)
{
	op->vm->restart_wanted = false;
	vm_set_state(op->vm, VM_STOPPING, "the guest was asked to shut down");
}

static void reboot_granted(struct vm_op *op)
{
	op->vm->restart_wanted = true;
	vm_set_state(op->vm, VM_STOPPING, "the guest was asked to shut down for a reboot");
}

/* hvd-vmm tells the state when it changes: a paused VM that is reset stays so. */
static void nothing_granted(struct vm_op *op)
{
}

static void console_granted(struct vm_op *op)
{
	*op->fd = TAKE_FD(op->stream);
}

void vm_pause(struct vm *vm, vm_done_fn done, void *ctx)
{
	request(vm, CONTROL_PAUSE, pause_granted, done, ctx);
}

void vm_resume(struct vm *vm, vm_done_fn done, void *ctx)
{
	request(vm, CONTROL_RESUME, run_granted, done, ctx);
}

void vm_shutdown(struct vm *vm, vm_done_fn done, void *ctx)
{
	request(vm, CONTROL_POWER_BUTTON, shutdown_granted, done, ctx);
}

void vm_reboot(struct vm *vm, vm_done_fn done, void *ctx)
{
	request(vm, CONTROL_POWER_BUTTON, reboot_granted, done, ctx);
}

void vm_reset(struct vm *vm, vm_done_fn done, void *ctx)
{
	request(vm, CONTROL_RESET, nothing_granted, done, ctx);
}

void vm_resize_console(struct vm *vm, const struct console_geometry *size, vm_done_fn done, void *ctx)
{
	request_with(vm, CONTROL_RESIZE_CONSOLE, size->rows << 16 | size->columns, nothing_granted, done,
		     ctx);
}

void vm_console(struct vm *vm, bool writer, int *fd, vm_done_fn done, void *ctx)
{
	AUTO(close) int theirs = -1;
	struct hvd_error err = { 0 };
	struct vm_op *op = op_new(vm, console_granted, done, ctx);
	int pair[2], r;

	if (!op)
		return;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0) {
		op_finish(op, hvd_err(&err, errno, "socketpair: %s", strerror(errno)), &err);
		return;
	}
	op->fd = fd;
	op->stream = pair[0];
	theirs = pair[1];
	r = op_send(op, CONTROL_CONSOLE, writer, &theirs, 1, &err);
	if (r < 0) {
		close(op->stream);
		op_finish(op, r, &err);
	}
}

void vm_stop_finish(struct vm *vm)
{
	while (!list_empty(&vm->stop_waiters)) {
		struct stop_waiter *waiter = list_entry(vm->stop_waiters.next, struct stop_waiter, node);

		list_remove(&waiter->node);
		waiter->done(waiter->ctx, 0, NULL);
		free(waiter);
	}
}

static int on_kill_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct vm *vm = userdata;

	log_warning("VM %s does not stop: killing its process", vm->config.name);
	unit_kill(vm->manager->bus, vm->config.name);
	return 0;
}

static void on_stop_reply(void *ctx, int r, const struct control_message *reply,
			  const struct hvd_error *err)
{
	struct vm *vm = ctx;

	if (r < 0 && r != -EPIPE && r != -ECANCELED && vm->manager->bus)
		unit_kill(vm->manager->bus, vm->config.name);
}

/* Ask the process; what cannot be asked, or does not listen, is killed. */
static void end_process(struct vm *vm)
{
	int r = -ENOTCONN;

	if (vm->control)
		r = control_client_request(vm->control, CONTROL_STOP, 0, NULL, 0, on_stop_reply, vm,
					   NULL);
	if (!vm->manager->bus)
		return;
	if (r < 0)
		unit_kill(vm->manager->bus, vm->config.name);
	else if (!vm->kill_timer)
		sd_event_add_time_relative(vm->manager->event, &vm->kill_timer, CLOCK_MONOTONIC,
					   KILL_DELAY_USEC, 0, on_kill_timer, vm);
}

void vm_stop(struct vm *vm, vm_done_fn done, void *ctx)
{
	struct stop_waiter *waiter = malloc(sizeof(*waiter));
	struct hvd_error err = { 0 };

	if (!waiter) {
		done(ctx, hvd_err(&err, ENOMEM, "out of memory"), &err);
		return;
	}
	*waiter = (struct stop_waiter){ .done = done, .ctx = ctx };
	list_append(&vm->stop_waiters, &waiter->node);

	vm->restart_wanted = false;
	vm->stop_wanted = true;
	if (vm->start) {
		vm_start_cancel(vm);
		return;
	}
	end_process(vm);
	vm_set_state(vm, VM_STOPPING, NULL);
}
