/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transient services of VMs: hvd-vm-NAME.service in hvd.slice, over the D-Bus interface of
 * systemd. PID 1 starts, limits, watches and ends the process; hvd asks and is told.
 *
 * A VM with shared_memory has a slice of its own, hvd-NAME.slice, that its service and those of its
 * storage daemons (daemon/storage.h) are in: its limits are set on both, so that they hold for all of
 * them together. The slice comes and goes with the units in it.
 *
 * Calls are asynchronous: fn runs once, from the event loop, unless *ret, which is the caller's
 * to free, is freed before.
 */
#pragma once

#include <systemd/sd-bus.h>

#include "vmm/base/cleanup.h"
#include "vmm/base/err.h"
#include "vmm/config.h"

#define UNIT_NAME_MAX 128

enum unit_state {
	UNIT_GONE,   /* not loaded, or ended well */
	UNIT_FAILED, /* ended badly; result tells how */
	UNIT_ALIVE,  /* anything in between */
};

struct unit_info {
	enum unit_state state;
	uint32_t pid; /* 0: none */
	char cgroup[256];
	uint64_t started_usec; /* CLOCK_REALTIME */
	char result[32];       /* "success", "exit-code", "signal", "oom-kill", … */
	int32_t exec_code, exec_status; /* as in siginfo_t: CLD_EXITED and status, CLD_KILLED and signal */
};

typedef void (*unit_done_fn)(void *ctx, int r, const struct hvd_error *err);
typedef void (*unit_info_fn)(void *ctx, int r, const struct unit_info *info,
			     const struct hvd_error *err);

void unit_name(const char *vm, char name[static UNIT_NAME_MAX]);

/* hvd-vm-NAME.disk-ID.service. No name of a VM has a dot. */
void unit_storage_name(const char *vm, const char *disk, char name[static UNIT_NAME_MAX]);

/*
 * Start the service; done when systemd has executed the program (Type=exec) or given up. stdin_fd
 * stays the caller's.
 */
struct unit_job;
struct manager_paths;
int unit_start(sd_bus *bus, const struct vm_config *config, const struct manager_paths *paths,
	       int stdin_fd,
	       unit_done_fn fn, void *ctx, struct unit_job **ret, struct hvd_error *err);

/* The same for the service of a storage daemon; see daemon/unit_properties.h. */
struct unit_storage;
int unit_start_storage(sd_bus *bus, const struct vm_config *config,
		       const struct manager_paths *paths, const struct unit_storage *storage,
		       unit_done_fn fn, void *ctx, struct unit_job **ret, struct hvd_error *err);

/* A program that does one thing and ends: done when it has ended, with 0 if it has said so itself. */
struct unit_tool;
int unit_start_tool(sd_bus *bus, const char *unit, const struct manager_paths *paths,
		    const struct unit_tool *tool, unit_done_fn fn, void *ctx, struct unit_job **ret,
		    struct hvd_error *err);
struct unit_job *unit_job_free(struct unit_job *job);
DEFINE_AUTO(struct unit_job *, unit_job_free);

struct unit_query;
int unit_query(sd_bus *bus, const char *vm, unit_info_fn fn, void *ctx, struct unit_query **ret,
	       struct hvd_error *err);
int unit_query_name(sd_bus *bus, const char *unit, unit_info_fn fn, void *ctx,
		    struct unit_query **ret, struct hvd_error *err);
struct unit_query *unit_query_free(struct unit_query *query);
DEFINE_AUTO(struct unit_query *, unit_query_free);

/* Change the limits of a unit that runs, until it ends. */
int unit_set_limits(sd_bus *bus, const struct vm_config *config, unit_done_fn fn, void *ctx,
		    sd_bus_slot **ret, struct hvd_error *err);

/* SIGKILL to everything in the unit. The outcome is seen by the process going. */
void unit_kill(sd_bus *bus, const char *vm);

/* Forget a failed unit, so that it can be started again. */
void unit_reset_failed(sd_bus *bus, const char *vm);

/* The same by the unit's name; have it stop, which it may take its time for, or at once. */
void unit_reset_failed_name(sd_bus *bus, const char *unit);
void unit_stop_name(sd_bus *bus, const char *unit);
void unit_kill_name(sd_bus *bus, const char *unit);

/*
 * Have the VM's own slice stop, if it has one, after all that was in it. systemd does so by itself when it is
 * not needed any more (StopWhenUnneeded), but not always when the units were stopped by a job each.
 */
void unit_stop_slice(sd_bus *bus, const struct vm_config *config);

/* "hvd-vmm was killed by SIGKILL", "out of memory (memory_max is 256M)", … */
void unit_describe_failure(const struct unit_info *info, const struct vm_config *config, char *buf,
			   size_t size);

/* "was killed by SIGKILL", "failed with status 1", "was stopped" */
void unit_describe_end(const struct unit_info *info, char *buf, size_t size);
