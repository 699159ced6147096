/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of devices: an interrupt line that remembers, and register access through the region. */
#pragma once

#include "vmm/base/macro.h"
#include "vmm/bus/mmio.h"
#include "vmm/hw/irq.h"

struct irq_probe {
	struct irq_line line;
	bool level;
	unsigned changes;
};

static inline void irq_probe_set(struct irq_line *line, bool level)
{
	struct irq_probe *irq = container_of(line, struct irq_probe, line);

	irq->level = level;
	irq->changes++;
}

#define IRQ_PROBE_INIT { .line = { irq_probe_set } }

static inline uint32_t reg_read(struct mmio_region *region, uint64_t offset)
{
	return (uint32_t)region->read(region, offset, 4);
}

static inline void reg_write(struct mmio_region *region, uint64_t offset, uint32_t value)
{
	region->write(region, offset, value, 4);
}
