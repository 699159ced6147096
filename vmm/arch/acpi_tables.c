/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of numbers. Sections are those of ACPI 6.3 unless another document is named. */
#include <errno.h>

#include "vmm/arch/acpi_private.h"
#include "vmm/base/macro.h"

#define put(w, value, bytes) blob_put_le(&(w)->out->tables, (value), (bytes))
#define put_zeros(w, bytes)  blob_put_zeros(&(w)->out->tables, (bytes))

#define FADT_PROFILE_SERVER     4
#define FADT_POWER_BUTTON       (1u << 4) /* is a control method device */
#define FADT_SLEEP_BUTTON       (1u << 5) /* there is none of the fixed kind */
#define FADT_HARDWARE_REDUCED   (1u << 20)
#define FADT_ARM_PSCI           (1u << 0)
#define FADT_ARM_PSCI_BY_HVC    (1u << 1)
#define FADT_SIZE               276

/* Affinity fields of an MPIDR, as MADT has them (§5.2.12.14). */
#define MPIDR_AFFINITY 0xff00ffffffULL

#define GTDT_ALWAYS_ON (1u << 2) /* and level, active high */

#define PPTT_PACKAGE       (1u << 0)
#define PPTT_HAS_PROCESSOR (1u << 1)
#define PPTT_LEAF          (1u << 3)
#define PPTT_IDENTICAL     (1u << 4)

static void list(struct acpi_writer *w, uint32_t table)
{
	if (w->n_listed < ACPI_MAX_TABLES)
		w->listed[w->n_listed++] = table;
	else if (!w->out->tables.error)
		w->out->tables.error = -ENOSPC;
}

/* Up to a field of this offset, all is 0: hardware that a hardware-reduced machine has not. */
static void skip_to(struct acpi_writer *w, uint32_t table, size_t offset)
{
	put_zeros(w, table + offset - w->out->tables.len);
}

/* §5.2.9 */
static void write_fadt(struct acpi_writer *w)
{
	uint32_t t = acpi_begin(w, "FACP", 6);

	list(w, t);
	skip_to(w, t, 45);
	put(w, FADT_PROFILE_SERVER, 1);
	skip_to(w, t, 112);
	put(w, FADT_HARDWARE_REDUCED | FADT_POWER_BUTTON | FADT_SLEEP_BUTTON, 4);
	skip_to(w, t, 129);
	put(w, FADT_ARM_PSCI | FADT_ARM_PSCI_BY_HVC, 2);
	put(w, 3, 1); /* minor version */
	skip_to(w, t, 140);
	acpi_put_address(w, w->dsdt);
	skip_to(w, t, FADT_SIZE);
	acpi_end(w, t);
}

/* Interrupt controller structures (§5.2.12). */
static void put_gicc(struct acpi_writer *w, unsigned i)
{
	const struct acpi_machine *m = w->machine;

	put(w, 0x0b, 1);
	put(w, 80, 1);
	put(w, 0, 2);
	put(w, i, 4); /* interface number */
	put(w, i, 4); /* _UID of the processor */
	put(w, 1, 4); /* enabled */
	put(w, 0, 4); /* no parking protocol */
	put(w, m->pmu ? PPI_TO_INTID(PPI_PMU) : 0, 4);
	put_zeros(w, 4 * 8); /* parked address, GICC, GICV, GICH: none with GICv3 */
	put(w, PPI_TO_INTID(PPI_GIC_MAINTENANCE), 4);
	put(w, 0, 8); /* GICR: in structures of its own */
	put(w, m->mpidr[i] & MPIDR_AFFINITY, 8);
	put_zeros(w, 4); /* efficiency class, SPE */
}

static void put_gicd(struct acpi_writer *w)
{
	put(w, 0x0c, 1);
	put(w, 24, 1);
	put(w, 0, 2);
	put(w, 0, 4); /* id */
	put(w, MEMMAP_GICD, 8);
	put(w, 0, 4);
	put(w, 3, 1); /* GICv3 */
	put_zeros(w, 3);
}

static void put_gicr(struct acpi_writer *w, uint64_t base, unsigned n)
{
	if (!n)
		return;
	put(w, 0x0e, 1);
	put(w, 16, 1);
	put(w, 0, 2);
	put(w, base, 8);
	put(w, n * MEMMAP_GICR_EACH, 4);
}

