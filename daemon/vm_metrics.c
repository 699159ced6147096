/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a VM's process, its threads and its control group have used. hvd-vmm tells what it has counted
 * (CONTROL_COUNT); files of the kernel are read when it has, a few for each VM, between other work.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/kernel_text.h"
#include "daemon/link.h"
#include "daemon/vm_private.h"
#include "vmm/base/macro.h"

#define CGROUPS "/sys/fs/cgroup"
#define NSEC_PER_USEC 1000
#define USEC_PER_SEC  ((uint64_t)1000000)

/* Fields of /proc/PID/task/TID/stat from the third on. */
#define STAT_STIME      (15 - 3)
#define STAT_GUEST_TIME (43 - 3)

struct measurement {
	struct vm *vm;
	struct vm_metrics *m;
	size_t max_disks; /* that m has room for: the VM may have more by the time of the answer */
	void (*done)(void *ctx);
	void *ctx;
};

/* ---- the kernel's files ---- */

static bool read_cgroup(const struct vm *vm, const char *file, char text[static KERNEL_TEXT_SIZE])
{
	char path[PATH_MAX];

	return snprintf(path, sizeof(path), CGROUPS "%s/%s", vm->cgroup, file) < PATH_MAX &&
	       kernel_text_read(path, text);
}

static void measure_cgroup(const struct vm *vm, struct vm_metrics *m)
{
	char text[KERNEL_TEXT_SIZE];

	if (!vm->cgroup)
		return;
	if (read_cgroup(vm, "cpu.stat", text)) {
		m->cpu_user_usec = kernel_text_value(text, "user_usec");
		m->cpu_system_usec = kernel_text_value(text, "system_usec");
		m->cpu_throttled_usec = kernel_text_value(text, "throttled_usec");
	}
	if (read_cgroup(vm, "memory.current", text))
		m->memory = kernel_text_number(text, 0);
	if (read_cgroup(vm, "memory.swap.current", text))
		m->swap = kernel_text_number(text, 0);
	if (read_cgroup(vm, "cpu.pressure", text))
		m->pressure.cpu_some_usec = kernel_text_pressure(text, "some");
	if (read_cgroup(vm, "memory.pressure", text)) {
		m->pressure.memory_some_usec = kernel_text_pressure(text, "some");
		m->pressure.memory_full_usec = kernel_text_pressure(text, "full");
	}
	if (read_cgroup(vm, "io.pressure", text)) {
		m->pressure.io_some_usec = kernel_text_pressure(text, "some");
		m->pressure.io_full_usec = kernel_text_pressure(text, "full");
	}
}

static bool read_thread(const struct vm *vm, uint64_t tid, const char *file,
			char text[static KERNEL_TEXT_SIZE])
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%u/task/%" PRIu64 "/%s", vm->pid, tid, file);
	return kernel_text_read(path, text);
}

static uint64_t ticks_to_usec(uint64_t ticks)
{
	return ticks * USEC_PER_SEC / (uint64_t)sysconf(_SC_CLK_TCK);
}

/* hvd-vmm names the thread: one that is not its own has no file there. */
static void measure_thread(const struct vm *vm, uint64_t tid, struct vcpu_metrics *vcpu)
{
	char text[KERNEL_TEXT_SIZE];
	const char *stat;

	if (!vm->pid)
		return;
	if (read_thread(vm, tid, "schedstat", text)) {
		vcpu->cpu_usec = kernel_text_number(text, 0) / NSEC_PER_USEC;
		vcpu->steal_usec = kernel_text_number(text, 1) / NSEC_PER_USEC;
	}
	if (read_thread(vm, tid, "stat", text)) {
		stat = kernel_text_stat(text);
		vcpu->system_usec = ticks_to_usec(kernel_text_number(stat, STAT_STIME));
		vcpu->guest_usec = ticks_to_usec(kernel_text_number(stat, STAT_GUEST_TIME));
	}
}

/* ---- what hvd-vmm has counted ---- */

