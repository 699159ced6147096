/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The DSDT: the devices that ACPI knows by name. The clock (PL031) is not one of them: firmware has
 * taken it for its own time services. Nor is the GPIO controller: the power button has an interrupt
 * of its own.
 */
#include <stdio.h>

#include "vmm/arch/acpi_private.h"
#include "vmm/arch/aml.h"
#include "vmm/hw/fw_cfg.h"

/* PCI Firmware Specification 3.2 §4.5.1 */
#define OSC_PCI_UUID           "33db4d5b-1ff7-401c-9657-7441c03dd766"
#define OSC_UNKNOWN_UUID       (1u << 2)
#define OSC_UNKNOWN_REVISION   (1u << 3)
#define OSC_MASKED             (1u << 4)
#define OSC_NATIVE_HOTPLUG     (1u << 0)
#define OSC_PME                (1u << 2)
#define OSC_EXPRESS_CAPABILITY (1u << 4)

#define POWER_BUTTON         "\\_SB.PWRB"
#define POWER_BUTTON_PRESSED 0x80

static void name_int(struct aml *a, const char *name, uint64_t value)
{
	aml_name(a, name);
	aml_int(a, value);
}

static void name_string(struct aml *a, const char *name, const char *text)
{
	aml_name(a, name);
	aml_string(a, text);
}

static void name_eisa_id(struct aml *a, const char *name, const char *id)
{
	aml_name(a, name);
	aml_eisa_id(a, id);
}

static void begin_crs(struct aml *a)
{
	aml_name(a, "_CRS");
	aml_begin_resources(a);
}

static void add_cpus(struct aml *a, unsigned n)
{
	char name[16];

	for (unsigned i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "C%03X", i);
		aml_begin_device(a, name);
		name_string(a, "_HID", "ACPI0007");
		name_int(a, "_UID", i);
		aml_end(a);
	}
}

static void add_uart(struct aml *a)
{
	aml_begin_device(a, "COM0");
	name_string(a, "_HID", "ARMH0011");
	name_int(a, "_UID", 0);
	begin_crs(a);
	aml_memory32_fixed(a, MEMMAP_PL011, MEMMAP_PERIPH_SIZE);
	aml_interrupt(a, SPI_TO_INTID(SPI_PL011), false);
	aml_end(a);
	aml_end(a);
}

static void add_fw_cfg(struct aml *a)
{
	aml_begin_device(a, "FWCF");
	name_string(a, "_HID", "QEMU0002");
	name_int(a, "_STA", 0x0b); /* works, and is not shown to the user */
	name_int(a, "_CCA", 1);
	begin_crs(a);
	aml_memory32_fixed(a, MEMMAP_FW_CFG, FW_CFG_SIZE);
	aml_end(a);
	aml_end(a);
}

static void add_pvpanic(struct aml *a)
{
	aml_begin_device(a, "PEVT");
	name_string(a, "_HID", "QEMU0001");
	begin_crs(a);
	aml_memory32_fixed(a, MEMMAP_PVPANIC, MEMMAP_PERIPH_SIZE);
	aml_end(a);
	aml_end(a);
}

static void add_virtio(struct aml *a, unsigned i)
{
	char name[16];

	snprintf(name, sizeof(name), "VR%02u", i);
	aml_begin_device(a, name);
	name_string(a, "_HID", "LNRO0005");
	name_int(a, "_UID", i);
	name_int(a, "_CCA", 1);
	begin_crs(a);
	aml_memory32_fixed(a, MEMMAP_VIRTIO + i * MEMMAP_VIRTIO_EACH, MEMMAP_VIRTIO_EACH);
	aml_interrupt(a, SPI_TO_INTID(SPI_VIRTIO + i), true);
	aml_end(a);
	aml_end(a);
}

/*
 * One statement of AML a line: the operator and its operands. _OSC's first word tells what went
 * wrong.
 */
static void report(struct aml *a, unsigned bits)
{
	aml_op(a, AML_OR), aml_ref(a, "CDW1"), aml_int(a, bits), aml_ref(a, "CDW1");
}

/*
 * _OSC (uuid, revision, count, words): of what the system asks to control itself, it gets hotplug,
 * power events and the PCIe capability. Error reporting it does not: no device has any.
 */
