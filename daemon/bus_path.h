/* SPDX-License-Identifier: Apache-2.0 */
/* Names of hvd on the bus, and the object path of a VM. */
#pragma once

#include <systemd/sd-bus.h>

#include "vmm/base/cleanup.h"

DEFINE_AUTO(sd_bus_message *, sd_bus_message_unref);

#define BUS_NAME "org.hvd1"
#define BUS_PATH "/org/hvd1"
#define BUS_VM_PATH "/org/hvd1/vm"
#define BUS_MANAGER "org.hvd1.Manager"
#define BUS_VM "org.hvd1.VM"

/* name may be NULL (-EINVAL). *ret is heap memory. */
static inline int bus_path_of(const char *name, char **ret)
{
	return name ? sd_bus_path_encode(BUS_VM_PATH, name, ret) : -22;
}
