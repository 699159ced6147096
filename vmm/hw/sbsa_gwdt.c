/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/hw/sbsa_gwdt.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>

#include "vmm/base/macro.h"

enum {
	WRR = 0x000, /* in the refresh frame */
	WCS = 0x000,
	WOR_LOW = 0x008,
	WOR_HIGH = 0x00c,
	WCV_LOW = 0x010,
	WCV_HIGH = 0x014,
	WIIDR = 0xfcc,
};

#define WCS_ENABLE 1U
#define WCS_WS0    2U
#define WCS_WS1    4U

#define WOR_HIGH_MASK 0xffffU

/* Architecture revision 1; the implementer is nobody that JEP106 knows. */
#define WIIDR_VALUE 0x00010000U

#define NSEC_PER_SEC 1000000000ULL
#define SECONDS_MAX  (1ULL << 40) /* of a timer; some 34,000 years */

static uint64_t now(const struct sbsa_gwdt *dog)
{
	return dog->clock->now(dog->clock);
}

static uint64_t ticks_left(const struct sbsa_gwdt *dog)
{
	uint64_t t = now(dog);

	return dog->end > t ? dog->end - t : 0;
}

/*
 * Set the timer to the end of the period. It is later than that by less than a microsecond, and where the
 * host's clocks differ it may be too early: on_timer() looks at the guest's.
 */
static void arm(struct sbsa_gwdt *dog)
{
	struct itimerspec when = { 0 };
	uint64_t ticks, hz = dog->clock->hz;

	if (dog->enabled && !dog->ws1 && !dog->held) {
		ticks = ticks_left(dog);
		when.it_value.tv_sec = (time_t)MIN(ticks / hz, SECONDS_MAX);
		when.it_value.tv_nsec = (long)((ticks % hz) * NSEC_PER_SEC / hz);
		/* a tick more, and not 0, which would be no timer at all */
		when.it_value.tv_nsec += (long)(NSEC_PER_SEC / hz) + 1;
		if (when.it_value.tv_nsec >= (long)NSEC_PER_SEC) {
			when.it_value.tv_sec++;
			when.it_value.tv_nsec -= (long)NSEC_PER_SEC;
		}
	}
	timerfd_settime(dog->timer.fd, 0, &when, NULL);
}

static void set_ws0(struct sbsa_gwdt *dog, bool level)
{
	if (level == dog->ws0)
		return;
	dog->ws0 = level;
	dog->irq->set(dog->irq, level);
}

static void start_anew(struct sbsa_gwdt *dog)
{
	set_ws0(dog, false);
	dog->ws1 = false;
	dog->end = now(dog) + dog->period;
	arm(dog);
}

/* The period may have ended. Returns whether that has raised WS1. */
static bool end_period(struct sbsa_gwdt *dog)
{
	if (!dog->enabled || dog->held || dog->ws1)
		return false;
	if (now(dog) <= dog->end) {
		arm(dog);
		return false;
	}
	if (dog->ws0) {
		dog->ws1 = true;
		return true;
	}
	set_ws0(dog, true);
	dog->end = now(dog) + dog->period;
	arm(dog);
	return false;
}

static void on_timer(struct loop_source *src, uint32_t events)
{
	struct sbsa_gwdt *dog = container_of(src, struct sbsa_gwdt, timer);
	uint64_t expirations;
	bool fired;

	/* The guest may have started anew since: then there is nothing to read. */
	if (read(src->fd, &expirations, sizeof(expirations)) < 0)
		return;

	pthread_mutex_lock(&dog->lock);
	fired = end_period(dog);
	pthread_mutex_unlock(&dog->lock);
	if (fired)
		dog->fired(dog->ctx);
}

static uint32_t read_control(const struct sbsa_gwdt *dog, uint64_t offset)
{
	switch (offset) {
	case WCS:
		return (dog->enabled ? WCS_ENABLE : 0) | (dog->ws0 ? WCS_WS0 : 0) |
		       (dog->ws1 ? WCS_WS1 : 0);
	case WOR_LOW:
		return (uint32_t)dog->period;
	case WOR_HIGH:
		return (uint32_t)(dog->period >> 32);
	case WCV_LOW:
		return (uint32_t)dog->end;
	case WCV_HIGH:
		return (uint32_t)(dog->end >> 32);
	case WIIDR:
		return WIIDR_VALUE;
	}
	return 0;
}

static uint64_t with_low(uint64_t value, uint32_t low)
{
	return (value & ~(uint64_t)UINT32_MAX) | low;
}

