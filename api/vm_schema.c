/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables of a VM's spec. Places in XML are libvirt's where libvirt has the thing,
 * hvd's own namespace elsewhere; their notation is explained in api/xml.h.
 *
 * Defaults that are choices: cache=writeback works on every file system and is safe (the guest's
 * FLUSH reaches the disk), where none needs O_DIRECT (tmpfs and some others have none) and is for
 * those who want it; a VM has an entropy source; and no second console unless asked for. A guest that has
 * panicked is paused, since nothing of what there is to be learned is lost so; but it is not asked to tell, for
 * many are set to reboot by themselves then.
 */
#include "api/vm_schema.h"

#include "api/vm_rules.h"
#include "api/volume_schema.h"
#include "vmm/base/macro.h"

#define LIVE  .applies = APPLIES_LIVE
#define NEVER .applies = APPLIES_NEVER
/* A change reaches systemd or hvd alone. */
#define HOST  LIVE, .host = true

#define MAX_RATE       (1024 * GIB) /* a second */
#define MAX_BOOT_ORDER 1000

static const char *const disk_format_names[_DISK_FORMAT_MAX + 1] = {
	[DISK_FORMAT_RAW] = "raw",
	[DISK_FORMAT_QCOW2] = "qcow2",
	[DISK_FORMAT_VMDK] = "vmdk",
	[DISK_FORMAT_VDI] = "vdi",
	[DISK_FORMAT_VHDX] = "vhdx",
	[DISK_FORMAT_LUKS] = "luks",
};

static const char *const disk_cache_names[_DISK_CACHE_MAX + 1] = {
	[DISK_CACHE_NONE] = "none",
	[DISK_CACHE_WRITEBACK] = "writeback",
	[DISK_CACHE_UNSAFE] = "unsafe",
};

static const char *const profile_names[_PROFILE_MAX + 1] = {
	[PROFILE_STANDARD] = "standard",
	[PROFILE_MICRO] = "micro",
};

static const char *const feature_names[_FEATURE_MAX + 1] = {
	[FEATURE_AUTO] = "auto",
	[FEATURE_ON] = "on",
	[FEATURE_OFF] = "off",
};

static const char *const disk_error_policy_names[_DISK_ERROR_POLICY_MAX + 1] = {
	[DISK_ERROR_REPORT] = "report",
	[DISK_ERROR_STOP] = "stop",
	[DISK_ERROR_ENOSPC_STOP] = "enospc-stop",
};

static const char *const disk_error_policy_xml_names[_DISK_ERROR_POLICY_MAX + 1] = {
	[DISK_ERROR_REPORT] = "report",
	[DISK_ERROR_STOP] = "stop",
	[DISK_ERROR_ENOSPC_STOP] = "enospace",
};

static const char *const nic_backend_names[_NIC_BACKEND_MAX + 1] = {
	[NIC_BACKEND_PROCESS] = "process",
	[NIC_BACKEND_VHOST] = "vhost",
};

static const char *const nic_backend_xml_names[_NIC_BACKEND_MAX + 1] = {
	[NIC_BACKEND_PROCESS] = "qemu",
	[NIC_BACKEND_VHOST] = "vhost",
};

static const char *const nic_link_names[_NIC_LINK_MAX + 1] = {
	[NIC_LINK_UP] = "up",
	[NIC_LINK_DOWN] = "down",
};

/* Without one it is bridge for hvd, and bridge may be said too: api/xml_libvirt.c. */
static const char *const nic_mode_xml_names[_NIC_MODE_MAX + 1] = {
	[NIC_MODE_BRIDGE] = "",
	[NIC_MODE_VEPA] = "vepa",
	[NIC_MODE_PRIVATE] = "private",
	[NIC_MODE_PASSTHROUGH] = "passthrough",
};

static const char *const nic_mode_names[_NIC_MODE_MAX + 1] = {
	[NIC_MODE_BRIDGE] = "bridge",
	[NIC_MODE_VEPA] = "vepa",
	[NIC_MODE_PRIVATE] = "private",
	[NIC_MODE_PASSTHROUGH] = "passthrough",
};

