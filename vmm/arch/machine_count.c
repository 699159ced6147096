/* SPDX-License-Identifier: Apache-2.0 */
/* What vCPUs, disks and NICs have counted. Main loop; the guest may run. */
#include <errno.h>
#include <string.h>

#include "vmm/arch/machine_private.h"

static const struct kvm_stats_name names[] = {
	{ "exits", VCPU_EXITS },
	{ "mmio_exit_user", VCPU_EXITS_MMIO_USER },
	{ "mmio_exit_kernel", VCPU_EXITS_MMIO_KERNEL },
	{ "wfi_exit_stat", VCPU_EXITS_WFI },
	{ "wfe_exit_stat", VCPU_EXITS_WFE },
	{ "hvc_exit_stat", VCPU_EXITS_HVC },
	{ "signal_exits", VCPU_EXITS_SIGNAL },
	{ "halt_poll_success_ns", VCPU_HALT_POLL_NS },
	{ "halt_poll_fail_ns", VCPU_HALT_POLL_NS },
	{ "halt_wait_ns", VCPU_HALT_WAIT_NS },
};

/* A kernel that has no statistics is no reason not to run. */
void machine_count_create(struct machine *m)
{
	for (unsigned i = 0; i < m->vcpus.n_vcpus; i++) {
		struct kvm_vcpu *vcpu = &m->vcpus.vcpus[i].kvm;
		int fd = kvm_stats_open(vcpu->fd);

		if (fd < 0)
			return;
		vcpu->stats_fd = fd;
		if (i == 0 && kvm_stats_find(fd, names, ARRAY_SIZE(names), &m->stats) < 0)
			return;
	}
}

static int count_vcpus(const struct machine *m, struct counters_list *list)
{
	for (unsigned i = 0; i < m->vcpus.n_vcpus; i++) {
		struct counters *c = counters_append(list, COUNTERS_VCPU, i, NULL);
		int fd = m->vcpus.vcpus[i].kvm.stats_fd;

		if (!c)
			return -ENOMEM;
		c->values[VCPU_TID] = (uint64_t)vcpu_crew_tid(m->vcpus.crew, i);
		if (fd >= 0)
			kvm_stats_add(fd, &m->stats, c->values);
	}
	return 0;
}

static int count_devices(const struct machine *m, struct counters_list *list)
{
	for (unsigned i = 0; i < m->n_virtio; i++) {
		const struct machine_virtio *v = &m->virtio[i];
		bool disk = v->dev->ops->id == VIRTIO_ID_BLOCK;
		struct counters *c;

		if (!v->dev->ops->count)
			continue;
		c = counters_append(list, disk ? COUNTERS_DISK : COUNTERS_NIC, 0, v->id);
		if (!c)
			return -ENOMEM;
		v->dev->ops->count(v->dev, c->values);
	}
	return 0;
}

int machine_count(const struct machine *m, struct counters_list *list)
{
	int r = count_vcpus(m, list);

	return r < 0 ? r : count_devices(m, list);
}
