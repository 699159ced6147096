/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ACPI tables of machine type hvd-1.0 (ACPI 6.3, hardware-reduced): what a guest that was
 * booted by firmware is told about its machine. Places and interrupts come from vmm/arch/memmap.h,
 * the rest from struct acpi_machine.
 *
 * Firmware gets them as QEMU's does: two files of fw_cfg, and a third with the commands that put
 * them into memory (QEMU hw/acpi/bios-linker-loader.c): allocate a file, add a file's address to a
 * field, fill in a checksum. Pointers and checksums are 0, offsets in a file, before that.
 */
#pragma once

#include <stdbool.h>

#include "vmm/arch/memmap.h"
#include "vmm/base/blob.h"

#define ACPI_FILE_TABLES "etc/acpi/tables"
#define ACPI_FILE_RSDP   "etc/acpi/rsdp"
#define ACPI_FILE_LOADER "etc/table-loader"

struct acpi_machine {
	const struct memmap *map;
	const uint64_t *mpidr; /* affinity of each vCPU */
	unsigned n_vcpus;
	unsigned n_virtio; /* virtio-mmio devices, in the first places */
	bool pmu;
	bool its;
	bool pvpanic; /* at its place on the MMIO bus; on PCI it is found there */
	bool watchdog;
};

struct acpi_blobs {
	struct blob tables, rsdp, loader;
};

/* ret is as acpi_blobs_clear() has left it, or zero. -ENOMEM; -ENOSPC: they become too large. */
int acpi_build(const struct acpi_machine *machine, struct acpi_blobs *ret, struct hvd_error *err);
void acpi_blobs_clear(struct acpi_blobs *blobs);

static inline void auto_acpi_blobs_clear(struct acpi_blobs *blobs)
{
	acpi_blobs_clear(blobs);
}
