/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The properties of a VM's transient service: its sandbox and its limits, as systemd takes them
 * over D-Bus (org.freedesktop.systemd1(5), systemd.exec(5), systemd.resource-control(5)).
 *
 * The sandbox: a user of its own (DynamicUser), no capabilities, no network, no devices, an empty
 * file system with nothing but the program and its libraries, an allow-list of system calls.
 * Everything that hvd-vmm works with comes to it as open descriptors.
 */
#pragma once

#include <limits.h>
#include <systemd/sd-bus.h>

#include "vmm/base/err.h"
#include "vmm/config.h"

#define UNIT_STOP_TIMEOUT_USEC (75 * 1000000ULL)

struct manager_paths;

/*
 * Append (sv) pairs to an open array. For the service of config, which runs paths->worker with
 * stdin_fd as standard input.
 */
int unit_append_service(sd_bus_message *m, const struct vm_config *config,
			const struct manager_paths *paths, int stdin_fd);

/* The empty folder that is the root of its file system: RUNTIME/root. */
int unit_root(const struct manager_paths *paths, char path[static PATH_MAX]);

/*
 * The limits. reset: also those that are not set, with the value that takes a limit away (for a
 * unit that runs). -EINVAL when the cpuset is none.
 */
int unit_append_limits(sd_bus_message *m, const struct resources_config *resources, bool reset);
