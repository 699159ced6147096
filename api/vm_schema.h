/* SPDX-License-Identifier: Apache-2.0 */
/* The tables themselves: what a VM's spec and status consist of. */
#pragma once

#include "api/schema.h"
#include "vmm/balloon.h"
#include "vmm/config.h"

extern const struct schema vm_schema;      /* struct vm_config */
extern const struct schema boot_schema;    /* struct boot_config */
extern const struct schema disk_schema;    /* struct disk_config */
extern const struct schema nbd_schema;     /* struct nbd_config */
extern const struct schema ceph_schema;     /* struct ceph_config */
extern const struct schema disk_limits_schema; /* struct disk_limits_config */
extern const struct schema nic_limits_schema;  /* struct nic_limits_config */
extern const struct schema nic_schema;     /* struct nic_config */
extern const struct schema resources_schema; /* struct resources_config */

/* Some members of a struct vm_config, as a resource of their own. */
extern const struct schema vm_vcpus_schema, vm_memory_schema;

/* States of a VM as seen from outside; hvd's own, richer than those of the VMM process. */
enum vm_state {
	VM_SHUTOFF,  /* defined, no process */
	VM_STARTING, /* unit being started */
	VM_RUNNING,
	VM_PAUSED,
	VM_STOPPING, /* shutdown asked or stop under way */
	VM_FAILED,   /* the process died or could not start; reason says why; may be started again */
	_VM_STATE_MAX
};
extern const char *const vm_state_names[_VM_STATE_MAX + 1];

/* What is, beside the spec. Filled by daemon/vm.c, shown by every front end. */
struct vm_address {
	char *address; /* IPv4 or IPv6 text */
};

struct vm_pending {
	char *field; /* "vcpus", "disks[vda].cache" */
};

struct vm_status {
	enum vm_state state;
	char *reason;       /* why it is in this state, for a person; NULL when plain */
	uint32_t pid;       /* of hvd-vmm, 0 when none */
	char *unit, *cgroup; /* NULL when no process */
	uint64_t started_usec; /* CLOCK_REALTIME, 0 when no process */
	uint64_t generation;   /* counts changes of the spec */
	struct balloon_info memory; /* of the guest; zero when there is no process */
	struct vm_pending *pending; /* what of the spec waits for the next start */
	size_t n_pending;
	struct vm_address *addresses; /* of the guest, from the network's DHCP leases */
	size_t n_addresses;
};
extern const struct schema vm_status_schema;
extern const struct schema guest_memory_schema; /* struct balloon_info */

/* How a VM is to be changed. */
struct update_options {
	bool dry_run;
	bool next_boot;      /* leave the VM that runs as it is */
	uint64_t generation; /* 0: whatever it is */
};
extern const struct schema update_options_schema;

struct delete_options {
	bool keep_nvram; /* the variable store that hvd has made stays for the next VM of the name */
	uint64_t generation;
};
extern const struct schema delete_options_schema;

struct generation_options {
	uint64_t generation;
};
extern const struct schema generation_options_schema;

/* What a change comes to. */
struct plan_change {
	char *field; /* "disks[vda].cache", "disks[vdb]" */
	enum field_applies applies;
};

struct plan {
	struct plan_change *changes;
	size_t n_changes;
};
extern const struct schema plan_schema;

/* What of a document that was taken in makes no difference to the guest. */
struct import_remark {
	char *element; /* "domain/devices/controller" */
	char *lines;   /* "17, 40-63" */
	char *why;
};

struct import_report {
	struct import_remark *ignored;
	size_t n_ignored;
};
extern const struct schema import_report_schema;

/* The size of a console's terminal, in characters. */
struct console_geometry {
	uint32_t columns, rows;
};
extern const struct schema console_geometry_schema;

enum console_mode { CONSOLE_WRITE, CONSOLE_READ, _CONSOLE_MODE_MAX };

struct console_options {
	enum console_mode mode;
};
extern const struct schema console_options_schema;

/* The host: GET /v1/host. */
struct host_info {
	char *hostname, *kernel, *hvd_version;
	char *arch;          /* "aarch64" */
	char *virt_mode;     /* "vhe", "nvhe", "protected", "vhe+nv", "none" */
	char *virt_detail;   /* what is missing and what to do, or NULL */
	uint32_t cpus;
	uint64_t memory;     /* bytes */
	uint32_t max_vcpus, ipa_bits;
	bool gicv3, its, aarch32, pmu, sve, pauth, mte, el2, steal_time;
	uint32_t vms_defined, vms_running;
};
extern const struct schema host_schema;

/* A name of a VM or network as it may stand in paths and unit names. */
int vm_name_check(const char *text, struct hvd_error *err);
