/* SPDX-License-Identifier: Apache-2.0 */
#include "api/metrics.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/cleanup.h"
#include "vmm/base/macro.h"

#define USEC_PER_SEC ((uint64_t)1000000)

const char *const metric_type_names[_METRIC_TYPE_MAX] = {
	[METRIC_GAUGE] = "gauge",
	[METRIC_COUNTER] = "counter",
};

#define HOST &host_metrics_schema
#define VM   &vm_metrics_schema
#define C    METRIC_COUNTER
#define G    METRIC_GAUGE
#define ANY  METRIC_ALWAYS
#define PROC METRIC_PROCESS
#define UP   METRIC_UP

const struct metric metric_rows[] = {
	{ "hvd_build_info", NULL, HOST, "version", G, ANY, "Version of hvd" },
	{ "hvd_host_cpus", NULL, HOST, "cpus", G, ANY, "CPUs of the host that are online" },
	{ "hvd_host_memory_bytes", NULL, HOST, "memory", G, ANY, "Memory of the host" },
	{ "hvd_host_memory_available_bytes", NULL, HOST, "memory_available", G, ANY,
	  "Memory of the host that can be had without swapping" },
	{ "hvd_vms", NULL, HOST, "states.vms", G, ANY, "VMs by state" },
	{ "hvd_http_requests_total", NULL, HOST, "codes.requests", C, ANY,
	  "Requests over REST by the status of the answer" },
	{ "hvd_http_connections", NULL, HOST, "http_connections", G, ANY,
	  "Connections to the REST interface" },
	{ "hvd_dbus_calls_total", NULL, HOST, "dbus_calls", C, ANY, "Method calls over D-Bus" },
	{ "hvd_operations", NULL, HOST, "operations", G, ANY, "Operations under way" },
	{ "hvd_events_total", NULL, HOST, "events", C, ANY,
	  "Events that have happened, over restarts of hvd as well" },
	{ "process_resident_memory_bytes", NULL, HOST, "resident", G, ANY, "Resident memory of hvd" },
	{ "process_cpu_seconds_total", NULL, HOST, "process_cpu_usec", C, ANY, "CPU time of hvd" },
	{ "process_start_time_seconds", NULL, HOST, "started_usec", G, ANY,
	  "When hvd was started, since 1970 UTC" },
	{ "process_open_fds", NULL, HOST, "open_fds", G, ANY, "Descriptors that hvd has open" },

	{ "hvd_vm_up", NULL, VM, "up", G, ANY, "The VM's process has answered this time" },
	{ "hvd_vm_state", NULL, VM, "state", G, ANY, "State of the VM, as a label" },
	{ "hvd_vm_uptime_seconds", NULL, VM, "uptime_usec", G, PROC, "Time since the VM was started" },
	{ "hvd_vm_resets_total", NULL, VM, "resets", C, UP,
	  "Resets since the VM was started, reboots of the guest included" },
	{ "hvd_vm_cpu_seconds_total", "mode=\"user\"", VM, "cpu_user_usec", C, PROC,
	  "CPU time of the VM's control group; the guest's is in mode user" },
	{ "hvd_vm_cpu_seconds_total", "mode=\"system\"", VM, "cpu_system_usec", C, PROC, NULL },
	{ "hvd_vm_cpu_throttled_seconds_total", NULL, VM, "cpu_throttled_usec", C, PROC,
	  "Time that the VM's control group was held back by its CPU quota" },
	{ "hvd_vm_memory_bytes", NULL, VM, "memory", G, PROC, "Memory of the VM's control group" },
	{ "hvd_vm_swap_bytes", NULL, VM, "swap", G, PROC,
	  "Memory of the VM's control group that is swapped out" },
	{ "hvd_vm_pressure_seconds_total", "resource=\"cpu\",kind=\"some\"", VM,
	  "pressure.cpu_some_usec", C, PROC,
	  "Time that some or all threads of the VM waited for a resource of the host (PSI)" },
	{ "hvd_vm_pressure_seconds_total", "resource=\"memory\",kind=\"some\"", VM,
	  "pressure.memory_some_usec", C, PROC, NULL },
	{ "hvd_vm_pressure_seconds_total", "resource=\"memory\",kind=\"full\"", VM,
	  "pressure.memory_full_usec", C, PROC, NULL },
	{ "hvd_vm_pressure_seconds_total", "resource=\"io\",kind=\"some\"", VM, "pressure.io_some_usec",
	  C, PROC, NULL },
	{ "hvd_vm_pressure_seconds_total", "resource=\"io\",kind=\"full\"", VM, "pressure.io_full_usec",
	  C, PROC, NULL },

	{ "hvd_vm_guest_memory_bytes", "kind=\"actual\"", VM, "guest_memory.actual", G, PROC,
	  "Memory that the guest has (actual), and what it says of its use (0: nothing)" },
	{ "hvd_vm_guest_memory_bytes", "kind=\"total\"", VM, "guest_memory.total", G, PROC, NULL },
	{ "hvd_vm_guest_memory_bytes", "kind=\"available\"", VM, "guest_memory.available", G, PROC, NULL },
	{ "hvd_vm_guest_memory_bytes", "kind=\"free\"", VM, "guest_memory.free", G, PROC, NULL },
	{ "hvd_vm_guest_memory_bytes", "kind=\"caches\"", VM, "guest_memory.caches", G, PROC, NULL },
	{ "hvd_vm_guest_faults_total", "kind=\"major\"", VM, "guest_memory.major_faults", C, PROC,
	  "Page faults as the guest counts them, since it booted" },
	{ "hvd_vm_guest_faults_total", "kind=\"minor\"", VM, "guest_memory.minor_faults", C, PROC, NULL },
	{ "hvd_vm_guest_swap_bytes_total", "direction=\"in\"", VM, "guest_memory.swap_in", C, PROC,
	  "What the guest has swapped, as it says, since it booted" },
	{ "hvd_vm_guest_swap_bytes_total", "direction=\"out\"", VM, "guest_memory.swap_out", C, PROC,
	  NULL },

	{ "hvd_vm_vcpu_cpu_seconds_total", NULL, VM, "vcpus.cpu_usec", C, UP,
	  "Time that the vCPU has run, guest and host" },
	{ "hvd_vm_vcpu_guest_seconds_total", NULL, VM, "vcpus.guest_usec", C, UP,
	  "Of it, in the guest, as the host's kernel accounts for it" },
	{ "hvd_vm_vcpu_system_seconds_total", NULL, VM, "vcpus.system_usec", C, UP,
	  "Of it, in the host's kernel" },
	{ "hvd_vm_vcpu_steal_seconds_total", NULL, VM, "vcpus.steal_usec", C, UP,
	  "Time that the vCPU was to run and waited for a CPU of the host" },
	{ "hvd_vm_vcpu_exits_total", NULL, VM, "vcpus.exits", C, UP, "Exits from the guest, of all reasons" },
	{ "hvd_vm_vcpu_exits_by_reason_total", "reason=\"mmio_user\"", VM, "vcpus.exits_mmio_user", C, UP,
	  "Exits of the reasons that KVM counts" },
	{ "hvd_vm_vcpu_exits_by_reason_total", "reason=\"mmio_kernel\"", VM, "vcpus.exits_mmio_kernel", C,
	  UP, NULL },
	{ "hvd_vm_vcpu_exits_by_reason_total", "reason=\"wfi\"", VM, "vcpus.exits_wfi", C, UP, NULL },
	{ "hvd_vm_vcpu_exits_by_reason_total", "reason=\"wfe\"", VM, "vcpus.exits_wfe", C, UP, NULL },
	{ "hvd_vm_vcpu_exits_by_reason_total", "reason=\"hvc\"", VM, "vcpus.exits_hvc", C, UP, NULL },
	{ "hvd_vm_vcpu_exits_by_reason_total", "reason=\"signal\"", VM, "vcpus.exits_signal", C, UP, NULL },
	{ "hvd_vm_vcpu_halt_poll_seconds_total", NULL, VM, "vcpus.halt_poll_usec", C, UP,
	  "Time that the kernel looked for work of an idle vCPU before it slept" },
	{ "hvd_vm_vcpu_halt_wait_seconds_total", NULL, VM, "vcpus.halt_wait_usec", C, UP,
	  "Time that an idle vCPU slept" },

	{ "hvd_vm_disk_requests_total", "kind=\"read\"", VM, "disks.reads", C, UP,
	  "Requests of the guest that have ended well" },
	{ "hvd_vm_disk_requests_total", "kind=\"write\"", VM, "disks.writes", C, UP, NULL },
	{ "hvd_vm_disk_requests_total", "kind=\"flush\"", VM, "disks.flushes", C, UP, NULL },
	{ "hvd_vm_disk_requests_total", "kind=\"discard\"", VM, "disks.discards", C, UP, NULL },
	{ "hvd_vm_disk_bytes_total", "kind=\"read\"", VM, "disks.read_bytes", C, UP,
	  "What these requests have moved" },
	{ "hvd_vm_disk_bytes_total", "kind=\"write\"", VM, "disks.written_bytes", C, UP, NULL },
	{ "hvd_vm_disk_bytes_total", "kind=\"discard\"", VM, "disks.discarded_bytes", C, UP, NULL },
	{ "hvd_vm_disk_errors_total", NULL, VM, "disks.errors", C, UP,
	  "Requests of the guest that the host could not do" },
	{ "hvd_vm_disk_throttled_seconds_total", NULL, VM, "disks.throttled_usec", C, UP,
	  "Time that queues have waited for the disk's limits" },

	{ "hvd_vm_nic_packets_total", "direction=\"rx\"", VM, "nics.rx.packets", C, UP,
	  "Packets that the guest has received (rx) or sent (tx)" },
	{ "hvd_vm_nic_packets_total", "direction=\"tx\"", VM, "nics.tx.packets", C, UP, NULL },
	{ "hvd_vm_nic_bytes_total", "direction=\"rx\"", VM, "nics.rx.bytes", C, UP, "Their bytes" },
	{ "hvd_vm_nic_bytes_total", "direction=\"tx\"", VM, "nics.tx.bytes", C, UP, NULL },
	{ "hvd_vm_nic_dropped_total", "direction=\"rx\"", VM, "nics.rx.dropped", C, UP,
	  "Packets that were lost on the way" },
	{ "hvd_vm_nic_dropped_total", "direction=\"tx\"", VM, "nics.tx.dropped", C, UP, NULL },
	{ "hvd_vm_nic_errors_total", "direction=\"rx\"", VM, "nics.rx.errors", C, UP,
	  "Packets that were in error" },
	{ "hvd_vm_nic_errors_total", "direction=\"tx\"", VM, "nics.tx.errors", C, UP, NULL },
	{ "hvd_vm_nic_throttled_seconds_total", "direction=\"rx\"", VM, "nics.rx.throttled_usec", C, UP,
	  "Time that queues have waited for the NIC's limits" },
	{ "hvd_vm_nic_throttled_seconds_total", "direction=\"tx\"", VM, "nics.tx.throttled_usec", C, UP,
	  NULL },
};
const size_t n_metric_rows = ARRAY_SIZE(metric_rows);

