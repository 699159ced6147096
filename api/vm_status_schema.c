/* SPDX-License-Identifier: Apache-2.0 */
/* The table of a VM's status: what it is doing, which nobody sets. */
#include "api/vm_schema.h"

const char *const vm_state_names[_VM_STATE_MAX + 1] = {
	[VM_SHUTOFF] = "shutoff", [VM_STARTING] = "starting", [VM_RUNNING] = "running",
	[VM_PAUSED] = "paused",   [VM_STOPPING] = "stopping", [VM_FAILED] = "failed",
};

static const struct field address_fields[] = {
	{ "address", NULL, STR(struct vm_address, address), .read_only = true,
	  .help = "IPv4 or IPv6 address" },
};
static const struct schema address_schema = {
	.name = "Address",
	.size = sizeof(struct vm_address),
	SCHEMA_FIELDS(address_fields),
};

static const struct field pending_fields[] = {
	{ "field", NULL, STR(struct vm_pending, field), .read_only = true,
	  .help = "What waits, such as vcpus or disks[vda].cache" },
};
static const struct schema pending_schema = {
	.name = "Pending",
	.size = sizeof(struct vm_pending),
	SCHEMA_FIELDS(pending_fields),
};

#define GUEST_SIZE(m) SIZE(struct balloon_info, m), .read_only = true, .unit = "bytes"
#define GUEST_COUNT(m) U64(struct balloon_info, m), .read_only = true

static const struct field memory_fields[] = {
	{ "actual", NULL, GUEST_SIZE(actual),
	  .help = "Memory that the guest has: what is in the balloon is the host's" },
	{ "total", NULL, GUEST_SIZE(stats.total), .help = "Memory that the guest knows of" },
	{ "available", NULL, GUEST_SIZE(stats.available),
	  .help = "Memory that it could use without swapping" },
	{ "free", NULL, GUEST_SIZE(stats.free), .help = "Memory that it has no use for" },
	{ "caches", NULL, GUEST_SIZE(stats.caches), .help = "Memory in its caches of files" },
	{ "major_faults", NULL, GUEST_COUNT(stats.major_faults),
	  .help = "Page faults that it had to read something for" },
	{ "minor_faults", NULL, GUEST_COUNT(stats.minor_faults), .help = "Other page faults" },
	{ "swap_in", NULL, GUEST_SIZE(stats.swap_in), .help = "Memory that it has swapped in" },
	{ "swap_out", NULL, GUEST_SIZE(stats.swap_out), .help = "Memory that it has swapped out" },
	{ "updated_usec", NULL, GUEST_COUNT(stats_usec), .unit = "microseconds",
	  .help = "When the guest told this, since 1970 UTC; 0: it has not" },
};
const struct schema guest_memory_schema = {
	.name = "VmMemory",
	.size = sizeof(struct balloon_info),
	SCHEMA_FIELDS(memory_fields),
};

static const struct field status_fields[] = {
	{ "state", NULL, ENUM(struct vm_status, state), .names = vm_state_names, .read_only = true,
	  .help = "What the VM is doing" },
	{ "reason", NULL, STR(struct vm_status, reason), .read_only = true,
	  .help = "Why it is in this state, where that is not plain" },
	{ "pid", NULL, U32(struct vm_status, pid), .read_only = true,
	  .help = "Process of the VM, 0 when there is none" },
	{ "unit", NULL, STR(struct vm_status, unit), .read_only = true,
	  .help = "systemd unit of the VM" },
	{ "cgroup", NULL, STR(struct vm_status, cgroup), .read_only = true,
	  .help = "Control group of the VM" },
	{ "started_usec", NULL, U64(struct vm_status, started_usec), .read_only = true,
	  .unit = "microseconds", .help = "When it was started, since 1970 UTC; 0 when it is off" },
	{ "generation", NULL, U64(struct vm_status, generation), .read_only = true,
	  .help = "Counts changes of the spec" },
	{ "pending", NULL, LIST(struct vm_status, pending, n_pending, pending_schema),
	  .read_only = true, .help = "Changes of the spec that reach the VM at its next start" },
	{ "memory", NULL, STRUCT(struct vm_status, memory, guest_memory_schema), .read_only = true,
	  .help = "What the guest has of its memory, and says of its use" },
	{ "addresses", NULL, LIST(struct vm_status, addresses, n_addresses, address_schema),
	  .read_only = true, .help = "Addresses of the guest, as the networks' DHCP knows them" },
};
const struct schema vm_status_schema = {
	.name = "VmStatus",
	.size = sizeof(struct vm_status),
	SCHEMA_FIELDS(status_fields),
};
