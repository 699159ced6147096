/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What hvd measures of the host, of itself and of VMs: plain data, described by field tables like
 * everything else, and as Prometheus has it (text format 0.0.4) by one more table on top of those.
 *
 * Times are microseconds here and seconds in Prometheus' text. Counters do not go back while a VM
 * runs.
 */
#pragma once

#include <stdio.h>

#include "api/vm_schema.h"

struct vcpu_metrics {
	uint32_t vcpu;
	uint64_t cpu_usec, guest_usec, system_usec, steal_usec; /* of its thread */
	uint64_t exits, exits_mmio_user, exits_mmio_kernel, exits_wfi, exits_wfe, exits_hvc, exits_signal;
	uint64_t halt_poll_usec, halt_wait_usec;
};

struct disk_metrics {
	char *disk;
	uint64_t reads, read_bytes, writes, written_bytes, flushes, discards, discarded_bytes, errors;
	uint64_t throttled_usec;
};

struct nic_direction_metrics {
	uint64_t packets, bytes, dropped, errors, throttled_usec;
};

struct nic_metrics {
	char *nic;
	struct nic_direction_metrics rx, tx; /* as the guest sees it */
};

struct pressure_metrics {
	uint64_t cpu_some_usec, memory_some_usec, memory_full_usec, io_some_usec, io_full_usec;
};

struct vm_metrics {
	char *name;
	uint8_t uuid[16];
	enum vm_state state;
	bool has_process;
	bool up; /* it has answered */
	uint64_t uptime_usec, resets;
	uint64_t cpu_user_usec, cpu_system_usec, cpu_throttled_usec;
	uint64_t memory, swap;
	struct pressure_metrics pressure;
	struct balloon_info guest_memory;
	struct vcpu_metrics *vcpus;
	size_t n_vcpus;
	struct disk_metrics *disks;
	size_t n_disks;
	struct nic_metrics *nics;
	size_t n_nics;
};
extern const struct schema vm_metrics_schema;

struct state_metrics {
	enum vm_state state;
	uint32_t vms;
};

struct code_metrics {
	uint32_t code; /* HTTP status */
	uint64_t requests;
};

struct host_metrics {
	char *version;
	uint32_t cpus;
	uint64_t memory, memory_available;
	struct state_metrics *states;
	size_t n_states;
	struct code_metrics *codes;
	size_t n_codes;
	uint32_t http_connections, operations;
	uint64_t dbus_calls, events;
	uint64_t resident, process_cpu_usec, started_usec;
	uint32_t open_fds;
};
extern const struct schema host_metrics_schema;

enum metric_type { METRIC_GAUGE, METRIC_COUNTER, _METRIC_TYPE_MAX };
extern const char *const metric_type_names[_METRIC_TYPE_MAX]; /* as after # TYPE */

/* When a VM has it. */
enum metric_when { METRIC_ALWAYS, METRIC_PROCESS, METRIC_UP };

/*
 * One sample of each VM, or of the host; or of each item of a list, which the item's first field is a
 * label for. A field that is no number is a label, too, and its sample is 1. Rows of one name are
 * together, and the first has type and help.
 */
struct metric {
	const char *name;   /* "hvd_vm_disk_operations_total" */
	const char *labels; /* more of them: "op=\"read\"", or NULL */
	const struct schema *schema; /* host_metrics_schema or vm_metrics_schema */
	const char *place;  /* "state", "disks.reads", "nics.rx.bytes" */
	enum metric_type type;
	enum metric_when when;
	const char *help;
};
extern const struct metric metric_rows[];
extern const size_t n_metric_rows;

/* The field that place names; *list: the list that it is an item's of, or NULL. NULL: there is none. */
const struct field *metric_field(const struct metric *metric, const struct field **list);

/* All of it. 0, or -ENOMEM where f says so. */
int metrics_write(FILE *f, const struct host_metrics *host, const struct vm_metrics *vms, size_t n_vms);