/* ---- places ---- */

/* A place taken apart: a list or NULL, and where in its item, or in the whole, the value is. */
struct place {
	const struct field *list, *field;
	size_t offset; /* of the struct that has field */
};

static bool find_place(const struct metric *metric, struct place *ret)
{
	const struct schema *schema = metric->schema;
	const char *p = metric->place;
	struct place place = { 0 };

	for (;;) {
		size_t len = strcspn(p, ".");
		const struct field *field = schema_field_n(schema, p, len);

		if (!field)
			return false;
		if (!p[len]) {
			place.field = field;
			*ret = place;
			return field->type != FIELD_STRUCT && field->type != FIELD_LIST;
		}
		if (field->type == FIELD_LIST && !place.list)
			place.list = field;
		else if (field->type == FIELD_STRUCT)
			place.offset += field->offset;
		else
			return false;
		schema = field->sub;
		p += len + 1;
	}
}

const struct field *metric_field(const struct metric *metric, const struct field **list)
{
	struct place place;

	if (!find_place(metric, &place))
		return NULL;
	*list = place.list;
	return place.field;
}

/* ---- text ---- */


/* Backslash, quote and newline, as the format wants it. */
static void write_escaped(FILE *f, const char *text, bool quotes)
{
	for (; *text; text++) {
		if (*text == '\n')
			fputs("\\n", f);
		else if (*text == '\\' || (quotes && *text == '"'))
			fprintf(f, "\\%c", *text);
		else
			putc(*text, f);
	}
}

