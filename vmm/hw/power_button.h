/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The power button, as each kind of guest knows it: a press holds a line of the PL061 high for a
 * tenth of a second, long enough for a guest with a device tree that debounces keys (Linux
 * gpio-keys); and it is a pulse on an interrupt line, the edge that ACPI's event device waits for.
 * Main loop only.
 */
#pragma once

#include "vmm/base/loop.h"
#include "vmm/hw/irq.h"
#include "vmm/hw/pl061.h"

struct power_button {
	struct pl061 *gpio;
	unsigned line;
	struct irq_line *pulse;
	struct loop_source release; /* a timerfd */
};

/* gpio, pulse and main stay the caller's and must outlive the button. Returns 0 or -errno. */
int power_button_init(struct power_button *button, struct pl061 *gpio, unsigned line,
		      struct irq_line *pulse, struct loop *main);

/* No-op on a zeroed struct. */
void power_button_destroy(struct power_button *button);

void power_button_press(struct power_button *button);