static uint64_t with_high(uint64_t value, uint32_t high)
{
	return (value & UINT32_MAX) | (uint64_t)high << 32;
}

static void write_control(struct sbsa_gwdt *dog, uint64_t offset, uint32_t value)
{
	switch (offset) {
	case WCS:
		dog->enabled = value & WCS_ENABLE;
		start_anew(dog);
		break;
	case WOR_LOW:
		dog->period = with_low(dog->period, value);
		start_anew(dog);
		break;
	case WOR_HIGH:
		dog->period = with_high(dog->period, value & WOR_HIGH_MASK);
		start_anew(dog);
		break;
	case WCV_LOW:
		dog->end = with_low(dog->end, value);
		arm(dog);
		break;
	case WCV_HIGH:
		dog->end = with_high(dog->end, value);
		arm(dog);
		break;
	}
}

/* Registers are words: an access of 64 bits is two of them, and a narrower one reads a part. */
static uint64_t control_read(struct mmio_region *region, uint64_t offset, unsigned len)
{
	struct sbsa_gwdt *dog = container_of(region, struct sbsa_gwdt, control);
	uint64_t at = offset & ~3ULL, value;

	pthread_mutex_lock(&dog->lock);
	value = read_control(dog, at);
	if (len == 8)
		value |= (uint64_t)read_control(dog, at + 4) << 32;
	pthread_mutex_unlock(&dog->lock);
	return value >> (offset - at) * 8;
}

/* What is not a word, or two, does nothing (BSA: an access of another size is unpredictable). */
static void control_write(struct mmio_region *region, uint64_t offset, uint64_t value, unsigned len)
{
	struct sbsa_gwdt *dog = container_of(region, struct sbsa_gwdt, control);

	if (len < 4 || !IS_ALIGNED(offset, 4))
		return;
	pthread_mutex_lock(&dog->lock);
	write_control(dog, offset, (uint32_t)value);
	if (len == 8)
		write_control(dog, offset + 4, (uint32_t)(value >> 32));
	pthread_mutex_unlock(&dog->lock);
}

static uint64_t refresh_read(struct mmio_region *region, uint64_t offset, unsigned len)
{
	return offset == WIIDR ? WIIDR_VALUE : 0;
}

static void refresh_write(struct mmio_region *region, uint64_t offset, uint64_t value, unsigned len)
{
	struct sbsa_gwdt *dog = container_of(region, struct sbsa_gwdt, refresh);

	if (offset != WRR)
		return;
	pthread_mutex_lock(&dog->lock);
	start_anew(dog);
	pthread_mutex_unlock(&dog->lock);
}

int sbsa_gwdt_init(struct sbsa_gwdt *dog, uint64_t refresh, uint64_t control,
		   const struct sbsa_gwdt_clock *clock, struct irq_line *irq, struct loop *main,
		   void (*fired)(void *ctx), void *ctx)
{
	AUTO(close) int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	int r;

	if (fd < 0)
		return -errno;

	*dog = (struct sbsa_gwdt){
		.refresh = { "watchdog", refresh, SBSA_GWDT_FRAME_SIZE, refresh_read, refresh_write },
		.control = { "watchdog control", control, SBSA_GWDT_FRAME_SIZE, control_read,
			     control_write },
		.clock = clock,
		.irq = irq,
		.fired = fired,
		.ctx = ctx,
		.timer = { .fd = fd, .fn = on_timer },
	};
	r = loop_add(main, &dog->timer, EPOLLIN);
	if (r < 0)
		return r;
	pthread_mutex_init(&dog->lock, NULL);
	TAKE_FD(fd);
	return 0;
}

void sbsa_gwdt_destroy(struct sbsa_gwdt *dog)
{
	if (!dog->timer.loop)
		return;

	loop_remove(&dog->timer);
	close(dog->timer.fd);
	pthread_mutex_destroy(&dog->lock);
}

static void set_held(struct sbsa_gwdt *dog, bool held)
{
	if (!dog->timer.loop || dog->held == held)
		return;

	pthread_mutex_lock(&dog->lock);
	if (held)
		dog->left = ticks_left(dog);
	else
		dog->end = now(dog) + dog->left;
	dog->held = held;
	arm(dog);
	pthread_mutex_unlock(&dog->lock);
}

void sbsa_gwdt_hold(struct sbsa_gwdt *dog)
{
	set_held(dog, true);
}

void sbsa_gwdt_let_go(struct sbsa_gwdt *dog)
{
	set_held(dog, false);
}
