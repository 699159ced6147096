/* SPDX-License-Identifier: Apache-2.0 */
/* Registers and inputs of the GPIO controller. */
#include "tests/fuzz/regs.h"
#include "vmm/hw/pl061.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MIS 0x418

struct gpio_target {
	struct fuzz_target base;
	struct pl061 gpio;
};

static void drive(struct fuzz_target *target, uint8_t what, uint32_t value)
{
	struct gpio_target *t = container_of(target, struct gpio_target, base);

	pl061_set_input(&t->gpio, what, value & 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_irq irq = { .line = { fuzz_irq_set } };
	struct gpio_target t = { .base = { .irq = &irq, .masked_status = MIS, .outside = drive } };

	pl061_init(&t.gpio, 0x09030000, &irq.line);
	t.base.region = &t.gpio.region;
	fuzz_regs(&t.base, data, size);
	pl061_destroy(&t.gpio);
	return 0;
}
