/* SPDX-License-Identifier: Apache-2.0 */
/* Names of hvd on the bus. */
#pragma once

#include <systemd/sd-bus.h>

#include "vmm/base/cleanup.h"

DEFINE_AUTO(sd_bus_message *, sd_bus_message_unref);

#define BUS_NAME "org.hvd1"
#define BUS_PATH "/org/hvd1"
#define BUS_VM_PATH "/org/hvd1/vm"
#define BUS_NETWORK_PATH "/org/hvd1/network"
#define BUS_IMAGE_PATH "/org/hvd1/image"
#define BUS_VOLUME_PATH "/org/hvd1/volume"
#define BUS_MANAGER "org.hvd1.Manager"
#define BUS_VM "org.hvd1.VM"
#define BUS_NETWORK "org.hvd1.Network"
#define BUS_IMAGE "org.hvd1.Image"
#define BUS_VOLUME "org.hvd1.Volume"
