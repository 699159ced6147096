/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/unit_properties.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-login.h>

#include "daemon/cpuset.h"
#include "daemon/manager.h"
#include "daemon/vm_private.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/macro.h"

#define USEC_PER_SEC 1000000ULL
#define STORAGE_STOP_TIMEOUT_USEC (20 * USEC_PER_SEC)
#define MAX_FILES 4096
#define TOOL_STOP_TIMEOUT_USEC (5 * USEC_PER_SEC)
#define TOOL_TASKS             ((uint64_t)64)
#define TOOL_MEMORY_MAX        (1ULL << 30) /* the page cache of what it reads and writes is in it */
#define TOOL_WEIGHT            ((uint64_t)20)
#define SPARE_TASKS 256 /* beside vCPUs: main, I/O loops, workers of io_uring */

static const struct {
	const char *name, *value;
} strings[] = {
	{ "Type", "exec" },
	{ "OOMPolicy", "kill" },
	{ "KeyringMode", "private" },
	{ "ProtectHome", "yes" },
	{ "ProtectProc", "invisible" },
	{ "ProcSubset", "pid" },
	{ "DevicePolicy", "strict" },
};

static const char *const switches[] = {
	"DynamicUser",
	"NoNewPrivileges",
	"PrivateTmp",
	"PrivateDevices",
	"PrivateNetwork",
	"PrivateIPC",
	"ProtectHostname",
	"ProtectClock",
	"ProtectKernelTunables",
	"ProtectKernelModules",
	"ProtectKernelLogs",
	"ProtectControlGroups",
	"RestrictRealtime",
	"RestrictSUIDSGID",
	"LockPersonality",
	"MemoryDenyWriteExecute",
	"RemoveIPC",
};

static const struct {
	const char *name;
	uint64_t value;
} numbers[] = {
	{ "RestrictNamespaces", 0 }, /* the kinds that may be made: none */
	{ "TimeoutStartUSec", CONTROL_START_TIMEOUT_USEC },
	{ "LimitNOFILE", MAX_FILES },
	{ "LimitCORE", 0 }, /* a core holds the guest's memory */
};

/* What execve(2) and the dynamic linker need in the empty file system. */
static const char *const library_folders[] = { "/lib", "/usr/lib", "/usr/local/lib" };

static int append_tables(sd_bus_message *m)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(strings); i++)
		r = sd_bus_message_append(m, "(sv)", strings[i].name, "s", strings[i].value);
	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(switches); i++)
		r = sd_bus_message_append(m, "(sv)", switches[i], "b", 1);
	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(numbers); i++)
		r = sd_bus_message_append(m, "(sv)", numbers[i].name, "t", numbers[i].value);
	return r;
}

int unit_root(const struct manager_paths *paths, char path[static PATH_MAX])
{
	return snprintf(path, PATH_MAX, "%s/root", paths->runtime) >= PATH_MAX ? -ENAMETOOLONG : 0;
}

static int append_mount(sd_bus_message *m, const char *from, const char *to, bool writable,
			bool optional)
{
	return sd_bus_message_append(m, "(sv)", writable ? "BindPaths" : "BindReadOnlyPaths",
				     "a(ssbt)", 1, from, to, optional, (uint64_t)0);
}

/* An empty root with what the program needs to be executed. */
static int append_file_system(sd_bus_message *m, const struct manager_paths *paths,
			      const char *program)
{
	char root[PATH_MAX];
	int r;

	r = unit_root(paths, root);
	if (r >= 0)
		r = sd_bus_message_append(m, "(sv)", "RootDirectory", "s", root);
	if (r < 0)
		return r;

	for (size_t i = 0; i < ARRAY_SIZE(library_folders); i++) {
		r = append_mount(m, library_folders[i], library_folders[i], false, true);
		if (r < 0)
			return r;
	}
	return append_mount(m, program, program, false, false);
}

