/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What firmware is told beside the device tree: how large the machine is, the ACPI tables that it
 * is to hand on, and from what to boot.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "vmm/arch/acpi.h"
#include "vmm/arch/boot_order.h"
#include "vmm/arch/machine_private.h"

static int add_size(struct machine *m, struct hvd_error *err)
{
	const struct vm_config *config = m->args.config;
	const uint64_t memory = htole64(config->memory);
	const uint16_t vcpus = htole16((uint16_t)config->vcpus);
	const struct {
		enum fw_cfg_key key;
		const void *data;
		size_t len;
	} items[] = {
		{ FW_CFG_UUID, config->uuid, sizeof(config->uuid) },
		{ FW_CFG_RAM_SIZE, &memory, sizeof(memory) },
		{ FW_CFG_NB_CPUS, &vcpus, sizeof(vcpus) },
		{ FW_CFG_MAX_CPUS, &vcpus, sizeof(vcpus) },
	};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(items) && r == 0; i++)
		r = fw_cfg_add_item(m->fw_cfg, items[i].key, items[i].data, items[i].len, err);
	return r;
}

static int add_acpi(struct machine *m, struct hvd_error *err)
{
	const struct acpi_machine machine = {
		.map = &m->map,
		.mpidr = m->mpidr,
		.n_vcpus = m->vcpus.n_vcpus,
		.n_virtio = m->n_mmio,
		.pmu = m->features.pmu,
		.its = m->gic.its_fd >= 0,
		.pvpanic = m->args.config->pvpanic && !m->pci,
		.watchdog = m->args.config->watchdog != WATCHDOG_OFF,
	};
	AUTO(acpi_blobs_clear) struct acpi_blobs blobs = { 0 };
	const struct {
		const char *name;
		const struct blob *blob;
	} files[] = {
		{ ACPI_FILE_TABLES, &blobs.tables },
		{ ACPI_FILE_RSDP, &blobs.rsdp },
		{ ACPI_FILE_LOADER, &blobs.loader },
	};
	int r = acpi_build(&machine, &blobs, err);

	for (size_t i = 0; i < ARRAY_SIZE(files) && r == 0; i++)
		r = fw_cfg_add_file(m->fw_cfg, files[i].name, files[i].blob->data,
				    files[i].blob->len, err);
	return r;
}

/* virtio-mmio devices are in the order in which machine_virtio_create() makes them. */
static void collect_boot_order(const struct machine *m, struct boot_order *order)
{
	const struct vm_config *config = m->args.config;

	for (size_t i = 0; i < config->n_disks + config->n_nics; i++) {
		bool nic = i >= config->n_disks;
		size_t index = nic ? i - config->n_disks : i;
		enum machine_kind kind = nic ? MACHINE_NIC : MACHINE_DISK;

		boot_order_add(order, &(struct boot_device){
			.order = nic ? config->nics[index].boot_order
				     : config->disks[index].boot_order,
			.nic = nic,
			.pci = m->pci != NULL,
			.devfn = machine_pci_port_of(kind, (unsigned)index),
			.base = MEMMAP_VIRTIO + i * MEMMAP_VIRTIO_EACH,
		});
	}
}

static int add_boot_order(struct machine *m, struct hvd_error *err)
{
	AUTO(blob_clear) struct blob file = { 0 };
	struct boot_order order = { 0 };

	collect_boot_order(m, &order);
	if (!order.n)
		return 0;
	boot_order_write(&order, &file);
	if (file.error)
		return hvd_err(err, -file.error, "boot order: %s", strerror(-file.error));
	return fw_cfg_add_file(m->fw_cfg, BOOT_ORDER_FILE, file.data, file.len, err);
}

int machine_fw_cfg_create(struct machine *m, struct hvd_error *err)
{
	const struct boot_config *boot = &m->args.config->boot;
	int r;

	if (!boot->firmware)
		return 0;
	r = fw_cfg_new(MEMMAP_FW_CFG, m->mem, &m->fw_cfg);
	if (r < 0)
		return hvd_err(err, -r, "fw_cfg: %s", strerror(-r));
	r = mmio_bus_add(&m->bus, fw_cfg_region(m->fw_cfg), err);
	if (r == 0)
		r = add_size(m, err);
	if (r == 0 && boot->acpi)
		r = add_acpi(m, err);
	if (r == 0)
		r = add_boot_order(m, err);
	return r;
}
