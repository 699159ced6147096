/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/config.h"

#include <string.h>

#include "vmm/base/macro.h"

#define DEFAULT_NIC_QUEUES 4U

static bool is(const char *id, const char *wanted)
{
	return id && wanted && strcmp(id, wanted) == 0;
}

int vm_config_find_disk(const struct vm_config *config, const char *id)
{
	for (size_t i = 0; i < config->n_disks; i++)
		if (is(config->disks[i].id, id))
			return (int)i;
	return -1;
}

int vm_config_find_nic(const struct vm_config *config, const char *id)
{
	for (size_t i = 0; i < config->n_nics; i++)
		if (is(config->nics[i].id, id))
			return (int)i;
	return -1;
}

unsigned vm_config_nic_queues(const struct vm_config *config, const struct nic_config *nic)
{
	if (nic->queues)
		return MIN(nic->queues, (uint32_t)VM_MAX_NIC_QUEUES);
	if (nic->tap)
		return 1;
	return MAX(1U, MIN(config->vcpus, DEFAULT_NIC_QUEUES));
}

bool disk_needs_storage(const struct disk_config *disk)
{
	return disk->format != DISK_FORMAT_RAW || disk_is_nbd(disk) || disk_is_rbd(disk);
}

const char *disk_place(const struct disk_config *disk)
{
	if (disk->path)
		return disk->path;
	if (disk->volume)
		return disk->volume;
	if (disk_is_rbd(disk))
		return disk->ceph.rbd;
	return disk->nbd.server ? disk->nbd.server : disk->nbd.socket;
}