/* The outer wall: hvd-vmm's threads narrow it down to what each needs (daemon/sandbox.h). */
static int append_filters(sd_bus_message *m)
{
	int r;

	r = sd_bus_message_append(m, "(sv)", "SystemCallArchitectures", "as", 1, "native");
	if (r >= 0)
		r = sd_bus_message_append(m, "(sv)", "SystemCallFilter", "(bas)", 1, 2,
					  "@system-service", "seccomp");
	if (r >= 0)
		r = sd_bus_message_append(m, "(sv)", "SystemCallFilter", "(bas)", 0, 2,
					  "@privileged", "@resources");
	/* Sockets are made by hvd and passed. */
	if (r >= 0)
		r = sd_bus_message_append(m, "(sv)", "RestrictAddressFamilies", "(bas)", 1, 0);
	return r;
}

struct prefix {
	int32_t family; /* AF_… */
	uint8_t address[16];
	uint32_t bits;
};

static size_t address_size(int32_t family)
{
	return family == AF_INET ? sizeof(struct in_addr) : sizeof(struct in6_addr);
}

/* IPAddressDeny or IPAddressAllow. */
static int append_prefixes(sd_bus_message *m, const char *property, const struct prefix *prefixes,
			   size_t n)
{
	int r;

	r = sd_bus_message_open_container(m, 'r', "sv");
	if (r >= 0)
		r = sd_bus_message_append(m, "s", property);
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'v', "a(iayu)");
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "(iayu)");
	for (size_t i = 0; r >= 0 && i < n; i++) {
		r = sd_bus_message_open_container(m, 'r', "iayu");
		if (r >= 0)
			r = sd_bus_message_append(m, "i", prefixes[i].family);
		if (r >= 0)
			r = sd_bus_message_append_array(m, 'y', prefixes[i].address,
							address_size(prefixes[i].family));
		if (r >= 0)
			r = sd_bus_message_append(m, "u", prefixes[i].bits);
		if (r >= 0)
			r = sd_bus_message_close_container(m);
	}
	for (int i = 0; r >= 0 && i < 3; i++)
		r = sd_bus_message_close_container(m);
	return r;
}

/* All of IPv4 and IPv6: PrivateNetwork leaves nothing to reach, this says it once more. */
static int append_address_filter(sd_bus_message *m)
{
	static const struct prefix all[] = { { .family = AF_INET }, { .family = AF_INET6 } };

	return append_prefixes(m, "IPAddressDeny", all, ARRAY_SIZE(all));
}

/* HVD_VM=NAME in every line that hvd-vmm logs. */
static int append_log_field(sd_bus_message *m, const char *name)
{
	char field[80];
	int r;

	snprintf(field, sizeof(field), "HVD_VM=%s", name);
	r = sd_bus_message_open_container(m, 'r', "sv");
	if (r >= 0)
		r = sd_bus_message_append(m, "s", "LogExtraFields");
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'v', "aay");
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "ay");
	if (r >= 0)
		r = sd_bus_message_append_array(m, 'y', field, strlen(field));
	for (int i = 0; r >= 0 && i < 3; i++)
		r = sd_bus_message_close_container(m);
	return r;
}

static int append_sandbox(sd_bus_message *m, const struct manager_paths *paths, const char *program)
{
	int r;

	r = append_tables(m);
	if (r >= 0)
		r = append_file_system(m, paths, program);
	if (r >= 0)
		r = append_filters(m);
	return r < 0 ? r : append_address_filter(m);
}

/* A dash in the name of a slice is a step of the hierarchy, and no name of a VM has an underscore. */
void unit_slice(const struct vm_config *config, char name[static UNIT_NAME_MAX])
{
	if (!config->shared_memory) {
		snprintf(name, UNIT_NAME_MAX, "hvd.slice");
		return;
	}
	snprintf(name, UNIT_NAME_MAX, "hvd-%s.slice", config->name);
	for (char *p = name + strlen("hvd-"); *p; p++)
		if (*p == '-')
			*p = '_';
}

/* The folder of the sockets to which the guest connects, and those that hvd-vmm makes to do so. */
static int append_vsock(sd_bus_message *m, const struct vm_config *config,
			const struct manager_paths *paths)
{
	char path[PATH_MAX];
	int r;

	r = vm_vsock_path(paths, config->name, NULL, path);
	if (r >= 0)
		r = append_mount(m, path, VM_VSOCK_FOLDER, false, false);
	return r < 0 ? r : sd_bus_message_append(m, "(sv)", "RestrictAddressFamilies", "(bas)", 1, 1,
						 "AF_UNIX");
}

