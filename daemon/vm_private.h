/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the VM module (vm*.c) share; nobody else includes this.
 *
 *	vm.c          state, status
 *	vm_define.c   definitions and their store
 *	vm_identity.c UUID, ids, MAC addresses, CIDs
 *	vm_firmware.c firmware and its variables
 *	vm_vsock.c    sockets between host and guest
 *	vm_networks.c networks for its NICs
 *	vm_links.c    where its NICs are in the host's network
 *	vm_plan.c     what a change comes to, and its steps
 *	vm_update.c   changes of a definition
 *	vm_check.c    can the host run this definition?
 *	vm_volumes.c  volumes that are its disks
 *	vm_storage.c  storage daemons of its disks
 *	vm_start.c    from SHUTOFF to RUNNING
 *	vm_metrics.c  what it has used
 *	vm_control.c  operations on a process that runs, its messages
 *	vm_adopt.c    finding a process again, and how it ended
 *
 * A folder RUNTIME/vms/NAME exists as long as there may be a process: `control`, the socket of
 * hvd-vmm, and `spec.xml`, what it was started with and has got since.
 */
#pragma once

#include <limits.h>

#include "daemon/control_client.h"
#include "daemon/manager.h"
#include "daemon/network.h"
#include "daemon/qmp.h"
#include "daemon/unit.h"
#include "daemon/vm.h"
#include "vmm/vmm.h"

#define VM_REASON_MAX 256
#define VM_SPEC_FILE "spec"

/* Of a change under way: what the process is to have, and the definition that goes with it. */
#define VM_NEXT_SPEC_FILE "next"
#define VM_NEXT_FILE      "next-definition"

struct vm_start;
struct vm_update;
struct vm_storage_work;
struct snapshot_work;

struct vm {
	struct list node; /* in manager->vms */
	struct manager *manager;
	struct vm_config config;
	struct vm_config running; /* what the process has; zero when there is none */
	uint64_t generation;

	enum vm_state state;
	char *reason; /* NULL: none */

	/* The process, while there is one. */
	uint32_t pid;
	char *cgroup; /* NULL until it is known */
	uint64_t started_usec;
	struct balloon_info memory; /* what it has told; actual 0: nothing */
	struct control_client *control;

	/* How it is to end, or has told that it does. */
	bool stop_wanted;    /* its end is no failure */
	bool restart_wanted; /* reboot: to be started again when the guest has shut down */
	enum vmm_reason end; /* VMM_REASON_NONE: not told */
	char *end_text;
	struct list stop_waiters;
	sd_event_source *kill_timer;

	struct list snapshots; /* struct vm_snapshot */
	struct snapshot_work *snapshot_work;
	sd_event_source *snapshot_retry; /* of what could not be completed */
	unsigned snapshot_tries;

	struct list storages; /* struct vm_storage */
	void (*storages_gone)(struct vm *vm);

	/* Under way. */
	struct vm_storage_work *storage_work;
	struct vm_start *start;
	struct vm_update *update;
	bool has_links; /* there may be macvtaps of it */
	bool unsettled; /* a change of which only the process knows what has become of it */
	bool adopting; /* counted in manager->adopting */
	struct unit_query *query;
	sd_bus_slot *limits_slot; /* limits of a change that a former hvd has left open */
	sd_event_source *poll;
	unsigned polls;
};

/* vm.c */
int vm_new(struct manager *manager, struct vm **ret);
void vm_set_state(struct vm *vm, enum vm_state state, const char *reason);
/*
 * One of vm's texts, which most VMs do not have: up to VM_REASON_MAX of value, which may be what *text is;
 * NULL for none. Without memory there is none.
 */
void vm_set_text(char **text, const char *value);

/* RUNTIME/vms[/NAME][/file]; vm and file may be NULL. 0 or -ENAMETOOLONG. */
int vm_runtime_path(const struct manager *manager, const char *name, const char *file,
		    char path[static PATH_MAX]);
/* There is no process any more. */
void vm_remove_runtime(struct vm *vm);
/* RUNTIME/vms/NAME/file.xml of this generation. */
int vm_save_runtime(const struct vm *vm, const char *file, const struct vm_config *config,
		    uint64_t generation, struct hvd_error *err);

/* vm_failure.c: on entering VM_FAILED, on leaving it, and when the definition is loaded. */
void vm_failure_keep(const struct vm *vm);
void vm_failure_forget(const struct vm *vm);
void vm_failure_recall(struct vm *vm);

