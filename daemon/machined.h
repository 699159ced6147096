/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VMs that run, registered with systemd-machined: machinectl and whatever else knows its interface (Cockpit,
 * nss-mymachines, systemd-run -M) see them, each with its unit, its process and the host's interfaces of its NICs.
 *
 * machined only watches: it forgets a VM when its unit has ended, and what it is asked to do to one it does to
 * the unit, as systemctl does. A host without machined lacks machinectl and nothing else.
 */
#pragma once

#include "daemon/manager.h"
#include "vmm/base/cleanup.h"

struct machined;

/* manager->bus must not be NULL. Registers VMs that run, now and from now on. 0 or -ENOMEM. */
int machined_new(struct manager *manager, struct machined **ret);
struct machined *machined_free(struct machined *machined);
DEFINE_AUTO(struct machined *, machined_free);