int unit_append_service(sd_bus_message *m, const struct vm_config *config,
			const struct manager_paths *paths, int stdin_fd)
{
	const char *worker = paths->worker;
	char description[128], slice[UNIT_NAME_MAX];
	int r;

	snprintf(description, sizeof(description), "Virtual machine %s", config->name);
	unit_slice(config, slice);
	r = sd_bus_message_append(m, "(sv)(sv)(sv)(sv)(sv)(sv)(sv)(sv)(sv)(sv)(sv)(sv)",
				  "Slice", "s", slice,
				  "StandardOutput", "s", "journal",
				  "StandardError", "s", "journal",
				  "SyslogIdentifier", "s", "hvd-vmm",
				  "CapabilityBoundingSet", "t", (uint64_t)0,
				  "TimeoutStopUSec", "t", UNIT_STOP_TIMEOUT_USEC,
				  "Description", "s", description,
				  "ExecStart", "a(sasb)", 1, worker, 3, worker, "--vm", config->name, 0,
				  "StandardInputFileDescriptor", "h", stdin_fd,
				  "After", "as", 1, "network.target",
				  "UMask", "u", (uint32_t)0077,
				  "TasksMax", "t", (uint64_t)config->vcpus + SPARE_TASKS);
	if (r >= 0)
		r = sd_bus_message_append(m, "(sv)", "PrivateUsers", "b", 1);
	if (r >= 0)
		r = append_log_field(m, config->name);
	if (r >= 0)
		r = append_sandbox(m, paths, worker);
	return r < 0 || !config->vsock ? r : append_vsock(m, config, paths);
}

static int append_argv(sd_bus_message *m, char **argv)
{
	int r;

	r = sd_bus_message_open_container(m, 'r', "sv");
	if (r >= 0)
		r = sd_bus_message_append(m, "s", "ExecStart");
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'v', "a(sasb)");
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "(sasb)");
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'r', "sasb");
	if (r >= 0)
		r = sd_bus_message_append(m, "s", argv[0]);
	if (r >= 0)
		r = sd_bus_message_append_strv(m, argv);
	if (r >= 0)
		r = sd_bus_message_append(m, "b", 0);
	for (int i = 0; r >= 0 && i < 4; i++)
		r = sd_bus_message_close_container(m);
	return r;
}

static int append_storage_files(sd_bus_message *m, const struct unit_storage_file *files, size_t n)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < n; i++) {
		const struct unit_storage_file *file = &files[i];
		const char *access = file->writable ? "rw" : "r";
		struct stat st;

		r = append_mount(m, file->path, file->at, file->writable, false);
		if (r >= 0 && stat(file->path, &st) == 0 && S_ISBLK(st.st_mode))
			r = sd_bus_message_append(m, "(sv)", "DeviceAllow", "a(ss)", 1, file->path,
						  access);
	}
	return r;
}

/* "192.0.2.1" or "fe80::"; all of its bits are meant. */
static int parse_address(const char *text, struct prefix *ret)
{
	*ret = (struct prefix){ .family = strchr(text, ':') ? AF_INET6 : AF_INET };
	ret->bits = (uint32_t)(8 * address_size(ret->family));
	return inet_pton(ret->family, text, ret->address) == 1 ? 0 : -EINVAL;
}

/* The one server, and no other. */
static int append_nbd_server(sd_bus_message *m, const char *server)
{
	struct prefix prefix;
	int r = parse_address(server, &prefix);

	if (r < 0)
		return r;
	r = sd_bus_message_append(m, "(sv)(sv)", "PrivateNetwork", "b", 0, "RestrictAddressFamilies",
				  "(bas)", 1, 1, prefix.family == AF_INET ? "AF_INET" : "AF_INET6");
	return r < 0 ? r : append_prefixes(m, "IPAddressAllow", &prefix, 1);
}

