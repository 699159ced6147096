/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a VM's process counts: plain data. All but VCPU_TID only ever grow, as long as the VM runs, resets
 * of the guest included.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "vmm/base/cleanup.h"
#include "vmm/config.h"

enum counters_kind { COUNTERS_VM, COUNTERS_VCPU, COUNTERS_DISK, COUNTERS_NIC, _COUNTERS_KIND_MAX };

enum vm_counter {
	VM_RESETS, /* by the guest, hvd or its watchdog */
	_VM_COUNTER_MAX
};

/* As KVM counts them; times are nanoseconds. 0 where this KVM does not count. */
enum vcpu_counter {
	VCPU_TID, /* its thread */
	VCPU_EXITS,
	VCPU_EXITS_MMIO_USER, /* of them, for devices in this process */
	VCPU_EXITS_MMIO_KERNEL,
	VCPU_EXITS_WFI,
	VCPU_EXITS_WFE,
	VCPU_EXITS_HVC,
	VCPU_EXITS_SIGNAL,
	VCPU_HALT_POLL_NS, /* looked for work before it slept */
	VCPU_HALT_WAIT_NS, /* slept */
	_VCPU_COUNTER_MAX
};

/* Requests that have ended, and what they moved. */
enum disk_counter {
	DISK_READS,
	DISK_READ_BYTES,
	DISK_WRITES,
	DISK_WRITTEN_BYTES,
	DISK_FLUSHES,
	DISK_DISCARDS, /* and writes of zeroes */
	DISK_DISCARDED_BYTES,
	DISK_ERRORS, /* of the host's disk, whatever was done about them */
	DISK_THROTTLED_NS, /* queues have waited for the disk's limits */
	_DISK_COUNTER_MAX
};

/* Frames of which the host's interface does not know that they were lost. rx: to the guest. */
enum nic_counter {
	NIC_RX_DROPPED,
	NIC_TX_DROPPED,
	NIC_RX_THROTTLED_NS,
	NIC_TX_THROTTLED_NS,
	_NIC_COUNTER_MAX
};

#define COUNTERS_MAX 10 /* of any kind */

struct counters {
	enum counters_kind kind;
	uint32_t index;         /* of a vCPU, else 0 */
	char id[VM_ID_MAX + 1]; /* of a disk or NIC, else "" */
	uint64_t values[COUNTERS_MAX];
};

struct counters_list {
	struct counters *items;
	size_t n;
};

/* One more, all zero; NULL: out of memory. It is good until the next one. */
struct counters *counters_append(struct counters_list *list, enum counters_kind kind, uint32_t index,
				 const char *id);

/* To each of list, what more has of the same. */
void counters_add(struct counters_list *list, const struct counters_list *more);

void counters_clear(struct counters_list *list);

static inline void auto_counters_clear(struct counters_list *list)
{
	counters_clear(list);
}
