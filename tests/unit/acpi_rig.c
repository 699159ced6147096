/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/acpi_rig.h"
#include "vmm/base/macro.h"
#include "vmm/config.h"

#define COMMAND_SIZE 128
#define NAME_SIZE    56

enum { ALLOCATE = 1, ADD_POINTER, ADD_CHECKSUM };
enum { ZONE_HIGH = 1, ZONE_FSEG };

uint64_t acpi_le(const uint8_t *at, unsigned bytes)
{
	uint64_t value = 0;

	while (bytes--)
		value = value << 8 | at[bytes];
	return value;
}

static void put_le(uint8_t *at, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		at[i] = (uint8_t)(value >> (8 * i));
}

static uint8_t sum(const uint8_t *data, size_t len)
{
	uint8_t total = 0;

	for (size_t i = 0; i < len; i++)
		total = (uint8_t)(total + data[i]);
	return total;
}

static bool is(const uint8_t *name, const char *want)
{
	assert_int_equal(name[NAME_SIZE - 1], 0);
	return strcmp((const char *)name, want) == 0;
}

static struct blob *file(struct acpi_rig *rig, const uint8_t *name)
{
	if (is(name, ACPI_FILE_TABLES)) {
		assert_true(rig->tables_allocated);
		return &rig->blobs.tables;
	}
	assert_true(is(name, ACPI_FILE_RSDP));
	assert_true(rig->rsdp_allocated);
	return &rig->blobs.rsdp;
}

static void allocate(struct acpi_rig *rig, const uint8_t *command)
{
	uint64_t align = acpi_le(command + NAME_SIZE, 4), zone = command[NAME_SIZE + 4];

	/* UEFI gives pages, below 4 GiB */
	assert_true(align && align <= 4096 && !(align & (align - 1)));
	if (is(command, ACPI_FILE_TABLES)) {
		assert_false(rig->tables_allocated);
		assert_int_equal(zone, ZONE_HIGH);
		rig->tables_allocated = true;
		rig->tables_at = 0x7c0f1000;
		return;
	}
	assert_true(is(command, ACPI_FILE_RSDP));
	assert_false(rig->rsdp_allocated);
	assert_int_equal(zone, ZONE_FSEG);
	rig->rsdp_allocated = true;
}

static void add_pointer(struct acpi_rig *rig, const uint8_t *command)
{
	struct blob *to = file(rig, command);
	const struct blob *target = file(rig, command + NAME_SIZE);
	uint64_t offset = acpi_le(command + 2 * NAME_SIZE, 4), value;
	unsigned size = command[2 * NAME_SIZE + 4];

	assert_ptr_equal(target, &rig->blobs.tables);
	assert_true(size == 4 || size == 8);
	assert_true(offset + size <= to->len);
	value = acpi_le(to->data + offset, size);
	assert_true(value < target->len);
	put_le(to->data + offset, value + rig->tables_at, size);
}

static void add_checksum(struct acpi_rig *rig, const uint8_t *command)
{
	struct blob *in = file(rig, command);
	uint64_t offset = acpi_le(command + NAME_SIZE, 4);
	uint64_t start = acpi_le(command + NAME_SIZE + 4, 4);
	uint64_t len = acpi_le(command + NAME_SIZE + 8, 4);

	assert_true(start + len <= in->len);
	assert_true(offset >= start && offset < start + len);
	in->data[offset] = (uint8_t)-sum(in->data + start, len);
}

static void run(struct acpi_rig *rig)
{
	const struct blob *loader = &rig->blobs.loader;

	assert_int_equal(loader->len % COMMAND_SIZE, 0);
	for (size_t at = 0; at < loader->len; at += COMMAND_SIZE) {
		const uint8_t *command = loader->data + at + 4;

		switch (acpi_le(loader->data + at, 4)) {
		case ALLOCATE:
			allocate(rig, command);
			break;
		case ADD_POINTER:
			add_pointer(rig, command);
			break;
		case ADD_CHECKSUM:
			add_checksum(rig, command);
			break;
		default:
			fail_msg("unknown command at 0x%zx", at);
		}
	}
}