static void write_label(FILE *f, const char *name, const char *value, bool *begun)
{
	fprintf(f, "%s%s=\"", *begun ? "," : "{", name);
	write_escaped(f, value, true);
	putc('"', f);
	*begun = true;
}

/* The text of a field as a label. */
static int write_field_label(FILE *f, const struct field *field, const void *obj, bool *begun)
{
	AUTO(free) char *text = NULL;

	if (field_get_text(field, obj, &text) < 0)
		return -ENOMEM;
	write_label(f, field->name, text ? text : "", begun);
	return 0;
}

static void write_value(FILE *f, const struct field *field, const void *obj)
{
	uint64_t value = field_get_number(field, obj);

	if (field->unit && strcmp(field->unit, "microseconds") == 0)
		fprintf(f, " %" PRIu64 ".%06" PRIu64 "\n", value / USEC_PER_SEC, value % USEC_PER_SEC);
	else
		fprintf(f, " %" PRIu64 "\n", value);
}

static int write_sample(FILE *f, const struct metric *metric, const struct place *place,
			const char *vm, const void *item)
{
	const void *obj = (const char *)item + place->offset;
	bool number = place->field->type != FIELD_STR && place->field->type != FIELD_ENUM;
	bool begun = false;
	int r = 0;

	fputs(metric->name, f);
	if (vm)
		write_label(f, "vm", vm, &begun);
	if (place->list)
		r = write_field_label(f, &place->list->sub->fields[0], item, &begun);
	if (r >= 0 && !number)
		r = write_field_label(f, place->field, obj, &begun);
	if (r < 0)
		return r;
	if (metric->labels)
		fprintf(f, "%s%s", begun ? "," : "{", metric->labels);
	if (begun || metric->labels)
		putc('}', f);
	if (number)
		write_value(f, place->field, obj);
	else
		fputs(" 1\n", f);
	return 0;
}