static void put_its(struct acpi_writer *w)
{
	put(w, 0x0f, 1);
	put(w, 20, 1);
	put(w, 0, 2);
	put(w, 0, 4); /* id */
	put(w, MEMMAP_ITS, 8);
	put(w, 0, 4);
}

static void write_madt(struct acpi_writer *w)
{
	const struct acpi_machine *m = w->machine;
	uint32_t t = acpi_begin(w, "APIC", 5);

	list(w, t);
	put(w, 0, 4); /* local interrupt controller: none */
	put(w, 0, 4);
	put_gicd(w);
	for (unsigned i = 0; i < m->n_vcpus; i++)
		put_gicc(w, i);
	put_gicr(w, MEMMAP_GICR, m->map->n_gicr_low);
	put_gicr(w, m->map->gicr_high, m->map->n_gicr_high);
	if (m->its)
		put_its(w);
	acpi_end(w, t);
}

/* §5.2.24.1.2: generic watchdog; its interrupt is level, active high, not secure */
#define GTDT_WATCHDOG_SIZE 28
static void put_watchdog(struct acpi_writer *w)
{
	put(w, 1, 1);
	put(w, GTDT_WATCHDOG_SIZE, 2);
	put(w, 0, 1);
	put(w, MEMMAP_WATCHDOG_REFRESH, 8);
	put(w, MEMMAP_WATCHDOG_CONTROL, 8);
	put(w, SPI_TO_INTID(SPI_WATCHDOG), 4);
	put(w, 0, 4);
}

/* §5.2.24 */
#define GTDT_SIZE 96
static void write_gtdt(struct acpi_writer *w)
{
	static const uint8_t timers[] = { PPI_TIMER_SECURE, PPI_TIMER_PHYS, PPI_TIMER_VIRT,
					  PPI_TIMER_HYP };
	uint32_t t = acpi_begin(w, "GTDT", 2);

	list(w, t);
	put(w, UINT64_MAX, 8); /* counter control block: none in memory */
	put(w, 0, 4);
	for (unsigned i = 0; i < ARRAY_SIZE(timers); i++) {
		put(w, PPI_TO_INTID(timers[i]), 4);
		put(w, GTDT_ALWAYS_ON, 4);
	}
	put(w, UINT64_MAX, 8); /* counter read block: none */
	put(w, w->machine->watchdog, 4); /* platform timers, and where in the table they begin */
	put(w, w->machine->watchdog ? GTDT_SIZE : 0, 4);
	if (w->machine->watchdog)
		put_watchdog(w);
	acpi_end(w, t);
}

/* PCI Firmware Specification 3.2 §4.1.2 */
static void write_mcfg(struct acpi_writer *w)
{
	const struct memmap_range *ecam = &w->machine->map->ecam;
	uint32_t t;

	if (!ecam->size)
		return;
	t = acpi_begin(w, "MCFG", 1);
	list(w, t);
	put_zeros(w, 8);
	put(w, ecam->base, 8);
	put(w, 0, 2); /* segment */
	put(w, 0, 1); /* first bus */
	put(w, ecam->size / MEMMAP_PCI_BUS_SIZE - 1, 1);
	put_zeros(w, 4);
	acpi_end(w, t);
}

/* Generic Address Structure (§5.2.3.2) of a 32-bit register in memory. */
static void put_register(struct acpi_writer *w, uint64_t address)
{
	put(w, 0, 1);  /* memory */
	put(w, 32, 1); /* bits */
	put(w, 0, 1);
	put(w, 3, 1); /* accessed by 32 bits */
	put(w, address, 8);
}

/* Serial Port Console Redirection Table, revision 1.03 */
static void write_spcr(struct acpi_writer *w)
{
	uint32_t t = acpi_begin(w, "SPCR", 2);

	list(w, t);
	put(w, 3, 1); /* PL011 */
	put_zeros(w, 3);
	put_register(w, MEMMAP_PL011);
	put(w, 1u << 3, 1); /* GIC interrupt */
	put(w, 0, 1);
	put(w, SPI_TO_INTID(SPI_PL011), 4);
	put(w, 7, 1); /* 115200 baud */
	put(w, 0, 1); /* parity */
	put(w, 1, 1); /* stop bits */
	put(w, 0, 1); /* flow control */
	put(w, 2, 1); /* VT-UTF8 */
	put(w, 0, 1);
	put(w, 0xffff, 2); /* no PCI device */
	put(w, 0xffff, 2);
	put_zeros(w, 12);
	acpi_end(w, t);
}

