/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One machine of type hvd-1.0, put together from a configuration: guest RAM with the boot images
 * loaded, vCPUs, GIC, buses and devices (vmm/arch/memmap.h has the places).
 *
 * A reset is a new machine. Main loop only; the threads of vCPUs and the I/O loops are the
 * caller's, and the machine has them as long as it exists.
 */
#pragma once

#include "vmm/arch/vcpu_threads.h"
#include "vmm/balloon.h"
#include "vmm/base/cleanup.h"
#include "vmm/config.h"
#include "vmm/console.h"
#include "vmm/counters.h"
#include "vmm/files.h"

struct machine;

/*
 * The next storage daemon of a disk; sock stays the caller's. -ENOENT: there is no such disk; errors of
 * virtio_vhost_user_blk_reconnect().
 */
int machine_reconnect_disk(struct machine *machine, const char *id, int sock, struct hvd_error *err);
/* It waits for that. */
bool machine_disk_is_lost(struct machine *machine, const char *id);

/*
 * How a detachment has ended: 0, or with err set. -ETIMEDOUT: the guest did not let go, the device
 * stays; -ECANCELED: the machine is being freed.
 */
typedef void (*machine_detached_fn)(void *ctx, int r, const struct hvd_error *err);

struct machine_args {
	const struct vm_config *config;
	const struct vm_files *files; /* devices get duplicates */
	struct loop *main, *io;
	struct loop *const *loops; /* n_loops to spread queues over; io is one of them */
	unsigned n_loops;
	struct console *console;
	struct vcpu_crew *crew; /* a thread for each vCPU, all of them idle */
	vcpu_event_fn on_event;
	/* A disk has met an error that its policy is to stop at (VIRTIO_BLK_STOP). */
	void (*on_io_error)(void *ctx, const struct hvd_error *err);
	/*
	 * Main loop; may free the machine. The guest has panicked: it writes a crash dump, or it has
	 * been held, as machine_hold() does but for its devices. The watchdog's patience has ended.
	 */
	void (*on_panic)(void *ctx, bool dumps);
	void (*on_watchdog)(void *ctx);
	/* What the guest has of its memory, or says of it, has changed. On the main loop. */
	void (*on_balloon)(void *ctx, const struct balloon_info *info);
	/* Main loop: the storage daemon of a disk has ended; see machine_reconnect_disk(). */
	void (*on_disk_lost)(void *ctx, const char *id);
	/* What machine_update() has returned 1 for, which gets so many seconds. */
	machine_detached_fn on_detached;
	unsigned detach_seconds;
	void *ctx;
};

/* What args points to must outlive the machine. Errors as vmm_create() has them. */
int machine_new(const struct machine_args *args, struct machine **ret, struct hvd_error *err);

/* Ends the vCPU threads, waits for I/O in flight, frees everything. */
struct machine *machine_free(struct machine *machine);
DEFINE_AUTO(struct machine *, machine_free);

/*
 * Bring the devices to what config, that of the machine with changes, says of them: each is given its
 * part (virtio_update()) and takes what can change while the guest runs; disks and NICs that are new,
 * by their ids, are made of files, where only these count, and attached. All or nothing: on failure
 * every device is as before. On 0 the caller brings what args points to up to date.
 *
 * At most one may be gone, and nothing else changed: the guest is asked to let go of it, which it
 * may do or not, and 1 is returned. args->on_detached tells how that has ended; only when the device
 * is gone, what args points to is to be brought up to date.
 *
 * Errors are those of machine_attach_disk() and machine_detach(), with the field named.
 */
int machine_update(struct machine *machine, const struct vm_config *config,
		   const struct vm_files *files, struct hvd_error *err);

/*
 * Attach a disk or NIC to a machine of PROFILE_STANDARD and tell the guest, which may take some
 * seconds to notice. Descriptors stay the caller's. -EOPNOTSUPP: another profile; -EEXIST: the id is in use;
 * -ENOSPC: no port is free; errors of the device.
 */
int machine_attach_disk(struct machine *machine, const struct disk_config *disk, int fd,
			struct hvd_error *err);
int machine_attach_nic(struct machine *machine, const struct nic_config *nic,
		       const struct nic_files *files, struct hvd_error *err);

/*
 * Detach a disk (VIRTIO_ID_BLOCK) or NIC (VIRTIO_ID_NET) by its id. The guest is asked to let go of
 * it and has so many seconds; fn(ctx) is called later, once. With 0 seconds the device goes at once,
 * as if torn out, and fn is not called. Returns 0; 1: it is gone already, fn is not called; -ENOENT:
 * there is none with this id; -EOPNOTSUPP: another profile; -EBUSY: the guest has been asked.
 */
int machine_detach(struct machine *machine, uint16_t type, const char *id, unsigned seconds,
		   machine_detached_fn fn, void *ctx, struct hvd_error *err);

/* Let the vCPUs run, for the first time or after machine_hold(). */
void machine_run(struct machine *machine);

/* Returns with vCPUs and devices quiet. */
void machine_hold(struct machine *machine);

/* Append what its vCPUs, disks and NICs have counted. 0 or -ENOMEM. */
int machine_count(const struct machine *machine, struct counters_list *list);

void machine_press_power_button(struct machine *machine);
void machine_console_resized(struct machine *machine); /* console_size() is another */
