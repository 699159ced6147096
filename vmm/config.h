/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one description of a VM: plain data.
 *
 * Filled from JSON, XML, D-Bus or arguments by the walkers over api/vm_schema.c, which is also
 * where names, ranges, defaults and help of every member stand. Strings and arrays are heap
 * memory that schema_clear(&vm_schema, config) frees; an unset string is NULL.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a VM may have at most; machine type hvd-1.0 has places for this many (vmm/arch/memmap.h). */
#define VM_MAX_VCPUS 512
#define VM_MAX_DISKS 16
#define VM_MAX_NICS 8
#define VM_MAX_HOTPLUG_PORTS 16
#define VM_MAX_DISK_QUEUES 16
#define VM_MAX_NIC_QUEUES 8 /* pairs of a receive and a transmit queue */
#define VM_MAX_IO_THREADS 16
#define CEPH_MAX_MONITORS 16

/*
 * Disks and NICs have an id, unique in its list: it names the same one for as long as the VM has it,
 * wherever in the list it stands. [a-z0-9][a-z0-9-]*
 */
#define VM_ID_MAX 32 /* bytes without the NUL */

/* All but raw are served by a storage daemon, a process of its own (daemon/storage.h). */
enum disk_format {
	DISK_FORMAT_RAW,
	DISK_FORMAT_QCOW2,
	DISK_FORMAT_VMDK,
	DISK_FORMAT_VDI,
	DISK_FORMAT_VHDX,
	DISK_FORMAT_LUKS,
	_DISK_FORMAT_MAX
};

enum disk_cache {
	DISK_CACHE_NONE,      /* O_DIRECT: the host's page cache is not used */
	DISK_CACHE_WRITEBACK, /* host page cache; a guest's FLUSH is fdatasync(2) */
	DISK_CACHE_UNSAFE,    /* host page cache; a guest's FLUSH does nothing */
	_DISK_CACHE_MAX
};

enum vm_profile {
	PROFILE_STANDARD, /* PCI Express; devices can be attached and detached while it runs */
	PROFILE_MICRO,    /* virtio-mmio only: starts fastest, costs least */
	_PROFILE_MAX
};

/* A feature of the vCPUs that KVM may or may not offer. */
enum feature {
	FEATURE_AUTO, /* where KVM offers it; some not in PROFILE_MICRO */
	FEATURE_ON,   /* the VM does not start without it */
	FEATURE_OFF,
	_FEATURE_MAX
};

/* What an error of the host's disk does. ENOSPC: only that there is no space left; others are reported. */
enum disk_error_policy {
	DISK_ERROR_REPORT,      /* the guest sees an I/O error */
	DISK_ERROR_STOP,        /* the VM is paused; the request is tried again when it is resumed */
	DISK_ERROR_ENOSPC_STOP,
	_DISK_ERROR_POLICY_MAX
};

enum on_reboot { ON_REBOOT_RESTART, ON_REBOOT_STOP, _ON_REBOOT_MAX };

/* What a panic of the guest does, when it tells of one (pvpanic). */
enum on_crash {
	ON_CRASH_PAUSE,   /* its console and memory stay to be looked at */
	ON_CRASH_STOP,    /* it has failed */
	ON_CRASH_RESTART, /* it is reset */
	_ON_CRASH_MAX
};

/* What a guest that does not keep its watchdog quiet gets. */
enum watchdog {
	WATCHDOG_OFF,      /* there is none */
	WATCHDOG_NONE,     /* a remark in its status and in the journal */
	WATCHDOG_RESET,
	WATCHDOG_SHUTDOWN, /* the power button is pressed */
	WATCHDOG_STOP,     /* it has failed */
	WATCHDOG_PAUSE,
	_WATCHDOG_MAX
};

struct boot_config {
	char *kernel;  /* path: arm64 Image, plain or gzip-compressed, or EFI zboot image */
	char *initrd;  /* path, or NULL */
	char *cmdline; /* kernel command line, or NULL */
	char *firmware;       /* path of the image in flash, instead of a kernel; "auto" until it is
			       * looked for (vmm/firmware.h) */
	char *nvram;          /* path of the firmware's variable store */
	char *nvram_template; /* what the store is copied from when it is not there, or NULL */
	bool acpi;            /* firmware hands ACPI tables on, instead of the device tree */
};

