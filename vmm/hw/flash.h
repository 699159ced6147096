/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parallel NOR flash with the Intel command set (JEDEC JESD68.01 CFI, JEP137 vendor set 0x0001; the
 * commands and the status register as in the P30 datasheet): a bank of two 16-bit chips side by side,
 * 64 MiB in blocks of 256 KiB, as firmware for QEMU's `virt` expects it. The two chips work in step:
 * a command is what the lower one is sent, and both answer the same.
 *
 * The array is a mapping of a file, which the guest sees by a window: a read-only piece of guest
 * memory, so that it reads and runs code from flash without an exit. A write always exits to here.
 * While the chips answer with something else (status, identification, CFI) the window is shut, and
 * reads exit too. Nobody but the guest's CPUs gets at flash: it is no guest RAM (vmm/mem/guest_mem.h).
 *
 * A chip that is ready has done what it was told: programming and erasing write the file and wait until
 * the disk has it (fdatasync) before the status register says so, because firmware journals its
 * variables in the order of its writes. That survives an end of the process and of the host at any time;
 * what is under way then is undefined in its block, as on hardware. Errors of the file are the chip's.
 *
 * Registers are accessed by vCPU threads: one lock. Program buffer, status and lock bits begin anew
 * with a new machine.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/base/macro.h"
#include "vmm/bus/mmio.h"

#define FLASH_SIZE   (64 * MIB)
#define FLASH_BLOCK  (256 * KIB)
#define FLASH_BUFFER 4096 /* most bytes that are programmed at once, both chips */

/*
 * The array appears in guest memory at the bank's base (FLASH_SIZE bytes, read-only), or with NULL is
 * there no more: then reads exit. 0 or -errno, and nothing has changed.
 */
struct flash_window {
	int (*set)(struct flash_window *window, const void *array);
};

struct flash {
	struct mmio_region region;
	struct flash_window *window;
	const uint8_t *array;
	int fd;              /* -1: write-protected */
	uint64_t store_size; /* bytes from the start that can be written */

	pthread_mutex_t lock;
	bool open; /* the window */
	enum flash_output { FLASH_ARRAY, FLASH_STATUS, FLASH_ID, FLASH_CFI } output;
	enum flash_state {
		FLASH_READY,
		FLASH_PROGRAM,
		FLASH_ERASE,
		FLASH_LOCK,
		FLASH_BUFFER_COUNT,
		FLASH_BUFFER_DATA,
		FLASH_BUFFER_CONFIRM,
	} state; /* what the next write is taken for */
	uint8_t status;
	uint8_t locked[FLASH_SIZE / FLASH_BLOCK];

	uint8_t buffer[FLASH_BUFFER];
	uint64_t buffer_at;  /* where it goes, aligned to its size; UINT64_MAX: not known yet */
	unsigned words_left; /* bus words that are still to come */
};

/*
 * The file's content is the array's; what the file does not fill reads as zeroes and cannot be
 * written. writable: the file is written too, whose size is then a multiple of FLASH_BLOCK. fd is the
 * caller's and must outlive the device, as window must. -EFBIG: larger than the bank; -EINVAL: empty, or
 * not of whole blocks; -errno. The region is the caller's to put on a bus.
 */
int flash_init(struct flash *flash, const char *name, uint64_t base, int fd, bool writable,
	       struct flash_window *window);

/* No vCPU runs; the window's guest memory is gone. No-op on a zeroed struct. */
void flash_destroy(struct flash *flash);