static const char *const on_reboot_names[_ON_REBOOT_MAX + 1] = {
	[ON_REBOOT_RESTART] = "restart",
	[ON_REBOOT_STOP] = "stop",
};

static const char *const on_reboot_xml_names[_ON_REBOOT_MAX + 1] = {
	[ON_REBOOT_RESTART] = "restart",
	[ON_REBOOT_STOP] = "destroy",
};

static const char *const on_crash_names[_ON_CRASH_MAX + 1] = {
	[ON_CRASH_PAUSE] = "pause",
	[ON_CRASH_STOP] = "stop",
	[ON_CRASH_RESTART] = "restart",
};

static const char *const on_crash_xml_names[_ON_CRASH_MAX + 1] = {
	[ON_CRASH_PAUSE] = "preserve",
	[ON_CRASH_STOP] = "destroy",
	[ON_CRASH_RESTART] = "restart",
};

static const char *const watchdog_names[_WATCHDOG_MAX + 1] = {
	[WATCHDOG_OFF] = "off",           [WATCHDOG_NONE] = "none", [WATCHDOG_RESET] = "reset",
	[WATCHDOG_SHUTDOWN] = "shutdown", [WATCHDOG_STOP] = "stop", [WATCHDOG_PAUSE] = "pause",
};

static const char *const watchdog_xml_names[_WATCHDOG_MAX + 1] = {
	[WATCHDOG_OFF] = "",              [WATCHDOG_NONE] = "none",     [WATCHDOG_RESET] = "reset",
	[WATCHDOG_SHUTDOWN] = "shutdown", [WATCHDOG_STOP] = "poweroff", [WATCHDOG_PAUSE] = "pause",
};

static const char *const off_on[] = { "off", "on", NULL };
static const char *const none_virtio[] = { "none", "virtio", NULL };

static const struct field boot_fields[] = {
	{ "kernel", "kernel", STR(struct boot_config, kernel), .path = true, .max = 4095,
	  .check = rule_path,
	  .help = "Path of the kernel: an arm64 Image, plain or gzip-compressed, or an EFI zboot image "
		  "(vmlinuz)" },
	{ "initrd", "initrd", STR(struct boot_config, initrd), .path = true, .max = 4095,
	  .check = rule_path, .help = "Path of the initial RAM disk" },
	{ "cmdline", "cmdline", STR(struct boot_config, cmdline), .max = 2047, .check = rule_line,
	  .help = "Kernel command line" },
	{ "firmware", "loader[@readonly?=yes][@type?=pflash]|@firmware",
	  STR(struct boot_config, firmware), .path = true, .names = firmware_words, .max = 4095,
	  .check = rule_firmware,
	  .help = "Boot from a disk, by firmware: auto for the UEFI image that the host has, or the "
		  "path of an image" },
	{ "nvram", "nvram", STR(struct boot_config, nvram), .path = true, .max = 4090,
	  .check = rule_path,
	  .help = "Path of the file that the firmware keeps its variables in; hvd makes one if not "
		  "given" },
	{ "nvram_template", "nvram/@template", STR(struct boot_config, nvram_template),
	  .path = true, .max = 4095, .check = rule_path,
	  .help = "Path of the file that nvram starts as a copy of" },
	{ "acpi", "../features/acpi", BOOL(struct boot_config, acpi), .def = "yes",
	  .help = "Firmware describes the machine to what it boots by ACPI tables, or by a device tree" },
};
const struct schema boot_schema = {
	.name = "Boot",
	.size = sizeof(struct boot_config),
	SCHEMA_FIELDS(boot_fields),
	.check = rule_boot,
};

#define FEATURE(name) ENUM(struct features_config, name), .names = feature_names, .def = "auto"