/* Of one VM, or of the host. */
static int write_samples(FILE *f, const struct metric *metric, const struct place *place,
			 const char *vm, const void *obj)
{
	int r = 0;

	if (!place->list)
		return write_sample(f, metric, place, vm, obj);
	for (size_t i = 0; r >= 0 && i < *field_count(place->list, obj); i++)
		r = write_sample(f, metric, place, vm, field_list_item(place->list, obj, i));
	return r;
}

static bool has(const struct vm_metrics *vm, enum metric_when when)
{
	return when == METRIC_ALWAYS || (when == METRIC_PROCESS ? vm->has_process : vm->up);
}

static void write_head(FILE *f, const struct metric *metric)
{
	fprintf(f, "# HELP %s ", metric->name);
	write_escaped(f, metric->help, false);
	fprintf(f, "\n# TYPE %s %s\n", metric->name, metric_type_names[metric->type]);
}

int metrics_write(FILE *f, const struct host_metrics *host, const struct vm_metrics *vms, size_t n_vms)
{
	int r = 0;

	for (const struct metric *m = metric_rows;
	     r >= 0 && m < metric_rows + n_metric_rows; m++) {
		struct place place;

		if (!find_place(m, &place))
			return -EINVAL;
		if (m->help)
			write_head(f, m);
		if (m->schema == HOST)
			r = write_samples(f, m, &place, NULL, host);
		for (size_t i = 0; m->schema == VM && r >= 0 && i < n_vms; i++)
			if (has(&vms[i], m->when))
				r = write_samples(f, m, &place, vms[i].name, &vms[i]);
	}
	return r < 0 ? r : ferror(f) ? -ENOMEM : 0;
}