/* vm_define.c: the stored definition, at once or in the two steps of daemon/store.h. */
int vm_save(const struct vm *vm, const struct vm_config *config, uint64_t generation,
	    struct hvd_error *err);
int vm_prepare(const struct vm *vm, const struct vm_config *config, uint64_t generation,
	       struct hvd_error *err);
int vm_commit(const struct vm *vm, struct hvd_error *err);
void vm_discard(const struct vm *vm);
/*
 * vm_identity.c: give config what its disks need, and config, disks and NICs an identity where they
 * have none of their own: that of vm (NULL: a new one) and what vm has in the same place, else one
 * that nothing of vm has.
 */
int vm_complete(const struct manager *manager, struct vm_config *config, const struct vm *vm,
		struct hvd_error *err);

/*
 * vm_firmware.c: put paths where config leaves firmware and store to hvd (-EINVAL: this host has no
 * firmware); look whether they fit (-EINVAL); remove the store that hvd has made, if there is one.
 */
int vm_firmware_complete(const struct manager *manager, struct vm_config *config,
			 struct hvd_error *err);
int vm_firmware_check(const struct boot_config *boot, struct hvd_error *err);
int vm_firmware_forget(const struct vm *vm, struct hvd_error *err);

/*
 * vm_plan.c: the next step of the change of vm's definition to target: *config is then its
 * definition, and *running what its process has (zero: that is left alone). All that comes or
 * changes is one step, each disk or NIC that goes is one. Both are valid before, and the caller's to
 * clear in either outcome. 1: there is a step, 0: nothing is left to do.
 */
int vm_next_step(const struct vm *vm, const struct vm_config *target, bool next_boot,
		 struct vm_config *config, struct vm_config *running, struct hvd_error *err);
/* Is config, made complete, a definition that vm may change to? */
int vm_check_change(const struct vm *vm, struct vm_config *config,
		    const struct update_options *options, struct hvd_error *err);
/* -ESTALE unless the spec is of this generation; 0: any. */
int vm_check_generation(const struct vm *vm, uint64_t generation, struct hvd_error *err);

/* What waits for the next start. 0 or -ENOMEM; schema_clear(&plan_schema, ret) frees it. */
int vm_find_pending(const struct vm *vm, struct plan *ret);

/* vm_update.c: hvd ends, call back what is pending. */
void vm_update_drop(struct vm *vm);
/*
 * The process, of which no update is under way any more, says which generation's spec it has: make an unsettled
 * change complete, or forget it.
 */
void vm_update_recover(struct vm *vm, uint32_t generation);
/* Operations of a former hvd may be resolved, unless all of them are yet to be. */
void vm_operations_recover(struct vm *vm);

/* vm_check.c: what changed from old (NULL: everything) against host and network list. */
int vm_check(const struct manager *manager, const struct vm_config *config,
	     const struct vm_config *old, struct hvd_error *err);

/* vm_control.c */
extern const struct control_client_ops vm_control_ops; /* ctx: struct vm */
void vm_apply_message(struct vm *vm, const struct control_message *msg);
void vm_stop_finish(struct vm *vm); /* the process is gone: tell those who wait */

/* vm_adopt.c */
void vm_apply_info(struct vm *vm, const struct unit_info *info);
/* The connection is lost: find the process again, or learn how it ended. */
void vm_find_process(struct vm *vm);
bool vm_end_is_failure(enum vmm_reason end);
/* The process is to end or has ended: wait for that. */
void vm_await_end(struct vm *vm);

/*
 * vm_networks.c: have the networks of config's NICs, but of those that running (NULL: none) has,
 * made and up; fn is called once, before return or later. The struct's first five are the caller's.
 */
struct vm_networks {
	struct manager *manager;
	const struct vm_config *config, *running;
	network_done_fn fn;
	void *ctx;

	size_t nic;
	struct network *network; /* being waited for */
};
void vm_networks_ready(struct vm_networks *w);
void vm_networks_forget(struct vm_networks *w); /* fn is not called any more */

