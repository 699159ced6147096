/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/vmm.h"

#include <errno.h>
#include <poll.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>

#include "vmm/arch/machine.h"
#include "vmm/base/thread.h"

/* A thread that runs an I/O loop. */
struct io_thread {
	struct vmm *vmm;
	struct loop *loop;
	pthread_t thread;
	bool started;
};

struct vmm {
	struct vm_config config; /* what it points to is the caller's */
	struct vm_files files;
	struct loop *main;
	const struct vmm_hooks *hooks;
	void *ctx;

	struct console *console;
	struct io_thread io[VM_MAX_IO_THREADS];
	struct loop *loops[VM_MAX_IO_THREADS]; /* theirs */
	unsigned n_io;
	struct vcpu_crew *crew;

	struct counters_list counted; /* by machines that are no more */
	uint64_t resets;
	struct machine *machine; /* NULL once stopped */
	enum vmm_state state;
	bool remarked; /* see remark() */

	/* The guest has been asked to let go of what is not in next. */
	bool detaching;
	struct vm_config next;
};

static void set_state(struct vmm *vmm, enum vmm_state state, enum vmm_reason reason,
		      const struct hvd_error *err)
{
	vmm->state = state;
	vmm->remarked = false;
	vmm->hooks->state_changed(vmm->ctx, state, reason, err);
}

/* What the machine has counted stays the VM's. Without memory it begins anew. */
static void keep_counters(struct vmm *vmm)
{
	AUTO(counters_clear) struct counters_list list = { 0 };

	if (!vmm->machine || machine_count(vmm->machine, &list) < 0)
		return;
	counters_add(&list, &vmm->counted);
	counters_clear(&vmm->counted);
	vmm->counted = list;
	list = (struct counters_list){ 0 };
}

static void stop(struct vmm *vmm, enum vmm_reason reason, const struct hvd_error *err)
{
	vmm->detaching = false;
	vmm->machine = machine_free(vmm->machine);
	set_state(vmm, VMM_STOPPED, reason, err);
}

static void on_event(void *ctx, enum vcpu_event event, const struct hvd_error *error);
static void on_vcpu_thread(void *ctx);
static void on_detached(void *ctx, int r, const struct hvd_error *err);
static void on_io_error(void *ctx, const struct hvd_error *err);
static void on_disk_lost(void *ctx, const char *id);
static void on_panic(void *ctx, bool dumps);
static void on_watchdog(void *ctx);
static void on_balloon(void *ctx, const struct balloon_info *info);

static int make_machine(struct vmm *vmm, struct hvd_error *err)
{
	struct machine_args args = {
		.config = &vmm->config,
		.files = &vmm->files,
		.main = vmm->main,
		.io = vmm->loops[0],
		.loops = vmm->loops,
		.n_loops = vmm->n_io,
		.console = vmm->console,
		.crew = vmm->crew,
		.on_event = on_event,
		.on_io_error = on_io_error,
		.on_disk_lost = on_disk_lost,
		.on_panic = on_panic,
		.on_watchdog = on_watchdog,
		.on_balloon = on_balloon,
		.on_detached = on_detached,
		.detach_seconds = VMM_DETACH_SECONDS,
		.ctx = vmm,
	};

	return machine_new(&args, &vmm->machine, err);
}

/* The machine has what config says. */
static void take_config(struct vmm *vmm, const struct vm_config *config, struct vm_files *added)
{
	vm_files_update(&vmm->files, &vmm->config, config, added);
	vmm->config = *config;
}

static void on_detached(void *ctx, int r, const struct hvd_error *err)
{
	struct vmm *vmm = ctx;
	struct vm_files none = VM_FILES_INIT;

	if (!vmm->detaching)
		return;
	vmm->detaching = false;
	if (r >= 0)
		take_config(vmm, &vmm->next, &none);
	vmm->hooks->updated(vmm->ctx, r, err);
}

/* A guest that is reset has let go of what it was asked for. */
static void end_machine(struct vmm *vmm)
{
	bool detaching = vmm->detaching;

	vmm->detaching = false;
	keep_counters(vmm);
	vmm->machine = machine_free(vmm->machine);
	vmm->detaching = detaching;
	on_detached(vmm, 0, NULL);
}

/* A machine as after power-on, in the state that the VM had. */
static int reset(struct vmm *vmm, struct hvd_error *ret_err)
{
	struct hvd_error err = { 0 };
	int r;

	end_machine(vmm);
	r = make_machine(vmm, &err);
	if (r < 0) {
		hvd_err_prefix(&err, r, "reset");
		stop(vmm, VMM_REASON_ERROR, &err);
		if (ret_err)
			*ret_err = err;
		return r;
	}

	vmm->resets++;
	vmm->remarked = false;
	if (vmm->state == VMM_RUNNING)
		machine_run(vmm->machine);
	if (vmm->hooks->was_reset)
		vmm->hooks->was_reset(vmm->ctx);
	return 0;
}