static const struct field features_fields[] = {
	{ "pmu", "hvd:features/@pmu|features/pmu/@state", FEATURE(pmu),
	  .help = "Performance counters (PMUv3); auto: where the host has them, but not in profile "
		  "micro" },
	{ "sve", "hvd:features/@sve", FEATURE(sve),
	  .help = "Scalable Vector Extension; auto: where the host has it" },
	{ "pauth", "hvd:features/@pauth", FEATURE(pauth),
	  .help = "Pointer authentication; auto: where the host has it" },
	{ "steal_time", "hvd:features/@steal-time", FEATURE(steal_time),
	  .help = "Tell the guest how long its vCPUs waited for a CPU of the host; auto: where the "
		  "host can, but not in profile micro" },
};
const struct schema features_schema = {
	.name = "Features",
	.size = sizeof(struct features_config),
	SCHEMA_FIELDS(features_fields),
};

/* libvirt's *_max, for its default length of one second. */
static const struct field disk_limits_fields[] = {
	{ "iops", "iotune/total_iops_sec", U64(struct disk_limits_config, iops), .min = 1,
	  .max = MAX_RATE, LIVE, .help = "Most requests in a second" },
	{ "iops_burst", "iotune/total_iops_sec_max", U64(struct disk_limits_config, iops_burst),
	  .min = 1, .max = MAX_RATE, LIVE,
	  .help = "Requests that may come at once after a pause; a tenth of iops if not given" },
	{ "bytes_per_second", "iotune/total_bytes_sec",
	  SIZE(struct disk_limits_config, bytes_per_second), .min = 4 * KIB, .max = MAX_RATE, LIVE,
	  .unit = "bytes", .help = "Most bytes read and written in a second" },
	{ "bytes_burst", "iotune/total_bytes_sec_max", SIZE(struct disk_limits_config, bytes_burst),
	  .min = 4 * KIB, .max = MAX_RATE, LIVE, .unit = "bytes",
	  .help = "Bytes that may come at once after a pause; a tenth of bytes_per_second if not "
		  "given" },
};
const struct schema disk_limits_schema = {
	.name = "DiskLimits",
	.size = sizeof(struct disk_limits_config),
	SCHEMA_FIELDS(disk_limits_fields),
	.check = rule_disk_limits,
};

#define NBD_SOURCE ".[@type=network]/source[@protocol=nbd]"

static const struct field nbd_fields[] = {
	{ "server", NBD_SOURCE "/host/@name", STR(struct nbd_config, server), .max = 45,
	  .check = rule_ip_address, .help = "IP address of an NBD server that has the image, instead of a path" },
	{ "port", NBD_SOURCE "/host/@port", U32(struct nbd_config, port), .min = 1, .max = 65535,
	  .omit_zero = true,
	  .help = "Its TCP port; 10809 if not given" },
	{ "socket", NBD_SOURCE "/host[@transport=unix]/@socket", STR(struct nbd_config, socket),
	  .path = true, .max = 4095, .check = rule_path,
	  .help = "Path of the unix socket of an NBD server on this host, instead of its address" },
	{ "export", NBD_SOURCE "/@name", STR(struct nbd_config, export), .max = 255,
	  .check = rule_line, .help = "Name that the server has given to the image" },
};
const struct schema nbd_schema = {
	.name = "NBD",
	.size = sizeof(struct nbd_config),
	SCHEMA_FIELDS(nbd_fields),
	.check = rule_nbd,
};

#define RBD_SOURCE ".[@type=network]/source[@protocol=rbd]"

static const struct field ceph_monitor_fields[] = {
	{ "address", "@name", STR(struct ceph_monitor, address), .required = true, .max = 45,
	  .check = rule_ip_address, .help = "IP address of a monitor of the cluster" },
	{ "port", "@port", U32(struct ceph_monitor, port), .min = 1, .max = 65535,
	  .help = "Its TCP port; 3300 and 6789 are tried if not given" },
};
static const struct schema ceph_monitor_schema = {
	.name = "CephMonitor",
	.xml = "host",
	.size = sizeof(struct ceph_monitor),
	SCHEMA_FIELDS(ceph_monitor_fields),
};

