/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The power button: a press holds a line of the PL061 high for a tenth of a second, long enough for
 * a guest that debounces keys (Linux gpio-keys). Main loop only.
 */
#pragma once

#include "vmm/base/loop.h"
#include "vmm/hw/pl061.h"

struct power_button {
	struct pl061 *gpio;
	unsigned line;
	struct loop_source release; /* a timerfd */
};

/* gpio and main stay the caller's and must outlive the button. Returns 0 or -errno. */
int power_button_init(struct power_button *button, struct pl061 *gpio, unsigned line,
		      struct loop *main);

/* No-op on a zeroed struct. */
void power_button_destroy(struct power_button *button);

void power_button_press(struct power_button *button);
