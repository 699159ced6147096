/* SPDX-License-Identifier: Apache-2.0 */
/* The field tables of metrics. */
#include "api/metrics.h"

#define COUNT(s, m) U64(struct s, m), .read_only = true
#define TIME(s, m)  U64(struct s, m), .read_only = true, .unit = "microseconds"
#define BYTES(s, m) SIZE(struct s, m), .read_only = true, .unit = "bytes"
#define SCHEMA(s, text, table) { .name = text, .size = sizeof(struct s), SCHEMA_FIELDS(table) }

static const struct field vcpu_fields[] = {
	{ "vcpu", NULL, U32(struct vcpu_metrics, vcpu), .read_only = true, .help = "Number of the vCPU" },
	{ "cpu_usec", NULL, TIME(vcpu_metrics, cpu_usec), .help = "Time that it has run, guest and host" },
	{ "guest_usec", NULL, TIME(vcpu_metrics, guest_usec), .help = "Of it, in the guest" },
	{ "system_usec", NULL, TIME(vcpu_metrics, system_usec), .help = "Of it, in the host's kernel" },
	{ "steal_usec", NULL, TIME(vcpu_metrics, steal_usec),
	  .help = "Time that it was to run and waited for a CPU of the host" },
	{ "exits", NULL, COUNT(vcpu_metrics, exits), .help = "Exits from the guest, of all reasons" },
	{ "exits_mmio_user", NULL, COUNT(vcpu_metrics, exits_mmio_user),
	  .help = "Of them, for devices in hvd-vmm" },
	{ "exits_mmio_kernel", NULL, COUNT(vcpu_metrics, exits_mmio_kernel),
	  .help = "Of them, for devices in the kernel" },
	{ "exits_wfi", NULL, COUNT(vcpu_metrics, exits_wfi), .help = "Of them, for WFI: it was idle" },
	{ "exits_wfe", NULL, COUNT(vcpu_metrics, exits_wfe), .help = "Of them, for WFE: it was spinning" },
	{ "exits_hvc", NULL, COUNT(vcpu_metrics, exits_hvc), .help = "Of them, for hypercalls" },
	{ "exits_signal", NULL, COUNT(vcpu_metrics, exits_signal),
	  .help = "Of them, because hvd-vmm wanted it to stop" },
	{ "halt_poll_usec", NULL, TIME(vcpu_metrics, halt_poll_usec),
	  .help = "Time that the kernel looked for work of an idle vCPU before it slept" },
	{ "halt_wait_usec", NULL, TIME(vcpu_metrics, halt_wait_usec), .help = "Time that it slept" },
};
static const struct schema vcpu_schema = SCHEMA(vcpu_metrics, "VcpuMetrics", vcpu_fields);

static const struct field disk_fields[] = {
	{ "disk", NULL, STR(struct disk_metrics, disk), .read_only = true, .help = "Id of the disk" },
	{ "reads", NULL, COUNT(disk_metrics, reads), .help = "Reads that have ended well" },
	{ "read_bytes", NULL, BYTES(disk_metrics, read_bytes), .help = "What they have read" },
	{ "writes", NULL, COUNT(disk_metrics, writes), .help = "Writes that have ended well" },
	{ "written_bytes", NULL, BYTES(disk_metrics, written_bytes), .help = "What they have written" },
	{ "flushes", NULL, COUNT(disk_metrics, flushes), .help = "Flushes that have ended well" },
	{ "discards", NULL, COUNT(disk_metrics, discards),
	  .help = "Discards and writes of zeroes that have ended well" },
	{ "discarded_bytes", NULL, BYTES(disk_metrics, discarded_bytes),
	  .help = "What they have discarded or zeroed" },
	{ "errors", NULL, COUNT(disk_metrics, errors), .help = "Requests that the host could not do" },
	{ "throttled_usec", NULL, TIME(disk_metrics, throttled_usec),
	  .help = "Time that queues have waited for the disk's limits" },
};
static const struct schema disk_metrics_schema = SCHEMA(disk_metrics, "DiskMetrics", disk_fields);

static const struct field direction_fields[] = {
	{ "packets", NULL, COUNT(nic_direction_metrics, packets),
	  .help = "Packets; one that is segmented later is one" },
	{ "bytes", NULL, BYTES(nic_direction_metrics, bytes), .help = "Their bytes" },
	{ "dropped", NULL, COUNT(nic_direction_metrics, dropped), .help = "Packets that were lost" },
	{ "errors", NULL, COUNT(nic_direction_metrics, errors), .help = "Packets that were in error" },
	{ "throttled_usec", NULL, TIME(nic_direction_metrics, throttled_usec),
	  .help = "Time that queues have waited for the NIC's limits" },
};
static const struct schema direction_schema =
	SCHEMA(nic_direction_metrics, "NicDirectionMetrics", direction_fields);

static const struct field nic_fields[] = {
	{ "nic", NULL, STR(struct nic_metrics, nic), .read_only = true,
	  .help = "Id of the network interface" },
	{ "rx", NULL, STRUCT(struct nic_metrics, rx, direction_schema), .read_only = true,
	  .help = "What the guest receives" },
	{ "tx", NULL, STRUCT(struct nic_metrics, tx, direction_schema), .read_only = true,
	  .help = "What the guest sends" },
};
static const struct schema nic_metrics_schema = SCHEMA(nic_metrics, "NicMetrics", nic_fields);