static const struct field ceph_fields[] = {
	{ "rbd", RBD_SOURCE "/@name", STR(struct ceph_config, rbd), .max = 255,
	  .check = rule_rbd_image,
	  .help = "Image in a Ceph cluster, instead of a path: POOL/IMAGE or POOL/NAMESPACE/IMAGE" },
	{ "monitors", RBD_SOURCE,
	  LIST(struct ceph_config, monitors, n_monitors, ceph_monitor_schema), .max = CEPH_MAX_MONITORS,
	  .help = "Monitors of that cluster, for each its address" },
	{ "user", ".[@type=network]/auth/@username|" RBD_SOURCE "/auth/@username",
	  STR(struct ceph_config, user), .max = 63, .check = rule_ceph_user,
	  .help = "User of the cluster, without the client. before it" },
	{ "keyfile", ".[@type=network]/hvd:key/@file", STR(struct ceph_config, keyfile), .path = true,
	  .max = 4095, .check = rule_path,
	  .help = "File that holds the user's key, as ceph auth print-key prints it" },
};
const struct schema ceph_schema = {
	.name = "Ceph",
	.size = sizeof(struct ceph_config),
	SCHEMA_FIELDS(ceph_fields),
	.key = "rbd",
	.check = rule_ceph,
};

static const struct field disk_fields[] = {
	{ "path", ".[@type=file]/source/@file|.[@type=block]/source/@dev",
	  STR(struct disk_config, path), .path = true, .max = 4095,
	  .check = rule_path, .help = "Path of the image file or block device" },
	{ "volume", ".[@type=volume]/source[@pool?=default]/@volume", STR(struct disk_config, volume),
	  .check = rule_volume_name,
	  .help = "Volume of hvd's own instead of a path: format and backing are the volume's" },
	{ "nbd", ".", STRUCT(struct disk_config, nbd, nbd_schema),
	  .help = "Where the image is if it is on an NBD server" },
	{ "ceph", ".", STRUCT(struct disk_config, ceph, ceph_schema),
	  .help = "Where the image is if it is in a Ceph cluster" },
	{ "id", "target/@dev", STR(struct disk_config, id), .max = VM_ID_MAX, .check = rule_id, NEVER,
	  .help = "Name within the VM, such as vda; chosen when the disk is defined if not given" },
	{ "format", "driver/@type", ENUM(struct disk_config, format), .names = disk_format_names,
	  .def = "raw",
	  .help = "Image format, which is never guessed. All but raw are served by qemu-storage-daemon, a "
		  "process of its own in the VM's control group" },
	{ "backing", "backingStore[@type=file]/source/@file|backingStore[@type=block]/source/@dev",
	  STR(struct disk_config, backing), .path = true, .max = 4095, .check = rule_path,
	  .help = "Path of the image that a qcow2 image is a change of. Whatever the image itself says of "
		  "it is not followed" },
	{ "backing_format", "backingStore/format/@type", ENUM(struct disk_config, backing_format),
	  .names = disk_format_names, .def = "raw", .help = "Format of that image" },
	{ "secret", "hvd:secret/@file", STR(struct disk_config, secret), .path = true, .max = 4095,
	  .check = rule_path,
	  .help = "File that holds the passphrase of a luks or encrypted qcow2 image" },
	{ "cache", "driver/@cache", ENUM(struct disk_config, cache), .names = disk_cache_names,
	  .def = "writeback",
	  .help = "Use of the host's page cache: none (O_DIRECT), writeback, or unsafe (flushes "
		  "are ignored)" },
	{ "read_only", "readonly", BOOL(struct disk_config, read_only),
	  .help = "The guest may not write to it" },
	{ "serial", "serial", STR(struct disk_config, serial), .max = 20, .check = rule_serial,
	  .help = "Serial number that the guest sees" },
	{ "boot_order", "boot/@order", U32(struct disk_config, boot_order), .min = 1,
	  .max = MAX_BOOT_ORDER,
	  .help = "Place among the disks and network interfaces that firmware boots from, 1 first" },
	{ "size", "hvd:size", SIZE(struct disk_config, size), .min = 512, .max = 1ULL << 62,
	  .multiple = 512, LIVE, .unit = "bytes",
	  .help = "Size to which the image file is enlarged if it is smaller; it is never cut. On a "
		  "change a block device's size is looked up anew too" },
	{ "queues", "driver/@queues", U32(struct disk_config, queues), .min = 1,
	  .max = VM_MAX_DISK_QUEUES,
	  .help = "Queues; as many as there are vCPUs, but at most 4, if not given" },
	{ "error_policy", "driver/@error_policy", ENUM(struct disk_config, error_policy),
	  .names = disk_error_policy_names, .xml_names = disk_error_policy_xml_names, .def = "report",
	  LIVE,
	  .help = "On an I/O error: report it to the guest, or stop (pause) the VM until it is "
		  "resumed, or do that only when the host has no space left (enospc-stop)" },
	{ "limits", ".", STRUCT(struct disk_config, limits, disk_limits_schema), LIVE,
	  .help = "Limits of the disk's rates" },
};
const struct schema disk_schema = {
	.name = "Disk",
	.xml = "disk[@device?=disk]",
	.size = sizeof(struct disk_config),
	SCHEMA_FIELDS(disk_fields),
	.key = "id",
	.check = rule_disk,
};