/* What a vCPU has reported. error belongs to the machine, which ends here. */
static void on_event(void *ctx, enum vcpu_event event, const struct hvd_error *error)
{
	struct vmm *vmm = ctx;
	struct hvd_error err = *error;

	switch (event) {
	case VCPU_SHUTDOWN:
		stop(vmm, VMM_REASON_GUEST_SHUTDOWN, NULL);
		break;
	case VCPU_RESET:
		if (vmm->config.on_reboot == ON_REBOOT_STOP)
			stop(vmm, VMM_REASON_GUEST_REBOOT, NULL);
		else
			reset(vmm, NULL);
		break;
	case VCPU_FAILED:
		stop(vmm, VMM_REASON_ERROR, &err);
		break;
	case VCPU_KICKED:
		break;
	}
}

static void hold(struct vmm *vmm, enum vmm_reason reason, const struct hvd_error *err)
{
	machine_hold(vmm->machine);
	set_state(vmm, VMM_PAUSED, reason, err);
}

/* A disk holds a request back. One that is paused already finds the error again when it goes on. */
static void on_io_error(void *ctx, const struct hvd_error *err)
{
	struct vmm *vmm = ctx;

	if (vmm->state == VMM_RUNNING)
		hold(vmm, VMM_REASON_IO_ERROR, err);
}

/*
 * Something has happened that the VM's state does not show. Told once, until it changes or the VM is reset:
 * a guest can make it happen as often as it likes.
 */
static void remark(struct vmm *vmm, enum vmm_reason reason, const struct hvd_error *err)
{
	if (vmm->remarked)
		return;
	set_state(vmm, vmm->state, reason, err);
	vmm->remarked = true;
}

static void reset_and_remark(struct vmm *vmm, enum vmm_reason reason, const struct hvd_error *err)
{
	if (reset(vmm, NULL) == 0)
		remark(vmm, reason, err);
}

/* Somebody may have paused it meanwhile: then it stays so. */
static void on_panic(void *ctx, bool dumps)
{
	struct vmm *vmm = ctx;
	struct hvd_error err = { 0 };

	if (dumps) {
		hvd_err(&err, ECANCELED, "the guest panicked and writes a crash dump");
		remark(vmm, VMM_REASON_PANIC, &err);
		return;
	}
	switch (vmm->config.on_crash) {
	case ON_CRASH_RESTART:
		hvd_err(&err, ECANCELED, "the guest panicked and was reset (on_crash is restart)");
		reset_and_remark(vmm, VMM_REASON_PANIC, &err);
		break;
	case ON_CRASH_STOP:
		hvd_err(&err, ECANCELED, "the guest panicked (on_crash is stop)");
		stop(vmm, VMM_REASON_PANIC, &err);
		break;
	default:
		hvd_err(&err, ECANCELED, "the guest panicked (on_crash is pause)");
		if (vmm->state == VMM_RUNNING)
			hold(vmm, VMM_REASON_PANIC, &err);
		else
			remark(vmm, VMM_REASON_PANIC, &err);
	}
}

static void on_watchdog(void *ctx)
{
	struct vmm *vmm = ctx;
	struct hvd_error err = { 0 };

	switch (vmm->config.watchdog) {
	case WATCHDOG_RESET:
		hvd_err(&err, ECANCELED, "the guest did not keep its watchdog quiet and was reset");
		reset_and_remark(vmm, VMM_REASON_WATCHDOG, &err);
		break;
	case WATCHDOG_STOP:
		hvd_err(&err, ECANCELED, "the guest did not keep its watchdog quiet (watchdog is stop)");
		stop(vmm, VMM_REASON_WATCHDOG, &err);
		break;
	case WATCHDOG_PAUSE:
		hvd_err(&err, ECANCELED, "the guest did not keep its watchdog quiet (watchdog is pause)");
		hold(vmm, VMM_REASON_WATCHDOG, &err);
		break;
	case WATCHDOG_SHUTDOWN:
		machine_press_power_button(vmm->machine);
		hvd_err(&err, ECANCELED,
			"the guest did not keep its watchdog quiet; its power button was pressed");
		remark(vmm, VMM_REASON_WATCHDOG, &err);
		break;
	default:
		hvd_err(&err, ECANCELED, "the guest did not keep its watchdog quiet");
		remark(vmm, VMM_REASON_WATCHDOG, &err);
	}
}

