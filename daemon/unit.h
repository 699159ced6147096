/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transient services of VMs: hvd-vm-NAME.service in hvd.slice, over the D-Bus interface of
 * systemd. PID 1 starts, limits, watches and ends the process; hvd asks and is told.
 *
 * Calls are asynchronous: fn runs once, from the event loop, unless *ret, which is the caller's
 * to free, is freed before.
 */
#pragma once

#include <systemd/sd-bus.h>

#include "vmm/base/cleanup.h"
#include "vmm/base/err.h"
#include "vmm/config.h"

#define UNIT_NAME_MAX 96

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

/*
 * Start the service; done when systemd has executed the program (Type=exec) or given up. stdin_fd
 * stays the caller's.
 */
struct unit_job;
struct manager_paths;
int unit_start(sd_bus *bus, const struct vm_config *config, const struct manager_paths *paths,
	       int stdin_fd,
	       unit_done_fn fn, void *ctx, struct unit_job **ret, struct hvd_error *err);
struct unit_job *unit_job_free(struct unit_job *job);
DEFINE_AUTO(struct unit_job *, unit_job_free);

struct unit_query;
int unit_query(sd_bus *bus, const char *vm, unit_info_fn fn, void *ctx, struct unit_query **ret,
	       struct hvd_error *err);
struct unit_query *unit_query_free(struct unit_query *query);
DEFINE_AUTO(struct unit_query *, unit_query_free);

/* Change the limits of a unit that runs, until it ends. */
int unit_set_limits(sd_bus *bus, const struct vm_config *config, unit_done_fn fn, void *ctx,
		    sd_bus_slot **ret, struct hvd_error *err);

/* SIGKILL to everything in the unit. The outcome is seen by the process going. */
void unit_kill(sd_bus *bus, const char *vm);

/* Forget a failed unit, so that it can be started again. */
void unit_reset_failed(sd_bus *bus, const char *vm);

/* "hvd-vmm was killed by SIGKILL", "out of memory (memory_max is 256M)", … */
void unit_describe_failure(const struct unit_info *info, const struct vm_config *config, char *buf,
			   size_t size);