/* libvirt's inbound is what the guest receives; it counts in KiB. */
#define NIC_BYTES(member) SIZE(struct nic_limits_config, member), .min = 4 * KIB, .max = MAX_RATE,          \
			  .multiple = KIB, .xml_divisor = KIB, LIVE, .unit = "bytes"
#define NIC_FRAMES(member) U64(struct nic_limits_config, member), .min = 1, .max = MAX_RATE, LIVE

static const struct field nic_limits_fields[] = {
	{ "rx_frames_per_second", "hvd:limits/@rx-frames", NIC_FRAMES(rx_frames_per_second),
	  .help = "Most frames that the guest receives in a second" },
	{ "rx_frames_burst", "hvd:limits/@rx-frames-burst", NIC_FRAMES(rx_frames_burst),
	  .help = "Frames that may come in at once after a pause; a tenth of rx_frames_per_second "
		  "if not given" },
	{ "rx_bytes_per_second", "bandwidth/inbound/@average", NIC_BYTES(rx_bytes_per_second),
	  .help = "Most bytes that the guest receives in a second" },
	{ "rx_bytes_burst", "bandwidth/inbound/@burst", NIC_BYTES(rx_bytes_burst),
	  .help = "Bytes that may come in at once after a pause; a tenth of rx_bytes_per_second if "
		  "not given" },
	{ "tx_frames_per_second", "hvd:limits/@tx-frames", NIC_FRAMES(tx_frames_per_second),
	  .help = "Most frames that the guest sends in a second" },
	{ "tx_frames_burst", "hvd:limits/@tx-frames-burst", NIC_FRAMES(tx_frames_burst),
	  .help = "Frames that may go out at once after a pause; a tenth of tx_frames_per_second if "
		  "not given" },
	{ "tx_bytes_per_second", "bandwidth/outbound/@average", NIC_BYTES(tx_bytes_per_second),
	  .help = "Most bytes that the guest sends in a second" },
	{ "tx_bytes_burst", "bandwidth/outbound/@burst", NIC_BYTES(tx_bytes_burst),
	  .help = "Bytes that may go out at once after a pause; a tenth of tx_bytes_per_second if "
		  "not given" },
};
const struct schema nic_limits_schema = {
	.name = "NicLimits",
	.size = sizeof(struct nic_limits_config),
	SCHEMA_FIELDS(nic_limits_fields),
	.check = rule_nic_limits,
};