static void on_balloon(void *ctx, const struct balloon_info *info)
{
	struct vmm *vmm = ctx;

	if (vmm->hooks->memory_changed)
		vmm->hooks->memory_changed(vmm->ctx, info);
}

static void on_disk_lost(void *ctx, const char *id)
{
	struct vmm *vmm = ctx;

	if (vmm->hooks->disk_lost)
		vmm->hooks->disk_lost(vmm->ctx, id);
}

static bool is_connected(int sock)
{
	struct pollfd p = { .fd = sock, .events = POLLRDHUP };

	return poll(&p, 1, 0) == 0;
}

int vmm_reconnect_disk(struct vmm *vmm, const char *id, int sock, struct hvd_error *err)
{
	AUTO(close) int fd = sock;
	int at = vm_config_find_disk(&vmm->config, id), r;

	if (!vmm->machine || at < 0)
		return hvd_err(err, ENOENT, "there is no disk '%s'", id);
	/* the backend serves one connection at a time, and would not answer on another */
	if (is_connected(vmm->files.disks[at]))
		return 0;
	r = machine_reconnect_disk(vmm->machine, id, fd, err);
	if (r < 0)
		return r;
	/* for the machine after a reset */
	close(vmm->files.disks[at]);
	vmm->files.disks[at] = TAKE_FD(fd);
	return 0;
}

bool vmm_disk_is_lost(const struct vmm *vmm, const char *id)
{
	return vmm->machine && machine_disk_is_lost(vmm->machine, id);
}

static void thread_started(struct vmm *vmm, enum vmm_thread kind)
{
	if (vmm->hooks->thread_started)
		vmm->hooks->thread_started(vmm->ctx, kind);
}

static void on_vcpu_thread(void *ctx)
{
	thread_started(ctx, VMM_THREAD_VCPU);
}

static void *run_io(void *arg)
{
	struct io_thread *io = arg;

	thread_started(io->vmm, VMM_THREAD_IO);
	loop_run(io->loop);
	return NULL;
}

struct started {
	struct loop_work work;
	sem_t sem;
};

static void on_started(struct loop_work *work)
{
	sem_post(&container_of(work, struct started, work)->sem);
}

/*
 * Returns when the loop runs: before that, a loop_call() would run on the caller's thread, and two
 * vCPUs could be inside one device.
 */
static int start_io(struct io_thread *io, unsigned i, struct hvd_error *err)
{
	struct started started = { .work.fn = on_started };
	char name[16];
	int r;

	r = loop_new(&io->loop);
	if (r < 0)
		return hvd_err(err, -r, "I/O loop: %s", strerror(-r));

	sem_init(&started.sem, 0, 0);
	loop_post(io->loop, &started.work);
	snprintf(name, sizeof(name), "io %u", i);
	r = thread_start(&io->thread, name, run_io, io);
	if (r < 0)
		return hvd_err(err, -r, "cannot start the I/O thread: %s", strerror(-r));
	while (sem_wait(&started.sem) < 0)
		;
	sem_destroy(&started.sem);
	io->started = true;
	return 0;
}

static int start_all_io(struct vmm *vmm, struct hvd_error *err)
{
	unsigned n = vmm->config.io_threads;

	if (!n || n > VM_MAX_IO_THREADS)
		return hvd_err_field(err, ERANGE, "io_threads", "a VM has 1 to %d I/O threads",
				     VM_MAX_IO_THREADS);
	for (unsigned i = 0; i < n; i++) {
		int r;

		vmm->n_io++;
		vmm->io[i].vmm = vmm;
		r = start_io(&vmm->io[i], i, err);
		if (r < 0)
			return r;
		vmm->loops[i] = vmm->io[i].loop;
	}
	return 0;
}

static void end_io(struct io_thread *io)
{
	if (io->started) {
		loop_quit(io->loop);
		pthread_join(io->thread, NULL);
	}
	loop_free(io->loop);
}

int vmm_create(const struct vm_config *config, struct vm_files *files, struct loop *main,
	       const struct vmm_hooks *hooks, void *ctx, struct vmm **ret, struct hvd_error *err)
{
	AUTO(vmm_free) struct vmm *vmm = calloc(1, sizeof(*vmm));
	int r;

	if (!vmm) {
		vm_files_close(files);
		return hvd_err(err, ENOMEM, "%s", strerror(ENOMEM));
	}
	*vmm = (struct vmm){ *config, *files, main, hooks, ctx, .state = VMM_CREATED };
	*files = VM_FILES_INIT;

	r = console_new(main, &vmm->console);
	if (r < 0)
		return hvd_err(err, -r, "console: %s", strerror(-r));
	r = start_all_io(vmm, err);
	if (r < 0)
		return r;

	kvm_kick_signal_install();
	r = vcpu_crew_new(vmm->config.vcpus, on_vcpu_thread, vmm, &vmm->crew, err);
	if (r < 0)
		return r;
	r = make_machine(vmm, err);
	if (r < 0)
		return r;

	*ret = TAKE(vmm);
	return 0;
}

