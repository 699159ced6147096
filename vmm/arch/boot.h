/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Boot of firmware, or directly of an arm64 kernel (Documentation/arch/arm64/booting.rst): puts kernel,
 * device tree and initrd into guest RAM and says where a vCPU has to start.
 *
 *	RAM + text_offset  kernel Image, image_size bytes
 *	next 2 MiB         device tree, BOOT_FDT_SIZE
 *	right behind       initrd
 */
#pragma once

#include "vmm/arch/fdt.h"
#include "vmm/base/err.h"
#include "vmm/config.h"
#include "vmm/mem/guest_mem.h"

#define BOOT_FDT_SIZE (256 * KIB)

struct boot_layout {
	uint64_t entry; /* PC of the first vCPU */
	uint64_t fdt;   /* its x0 */
	uint64_t initrd, initrd_size;
};

/*
 * Load kernel and initrd (-1: none) from their descriptors, which stay the caller's; config is for
 * names in errors. No vCPU runs. -ENOEXEC: not an arm64 Image; -EBADMSG: truncated or damaged;
 * -ENOSPC: too large for the memory; -errno. err names "boot.kernel" or "boot.initrd".
 */
int boot_load(const struct boot_config *config, int kernel, int initrd, struct guest_mem *mem,
	      struct boot_layout *ret, struct hvd_error *err);

/*
 * Boot of firmware in flash: it begins at the first byte and finds the device tree at the start of RAM,
 * as on QEMU's `virt`. -ENOSPC: too little memory.
 */
int boot_firmware(struct guest_mem *mem, struct boot_layout *ret, struct hvd_error *err);

/*
 * Write the device tree to where boot_load() or boot_firmware() has left room for it. Fills in command line, initrd,
 * memory and seeds; the rest of machine is the caller's.
 */
int boot_write_fdt(const struct boot_config *config, const struct boot_layout *layout,
		   struct fdt_machine *machine, struct guest_mem *mem, struct hvd_error *err);