struct features_config {
	enum feature pmu;   /* performance counters (PMUv3); auto: not in PROFILE_MICRO */
	enum feature sve;   /* Scalable Vector Extension */
	enum feature pauth; /* pointer authentication */
	enum feature steal_time; /* the guest sees how long its vCPUs waited for a CPU of the host */
};

/* A burst is what may be done at once after a pause. 0: no limit, or a burst of a tenth of a second. */
struct disk_limits_config {
	uint64_t iops, iops_burst;
	uint64_t bytes_per_second, bytes_burst;
};

#define NBD_PORT 10809 /* by IANA */

/* An export of an NBD server: by TCP, or by a unix socket of the host. */
struct nbd_config {
	char *server;  /* IP address, or NULL */
	uint32_t port; /* TCP; 0: NBD_PORT */
	char *socket;  /* path, or NULL */
	char *export;  /* name; NULL: the server's default */
};

struct ceph_monitor {
	char *address; /* IP */
	uint32_t port; /* TCP; 0: both that are Ceph's by custom */
};

/* An image of Ceph's RADOS block device. */
struct ceph_config {
	char *rbd; /* the image: "pool/image" or "pool/namespace/image"; NULL: none */
	struct ceph_monitor *monitors;
	size_t n_monitors;
	char *user;    /* without "client.", or NULL: the cluster asks for none */
	char *keyfile; /* path of a file with the user's key */
};

struct disk_config {
	char *id;   /* "vda"; NULL: chosen when defined */
	char *path; /* regular file or block device; NULL: it is elsewhere */
	char *volume; /* of hvd's own, which has path and backing instead; or NULL */
	struct nbd_config nbd;
	struct ceph_config ceph;
	enum disk_format format;
	/* The image that a qcow2 image is a change of, or NULL. What the image says of it is not followed. */
	char *backing;
	enum disk_format backing_format;
	char *secret; /* path of a file with the passphrase of an encrypted image, or NULL */
	enum disk_cache cache;
	bool read_only;
	char *serial; /* at most 20 bytes reach the guest (virtio 1.2 §5.2.6.1), or NULL */
	uint32_t boot_order; /* firmware tries 1 first; 0: does not boot from it */
	uint64_t size;   /* bytes that it is to have at least; 0: not given */
	uint32_t queues; /* 0: chosen by the number of vCPUs */
	enum disk_error_policy error_policy;
	struct disk_limits_config limits;
};

/* Who moves the frames of a NIC. */
enum nic_backend {
	NIC_BACKEND_PROCESS, /* the VM's own process */
	NIC_BACKEND_VHOST,   /* the host kernel: vhost-net */
	_NIC_BACKEND_MAX
};

enum nic_link { NIC_LINK_UP, NIC_LINK_DOWN, _NIC_LINK_MAX };

/* As the guest sees it: rx is what it receives. A burst as in struct disk_limits_config. */
struct nic_limits_config {
	uint64_t rx_frames_per_second, rx_frames_burst;
	uint64_t rx_bytes_per_second, rx_bytes_burst;
	uint64_t tx_frames_per_second, tx_frames_burst;
	uint64_t tx_bytes_per_second, tx_bytes_burst;
};

/* What a macvtap and the others of its interface have to do with each other (macvlan). */
enum nic_mode {
	NIC_MODE_BRIDGE,  /* frames pass between them within the host */
	NIC_MODE_VEPA,    /* … by way of the switch outside, which must send them back */
	NIC_MODE_PRIVATE, /* none pass */
	NIC_MODE_PASSTHROUGH, /* there is only this one, and the interface takes its address */
	_NIC_MODE_MAX
};

