/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VM as hvd knows it: definition, state, and its process while there is one.
 *
 *	SHUTOFF/FAILED --start--> STARTING --ready--> RUNNING <--pause/resume--> PAUSED
 *	    RUNNING/PAUSED --shutdown, stop--> STOPPING --process gone--> SHUTOFF or FAILED
 *
 * A guest may ignore the power button: STOPPING then lasts until it ends, is stopped, or resets; shutdown
 * may be asked again. A start that fails leaves FAILED with the reason, and nothing else behind.
 *
 * Operations that take time complete through a vm_done callback, called exactly once from the
 * event loop or before return. Those that talk to the process (pause, …) assume that the
 * caller has checked the state against the operations table (daemon/call.c).
 */
#pragma once

#include "api/metrics.h"
#include "api/vm_schema.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/err.h"
#include "vmm/base/list.h"

struct manager;
struct vm;

typedef void (*vm_done_fn)(void *ctx, int r, const struct hvd_error *err);

/* The spec that clients see, as stored. A running process may still have an older one. */
const struct vm_config *vm_config(const struct vm *vm);
/* What the process has; all zero when there is none. */
const struct vm_config *vm_running(const struct vm *vm);
enum vm_state vm_state(const struct vm *vm);
/* The disk that is this volume, of what the process has, or of the definition too; NULL: there is none. */
const struct disk_config *vm_disk_of_volume(const struct vm *vm, const char *volume, bool running);
bool vm_has_process(const struct vm *vm); /* neither SHUTOFF nor FAILED */
bool vm_is_unsettled(const struct vm *vm); /* what became of a former hvd's change is not known yet */
uint32_t vm_pid(const struct vm *vm); /* of its process; 0: none, or not known yet */
uint64_t vm_generation(const struct vm *vm); /* counts changes of the spec */
struct vm *vm_next(const struct manager *manager, const struct vm *vm); /* NULL: the first; in name order */

/* Define: takes config's content over (zeroed) on success. Chooses UUID and MACs that are unset. */
int vm_define(struct manager *manager, struct vm_config *config, struct vm **ret,
	      struct hvd_error *err);
/* Frees vm on success. -EBUSY unless SHUTOFF or FAILED; -ESTALE: not of the generation in options. */
int vm_undefine(struct vm *vm, const struct delete_options *options, struct hvd_error *err);

/* Forget it in this process: definition and hvd-vmm stay as they are. Calls back what is pending. */
struct vm *vm_free(struct vm *vm);
DEFINE_AUTO(struct vm *, vm_free);

/* Load NAME.xml of the store, or define anew what an hvd-vmm without definition was started with. */
int vm_load(struct manager *manager, const char *name, struct hvd_error *err);
int vm_restore(struct manager *manager, const char *name, struct hvd_error *err);

/* Remove macvtaps of VMs that do not run; after the last of them has been adopted. */
void vm_remove_stale_links(struct manager *manager);

/* Look for the VM's process of an earlier life of hvd; manager->adopting counts until it is known. */
void vm_adopt(struct vm *vm);

/*
 * Replace the spec; of a VM that runs, what can change while it does (api/vm_schema.c says what) reaches
 * it before the spec is stored, so that what its process or systemd refuses is not stored. Takes config
 * over (zeroed) in either outcome. Unset UUID, ids and MACs are kept from the old spec, or chosen.
 *
 * Disks and NICs that go are detached last, one after the other, and the spec follows each: when a
 * guest does not let go of one, it still has it and what was to go after it.
 *
 * Of options, dry_run is not looked at: that is vm_plan(), which makes config complete and says what
 * would change. -ESTALE: another generation.
 */
void vm_update(struct vm *vm, struct vm_config *config, const struct update_options *options,
	       vm_done_fn done, void *ctx);
int vm_plan(const struct vm *vm, struct vm_config *config, const struct update_options *options,
	    struct plan *ret, struct hvd_error *err);

/* progress (NULL: nobody is told) is called with the ctx of done, before it: steps of a start. */
typedef void (*vm_progress_fn)(void *ctx, unsigned done, unsigned total);
void vm_start(struct vm *vm, vm_progress_fn progress, vm_done_fn done, void *ctx);
void vm_stop(struct vm *vm, vm_done_fn done, void *ctx); /* done when the process is gone */
void vm_shutdown(struct vm *vm, vm_done_fn done, void *ctx); /* done when the button is pressed */
void vm_pause(struct vm *vm, vm_done_fn done, void *ctx);
void vm_resume(struct vm *vm, vm_done_fn done, void *ctx);
void vm_reset(struct vm *vm, vm_done_fn done, void *ctx);
void vm_resize_console(struct vm *vm, const struct console_geometry *size, vm_done_fn done, void *ctx);
/* Shutdown, and start again when the guest has shut down; done when the button is pressed. */
void vm_reboot(struct vm *vm, vm_done_fn done, void *ctx);

/* *fd, valid until done, gets one end of a stream socket to the VM's console. */
void vm_console(struct vm *vm, bool writer, int *fd, vm_done_fn done, void *ctx);

/* The id of its NIC whose interface on the host this is; NULL: of none. */
struct link;
const char *vm_nic_of_link(const struct vm *vm, const struct link *link);

/*
 * Measure it into *m, which is zeroed and the caller's (schema_clear(&vm_metrics_schema, …) frees it); done
 * is called once, also before return, when that is complete or the VM's process does not answer. The
 * NICs' part is vm_measure_link()'s, with each interface of the host. 0, or -ENOMEM without done.
 */
int vm_measure(struct vm *vm, struct vm_metrics *m, void (*done)(void *ctx), void *ctx);
void vm_measure_link(const struct vm *vm, struct vm_metrics *m, const struct link *link);

/* Fill a zeroed status; schema_clear(&vm_status_schema, …) frees it. 0 or -ENOMEM. */
int vm_get_status(const struct vm *vm, struct vm_status *ret);
