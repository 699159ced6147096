/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QEMU's firmware configuration device on MMIO, with DMA (QEMU docs/specs/fw_cfg): items that
 * firmware reads by a number, or by a name through the directory of files. ACPI tables and the boot
 * order reach firmware this way.
 *
 *	base + 0   data      1 … 8 bytes of the selected item, in order
 *	base + 8   selector  16 bits, big-endian; the item is read from its beginning
 *	base + 16  DMA       64 bits, big-endian: address of a descriptor in guest RAM. A write
 *	                     of the low half, or of both, starts it; it is done when the write is.
 *
 * The guest writes no item: a DMA write is answered with the error bit. Past the end of an item,
 * and of an item that is not there, zeros are read.
 *
 * Items are added while no vCPU runs; registers are accessed by vCPU threads: one lock.
 */
#pragma once

#include "vmm/base/cleanup.h"
#include "vmm/base/err.h"
#include "vmm/bus/mmio.h"
#include "vmm/mem/guest_mem.h"

#define FW_CFG_SIZE      0x18 /* of the registers */
#define FW_CFG_MAX_FILES 32
#define FW_CFG_NAME_MAX  56 /* bytes with the NUL */

/* What one DMA may read at most: larger requests fail. */
#define FW_CFG_DMA_MAX (16 * 1024 * 1024)

/* Numbers of the items that are no files. */
enum fw_cfg_key {
	FW_CFG_SIGNATURE = 0x00, /* "QEMU" */
	FW_CFG_ID = 0x01,        /* 1: these registers, 2: DMA */
	FW_CFG_UUID = 0x02,
	FW_CFG_RAM_SIZE = 0x03,  /* 8 bytes */
	FW_CFG_NB_CPUS = 0x05,   /* 2 bytes */
	FW_CFG_MAX_CPUS = 0x0f,  /* 2 bytes */
	FW_CFG_FILE_DIR = 0x19,
	FW_CFG_FILE_FIRST = 0x20,
};

struct fw_cfg;

/*
 * mem stays the caller's and must outlive the device. Signature, id and an empty directory are
 * there.
 */
int fw_cfg_new(uint64_t base, const struct guest_mem *mem, struct fw_cfg **ret);
struct fw_cfg *fw_cfg_free(struct fw_cfg *cfg);
DEFINE_AUTO(struct fw_cfg *, fw_cfg_free);

struct mmio_region *fw_cfg_region(struct fw_cfg *cfg);

/*
 * Add an item, bytes copied, or a file. -ENOMEM; -EEXIST: there is one of this key or name;
 * -ENOSPC: too many files; -ENAMETOOLONG.
 */
int fw_cfg_add_item(struct fw_cfg *cfg, enum fw_cfg_key key, const void *data, size_t len,
		    struct hvd_error *err);
int fw_cfg_add_file(struct fw_cfg *cfg, const char *name, const void *data, size_t len,
		    struct hvd_error *err);