/* vm_volumes.c: give disks that are volumes the formats of these. */
void vm_volumes_complete(const struct manager *manager, struct vm_config *config);
/* Put path and backing into a disk that is a volume; it is complete then, and no part of a definition. */
int vm_volume_resolve(const struct manager *manager, struct disk_config *disk, struct hvd_error *err);
/* Files of config as of vmm/files.h, those of its volumes among them. */
int vm_files_open_all(const struct manager *manager, const struct vm_config *config,
		      const struct vm_config *running, const struct vm_macvtaps *macvtaps,
		      struct vm_files *ret, struct hvd_error *err);
/* The VM has started, changed or been reverted: those of its volumes that have another size now are told of. */
void vm_volumes_changed(const struct vm *vm);
/* -EBUSY: another VM that runs has one of config's volumes, or it is being changed. */
int vm_volumes_check_free(const struct vm *vm, const struct vm_config *config, struct hvd_error *err);

/*
 * vm_links.c: make macvtaps for the NICs of config that running (NULL: none) has not, and say which.
 * What fails leaves some behind, for vm_prune_links().
 */
int vm_make_links(struct vm *vm, const struct vm_config *config, const struct vm_config *running,
		  struct vm_macvtaps *ret, struct hvd_error *err);
/* Put the taps in files, which are those of config's NICs (-1: none), on their bridges. */
int vm_connect_taps(const struct vm *vm, const struct vm_config *config,
		    const struct vm_files *files, struct hvd_error *err);
/* The process is about to have config: hold its NICs to their addresses, or no longer. */
void vm_refilter_links(const struct vm *vm, const struct vm_config *config);
/* Remove the macvtaps of NICs that the process does not have; all when there is none. */
void vm_prune_links(struct vm *vm);

/* vm_vsock.c: RUNTIME/vsock[/NAME][/file]; name and file may be NULL. 0 or -ENAMETOOLONG. */
int vm_vsock_path(const struct manager_paths *paths, const char *name, const char *file,
		  char path[static PATH_MAX]);
/* Make the folder, and in it the listening socket, whose descriptor it returns. */
int vm_vsock_listen(const struct vm *vm, struct hvd_error *err);
/* The process has gone. */
void vm_vsock_close(const struct vm *vm);
/* The definition goes. */
void vm_vsock_forget(const struct vm *vm);

/*
 * vm_storage.c: start the storage daemons for those disks of config that need one and that running
 * (NULL: nothing) does not have. fn is called once, later; 1: none is needed, it is not called. On
 * failure, also a later one, those are ended that running does not have.
 */
int vm_storages_start(struct vm *vm, const struct vm_config *config, const struct vm_config *running,
		      vm_done_fn fn, void *ctx, struct hvd_error *err);
/* A socket to each of these, for hvd-vmm. */
int vm_storages_connect(struct vm *vm, const struct vm_config *config, const struct vm_config *running,
			struct vm_files *files, struct hvd_error *err);
/* Sizes and limits that config has otherwise than vm->running. fn is called once, also before return. */
int vm_storages_update(struct vm *vm, const struct vm_config *config, vm_done_fn fn, void *ctx,
		       struct hvd_error *err);
/* End those of disks that config (NULL: has none) does not have. */
void vm_storages_prune(struct vm *vm, const struct vm_config *config);
/* Of vm->running, which an earlier hvd has started. */
void vm_storages_adopt(struct vm *vm);
/* As storage_command(), of a disk of vm->running. */
int vm_storage_command(struct vm *vm, const char *id, const char *command, json_t *arguments,
		       qmp_reply_fn fn, void *ctx, struct hvd_error *err);
void vm_storage_forget_command(struct vm *vm, const char *id);
/* hvd-vmm has lost the connection of this disk. */
void vm_storage_lost(struct vm *vm, const char *id);
/* The VM's process is gone: true: gone(vm) is called when all of them are too. */
bool vm_storages_await_end(struct vm *vm, void (*gone)(struct vm *vm));
void vm_storages_forget(struct vm *vm); /* hvd ends */

/* vm_start.c: a memfd with config as hvd-vmm reads it. */
int vm_make_spec(const struct vm_config *config, struct hvd_error *err);

/* vm_start.c: the process is gone before the start was complete; info may be NULL. */
void vm_start_ended(struct vm *vm, const struct unit_info *info);
void vm_start_cancel(struct vm *vm);
/* It is known what has become of the VM's snapshots, for which a start may wait. */
void vm_start_go_on(struct vm *vm);
/* hvd ends: forget the start, the process goes on by itself. */
void vm_start_drop(struct vm *vm);
