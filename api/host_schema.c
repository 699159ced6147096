/* SPDX-License-Identifier: Apache-2.0 */
/* The table of the host. */
#include "api/vm_schema.h"

#define HOST_STR(m, text)                                                           \
	{                                                                           \
#m, NULL, STR(struct host_info, m), .read_only = true, .help = text \
	}
#define HOST_U32(m, text)                                                           \
	{                                                                           \
#m, NULL, U32(struct host_info, m), .read_only = true, .help = text \
	}
#define HOST_BOOL(m, text)                                                           \
	{                                                                            \
#m, NULL, BOOL(struct host_info, m), .read_only = true, .help = text \
	}

static const struct field host_fields[] = {
	HOST_STR(hostname, "Name of the host"),
	HOST_STR(kernel, "Release of the host's kernel"),
	HOST_STR(hvd_version, "Version of hvd"),
	HOST_STR(arch, "Architecture; hvd runs VMs on aarch64"),
	HOST_STR(virt_mode, "How KVM runs: vhe, nvhe, protected, vhe+nv or none"),
	HOST_STR(virt_detail, "What is missing for full speed, and what to do"),
	HOST_U32(cpus, "CPUs that are online"),
	{ "memory", NULL, SIZE(struct host_info, memory), .read_only = true, .unit = "bytes",
	  .help = "Memory of the host" },
	HOST_U32(max_vcpus, "Most virtual CPUs that a VM can have here"),
	HOST_U32(ipa_bits, "Width of a guest's physical addresses"),
	HOST_BOOL(gicv3, "Guests can have a GICv3"),
	HOST_BOOL(its, "Guests can have an ITS (MSI)"),
	HOST_BOOL(aarch32, "Guests can be 32-bit"),
	HOST_BOOL(pmu, "Guests can have a performance monitor"),
	HOST_BOOL(sve, "Guests can have SVE"),
	HOST_BOOL(pauth, "Guests can have pointer authentication"),
	HOST_BOOL(mte, "Guests can have memory tagging"),
	HOST_BOOL(el2, "Guests can have EL2 (nested virtualization)"),
	HOST_BOOL(steal_time, "Guests can see stolen time"),
	HOST_U32(vms_defined, "VMs that are defined"),
	HOST_U32(vms_running, "VMs that have a process"),
};
const struct schema host_schema = {
	.name = "Host",
	.size = sizeof(struct host_info),
	SCHEMA_FIELDS(host_fields),
};
