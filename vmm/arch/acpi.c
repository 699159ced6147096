/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/arch/acpi.h"

#include <errno.h>
#include <string.h>

#include "vmm/arch/acpi_private.h"

#define OEM_ID       "HVD   "
#define OEM_TABLE_ID "HVD1.0  "
#define CREATOR_ID   "HVD "

/* Of a table's header. */
#define HEADER_LENGTH   4
#define HEADER_CHECKSUM 9

/* Commands of the loader: 128 bytes each, names of files filled up with zeros. */
enum { LOADER_ALLOCATE = 1, LOADER_ADD_POINTER, LOADER_ADD_CHECKSUM };
enum { LOADER_ZONE_HIGH = 1, LOADER_ZONE_FSEG };

#define LOADER_COMMAND_SIZE 128
#define LOADER_NAME_SIZE    56

static void put_name(struct blob *b, const char *name)
{
	blob_put(b, name, strlen(name));
	blob_put_zeros(b, LOADER_NAME_SIZE - strlen(name));
}

static void allocate(struct blob *b, const char *file, unsigned align, unsigned zone)
{
	blob_put_le(b, LOADER_ALLOCATE, 4);
	put_name(b, file);
	blob_put_le(b, align, 4);
	blob_put_le(b, zone, 1);
	blob_align(b, LOADER_COMMAND_SIZE);
}

/* To the 8 bytes at this offset of a file, add the address of the tables. */
static void add_pointer(struct blob *b, const char *file, size_t offset)
{
	blob_put_le(b, LOADER_ADD_POINTER, 4);
	put_name(b, file);
	put_name(b, ACPI_FILE_TABLES);
	blob_put_le(b, offset, 4);
	blob_put_le(b, 8, 1);
	blob_align(b, LOADER_COMMAND_SIZE);
}

static void add_checksum(struct blob *b, const char *file, size_t offset, size_t start, size_t len)
{
	blob_put_le(b, LOADER_ADD_CHECKSUM, 4);
	put_name(b, file);
	blob_put_le(b, offset, 4);
	blob_put_le(b, start, 4);
	blob_put_le(b, len, 4);
	blob_align(b, LOADER_COMMAND_SIZE);
}

uint32_t acpi_begin(struct acpi_writer *w, const char signature[static 4], unsigned revision)
{
	struct blob *b = &w->out->tables;
	uint32_t table;

	blob_align(b, 8);
	table = (uint32_t)b->len;
	blob_put(b, signature, 4);
	blob_put_le(b, 0, 4); /* length */
	blob_put_le(b, revision, 1);
	blob_put_le(b, 0, 1); /* checksum */
	blob_put(b, OEM_ID, 6);
	blob_put(b, OEM_TABLE_ID, 8);
	blob_put_le(b, 1, 4); /* OEM revision */
	blob_put(b, CREATOR_ID, 4);
	blob_put_le(b, 1, 4); /* creator revision */
	return table;
}

void acpi_end(struct acpi_writer *w, uint32_t table)
{
	struct blob *b = &w->out->tables;
	size_t len = b->len - table;

	blob_set_le(b, table + HEADER_LENGTH, len, 4);
	add_checksum(&w->out->loader, ACPI_FILE_TABLES, table + HEADER_CHECKSUM, table, len);
}

void acpi_put_address(struct acpi_writer *w, uint32_t target)
{
	add_pointer(&w->out->loader, ACPI_FILE_TABLES, w->out->tables.len);
	blob_put_le(&w->out->tables, target, 8);
}

static uint32_t write_xsdt(struct acpi_writer *w)
{
	uint32_t table = acpi_begin(w, "XSDT", 1);

	for (unsigned i = 0; i < w->n_listed; i++)
		acpi_put_address(w, w->listed[i]);
	acpi_end(w, table);
	return table;
}

/* ACPI 6.3 §5.2.5.3; one checksum of ACPI 1.0's part, one of all. */
static void write_rsdp(struct acpi_writer *w, uint32_t xsdt)
{
	struct blob *b = &w->out->rsdp, *loader = &w->out->loader;

	blob_put(b, "RSD PTR ", 8);
	blob_put_le(b, 0, 1); /* checksum */
	blob_put(b, OEM_ID, 6);
	blob_put_le(b, 2, 1);  /* revision */
	blob_put_le(b, 0, 4);  /* RSDT: none */
	blob_put_le(b, 36, 4); /* length */
	add_pointer(loader, ACPI_FILE_RSDP, b->len);
	blob_put_le(b, xsdt, 8);
	blob_put_le(b, 0, 1); /* extended checksum */
	blob_put_zeros(b, 3);
	add_checksum(loader, ACPI_FILE_RSDP, 8, 0, 20);
	add_checksum(loader, ACPI_FILE_RSDP, 32, 0, b->len);
}

int acpi_build(const struct acpi_machine *machine, struct acpi_blobs *ret, struct hvd_error *err)
{
	struct acpi_writer w = { .machine = machine, .out = ret };
	int r;

	allocate(&ret->loader, ACPI_FILE_RSDP, 16, LOADER_ZONE_FSEG);
	allocate(&ret->loader, ACPI_FILE_TABLES, 64, LOADER_ZONE_HIGH);
	acpi_write_dsdt(&w);
	acpi_write_tables(&w);
	write_rsdp(&w, write_xsdt(&w));

	r = ret->tables.error ?: ret->rsdp.error ?: ret->loader.error;
	if (r < 0) {
		acpi_blobs_clear(ret);
		return hvd_err(err, -r, "ACPI tables: %s", strerror(-r));
	}
	return 0;
}

void acpi_blobs_clear(struct acpi_blobs *blobs)
{
	blob_clear(&blobs->tables);
	blob_clear(&blobs->rsdp);
	blob_clear(&blobs->loader);
}
