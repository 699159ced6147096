/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registers and DMA of fw_cfg. The input: 16 bytes for each step. The first says what it is (0:
 * read, 1: write, else: put the rest where descriptors are), the second the width; then the offset
 * and eight bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "vmm/base/macro.h"
#include "vmm/hw/fw_cfg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RAM        0x40000000ULL
#define RAM_SIZE   (64 * KIB)
#define DESCRIPTOR (RAM + 0x1000)

struct step {
	uint8_t what, width;
	uint16_t offset, slot, unused;
	uint64_t value;
};

static void run(struct fw_cfg *cfg, const struct guest_mem *mem, const struct step *step)
{
	struct mmio_region *region = fw_cfg_region(cfg);
	unsigned len = 1u << (step->width & 3);
	uint64_t offset = step->offset % (region->size - len + 1);

	if (step->what == 0)
		region->read(region, offset, len);
	else if (step->what == 1)
		region->write(region, offset, step->value, len);
	else
		memcpy(guest_mem_ptr(mem, DESCRIPTOR + 8 * (step->slot % 256), 8), &step->value, 8);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct guest_mem *mem;
	struct fw_cfg *cfg;
	struct step step;

	if (guest_mem_new(RAM, RAM_SIZE, &mem) < 0 || fw_cfg_new(0x09020000, mem, &cfg) < 0 ||
	    fw_cfg_add_file(cfg, "etc/table-loader", "0123456789", 10, NULL) < 0 ||
	    fw_cfg_add_file(cfg, "bootorder", "", 0, NULL) < 0)
		abort();
	while (size >= sizeof(step)) {
		memcpy(&step, data, sizeof(step));
		run(cfg, mem, &step);
		data += sizeof(step);
		size -= sizeof(step);
	}
	fw_cfg_free(cfg);
	guest_mem_free(mem);
	return 0;
}
