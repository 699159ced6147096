/* SPDX-License-Identifier: Apache-2.0 */
/* The few things that hvd does to network interfaces itself; all else is systemd-networkd's. */
#pragma once

#include <stdbool.h>

#include "vmm/base/err.h"

/* Make interface tap a port of bridge and set it up. -ENODEV and others, err names both. */
int bridge_add_port(const char *bridge, const char *tap, struct hvd_error *err);

/* The interface exists and is up. */
bool bridge_is_up(const char *bridge);
