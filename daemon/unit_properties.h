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
#include "daemon/unit.h"
#include "vmm/config.h"

#define UNIT_STOP_TIMEOUT_USEC (75 * 1000000ULL)

struct manager_paths;

/*
 * Append (sv) pairs to an open array. For the service of config, which runs paths->worker with
 * stdin_fd as standard input.
 */
int unit_append_service(sd_bus_message *m, const struct vm_config *config,
			const struct manager_paths *paths, int stdin_fd);

/*
 * The service of a storage daemon. Its sandbox is as that of hvd-vmm, but for one thing: it opens the
 * files of the disk by itself, for it takes no descriptors of them. These are mounted into its empty file
 * system, and CAP_DAC_OVERRIDE lets it open them whomever they belong to; there is nothing else there.
 *
 * It ends when the VM's service has ended, in this order.
 */
struct unit_storage_file {
	const char *path; /* on the host */
	const char *at;   /* in its file system */
	bool writable;
};

struct unit_storage {
	const char *disk;
	char **argv; /* NULL at the end */
	const struct unit_storage_file *files;
	size_t n_files;
	const char *nbd_server; /* IP address that it may connect to, or NULL */
	const char *nbd_socket; /* one of files that it may connect to, or NULL */
	/*
	 * The Ceph cluster that it may connect to, or none. What addresses that has beside its monitors' is not
	 * known before: all may be reached but those of the host itself and of its links.
	 */
	const struct ceph_monitor *monitors;
	size_t n_monitors;
	int stdin_fd, stdout_fd, stderr_fd;
};

int unit_append_storage(sd_bus_message *m, const struct vm_config *config,
			const struct manager_paths *paths, const struct unit_storage *storage);

/*
 * The service of a program that does one thing with some files and ends: the same sandbox, less memory and
 * the least share of the host. It ends when hvd's own service does.
 */
struct unit_tool {
	const char *description;
	char **argv; /* NULL at the end */
	const struct unit_storage_file *files;
	size_t n_files;
	unsigned timeout_sec; /* 0: none */
	int stdin_fd, stdout_fd, stderr_fd;
};

int unit_append_tool(sd_bus_message *m, const struct manager_paths *paths, const struct unit_tool *tool);

/* The slice that the VM's units are in. */
void unit_slice(const struct vm_config *config, char name[static UNIT_NAME_MAX]);

/* The empty folder that is the root of its file system: RUNTIME/root. */
int unit_root(const struct manager_paths *paths, char path[static PATH_MAX]);

/*
 * The limits. reset: also those that are not set, with the value that takes a limit away (for a
 * unit that runs). -EINVAL when the cpuset is none.
 */
int unit_append_limits(sd_bus_message *m, const struct resources_config *resources, bool reset);