static const struct field nic_fields[] = {
	{ "network", ".[@type=network]/source/@network", STR(struct nic_config, network),
	  .check = vm_name_check, .help = "Name of the virtual network that it is on" },
	{ "id", "alias/@name", STR(struct nic_config, id), .max = VM_ID_MAX, .check = rule_id, NEVER,
	  .help = "Name within the VM, such as net0; chosen when the NIC is defined if not given" },
	{ "tap", ".[@type=ethernet]/target/@dev", STR(struct nic_config, tap),
	  .check = rule_interface,
	  .help = "Name of an existing tap interface of the host, instead of a network" },
	{ "bridge", ".[@type=bridge]/source/@bridge", STR(struct nic_config, bridge),
	  .check = rule_interface,
	  .help = "Name of an existing bridge of the host, instead of a network" },
	{ "interface", ".[@type=direct]/source/@dev", STR(struct nic_config, interface),
	  .check = rule_interface,
	  .help = "Name of an interface of the host that it is to be on directly (macvtap), instead "
		  "of a network" },
	{ "mode", "source/@mode", ENUM(struct nic_config, mode), .names = nic_mode_names,
	  .xml_names = nic_mode_xml_names, .def = "bridge",
	  .help = "How frames pass between VMs on the same interface: bridge (within the host), vepa "
		  "(by the switch outside), private (not at all), or passthrough (there is only "
		  "this one)" },
	{ "mac", "mac/@address", MAC(struct nic_config, mac),
	  .help = "MAC address; chosen when the VM is defined if not given" },
	{ "trust_guest_mac", "@trustGuestRxFilters", BOOL(struct nic_config, trust_guest_mac), LIVE,
	  .help = "The guest may give the NIC another MAC address" },
	{ "backend", "driver/@name", ENUM(struct nic_config, backend), .names = nic_backend_names,
	  .xml_names = nic_backend_xml_names, .def = "process",
	  .help = "Who moves the frames: process (that of the VM), or vhost (the host kernel's "
		  "vhost-net), which knows no limits" },
	{ "queues", "driver/@queues", U32(struct nic_config, queues), .min = 1,
	  .max = VM_MAX_NIC_QUEUES,
	  .help = "Pairs of queues; as many as there are vCPUs, but at most 4, if not given, and 1 "
		  "on a tap" },
	{ "mtu", "mtu/@size", U32(struct nic_config, mtu), .min = 68, .max = 65535, .unit = "bytes",
	  .help = "Largest packet, which the guest is told; a tap that hvd makes is set to it" },
	{ "link", "link/@state", ENUM(struct nic_config, link), .names = nic_link_names, .def = "up",
	  LIVE, .help = "up, or down as if the cable were pulled" },
	{ "limits", ".", STRUCT(struct nic_config, limits, nic_limits_schema), LIVE,
	  .help = "Limits of the NIC's rates" },
	{ "boot_order", "boot/@order", U32(struct nic_config, boot_order), .min = 1,
	  .max = MAX_BOOT_ORDER,
	  .help = "Place among the disks and network interfaces that firmware boots from, 1 first" },
	{ "mac_filter", "hvd:filter/@mac", BOOL(struct nic_config, mac_filter), .def = "yes",
	  HOST,
	  .help = "What the guest sends from another MAC address is dropped by the host, unless "
		  "trust_guest_mac; not with tap" },
	{ "isolated", "port/@isolated", BOOL(struct nic_config, isolated), .host = true,
	  .help = "Nothing passes between it and other isolated interfaces of its network or "
		  "bridge" },
};
const struct schema nic_schema = {
	.name = "Nic",
	.xml = "interface",
	.size = sizeof(struct nic_config),
	SCHEMA_FIELDS(nic_fields),
	.key = "id",
	.check = rule_nic,
};

static const struct field resources_fields[] = {
	{ "cpu_weight", "cputune/shares", U32(struct resources_config, cpu_weight), .min = 1,
	  .max = 10000, HOST, .help = "Share of CPU time against other VMs (CPUWeight)" },
	/* libvirt: microseconds in each period of 100 ms, its default */
	{ "cpu_quota", "cputune/global_quota", U32(struct resources_config, cpu_quota), .min = 1,
	  .max = 100000, .xml_scale = 1000, HOST, .unit = "percent",
	  .help = "Most CPU time, in percent of one CPU (CPUQuota)" },
	{ "cpuset", "vcpu/@cpuset", STR(struct resources_config, cpuset), .max = 255,
	  .check = rule_cpuset, HOST, .help = "Host CPUs to run on, such as 0-3,8 (AllowedCPUs)" },
	{ "memory_high", "memtune/soft_limit", SIZE(struct resources_config, memory_high),
	  .min = 1 * MIB, HOST, .unit = "bytes",
	  .help = "Memory above which the VM is throttled and reclaimed from (MemoryHigh)" },
	{ "memory_max", "memtune/hard_limit", SIZE(struct resources_config, memory_max),
	  .min = 1 * MIB, HOST, .unit = "bytes",
	  .help = "Memory above which the OOM killer ends the VM (MemoryMax)" },
	{ "io_weight", "blkiotune/weight", U32(struct resources_config, io_weight), .min = 1,
	  .max = 10000, HOST, .help = "Share of disk time against other VMs (IOWeight)" },
};
const struct schema resources_schema = {
	.name = "Resources",
	.size = sizeof(struct resources_config),
	SCHEMA_FIELDS(resources_fields),
};

