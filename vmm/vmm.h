/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libvmm: one VM in this process. The façade: everything that a program needs to run a VM.
 *
 * All functions are called on the thread of the main loop given to vmm_create(), and hooks run
 * there too. vCPU threads and the I/O loop are libvmm's own.
 *
 * A reset (guest's SYSTEM_RESET, vmm_reset()) makes the whole machine anew from the same
 * configuration and descriptors: no device or vGIC state can survive it.
 *
 * The VM copies struct vm_config itself; what it points to (strings, lists) stays the caller's, who
 * keeps it until the VM is freed or a vmm_update() has put another in its place.
 */
#pragma once

#include "vmm/balloon.h"
#include "vmm/base/err.h"
#include "vmm/base/loop.h"
#include "vmm/config.h"
#include "vmm/console.h"
#include "vmm/counters.h"
#include "vmm/files.h"

struct vmm;

enum vmm_state {
	VMM_CREATED, /* built, no vCPU has run yet */
	VMM_RUNNING,
	VMM_PAUSED,
	VMM_STOPPED, /* for good; reason tells why */
	_VMM_STATE_MAX
};

enum vmm_reason {
	VMM_REASON_NONE,
	VMM_REASON_GUEST_SHUTDOWN, /* PSCI SYSTEM_OFF */
	VMM_REASON_GUEST_REBOOT,   /* PSCI SYSTEM_RESET with on_reboot=stop */
	VMM_REASON_HOST_STOP,      /* vmm_stop() */
	VMM_REASON_ERROR,          /* KVM or a host resource failed; the error says which */
	VMM_REASON_IO_ERROR,       /* paused by a disk's error policy; the error says which disk */
	VMM_REASON_PANIC,          /* the guest has panicked; the error says what came of it */
	VMM_REASON_WATCHDOG,       /* its watchdog has fired; likewise */
	_VMM_REASON_MAX
};

extern const char *const vmm_state_names[_VMM_STATE_MAX];   /* "created", "running", … */
extern const char *const vmm_reason_names[_VMM_REASON_MAX]; /* "none", "guest-shutdown", … */

/* Kinds of threads in a process that runs a VM. */
enum vmm_thread {
	VMM_THREAD_MAIN, /* the caller's, of the main loop */
	VMM_THREAD_IO,
	VMM_THREAD_VCPU,
	_VMM_THREAD_MAX
};

struct vmm_hooks {
	/*
	 * After every change of state; and for VMM_REASON_PANIC and _WATCHDOG also when the VM has been
	 * reset for that, or is left alone. err is set for these two, _ERROR and _IO_ERROR only.
	 */
	void (*state_changed)(void *ctx, enum vmm_state state, enum vmm_reason reason,
			      const struct hvd_error *err);
	/*
	 * What vmm_update() has returned 1 for is done, or has failed (r < 0): the VM has the new
	 * configuration, or goes on with the old. Not called when the VM stops before that. May be
	 * NULL where vmm_update() is not used.
	 */
	void (*updated)(void *ctx, int r, const struct hvd_error *err);
	/* What the guest has of its memory, or says of it; some times a second. May be NULL. */
	void (*memory_changed)(void *ctx, const struct balloon_info *info);
	/* The storage daemon of a disk has ended: its requests wait for vmm_reconnect_disk(). May be NULL. */
	void (*disk_lost)(void *ctx, const char *id);
	/* The guest was reset and runs again. May be NULL. */
	void (*was_reset)(void *ctx);
	/*
	 * On each thread that libvmm starts, before it does anything else: where the thread gives up
	 * what it does not need. May be NULL.
	 */
	void (*thread_started)(void *ctx, enum vmm_thread kind);
};

/*
 * Build the machine: guest RAM, vCPUs, GIC, devices, the boot images loaded. Takes ownership of
 * the descriptors in files in either outcome. Errors: -EOPNOTSUPP (host is not arm64, or a KVM
 * capability that is named), -ENOEXEC (the kernel is no arm64 Image), -ENOSPC (images do not fit
 * into memory), -ENOMEM.
 */
int vmm_create(const struct vm_config *config, struct vm_files *files, struct loop *main,
	       const struct vmm_hooks *hooks, void *ctx, struct vmm **ret, struct hvd_error *err);

/* Ends all threads, drains I/O in flight, frees the VM. */
struct vmm *vmm_free(struct vmm *vmm);
DEFINE_AUTO(struct vmm *, vmm_free);

/* -EINVAL when the state does not allow it; err says so. */
int vmm_start(struct vmm *vmm, struct hvd_error *err);
int vmm_pause(struct vmm *vmm, struct hvd_error *err);  /* returns with vCPUs and I/O quiet */
int vmm_resume(struct vmm *vmm, struct hvd_error *err);
int vmm_reset(struct vmm *vmm, struct hvd_error *err);
/* Tell the guest the size of its terminal, which it is told again after a reset. -EINVAL: it has ended. */
int vmm_resize_console(struct vmm *vmm, struct console_size size, struct hvd_error *err);
int vmm_power_button(struct vmm *vmm, struct hvd_error *err); /* asks the guest to shut down */
void vmm_stop(struct vmm *vmm);                               /* does not ask */

/*
 * Make config the VM's. Devices take at once what can change while the guest runs, and new disks and
 * NICs are attached; all else is as at the start of the VM, also after a reset, and the caller
 * leaves it out of config. files: the descriptors of what is new (vm_files_unpack()), taken in
 * either outcome. All or nothing: on failure the VM goes on with what it had.
 *
 * A disk or NIC may be gone, alone and with no other change: the guest is asked to let go of it, and
 * 1 is returned; the caller keeps both configurations until hooks->updated. A guest gets
 * VMM_DETACH_SECONDS; one that is reset has let go.
 *
 * -EINVAL (state), -EBUSY (something is being detached), -EOPNOTSUPP, -ENOSPC, and what devices refuse,
 * with the field named.
 */
#define VMM_DETACH_SECONDS 60
int vmm_update(struct vmm *vmm, const struct vm_config *config, struct vm_files *files,
	       struct hvd_error *err);

/*
 * A connection to the next storage daemon of a disk; sock is taken over in either outcome. Nothing is
 * done as long as the old one stands. -ENOENT, -EPIPE, -EINVAL.
 */
int vmm_reconnect_disk(struct vmm *vmm, const char *id, int sock, struct hvd_error *err);
bool vmm_disk_is_lost(const struct vmm *vmm, const char *id);

/* What it has counted since it was started; the guest may run. counters_clear() frees it. 0 or -ENOMEM. */
int vmm_count(const struct vmm *vmm, struct counters_list *ret);

enum vmm_state vmm_state(const struct vmm *vmm);
struct console *vmm_console(struct vmm *vmm);

/*
 * What this host offers: probed from an open /dev/kvm. The mode (vhe, nvhe, …) is not visible to
 * ioctls; daemon/host.c finds it.
 */
struct vmm_host {
	uint32_t max_vcpus;
	uint32_t ipa_bits;
	bool gicv3, its, aarch32, pmu, sve, pauth, mte, el2, steal_time;
};

int vmm_probe(int kvm, struct vmm_host *ret, struct hvd_error *err);