/* Debug Port Table 2 */
static void write_dbg2(struct acpi_writer *w)
{
	static const char path[] = "\\_SB.COM0";
	uint32_t t = acpi_begin(w, "DBG2", 0);

	list(w, t);
	put(w, 44, 4); /* offset and number of the devices */
	put(w, 1, 4);
	put(w, 0, 1);
	put(w, 22 + 12 + 4 + sizeof(path), 2);
	put(w, 1, 1); /* registers */
	put(w, sizeof(path), 2);
	put(w, 22 + 12 + 4, 2); /* where the path is */
	put(w, 0, 2);
	put(w, 0, 2);
	put(w, 0x8000, 2); /* serial */
	put(w, 3, 2);      /* PL011 */
	put(w, 0, 2);
	put(w, 22, 2);      /* where the address is */
	put(w, 22 + 12, 2); /* and the size */
	put_register(w, MEMMAP_PL011);
	put(w, MEMMAP_PERIPH_SIZE, 4);
	blob_put(&w->out->tables, path, sizeof(path));
	acpi_end(w, t);
}

/* IO Remapping Table (Arm DEN 0049): requester ids are the ITS's device ids. */
static void write_iort(struct acpi_writer *w)
{
	enum { HEADER = 48, ITS_GROUP = 24, ROOT_COMPLEX = 36, MAPPING = 20 };
	uint32_t t;

	if (!w->machine->its || !w->machine->map->ecam.size)
		return;
	t = acpi_begin(w, "IORT", 0);
	list(w, t);
	put(w, 2, 4); /* nodes */
	put(w, HEADER, 4);
	put(w, 0, 4);

	put(w, 0, 1); /* ITS group */
	put(w, ITS_GROUP, 2);
	put_zeros(w, 1 + 4 + 4 + 4); /* no mappings */
	put(w, 1, 4);                /* one ITS, */
	put(w, 0, 4);                /* with this id in the MADT */

	put(w, 2, 1); /* root complex */
	put(w, ROOT_COMPLEX + MAPPING, 2);
	put(w, 1, 1); /* revision */
	put(w, 0, 4);
	put(w, 1, 4); /* one mapping */
	put(w, ROOT_COMPLEX, 4);
	put(w, 1, 4); /* cache coherent */
	put_zeros(w, 3);
	put(w, 3, 1);  /* all memory, whatever its attributes */
	put(w, 0, 4);  /* no ATS */
	put(w, 0, 4);  /* segment */
	put(w, 64, 1); /* bits of an address */
	put_zeros(w, 3);

	put(w, 0, 4);      /* from id 0, */
	put(w, 0xffff, 4); /* this many and one more */
	put(w, 0, 4);      /* to id 0 */
	put(w, HEADER, 4); /* of the ITS group */
	put(w, 0, 4);
	acpi_end(w, t);
}

/* §5.2.29.1 */
static void put_processor(struct acpi_writer *w, uint32_t flags, uint32_t parent, uint32_t id)
{
	put(w, 0, 1);
	put(w, 20, 1);
	put(w, 0, 2);
	put(w, flags, 4);
	put(w, parent, 4);
	put(w, id, 4);
	put(w, 0, 4); /* caches */
}

/* One package; each vCPU is a core of it. */
static void write_pptt(struct acpi_writer *w)
{
	uint32_t t = acpi_begin(w, "PPTT", 2);

	list(w, t);
	put_processor(w, PPTT_PACKAGE | PPTT_IDENTICAL, 0, 0);
	for (unsigned i = 0; i < w->machine->n_vcpus; i++)
		put_processor(w, PPTT_HAS_PROCESSOR | PPTT_LEAF, ACPI_HEADER_SIZE, i);
	acpi_end(w, t);
}

void acpi_write_tables(struct acpi_writer *w)
{
	write_fadt(w);
	write_madt(w);
	write_gtdt(w);
	write_mcfg(w);
	write_spcr(w);
	write_dbg2(w);
	write_iort(w);
	write_pptt(w);
}
