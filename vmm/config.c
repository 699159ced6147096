/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/config.h"

#include <string.h>

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