static void take_vcpu(const struct vm *vm, struct vcpu_metrics *vcpu, const uint64_t *values)
{
	vcpu->exits = values[VCPU_EXITS];
	vcpu->exits_mmio_user = values[VCPU_EXITS_MMIO_USER];
	vcpu->exits_mmio_kernel = values[VCPU_EXITS_MMIO_KERNEL];
	vcpu->exits_wfi = values[VCPU_EXITS_WFI];
	vcpu->exits_wfe = values[VCPU_EXITS_WFE];
	vcpu->exits_hvc = values[VCPU_EXITS_HVC];
	vcpu->exits_signal = values[VCPU_EXITS_SIGNAL];
	vcpu->halt_poll_usec = values[VCPU_HALT_POLL_NS] / NSEC_PER_USEC;
	vcpu->halt_wait_usec = values[VCPU_HALT_WAIT_NS] / NSEC_PER_USEC;
	measure_thread(vm, values[VCPU_TID], vcpu);
}

static void take_disk(const struct measurement *measurement, const char *id, const uint64_t *values)
{
	struct vm_metrics *m = measurement->m;
	struct disk_metrics *disk = &m->disks[m->n_disks];

	if (m->n_disks >= measurement->max_disks ||
	    vm_config_find_disk(&measurement->vm->running, id) < 0)
		return;
	*disk = (struct disk_metrics){
		.disk = strdup(id),
		.reads = values[DISK_READS],
		.read_bytes = values[DISK_READ_BYTES],
		.writes = values[DISK_WRITES],
		.written_bytes = values[DISK_WRITTEN_BYTES],
		.flushes = values[DISK_FLUSHES],
		.discards = values[DISK_DISCARDS],
		.discarded_bytes = values[DISK_DISCARDED_BYTES],
		.errors = values[DISK_ERRORS],
		.throttled_usec = values[DISK_THROTTLED_NS] / NSEC_PER_USEC,
	};
	m->n_disks += disk->disk != NULL;
}

static void take_nic(struct vm_metrics *m, const char *id, const uint64_t *values)
{
	for (size_t i = 0; i < m->n_nics; i++) {
		struct nic_metrics *nic = &m->nics[i];

		if (strcmp(nic->nic, id) != 0)
			continue;
		nic->rx.dropped += values[NIC_RX_DROPPED];
		nic->tx.dropped += values[NIC_TX_DROPPED];
		nic->rx.throttled_usec = values[NIC_RX_THROTTLED_NS] / NSEC_PER_USEC;
		nic->tx.throttled_usec = values[NIC_TX_THROTTLED_NS] / NSEC_PER_USEC;
	}
}

/* The i-th of them; an older hvd-vmm knows fewer counters, a newer one more. */
static void values_of(const struct control_counters *counters, uint32_t i,
		      uint64_t values[static COUNTERS_MAX])
{
	uint32_t n = MIN(counters->stride, (uint32_t)COUNTERS_MAX);

	memset(values, 0, COUNTERS_MAX * sizeof(*values));
	memcpy(values, &counters->values[i * counters->stride], n * sizeof(*values));
}

static void on_counters(void *ctx, const struct control_counters *counters, const char *id)
{
	struct measurement *measurement = ctx;
	const struct vm *vm = measurement->vm;
	struct vm_metrics *m = measurement->m;

	for (uint32_t i = 0; i < counters->n; i++) {
		uint64_t values[COUNTERS_MAX];
		uint32_t vcpu = counters->first + i;

		values_of(counters, i, values);
		switch (counters->kind) {
		case COUNTERS_VM:
			m->resets = values[VM_RESETS];
			break;
		case COUNTERS_VCPU:
			if (vcpu < m->n_vcpus)
				take_vcpu(vm, &m->vcpus[vcpu], values);
			break;
		case COUNTERS_DISK:
			take_disk(measurement, id, values);
			break;
		case COUNTERS_NIC:
			take_nic(m, id, values);
			break;
		}
	}
}

/* ---- the network ---- */

static struct nic_direction_metrics direction_of(const struct link_traffic *traffic)
{
	return (struct nic_direction_metrics){ .packets = traffic->packets, .bytes = traffic->bytes,
					       .dropped = traffic->dropped,
					       .errors = traffic->errors };
}