struct vmm *vmm_free(struct vmm *vmm)
{
	if (!vmm)
		return NULL;

	vmm->detaching = false;
	machine_free(vmm->machine);
	vcpu_crew_free(vmm->crew);
	counters_clear(&vmm->counted);
	for (unsigned i = 0; i < vmm->n_io; i++)
		end_io(&vmm->io[i]);
	console_free(vmm->console);
	vm_files_close(&vmm->files);
	free(vmm);
	return NULL;
}

static int wrong_state(const struct vmm *vmm, const char *what, struct hvd_error *err)
{
	return hvd_err(err, EINVAL, "cannot %s a VM that is %s", what, vmm_state_names[vmm->state]);
}

int vmm_start(struct vmm *vmm, struct hvd_error *err)
{
	if (vmm->state != VMM_CREATED)
		return wrong_state(vmm, "start", err);
	machine_run(vmm->machine);
	set_state(vmm, VMM_RUNNING, VMM_REASON_NONE, NULL);
	return 0;
}

int vmm_pause(struct vmm *vmm, struct hvd_error *err)
{
	if (vmm->state != VMM_RUNNING)
		return wrong_state(vmm, "pause", err);
	hold(vmm, VMM_REASON_NONE, NULL);
	return 0;
}

int vmm_resume(struct vmm *vmm, struct hvd_error *err)
{
	if (vmm->state != VMM_PAUSED)
		return wrong_state(vmm, "resume", err);
	machine_run(vmm->machine);
	set_state(vmm, VMM_RUNNING, VMM_REASON_NONE, NULL);
	return 0;
}

int vmm_reset(struct vmm *vmm, struct hvd_error *err)
{
	if (vmm->state != VMM_RUNNING && vmm->state != VMM_PAUSED)
		return wrong_state(vmm, "reset", err);
	return reset(vmm, err);
}

int vmm_resize_console(struct vmm *vmm, struct console_size size, struct hvd_error *err)
{
	if (vmm->state != VMM_RUNNING && vmm->state != VMM_PAUSED)
		return wrong_state(vmm, "resize the console of", err);
	console_set_size(vmm->console, size);
	machine_console_resized(vmm->machine);
	return 0;
}

int vmm_power_button(struct vmm *vmm, struct hvd_error *err)
{
	if (vmm->state != VMM_RUNNING)
		return wrong_state(vmm, "press the power button of", err);
	machine_press_power_button(vmm->machine);
	return 0;
}

void vmm_stop(struct vmm *vmm)
{
	if (vmm->state != VMM_STOPPED)
		stop(vmm, VMM_REASON_HOST_STOP, NULL);
}

static int check_update(const struct vmm *vmm, struct hvd_error *err)
{
	if (vmm->state == VMM_STOPPED)
		return wrong_state(vmm, "change", err);
	if (vmm->detaching)
		return hvd_err(err, EBUSY, "the guest has not let go yet of what is being detached");
	return 0;
}

static int update(struct vmm *vmm, const struct vm_config *config, struct vm_files *files,
		  struct hvd_error *err)
{
	int r;

	r = machine_update(vmm->machine, config, files, err);
	if (r < 0)
		return r;
	if (r == 0) {
		take_config(vmm, config, files);
		return 0;
	}
	vmm->next = *config;
	vmm->detaching = true;
	return 1;
}

int vmm_update(struct vmm *vmm, const struct vm_config *config, struct vm_files *files,
	       struct hvd_error *err)
{
	int r = check_update(vmm, err);

	if (r >= 0)
		r = update(vmm, config, files, err);
	vm_files_close(files);
	return r;
}

int vmm_count(const struct vmm *vmm, struct counters_list *ret)
{
	AUTO(counters_clear) struct counters_list list = { 0 };
	struct counters *own = counters_append(&list, COUNTERS_VM, 0, NULL);
	int r;

	if (!own)
		return -ENOMEM;
	own->values[VM_RESETS] = vmm->resets;
	r = vmm->machine ? machine_count(vmm->machine, &list) : 0;
	if (r < 0)
		return r;
	counters_add(&list, &vmm->counted);
	*ret = list;
	list = (struct counters_list){ 0 };
	return 0;
}

enum vmm_state vmm_state(const struct vmm *vmm)
{
	return vmm->state;
}

struct console *vmm_console(struct vmm *vmm)
{
	return vmm->console;
}
