/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An interrupt line from a device to the interrupt controller: devices drive it and know no KVM.
 * Embedded in what implements it, which gets itself back with container_of().
 */
#pragma once

#include <stdbool.h>

struct irq_line {
	/* Any thread; the device calls it under its own lock, when the level changes. */
	void (*set)(struct irq_line *line, bool level);
};
