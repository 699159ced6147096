/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file "bootorder" of fw_cfg: from which disks and NICs firmware is to boot, the first first, as
 * paths of Open Firmware, a line each (QEMU hw/core/fw-path-provider.c; UEFI's QemuBootOrderLib and
 * U-Boot's bootmeth qfw read them).
 */
#pragma once

#include <stdbool.h>

#include "vmm/base/blob.h"

#define BOOT_ORDER_FILE "bootorder"
#define BOOT_ORDER_MAX  32

struct boot_device {
	uint32_t order; /* 1: before all others; 0: not to boot from */
	bool nic;       /* or a disk */
	bool pci;       /* behind the root port at devfn of bus 0, or virtio-mmio at base */
	uint8_t devfn;
	uint64_t base;
};

struct boot_order {
	struct boot_device devices[BOOT_ORDER_MAX]; /* by their order */
	unsigned n;
};

/* Those that are not to boot from are left out. */
void boot_order_add(struct boot_order *order, const struct boot_device *device);

/* Nothing where there is no device. */
void boot_order_write(const struct boot_order *order, struct blob *out);