/* A table at a guest address: of its own length, with a right checksum. */
static const uint8_t *table_at(struct acpi_rig *rig, uint64_t address)
{
	const struct blob *tables = &rig->blobs.tables;
	uint64_t offset = address - rig->tables_at, len;
	const uint8_t *data = tables->data + offset;

	assert_true(offset < tables->len && tables->len - offset >= 36);
	len = acpi_le(data + 4, 4);
	assert_true(len >= 36 && len <= tables->len - offset);
	assert_int_equal(sum(data, len), 0);
	assert_int_equal(address % 8, 0);

	assert_true(rig->n_found < ACPI_RIG_MAX_TABLES);
	rig->found[rig->n_found].data = data;
	rig->found[rig->n_found++].len = len;
	return data;
}

static void find_all(struct acpi_rig *rig)
{
	const uint8_t *rsdp = rig->blobs.rsdp.data, *xsdt;

	assert_int_equal(rig->blobs.rsdp.len, 36);
	assert_memory_equal(rsdp, "RSD PTR ", 8);
	assert_int_equal(sum(rsdp, 20), 0);
	assert_int_equal(sum(rsdp, 36), 0);
	assert_int_equal(rsdp[15], 2);
	assert_int_equal(acpi_le(rsdp + 16, 4), 0); /* no RSDT */
	assert_int_equal(acpi_le(rsdp + 20, 4), 36);

	xsdt = table_at(rig, acpi_le(rsdp + 24, 8));
	assert_memory_equal(xsdt, "XSDT", 4);
	assert_int_equal((acpi_le(xsdt + 4, 4) - 36) % 8, 0);
	for (size_t at = 36; at < acpi_le(xsdt + 4, 4); at += 8) {
		const uint8_t *table = table_at(rig, acpi_le(xsdt + at, 8));

		if (memcmp(table, "FACP", 4) == 0)
			table_at(rig, acpi_le(table + 140, 8));
	}
}

void acpi_rig_load(struct acpi_rig *rig, const struct acpi_machine *machine)
{
	*rig = (struct acpi_rig){ 0 };
	assert_int_equal(acpi_build(machine, &rig->blobs, NULL), 0);
	run(rig);
	find_all(rig);
}

void acpi_rig_free(struct acpi_rig *rig)
{
	acpi_blobs_clear(&rig->blobs);
}

const uint8_t *acpi_rig_find(const struct acpi_rig *rig, const char *signature, size_t *ret_len)
{
	for (unsigned i = 0; i < rig->n_found; i++) {
		if (memcmp(rig->found[i].data, signature, 4) != 0)
			continue;
		if (ret_len)
			*ret_len = rig->found[i].len;
		return rig->found[i].data;
	}
	return NULL;
}

const struct acpi_rig_machine *acpi_rig_machine(unsigned which)
{
	static uint64_t mpidr[VM_MAX_VCPUS];
	static struct acpi_rig_machine m;
	static const struct {
		const char *name;
		struct memmap_args args;
		unsigned n_virtio;
	} machines[ACPI_RIG_N_MACHINES] = {
		[ACPI_RIG_STANDARD] = { "standard", { 2 * GIB, 3, 48, true }, 0 },
		[ACPI_RIG_MICRO] = { "micro", { 128 * MIB, 1, 40, false }, 3 },
		[ACPI_RIG_LARGE] = { "large", { 1024 * GIB, VM_MAX_VCPUS, 48, true }, 0 },
	};
	bool pci = machines[which].args.pci;

	/* as KVM numbers them: 16 to a cluster */
	for (unsigned i = 0; i < VM_MAX_VCPUS; i++)
		mpidr[i] = 0x80000000 | (i / 16) << 8 | i % 16;
	m.name = machines[which].name;
	assert_int_equal(memmap_init(&m.map, &machines[which].args, NULL), 0);
	m.machine = (struct acpi_machine){
		.map = &m.map,
		.mpidr = mpidr,
		.n_vcpus = machines[which].args.vcpus,
		.n_virtio = machines[which].n_virtio,
		.watchdog = which == ACPI_RIG_LARGE,
		.pmu = pci,
		.its = pci,
		.pvpanic = !pci,
	};
	return &m;
}
