/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For fuzz targets of devices with registers: the input as a script of accesses.
 *
 * Each step is eight bytes: what, length exponent, offset (2 bytes), value (4 bytes). `what` below
 * 0x40 reads, below 0xc0 writes, else something happens from outside (the target's own callback).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/macro.h"
#include "vmm/bus/mmio.h"
#include "vmm/hw/irq.h"

struct fuzz_irq {
	struct irq_line line;
	bool level;
};

static inline void fuzz_irq_set(struct irq_line *line, bool level)
{
	struct fuzz_irq *irq = container_of(line, struct fuzz_irq, line);

	/* the line is only driven when it changes */
	if (irq->level == level)
		abort();
	irq->level = level;
}

struct fuzz_target {
	struct mmio_region *region;
	struct fuzz_irq *irq;
	uint64_t masked_status; /* offset of the register that the interrupt line follows */
	void (*outside)(struct fuzz_target *target, uint8_t what, uint32_t value);
};

static inline void fuzz_regs(struct fuzz_target *target, const uint8_t *data, size_t size)
{
	struct mmio_region *region = target->region;

	for (; size >= 8; data += 8, size -= 8) {
		unsigned len = 1u << (data[1] & 3);
		uint16_t offset;
		uint32_t value;

		memcpy(&offset, data + 2, sizeof(offset));
		memcpy(&value, data + 4, sizeof(value));
		offset %= region->size - len + 1;

		if (data[0] < 0x40)
			region->read(region, offset, len);
		else if (data[0] < 0xc0)
			region->write(region, offset, value, len);
		else
			target->outside(target, data[0], value);

		if (target->irq->level != (region->read(region, target->masked_status, 4) != 0))
			abort();
	}
}