/* This host and its links, what is routed to nobody: services that trust who reaches them are there. */
static const struct {
	const char *address;
	uint32_t bits;
} near[] = {
	{ "127.0.0.0", 8 }, { "169.254.0.0", 16 }, { "224.0.0.0", 4 },
	{ "::1", 128 },	    { "fe80::", 10 },	   { "ff00::", 8 },
};

/* Addresses that are allowed win over those that are denied. */
static int append_cluster(sd_bus_message *m, const struct unit_storage *storage)
{
	struct prefix denied[ARRAY_SIZE(near)], monitors[CEPH_MAX_MONITORS];
	int r = 0;

	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(near); i++) {
		r = parse_address(near[i].address, &denied[i]);
		denied[i].bits = near[i].bits;
	}
	for (size_t i = 0; r >= 0 && i < storage->n_monitors; i++)
		r = parse_address(storage->monitors[i].address, &monitors[i]);
	if (r >= 0)
		r = sd_bus_message_append(m, "(sv)(sv)", "PrivateNetwork", "b", 0, "RestrictAddressFamilies",
					  "(bas)", 1, 2, "AF_INET", "AF_INET6");
	/* an empty list takes back what was denied before */
	if (r >= 0)
		r = append_prefixes(m, "IPAddressDeny", NULL, 0);
	if (r >= 0)
		r = append_prefixes(m, "IPAddressDeny", denied, ARRAY_SIZE(denied));
	return r < 0 ? r : append_prefixes(m, "IPAddressAllow", monitors, storage->n_monitors);
}

static int append_network(sd_bus_message *m, const struct unit_storage *storage)
{
	if (storage->nbd_server)
		return append_nbd_server(m, storage->nbd_server);
	if (storage->nbd_socket)
		return sd_bus_message_append(m, "(sv)", "RestrictAddressFamilies", "(bas)", 1, 1,
					     "AF_UNIX");
	return storage->n_monitors ? append_cluster(m, storage) : 0;
}

/* What a program of QEMU's that opens images needs beyond the sandbox. */
static int append_qemu(sd_bus_message *m, const struct manager_paths *paths, char **argv,
		       const struct unit_storage_file *files, size_t n_files)
{
	const uint64_t dac_override = 1ULL << 1;
	int r;

	r = sd_bus_message_append(m, "(sv)(sv)(sv)", "CapabilityBoundingSet", "t", dac_override,
				  "AmbientCapabilities", "t", dac_override, "UMask", "u", (uint32_t)0077);
	if (r >= 0)
		r = append_argv(m, argv);
	if (r >= 0)
		r = append_storage_files(m, files, n_files);
	if (r >= 0)
		r = append_sandbox(m, paths, argv[0]);
	/* it tries there whether locks work, and opens images without if it cannot */
	if (r >= 0)
		r = sd_bus_message_append(m, "(sv)", "DeviceAllow", "a(ss)", 1, "/dev/null", "rw");
	/* its libraries ask for more than they need, and can do without */
	if (r >= 0)
		r = sd_bus_message_append(m, "(sv)(sv)", "SystemCallFilter", "(bas)", 1, 1,
					  "set_mempolicy", "SystemCallErrorNumber", "i", EPERM);
	return r;
}

int unit_append_storage(sd_bus_message *m, const struct vm_config *config,
			const struct manager_paths *paths, const struct unit_storage *storage)
{
	char description[160], slice[UNIT_NAME_MAX], service[UNIT_NAME_MAX];
	int r;

	snprintf(description, sizeof(description), "Disk %s of virtual machine %s", storage->disk,
		 config->name);
	unit_slice(config, slice);
	unit_name(config->name, service);
	r = sd_bus_message_append(m, "(sv)(sv)(sv)(sv)(sv)(sv)(sv)(sv)(sv)",
				  "Description", "s", description,
				  "Slice", "s", slice,
				  "BindsTo", "as", 1, service,
				  "Before", "as", 1, service,
				  "StandardInputFileDescriptor", "h", storage->stdin_fd,
				  "StandardOutputFileDescriptor", "h", storage->stdout_fd,
				  "StandardErrorFileDescriptor", "h", storage->stderr_fd,
				  "TimeoutStopUSec", "t", STORAGE_STOP_TIMEOUT_USEC,
				  "TasksMax", "t", (uint64_t)SPARE_TASKS);
	if (r >= 0)
		r = append_log_field(m, config->name);
	if (r >= 0)
		r = append_qemu(m, paths, storage->argv, storage->files, storage->n_files);
	return r < 0 ? r : append_network(m, storage);
}