static void add_osc(struct aml *a)
{
	aml_begin_method(a, "_OSC", 4);
	aml_op(a, AML_CREATE_DWORD_FIELD), aml_arg(a, 3), aml_int(a, 0), aml_ref(a, "CDW1");
	aml_begin_if(a);
	aml_op(a, AML_EQUAL), aml_arg(a, 0), aml_uuid(a, OSC_PCI_UUID);

	aml_op(a, AML_CREATE_DWORD_FIELD), aml_arg(a, 3), aml_int(a, 8), aml_ref(a, "CDW3");
	aml_op(a, AML_AND), aml_ref(a, "CDW3");
	aml_int(a, OSC_NATIVE_HOTPLUG | OSC_PME | OSC_EXPRESS_CAPABILITY);
	aml_local(a, 0);

	aml_begin_if(a);
	aml_op(a, AML_NOT), aml_op(a, AML_EQUAL), aml_arg(a, 1), aml_int(a, 1);
	report(a, OSC_UNKNOWN_REVISION);
	aml_end(a);
	aml_begin_if(a);
	aml_op(a, AML_NOT), aml_op(a, AML_EQUAL), aml_ref(a, "CDW3"), aml_local(a, 0);
	report(a, OSC_MASKED);
	aml_end(a);
	aml_op(a, AML_STORE), aml_local(a, 0), aml_ref(a, "CDW3");

	aml_end(a);
	aml_begin_else(a);
	report(a, OSC_UNKNOWN_UUID);
	aml_end(a);
	aml_op(a, AML_RETURN), aml_arg(a, 3);
	aml_end(a);
}

static void add_pci_windows(struct aml *a, const struct memmap *map)
{
	begin_crs(a);
	aml_window(a, AML_BUS, 2, 0, map->ecam.size / MEMMAP_PCI_BUS_SIZE, 0);
	aml_window(a, AML_MEMORY, 4, MEMMAP_PCI_MMIO32, MEMMAP_PCI_MMIO32_SIZE, 0);
	aml_window(a, AML_IO, 4, 0, MEMMAP_PCI_PIO_SIZE, MEMMAP_PCI_PIO);
	if (map->mmio64.size)
		aml_window(a, AML_MEMORY, 8, map->mmio64.base, map->mmio64.size, 0);
	aml_end(a);
}

/* The configuration space is nobody else's: a motherboard resource (PCI Firmware 3.2 §4.1.2). */
static void add_ecam(struct aml *a, const struct memmap_range *ecam)
{
	aml_begin_device(a, "RES0");
	name_eisa_id(a, "_HID", "PNP0C02");
	name_int(a, "_UID", 0);
	begin_crs(a);
	aml_memory64(a, ecam->base, ecam->size);
	aml_end(a);
	aml_end(a);
}

/* No _PRT: no device has an INTx pin. */
static void add_pci(struct aml *a, const struct memmap *map)
{
	aml_begin_device(a, "PCI0");
	name_eisa_id(a, "_HID", "PNP0A08");
	name_eisa_id(a, "_CID", "PNP0A03");
	name_int(a, "_SEG", 0);
	name_int(a, "_BBN", 0);
	name_int(a, "_UID", 0);
	name_int(a, "_CCA", 1);
	name_int(a, "_CBA", map->ecam.base);
	add_pci_windows(a, map);
	add_osc(a);
	add_ecam(a, &map->ecam);
	aml_end(a);
}

/* A Generic Event Device (ACPI 6.3 §5.6.9) makes a press of the button of the interrupt. */
static void add_power_button(struct aml *a)
{
	aml_begin_device(a, "PWRB");
	name_eisa_id(a, "_HID", "PNP0C0C");
	name_int(a, "_UID", 0);
	aml_end(a);

	aml_begin_device(a, "GED0");
	name_string(a, "_HID", "ACPI0013");
	name_int(a, "_UID", 0);
	begin_crs(a);
	aml_interrupt(a, SPI_TO_INTID(SPI_POWER_BUTTON), true);
	aml_end(a);
	aml_begin_method(a, "_EVT", 1);
	aml_begin_if(a);
	aml_op(a, AML_EQUAL), aml_arg(a, 0), aml_int(a, SPI_TO_INTID(SPI_POWER_BUTTON));
	aml_op(a, AML_NOTIFY), aml_ref(a, POWER_BUTTON), aml_int(a, POWER_BUTTON_PRESSED);
	aml_end(a);
	aml_end(a);
	aml_end(a);
}

void acpi_write_dsdt(struct acpi_writer *w)
{
	const struct acpi_machine *m = w->machine;
	struct aml a = { .out = &w->out->tables };

	w->dsdt = acpi_begin(w, "DSDT", 2);
	aml_begin_scope(&a, "\\_SB");
	add_cpus(&a, m->n_vcpus);
	add_uart(&a);
	add_fw_cfg(&a);
	if (m->pvpanic)
		add_pvpanic(&a);
	for (unsigned i = 0; i < m->n_virtio; i++)
		add_virtio(&a, i);
	if (m->map->ecam.size)
		add_pci(&a, m->map);
	add_power_button(&a);
	aml_end(&a);
	acpi_end(w, w->dsdt);
}
