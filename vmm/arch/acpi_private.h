/* SPDX-License-Identifier: Apache-2.0 */
/* What the writers of ACPI's tables share. */
#pragma once

#include "vmm/arch/acpi.h"

#define ACPI_MAX_TABLES 16 /* that the XSDT lists */

struct acpi_writer {
	const struct acpi_machine *machine;
	struct acpi_blobs *out;
	uint32_t listed[ACPI_MAX_TABLES]; /* offsets of tables */
	unsigned n_listed;
	uint32_t dsdt;
};

/*
 * A table in out->tables: its header (ACPI 6.3 §5.2.6), then what the caller puts, then its length
 * and the command for its checksum. acpi_begin() returns its offset.
 */
#define ACPI_HEADER_SIZE 36
uint32_t acpi_begin(struct acpi_writer *w, const char signature[static 4], unsigned revision);
void acpi_end(struct acpi_writer *w, uint32_t table);

/* Put the address of what is at this offset of out->tables: 8 bytes, and the command for it. */
void acpi_put_address(struct acpi_writer *w, uint32_t target);

/* vmm/arch/acpi_tables.c: all that the XSDT lists; w->dsdt is there. */
void acpi_write_tables(struct acpi_writer *w);

/* vmm/arch/acpi_dsdt.c */
void acpi_write_dsdt(struct acpi_writer *w);