/* Exactly one of network, bridge, interface and tap is set. */
struct nic_config {
	char *id;        /* "net0"; NULL: chosen when defined */
	char *network;   /* name of a network of hvd */
	char *bridge;    /* name of a bridge interface of the host */
	char *interface; /* … of any interface, on which it gets a macvtap */
	char *tap;       /* … of an existing tap interface, used as it is */
	enum nic_mode mode; /* of interface */
	uint8_t mac[6];  /* all zero: hvd chooses one when the VM is defined */
	bool trust_guest_mac; /* the guest may give the NIC another MAC address */
	enum nic_backend backend;
	uint32_t queues; /* pairs; 0: see vm_config_nic_queues() */
	uint32_t mtu;    /* 0: the guest is told nothing */
	enum nic_link link;
	struct nic_limits_config limits;
	uint32_t boot_order; /* as a disk has it: one order of both */
	bool mac_filter; /* unless it is trusted, nothing passes that it sends from another; not of tap */
	bool isolated;   /* nothing passes between it and other such ports; of network and bridge */
};

/* Limits of the VM's cgroup: systemd.resource-control(5) properties of its unit. 0: not set. */
struct resources_config {
	uint32_t cpu_weight;  /* 1 … 10000 */
	uint32_t cpu_quota;   /* percent of one CPU; 150 is one and a half CPUs */
	char *cpuset;         /* host CPUs, "0-3,8", or NULL */
	uint64_t memory_high; /* bytes: above this the VM is throttled and reclaimed from */
	uint64_t memory_max;  /* bytes: above this the OOM killer ends the VM */
	uint32_t io_weight;   /* 1 … 10000 */
};

struct vm_config {
	char *name;       /* unique on the host: [a-z0-9][a-z0-9-]{0,62} */
	uint8_t uuid[16]; /* RFC 9562, network byte order; all zero: chosen when defined */
	char *description;
	char *machine; /* versioned machine type: "hvd-1.0" */
	enum vm_profile profile;
	uint32_t hotplug_ports; /* spare places for devices; PROFILE_STANDARD only */

	uint32_t vcpus;
	uint64_t memory; /* bytes, a multiple of 2 MiB */

	bool shared_memory; /* with storage daemons; set where disks need it, when defined */
	uint32_t io_threads; /* that devices and their queues are spread over */

	struct boot_config boot;
	struct features_config features;

	struct disk_config *disks;
	size_t n_disks;
	struct nic_config *nics;
	size_t n_nics;

	bool balloon;            /* virtio-balloon, by which the guest gives memory back */
	uint64_t memory_target;  /* bytes of memory that the guest is to have; 0: all of it */
	bool deflate_on_oom;     /* the guest takes memory back from the balloon when it has none */
	bool page_reporting; /* the guest gives back what it does not use */
	uint32_t balloon_stats_period; /* seconds between the guest's statistics; 0: none */

	bool vsock;          /* virtio-vsock: sockets between the guest and the host */
	uint32_t vsock_cid;  /* the guest's address, 3 … 0xfffffffe; 0: chosen when defined */

	bool rng;            /* virtio-rng fed from getrandom(2) */
	uint64_t rng_bytes_per_second; /* that the guest gets of it, all at once or not; 0: no limit */
	bool virtio_console; /* hvc0 beside the PL011, on the same console stream */

	struct resources_config resources;

	bool pvpanic;           /* a device by which the guest tells that it has panicked */
	enum watchdog watchdog; /* a device that the guest has to keep quiet, once it has started it */

	enum on_reboot on_reboot;
	enum on_crash on_crash;
	bool autostart; /* start when hvd starts */
};

/* Is this disk served by a storage daemon? */
bool disk_needs_storage(const struct disk_config *disk);

/* Where it is, for a person: its path, the server's address or socket, or its name in Ceph. */
const char *disk_place(const struct disk_config *disk);

static inline bool disk_is_nbd(const struct disk_config *disk)
{
	return disk->nbd.server || disk->nbd.socket;
}

static inline bool disk_is_rbd(const struct disk_config *disk)
{
	return disk->ceph.rbd != NULL;
}

/* The place of a disk or NIC in its list, or -1. id may be NULL, which is nobody's. */
int vm_config_find_disk(const struct vm_config *config, const char *id);
int vm_config_find_nic(const struct vm_config *config, const char *id);

/*
 * Pairs of queues that a NIC has, 1 to VM_MAX_NIC_QUEUES. Where none are asked for, one for each vCPU but
 * at most 4; a tap that somebody else has made is taken to have one.
 */
unsigned vm_config_nic_queues(const struct vm_config *config, const struct nic_config *nic);
