/* SPDX-License-Identifier: Apache-2.0 */
/* Both frames of the watchdog as one region, its timer, and holding it, on a clock that the input sets. */
#include <sys/timerfd.h>

#include "tests/fuzz/regs.h"
#include "vmm/hw/sbsa_gwdt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FRAME 0x1000ULL /* what of a frame is looked at */
#define WS0   (2 * FRAME)

struct dog_target {
	struct fuzz_target base;
	struct mmio_region both;
	struct sbsa_gwdt_clock clock;
	uint64_t ticks;
	struct sbsa_gwdt dog;
};

static uint64_t ticks(const struct sbsa_gwdt_clock *clock)
{
	return container_of(clock, const struct dog_target, clock)->ticks;
}

static uint64_t both_read(struct mmio_region *region, uint64_t offset, unsigned len)
{
	struct dog_target *t = container_of(region, struct dog_target, both);

	if (offset >= WS0)
		return t->dog.ws0;
	if (offset >= FRAME)
		return t->dog.control.read(&t->dog.control, offset - FRAME, len);
	return t->dog.refresh.read(&t->dog.refresh, offset, len);
}

static void both_write(struct mmio_region *region, uint64_t offset, uint64_t value, unsigned len)
{
	struct dog_target *t = container_of(region, struct dog_target, both);

	if (offset >= WS0)
		return;
	if (offset >= FRAME)
		t->dog.control.write(&t->dog.control, offset - FRAME, value << 32 | value, len);
	else
		t->dog.refresh.write(&t->dog.refresh, offset, value, len);
}

/* The main loop: the timer, whether it has run out or not, and the VM that is held. */
static void happen(struct fuzz_target *target, uint8_t what, uint32_t value)
{
	struct dog_target *t = container_of(target, struct dog_target, base);
	struct itimerspec now = { .it_value.tv_nsec = 1 };

	t->ticks += value;
	switch (what & 3) {
	case 0:
		sbsa_gwdt_hold(&t->dog);
		break;
	case 1:
		sbsa_gwdt_let_go(&t->dog);
		break;
	default:
		timerfd_settime(t->dog.timer.fd, 0, &now, NULL);
		t->dog.timer.fn(&t->dog.timer, 0);
	}
}

/* Only one that is enabled, and has raised the other signal before. */
static void fired(void *ctx)
{
	struct dog_target *t = ctx;

	if (!t->dog.enabled || !t->dog.ws0 || !t->dog.ws1 || t->dog.held)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_irq irq = { .line = { fuzz_irq_set } };
	struct dog_target t = {
		.base = { .irq = &irq, .masked_status = WS0, .outside = happen },
		.both = { "watchdog", 0, WS0 + 4, both_read, both_write },
		.clock = { ticks, 1000000000 },
	};
	struct loop *loop;

	if (loop_new(&loop) < 0 ||
	    sbsa_gwdt_init(&t.dog, 0, 0x10000, &t.clock, &irq.line, loop, fired, &t) < 0)
		abort();
	t.base.region = &t.both;
	fuzz_regs(&t.base, data, size);
	sbsa_gwdt_destroy(&t.dog);
	loop_free(loop);
	return 0;
}
