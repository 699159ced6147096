/* SPDX-License-Identifier: Apache-2.0 */
/* Registers of the real-time clock, and its alarm. */
#include <sys/epoll.h>

#include "tests/fuzz/regs.h"
#include "vmm/hw/pl031.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MIS 0x18

struct rtc_target {
	struct fuzz_target base;
	struct pl031 rtc;
};

/* The main loop says that the timer has run out, whether it has or not. */
static void ring(struct fuzz_target *target, uint8_t what, uint32_t value)
{
	struct rtc_target *t = container_of(target, struct rtc_target, base);

	t->rtc.alarm.fn(&t->rtc.alarm, EPOLLIN);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_irq irq = { .line = { fuzz_irq_set } };
	struct rtc_target t = { .base = { .irq = &irq, .masked_status = MIS, .outside = ring } };
	struct loop *loop;

	if (loop_new(&loop) < 0 || pl031_init(&t.rtc, 0x09010000, &irq.line, loop) < 0)
		abort();
	t.base.region = &t.rtc.region;
	fuzz_regs(&t.base, data, size);
	pl031_destroy(&t.rtc);
	loop_free(loop);
	return 0;
}
