/* SPDX-License-Identifier: Apache-2.0 */
/* Registers and input of the UART. */
#include "tests/fuzz/regs.h"
#include "vmm/hw/pl011.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MIS 0x40

struct uart_target {
	struct fuzz_target base;
	struct pl011 uart;
};

static void type(struct fuzz_target *target, uint8_t what, uint32_t value)
{
	struct uart_target *t = container_of(target, struct uart_target, base);
	uint8_t text[64];
	size_t len = value % (sizeof(text) + 1), n;

	memset(text, what, sizeof(text));
	n = pl011_input(&t->uart, text, len);
	if (n > len || n > PL011_FIFO_DEPTH)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_irq irq = { .line = { fuzz_irq_set } };
	struct uart_target t = { .base = { .irq = &irq, .masked_status = MIS, .outside = type } };
	struct console *console;
	struct loop *loop;

	if (loop_new(&loop) < 0 || console_new(loop, &console) < 0)
		abort();
	pl011_init(&t.uart, 0x09000000, &irq.line, console);
	t.base.region = &t.uart.region;
	fuzz_regs(&t.base, data, size);
	pl011_destroy(&t.uart);
	console_free(console);
	loop_free(loop);
	return 0;
}