void vm_measure_link(const struct vm *vm, struct vm_metrics *m, const struct link *link)
{
	const char *id = vm_nic_of_link(vm, link);
	/* what a macvtap receives is for the guest, what a tap receives is from the guest */
	bool as_guest = strcmp(link->kind, "macvtap") == 0;

	for (size_t i = 0; id && i < m->n_nics; i++) {
		struct nic_metrics *nic = &m->nics[i];

		if (strcmp(nic->nic, id) != 0)
			continue;
		nic->rx = direction_of(as_guest ? &link->rx : &link->tx);
		nic->tx = direction_of(as_guest ? &link->tx : &link->rx);
	}
}

/* ---- */

static uint64_t uptime_of(const struct vm *vm)
{
	struct timespec ts;
	uint64_t now;

	clock_gettime(CLOCK_REALTIME, &ts);
	now = (uint64_t)ts.tv_sec * USEC_PER_SEC + (uint64_t)ts.tv_nsec / NSEC_PER_USEC;
	return vm->started_usec && now > vm->started_usec ? now - vm->started_usec : 0;
}

/* What only the process could tell is not known. */
static void forget_answer(struct vm_metrics *m)
{
	static const char *const lists[] = { "vcpus", "disks", "nics" };

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		field_clear(schema_field(&vm_metrics_schema, lists[i]), m);
}

static void finish(struct measurement *measurement)
{
	struct vm_metrics *m = measurement->m;
	void (*done)(void *ctx) = measurement->done;
	void *ctx = measurement->ctx;

	if (!m->up)
		forget_answer(m);
	free(measurement);
	done(ctx);
}

static void on_reply(void *ctx, int r, const struct control_message *reply,
		     const struct hvd_error *err)
{
	struct measurement *measurement = ctx;

	measurement->m->up = r >= 0;
	/* -ECANCELED: the VM is being taken apart */
	if (r != -ECANCELED)
		measure_cgroup(measurement->vm, measurement->m);
	finish(measurement);
}

static int make_lists(const struct vm *vm, struct vm_metrics *m)
{
	const struct vm_config *running = &vm->running;

	m->vcpus = calloc(running->vcpus + 1, sizeof(*m->vcpus));
	m->disks = calloc(running->n_disks + 1, sizeof(*m->disks));
	m->nics = calloc(running->n_nics + 1, sizeof(*m->nics));
	if (!m->vcpus || !m->disks || !m->nics)
		return -ENOMEM;
	for (; m->n_vcpus < running->vcpus; m->n_vcpus++)
		m->vcpus[m->n_vcpus].vcpu = (uint32_t)m->n_vcpus;
	for (; m->n_nics < running->n_nics; m->n_nics++) {
		m->nics[m->n_nics].nic = strdup(running->nics[m->n_nics].id);
		if (!m->nics[m->n_nics].nic)
			return -ENOMEM;
	}
	return 0;
}

static int describe(const struct vm *vm, struct vm_metrics *m)
{
	m->name = strdup(vm->config.name);
	if (!m->name)
		return -ENOMEM;
	memcpy(m->uuid, vm->config.uuid, sizeof(m->uuid));
	m->state = vm->state;
	m->has_process = vm->pid;
	m->uptime_usec = uptime_of(vm);
	m->guest_memory = vm->memory;
	if (vm->running.name && !m->guest_memory.actual) /* without a balloon */
		m->guest_memory.actual = vm->running.memory;
	return make_lists(vm, m);
}

int vm_measure(struct vm *vm, struct vm_metrics *m, void (*done)(void *ctx), void *ctx)
{
	struct measurement *measurement = malloc(sizeof(*measurement));
	int r = measurement ? describe(vm, m) : -ENOMEM;

	if (r < 0) {
		free(measurement);
		return r;
	}
	*measurement = (struct measurement){ vm, m, vm->running.n_disks, done, ctx };
	if (vm->control && control_client_count(vm->control, on_counters, on_reply, measurement, NULL) >= 0)
		return 0;
	measure_cgroup(vm, m);
	finish(measurement);
	return 0;
}