/* Where in the table the parts begin that are resources of their own. */
enum { FIELD_VCPUS = 6, FIELD_MEMORY = FIELD_VCPUS + 1, FIELD_BEHIND_MEMORY = FIELD_MEMORY + 3 };

static const struct field vm_fields[] = {
	{ "name", "name", STR(struct vm_config, name), .required = true, .check = vm_name_check,
	  NEVER, .help = "Name, unique on the host" },
	{ "uuid", "uuid", UUID(struct vm_config, uuid), NEVER,
	  .help = "UUID; chosen when the VM is defined if not given" },
	{ "description", "description", STR(struct vm_config, description), .max = 1024, HOST,
	  .help = "Free text" },
	{ "machine", "os/type[@arch?=aarch64][.=hvm]/@machine", STR(struct vm_config, machine),
	  .def = VM_MACHINE_DEFAULT, .required = true, .check = rule_machine, NEVER,
	  .help = "Machine type: what the guest sees of it never changes" },
	{ "profile", "hvd:profile", ENUM(struct vm_config, profile), .names = profile_names,
	  .def = "standard",
	  .help = "standard: devices are on PCI Express; micro: on virtio-mmio, for the fastest "
		  "start and the smallest footprint" },
	{ "hotplug_ports", "hvd:hotplug-ports", U32(struct vm_config, hotplug_ports), .def = "4",
	  .max = VM_MAX_HOTPLUG_PORTS,
	  .help = "PCI Express ports kept free for devices that are attached while the VM runs" },
	[FIELD_VCPUS] = { "vcpus", "vcpu", U32(struct vm_config, vcpus), .def = "1", .min = 1, .max = VM_MAX_VCPUS,
	  .help = "Number of virtual CPUs" },
	[FIELD_MEMORY] = { "memory", "memory", SIZE(struct vm_config, memory), .def = "512M", .min = 32 * MIB,
	  .max = 16 * 1024 * GIB, .multiple = 2 * MIB, .unit = "bytes",
	  .help = "Guest memory, a multiple of 2M" },
	{ "memory_target", "currentMemory", SIZE(struct vm_config, memory_target), .min = 16 * MIB,
	  .max = 16 * 1024 * GIB, .multiple = 4 * KIB, LIVE, .unit = "bytes",
	  .help = "Memory that the guest is to have, at most memory: the rest is in the balloon; all of "
		  "it if not given" },
	{ "shared_memory", "memoryBacking/access[@mode=shared]", BOOL(struct vm_config, shared_memory),
	  .help = "Guest memory can be shared with storage daemons, so that disks of other formats than "
		  "raw can be attached while the VM runs; a VM that starts with such a disk has it" },
	[FIELD_BEHIND_MEMORY] = { "io_threads", "iothreads", U32(struct vm_config, io_threads), .def = "1", .min = 1,
	  .max = VM_MAX_IO_THREADS, .help = "Threads that serve the devices" },
	{ "boot", "os", STRUCT(struct vm_config, boot, boot_schema), .help = "What is booted" },
	{ "features", ".", STRUCT(struct vm_config, features, features_schema),
	  .help = "Features of the vCPUs" },
	{ "disks", "devices", LIST(struct vm_config, disks, n_disks, disk_schema),
	  .max = VM_MAX_DISKS, LIVE, .help = "Disks (virtio-blk)" },
	{ "nics", "devices", LIST(struct vm_config, nics, n_nics, nic_schema), .max = VM_MAX_NICS,
	  LIVE, .help = "Network interfaces (virtio-net)" },
	{ "balloon", "devices/memballoon/@model", BOOL(struct vm_config, balloon),
	  .xml_names = none_virtio,
	  .help = "Memory balloon (virtio-balloon): the guest can give memory back to the host" },
	{ "deflate_on_oom", "devices/memballoon/@autodeflate", BOOL(struct vm_config, deflate_on_oom),
	  .xml_names = off_on,
	  .help = "The guest may take memory from the balloon before it runs out of memory" },
	{ "page_reporting", "devices/memballoon/@freePageReporting",
	  BOOL(struct vm_config, page_reporting), .xml_names = off_on,
	  .help = "The guest gives memory that it does not use back to the host by itself" },
	{ "balloon_stats_period", "devices/memballoon/stats/@period",
	  U32(struct vm_config, balloon_stats_period), .min = 1, .max = 3600, LIVE, .unit = "seconds",
	  .help = "Time between two statistics of the guest's memory; only one from the start of "
		  "its driver if not given" },
	{ "vsock", "devices/vsock[@model=virtio]", BOOL(struct vm_config, vsock),
	  .help = "Sockets between the guest and programs of the host (virtio-vsock)" },
	{ "vsock_cid", "devices/vsock/cid/@address", U32(struct vm_config, vsock_cid), .min = 3,
	  .max = 0xfffffffe,
	  .help = "The guest's context identifier, unique on the host; chosen when vsock is set if not "
		  "given" },
	{ "rng", "devices/rng[@model=virtio]/backend[@model=random]", BOOL(struct vm_config, rng),
	  .def = "yes", .help = "Entropy source (virtio-rng)" },
	{ "rng_bytes_per_second", "devices/rng/rate/@bytes",
	  SIZE(struct vm_config, rng_bytes_per_second), .min = 1, .max = MAX_RATE,
	  .xml_divisor = 1, LIVE, .unit = "bytes",
	  .help = "Most bytes of entropy that the guest gets in a second, as many at once after a "
		  "pause" },
	{ "virtio_console", "devices/console[@type=pty]/target[@type=virtio]",
	  BOOL(struct vm_config, virtio_console),
	  .help = "A virtio console (hvc0) beside the serial port" },
	{ "pvpanic", "devices/panic[@model=pvpanic]", BOOL(struct vm_config, pvpanic),
	  .help = "A device by which the guest tells that it has panicked; on_crash is what follows" },
	{ "watchdog", "devices/watchdog[@model=sbsa]/@action", ENUM(struct vm_config, watchdog),
	  .names = watchdog_names, .xml_names = watchdog_xml_names, .def = "off",
	  .help = "A watchdog (Arm SBSA), and what a guest gets that has started it and does not "
		  "keep it quiet; none: a remark in its status, off: there is no watchdog" },
	{ "resources", ".", STRUCT(struct vm_config, resources, resources_schema), HOST,
	  .help = "Limits of the VM's control group" },
	{ "on_reboot", "on_reboot", ENUM(struct vm_config, on_reboot), .names = on_reboot_names,
	  .xml_names = on_reboot_xml_names, .def = "restart",
	  .help = "What a reboot by the guest does" },
	{ "on_crash", "on_crash", ENUM(struct vm_config, on_crash), .names = on_crash_names,
	  .xml_names = on_crash_xml_names, .def = "pause",
	  .help = "What a panic of the guest does, if it tells of one by pvpanic" },
	{ "autostart", "hvd:autostart", BOOL(struct vm_config, autostart), HOST,
	  .help = "Start the VM when hvd starts" },
};
const struct schema vm_schema = {
	.name = "VmSpec",
	.xml = "domain[@type=kvm]",
	.size = sizeof(struct vm_config),
	SCHEMA_FIELDS(vm_fields),
	.check = rule_vm,
};

const struct schema vm_vcpus_schema = {
	.name = "Vcpus",
	.size = sizeof(struct vm_config),
	.fields = vm_fields + FIELD_VCPUS,
	.n_fields = FIELD_MEMORY - FIELD_VCPUS,
};

const struct schema vm_memory_schema = {
	.name = "Memory",
	.size = sizeof(struct vm_config),
	.fields = vm_fields + FIELD_MEMORY,
	.n_fields = FIELD_BEHIND_MEMORY - FIELD_MEMORY,
};