/* hvd's own service: what it has begun is of no use without it. */
static int append_binding(sd_bus_message *m)
{
	AUTO(free) char *own = NULL;

	if (sd_pid_get_unit(0, &own) < 0)
		return 0;
	return sd_bus_message_append(m, "(sv)(sv)", "BindsTo", "as", 1, own, "After", "as", 1, own);
}

int unit_append_tool(sd_bus_message *m, const struct manager_paths *paths, const struct unit_tool *tool)
{
	uint64_t timeout = tool->timeout_sec ? tool->timeout_sec * USEC_PER_SEC : UINT64_MAX;
	int r;

	r = sd_bus_message_append(m, "(sv)(sv)(sv)(sv)(sv)(sv)(sv)(sv)(sv)(sv)(sv)(sv)",
				  "Description", "s", tool->description,
				  "CollectMode", "s", "inactive-or-failed",
				  "Slice", "s", "hvd.slice",
				  "StandardInputFileDescriptor", "h", tool->stdin_fd,
				  "StandardOutputFileDescriptor", "h", tool->stdout_fd,
				  "StandardErrorFileDescriptor", "h", tool->stderr_fd,
				  "TimeoutStopUSec", "t", TOOL_STOP_TIMEOUT_USEC,
				  "TasksMax", "t", TOOL_TASKS,
				  "MemoryMax", "t", TOOL_MEMORY_MAX,
				  "MemorySwapMax", "t", (uint64_t)0,
				  "CPUWeight", "t", TOOL_WEIGHT,
				  "IOWeight", "t", TOOL_WEIGHT);
	if (r >= 0)
		r = append_binding(m);
	if (r >= 0)
		r = append_qemu(m, paths, tool->argv, tool->files, tool->n_files);
	/* its end is the end of its start */
	if (r >= 0)
		r = sd_bus_message_append(m, "(sv)(sv)", "Type", "s", "oneshot", "TimeoutStartUSec", "t",
					  timeout);
	return r;
}

static int append_cpus(sd_bus_message *m, const char *cpuset, bool reset)
{
	uint8_t mask[CPUSET_BYTES];
	size_t len = 0;
	int r;

	if (!cpuset && !reset)
		return 0;
	if (cpuset) {
		r = cpuset_parse(cpuset, mask, &len);
		if (r < 0)
			return r;
	}
	r = sd_bus_message_open_container(m, 'r', "sv");
	if (r >= 0)
		r = sd_bus_message_append(m, "s", "AllowedCPUs");
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'v', "ay");
	if (r >= 0)
		r = sd_bus_message_append_array(m, 'y', mask, len);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	return r;
}

int unit_append_limits(sd_bus_message *m, const struct resources_config *resources, bool reset)
{
	/* cpu_quota is in percent of a CPU, systemd's in microseconds of CPU time in a second. */
	const struct {
		const char *name;
		uint64_t value;
	} limits[] = {
		{ "CPUWeight", resources->cpu_weight },
		{ "CPUQuotaPerSecUSec", resources->cpu_quota * (USEC_PER_SEC / 100) },
		{ "MemoryHigh", resources->memory_high },
		{ "MemoryMax", resources->memory_max },
		{ "IOWeight", resources->io_weight },
	};
	int r = 0;

	/* UINT64_MAX is "not set" for weights and "infinity" for the others. */
	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(limits); i++)
		if (limits[i].value || reset)
			r = sd_bus_message_append(m, "(sv)", limits[i].name, "t",
						  limits[i].value ? limits[i].value : UINT64_MAX);
	return r < 0 ? r : append_cpus(m, resources->cpuset, reset);
}
