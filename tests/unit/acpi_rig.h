/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of the ACPI tables: a firmware that carries out the loader's commands, as strictly as
 * UEFI's does, and a system that finds the tables from the RSDP on.
 */
#pragma once

#include "vmm/arch/acpi.h"

#define ACPI_RIG_MAX_TABLES 24

struct acpi_rig {
	struct acpi_blobs blobs; /* as built; the loader has worked on them */
	uint64_t tables_at; /* where firmware has put them */
	bool tables_allocated, rsdp_allocated;
	/* the XSDT first, then what it lists, and the DSDT behind the FADT */
	struct {
		const uint8_t *data;
		size_t len;
	} found[ACPI_RIG_MAX_TABLES];
	unsigned n_found;
};

/* Machines that are worth a look, with names for messages. */
struct acpi_rig_machine {
	const char *name;
	struct memmap map;
	struct acpi_machine machine;
};
#define ACPI_RIG_N_MACHINES 3
enum { ACPI_RIG_STANDARD, ACPI_RIG_MICRO, ACPI_RIG_LARGE };
/* In static memory: until the next call. */
const struct acpi_rig_machine *acpi_rig_machine(unsigned which);

/* Build, load and find; fails the test where anything is not as it has to be. */
void acpi_rig_load(struct acpi_rig *rig, const struct acpi_machine *machine);
void acpi_rig_free(struct acpi_rig *rig);

/* A table by its signature, or NULL. */
const uint8_t *acpi_rig_find(const struct acpi_rig *rig, const char *signature, size_t *ret_len);

uint64_t acpi_le(const uint8_t *at, unsigned bytes);
