/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bus cycles of a flash bank, and resets between them. Each step is eight bytes: what (below 0x40 a
 * read, below 0xf0 a write, else a reset), length exponent, offset in units of 16 bytes (2 bytes),
 * value (3 bytes), low bits of the offset. The store ends in the middle of what offsets can reach.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmm/base/macro.h"
#include "vmm/hw/flash.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STORE (2 * FLASH_BLOCK)

struct target {
	struct flash_window window;
	bool open;
	struct flash flash;
};

static int set_window(struct flash_window *window, const void *array)
{
	struct target *t = container_of(window, struct target, window);

	/* it is moved only when it has to be */
	if (t->open == (array != NULL))
		abort();
	t->open = array != NULL;
	return 0;
}

static void power_on(struct target *t, int fd, bool writable)
{
	t->open = false;
	if (flash_init(&t->flash, "flash", 0, fd, writable, &t->window) < 0)
		abort();
}

static void step(struct target *t, const uint8_t data[static 8])
{
	struct mmio_region *region = &t->flash.region;
	unsigned len = 1u << (data[1] & 3);
	uint64_t offset = (uint64_t)(data[2] | data[3] << 8) * 16 + (data[7] & 15);
	uint64_t value = (uint64_t)(data[4] | data[5] << 8 | data[6] << 16) * 0x10001;

	if (data[0] < 0x40)
		region->read(region, offset, len);
	else
		region->write(region, offset, value, len);
	if (t->open != (t->flash.output == FLASH_ARRAY) || !(t->flash.status & 0x80))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct target t = { .window = { set_window } };
	bool writable = size && data[0] & 1;
	int fd = memfd_create("flash", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, STORE) < 0)
		abort();
	power_on(&t, fd, writable);
	for (; size >= 8; data += 8, size -= 8) {
		if (data[0] < 0xf0) {
			step(&t, data);
			continue;
		}
		flash_destroy(&t.flash);
		power_on(&t, fd, writable);
	}
	if (lseek(fd, 0, SEEK_END) != (off_t)STORE)
		abort();
	flash_destroy(&t.flash);
	close(fd);
	return 0;
}
