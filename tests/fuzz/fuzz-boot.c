/* SPDX-License-Identifier: Apache-2.0 */
/* A whole kernel file, plain or compressed, that is loaded into the RAM of a small VM. */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmm/arch/boot.h"
#include "vmm/base/macro.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RAM_BASE 0x40000000ULL
#define RAM_SIZE (8 * MIB)

static void check(const struct guest_mem *mem, const struct boot_layout *layout)
{
	if (!guest_mem_ptr(mem, layout->entry, 64) ||
	    !guest_mem_ptr(mem, layout->fdt, BOOT_FDT_SIZE) || layout->fdt <= layout->entry ||
	    !IS_ALIGNED(layout->fdt, 2 * MIB))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char name[] = "kernel";
	struct boot_config config = { .kernel = name };
	struct boot_layout layout;
	struct guest_mem *mem;
	int fd = memfd_create(name, MFD_CLOEXEC);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size ||
	    guest_mem_new(RAM_BASE, RAM_SIZE, &mem) < 0)
		abort();
	if (boot_load(&config, fd, -1, mem, &layout, NULL) == 0)
		check(mem, &layout);
	guest_mem_free(mem);
	close(fd);
	return 0;
}