static const struct field pressure_fields[] = {
	{ "cpu_some_usec", NULL, TIME(pressure_metrics, cpu_some_usec),
	  .help = "Time that some thread waited for a CPU" },
	{ "memory_some_usec", NULL, TIME(pressure_metrics, memory_some_usec),
	  .help = "Time that some thread waited for memory" },
	{ "memory_full_usec", NULL, TIME(pressure_metrics, memory_full_usec),
	  .help = "Time that all threads waited for memory" },
	{ "io_some_usec", NULL, TIME(pressure_metrics, io_some_usec),
	  .help = "Time that some thread waited for I/O" },
	{ "io_full_usec", NULL, TIME(pressure_metrics, io_full_usec),
	  .help = "Time that all threads waited for I/O" },
};
static const struct schema pressure_schema = SCHEMA(pressure_metrics, "PressureMetrics", pressure_fields);

static const struct field vm_fields[] = {
	{ "name", NULL, STR(struct vm_metrics, name), .read_only = true, .help = "Name of the VM" },
	{ "uuid", NULL, UUID(struct vm_metrics, uuid), .read_only = true, .help = "UUID of the VM" },
	{ "state", NULL, ENUM(struct vm_metrics, state), .names = vm_state_names, .read_only = true,
	  .help = "What the VM is doing" },
	{ "up", NULL, BOOL(struct vm_metrics, up), .read_only = true,
	  .help = "Its process has answered: without, vCPUs and disks are not known" },
	{ "uptime_usec", NULL, TIME(vm_metrics, uptime_usec), .help = "Time since it was started" },
	{ "resets", NULL, COUNT(vm_metrics, resets), .help = "Resets since it was started, reboots included" },
	{ "cpu_user_usec", NULL, TIME(vm_metrics, cpu_user_usec),
	  .help = "CPU time of its control group in user mode and in the guest" },
	{ "cpu_system_usec", NULL, TIME(vm_metrics, cpu_system_usec),
	  .help = "CPU time of its control group in the host's kernel" },
	{ "cpu_throttled_usec", NULL, TIME(vm_metrics, cpu_throttled_usec),
	  .help = "Time that its control group was held back by its CPU quota" },
	{ "memory", NULL, BYTES(vm_metrics, memory), .help = "Memory of its control group" },
	{ "swap", NULL, BYTES(vm_metrics, swap), .help = "Memory of its control group that is swapped out" },
	{ "pressure", NULL, STRUCT(struct vm_metrics, pressure, pressure_schema), .read_only = true,
	  .help = "Pressure stalls of its control group" },
	{ "guest_memory", NULL, STRUCT(struct vm_metrics, guest_memory, guest_memory_schema),
	  .read_only = true, .help = "What the guest has of its memory, and says of its use" },
	{ "vcpus", NULL, LIST(struct vm_metrics, vcpus, n_vcpus, vcpu_schema), .read_only = true,
	  .help = "Its vCPUs" },
	{ "disks", NULL, LIST(struct vm_metrics, disks, n_disks, disk_metrics_schema),
	  .read_only = true, .help = "Its disks, but those that a storage daemon serves" },
	{ "nics", NULL, LIST(struct vm_metrics, nics, n_nics, nic_metrics_schema), .read_only = true,
	  .help = "Its network interfaces" },
};
const struct schema vm_metrics_schema = SCHEMA(vm_metrics, "VmMetrics", vm_fields);

static const struct field state_fields[] = {
	{ "state", NULL, ENUM(struct state_metrics, state), .names = vm_state_names, .read_only = true,
	  .help = "A state" },
	{ "vms", NULL, U32(struct state_metrics, vms), .read_only = true, .help = "VMs that are in it" },
};
static const struct schema state_schema = SCHEMA(state_metrics, "StateMetrics", state_fields);

static const struct field code_fields[] = {
	{ "code", NULL, U32(struct code_metrics, code), .read_only = true, .help = "HTTP status" },
	{ "requests", NULL, COUNT(code_metrics, requests), .help = "Requests that were answered with it" },
};
static const struct schema code_schema = SCHEMA(code_metrics, "CodeMetrics", code_fields);

static const struct field host_fields[] = {
	{ "version", NULL, STR(struct host_metrics, version), .read_only = true, .help = "Version of hvd" },
	{ "cpus", NULL, U32(struct host_metrics, cpus), .read_only = true, .help = "CPUs that are online" },
	{ "memory", NULL, BYTES(host_metrics, memory), .help = "Memory of the host" },
	{ "memory_available", NULL, BYTES(host_metrics, memory_available),
	  .help = "Of it, what can be had without swapping" },
	{ "states", NULL, LIST(struct host_metrics, states, n_states, state_schema), .read_only = true,
	  .help = "How many VMs are in which state" },
	{ "codes", NULL, LIST(struct host_metrics, codes, n_codes, code_schema), .read_only = true,
	  .help = "Requests over REST by status" },
	{ "http_connections", NULL, U32(struct host_metrics, http_connections), .read_only = true,
	  .help = "Connections to the REST interface" },
	{ "operations", NULL, U32(struct host_metrics, operations), .read_only = true,
	  .help = "Operations under way" },
	{ "dbus_calls", NULL, COUNT(host_metrics, dbus_calls), .help = "Method calls over D-Bus" },
	{ "events", NULL, COUNT(host_metrics, events), .help = "Number of the last event" },
	{ "resident", NULL, BYTES(host_metrics, resident), .help = "Resident memory of hvd" },
	{ "process_cpu_usec", NULL, TIME(host_metrics, process_cpu_usec), .help = "CPU time of hvd" },
	{ "started_usec", NULL, TIME(host_metrics, started_usec),
	  .help = "When hvd was started, since 1970 UTC" },
	{ "open_fds", NULL, U32(struct host_metrics, open_fds), .read_only = true,
	  .help = "Descriptors that hvd has open" },
};
const struct schema host_metrics_schema = SCHEMA(host_metrics, "HostMetrics", host_fields);
