/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the machine share; nobody else includes this.
 *
 *	machine.c          the machine: guest RAM, vCPUs, GIC, boot; its life
 *	machine_hw.c       platform devices, each at its place
 *	machine_care.c     pvpanic and watchdog
 *	machine_fw_cfg.c   what firmware is told: ACPI tables, boot order
 *	machine_virtio.c   virtio devices, made from the configuration and plugged in
 *	machine_count.c    what all of them count
 *	machine_update.c   disks and NICs that change, come and go while the guest runs
 *	machine_pci.c      their places on PCI Express, behind a header of its own
 */
#pragma once

#include <stdatomic.h>

#include "vmm/arch/balloon_report.h"
#include "vmm/arch/io_fault.h"
#include "vmm/arch/machine.h"
#include "vmm/arch/machine_pci.h"
#include "vmm/arch/memmap.h"
#include "vmm/arch/steal_time.h"
#include "vmm/hw/flash.h"
#include "vmm/hw/fw_cfg.h"
#include "vmm/hw/pl011.h"
#include "vmm/hw/pl031.h"
#include "vmm/hw/power_button.h"
#include "vmm/hw/pvpanic.h"
#include "vmm/hw/sbsa_gwdt.h"
#include "vmm/kvm/gic.h"
#include "vmm/kvm/stats.h"
#include "vmm/virtio/mmio.h"

/* A wire from a device to an SPI. */
struct machine_irq {
	struct irq_line line;
	int vm_fd;
	uint32_t spi;
};

/* Guest memory: KVM's slots. */
enum machine_slot {
	MACHINE_SLOT_RAM,
	MACHINE_SLOT_FLASH_CODE,
	MACHINE_SLOT_FLASH_VARS,
	MACHINE_SLOT_STEAL_TIME,
};

struct machine_flash {
	struct flash_window window;
	struct kvm_vm *vm;
	enum machine_slot slot;
	struct flash flash;
};

/* The device is owned by its transport. */
struct machine_virtio {
	struct virtio_dev *dev;
	char id[VM_ID_MAX + 1]; /* of a disk or NIC */
	machine_detached_fn detached; /* to be told when the guest has let go of it, or NULL */
	void *ctx;
};

struct machine {
	struct machine_args args;
	struct memmap map;
	struct kvm_vm vm;
	struct kvm_routes routes;
	struct gic gic;
	struct guest_mem *mem;
	struct steal_time steal_time;
	struct mmio_bus bus;
	struct kvm_vcpu_features features;
	struct kvm_stats_layout stats;
	struct vcpu_threads vcpus;
	uint64_t *mpidr; /* of each vCPU */
	bool held; /* devices are quiesced */

	struct machine_irq uart_irq, rtc_irq, gpio_irq, button_irq;
	struct pl011 uart;
	struct pl031 rtc;
	struct pl061 gpio;
	struct power_button button;
	struct pvpanic pvpanic;
	_Atomic unsigned panic_events; /* that the main loop has not seen yet */
	struct loop_work panicked;
	struct machine_irq watchdog_irq;
	struct sbsa_gwdt_clock watchdog_clock;
	uint64_t counter_offset; /* of the guest's counter from the host's */
	struct sbsa_gwdt watchdog;
	struct machine_flash code, vars; /* with firmware */
	struct fw_cfg *fw_cfg; /* with firmware */

	struct io_fault io_fault;
	struct balloon_report balloon_report; /* zero: there is no balloon */
	struct machine_virtio virtio[MEMMAP_MAX_VIRTIO];
	unsigned n_virtio;
	struct virtio_mmio mmio[MEMMAP_MAX_VIRTIO];
	unsigned n_mmio;
	struct machine_pci *pci; /* NULL: profile micro */
};

void machine_count_create(struct machine *m); /* after the vCPUs */

int machine_hw_create(struct machine *m, struct hvd_error *err);
void machine_hw_destroy(struct machine *m);

/* machine_care.c: what watches over the guest; after vCPUs and PCI have been made. */
int machine_care_create(struct machine *m, struct hvd_error *err);
void machine_care_destroy(struct machine *m);
struct machine_irq machine_irq(struct machine *m, uint32_t spi);

/* With firmware: fw_cfg, and what is in it. All other devices are there. */
int machine_fw_cfg_create(struct machine *m, struct hvd_error *err);

/*
 * All virtio devices of the configuration. Destroying them is their transports' (machine_free()).
 */
int machine_virtio_create(struct machine *m, struct hvd_error *err);

/* A device to be plugged in and remembered. Descriptors stay the caller's. */
int machine_virtio_disk(struct machine *m, const struct disk_config *disk, int fd,
			struct virtio_dev **ret, struct hvd_error *err);
int machine_virtio_nic(struct machine *m, const struct nic_config *nic,
		       const struct nic_files *files, struct virtio_dev **ret,
		       struct hvd_error *err);
/* id: of a disk or NIC, or NULL. */
void machine_virtio_remember(struct machine *m, struct virtio_dev *dev, const char *id);

int machine_duplicate(int fd, int *ret, struct hvd_error *err);

/* Give the device its part of the configuration; what can change while the guest runs does. */
int machine_virtio_update_disk(struct virtio_dev *dev, const struct disk_config *disk,
			       struct hvd_error *err);
int machine_virtio_update_nic(struct virtio_dev *dev, const struct nic_config *nic,
			      struct hvd_error *err);

/* The same for those of which a machine has one. */
int machine_virtio_update_singles(struct machine *m, const struct vm_config *config,
				  struct hvd_error *err);

/* machine_pci's, on the main loop; dev may be a mere name by now. */
void machine_on_detached(void *ctx, const struct virtio_dev *dev, int r);
/* The machine is being freed. */
void machine_cancel_detachments(struct machine *m);
