/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The descriptors of one NIC: for each pair of queues one of its tap, and one of vhost-net where the
 * host kernel is to move the frames.
 */
#pragma once

#include "vmm/base/err.h"
#include "vmm/config.h"

/* -1 where there is none. */
struct nic_files {
	int tap[VM_MAX_NIC_QUEUES];
	int vhost[VM_MAX_NIC_QUEUES];
};

#define NIC_FILES_INIT nic_files_none()
struct nic_files nic_files_none(void);

/*
 * Open what nic needs for n_queues pairs: the interface nic->tap; the macvtap of this interface index
 * where it has nic->interface; or a new tap that goes away with its descriptors. The latter two get
 * nic->mtu. On failure nothing stays open and err names the field.
 * -ENOENT, -EPERM, -EBUSY (in use by another VM), -EINVAL, -EMFILE, …
 */
int nic_files_open(const struct nic_config *nic, unsigned n_queues, unsigned macvtap,
		   struct nic_files *ret, struct hvd_error *err);
void nic_files_close(struct nic_files *files);
