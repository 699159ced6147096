/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/hw/pl031.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>

#include "vmm/hw/primecell.h"

enum {
	RTCDR = 0x00,
	RTCMR = 0x04,
	RTCLR = 0x08,
	RTCCR = 0x0c,
	RTCIMSC = 0x10,
	RTCRIS = 0x14,
	RTCMIS = 0x18,
	RTCICR = 0x1c,
};

static const uint8_t pl031_id[8] = { 0x31, 0x10, 0x04, 0x00, PRIMECELL_CID };

static time_t host_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec;
}

static uint32_t now(const struct pl031 *rtc)
{
	return (uint32_t)host_seconds() + rtc->offset;
}

static void update_irq(struct pl031 *rtc)
{
	bool level = rtc->raised && !rtc->masked;

	if (level == rtc->level)
		return;
	rtc->level = level;
	rtc->irq->set(rtc->irq, level);
}

/* The counter wraps: a match in the past is one nearly 2^32 seconds ahead. */
static void arm(struct pl031 *rtc)
{
	time_t host = host_seconds();
	uint32_t ahead = rtc->match - ((uint32_t)host + rtc->offset);
	const struct itimerspec when = { .it_value.tv_sec = host + ahead };

	timerfd_settime(rtc->alarm.fd, TFD_TIMER_ABSTIME, &when, NULL);
}

static void on_alarm(struct loop_source *src, uint32_t events)
{
	struct pl031 *rtc = container_of(src, struct pl031, alarm);
	uint64_t expirations;

	/* The guest may have set another alarm since: then there is nothing to read. */
	if (read(src->fd, &expirations, sizeof(expirations)) < 0)
		return;

	pthread_mutex_lock(&rtc->lock);
	rtc->raised = true;
	update_irq(rtc);
	pthread_mutex_unlock(&rtc->lock);
}

static uint32_t read_register(struct pl031 *rtc, uint64_t offset)
{
	switch (offset) {
	case RTCDR:
		return now(rtc);
	case RTCMR:
		return rtc->match;
	case RTCLR:
		return rtc->load;
	case RTCCR:
		return 1; /* counts since reset and cannot be stopped (§3.3.4) */
	case RTCIMSC:
		return !rtc->masked;
	case RTCRIS:
		return rtc->raised;
	case RTCMIS:
		return rtc->raised && !rtc->masked;
	}
	return primecell_is_id(offset) ? primecell_id(pl031_id, offset) : 0;
}

static void write_register(struct pl031 *rtc, uint64_t offset, uint32_t value)
{
	switch (offset) {
	case RTCMR:
		rtc->match = value;
		arm(rtc);
		break;
	case RTCLR:
		rtc->load = value;
		rtc->offset += value - now(rtc);
		arm(rtc);
		break;
	case RTCIMSC:
		rtc->masked = !(value & 1);
		break;
	case RTCICR:
		if (value & 1)
			rtc->raised = false;
		break;
	}
	update_irq(rtc);
}

static uint64_t pl031_read(struct mmio_region *region, uint64_t offset, unsigned len)
{
	struct pl031 *rtc = container_of(region, struct pl031, region);
	uint32_t value;

	pthread_mutex_lock(&rtc->lock);
	value = read_register(rtc, offset);
	pthread_mutex_unlock(&rtc->lock);
	return value;
}

static void pl031_write(struct mmio_region *region, uint64_t offset, uint64_t value, unsigned len)
{
	struct pl031 *rtc = container_of(region, struct pl031, region);

	pthread_mutex_lock(&rtc->lock);
	write_register(rtc, offset, (uint32_t)value);
	pthread_mutex_unlock(&rtc->lock);
}

int pl031_init(struct pl031 *rtc, uint64_t base, struct irq_line *irq, struct loop *main)
{
	AUTO(close) int fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	int r;

	if (fd < 0)
		return -errno;

	*rtc = (struct pl031){
		.region = { "pl031", base, PRIMECELL_SIZE, pl031_read, pl031_write },
		.irq = irq,
		.alarm = { .fd = fd, .fn = on_alarm },
		.masked = true,
	};
	r = loop_add(main, &rtc->alarm, EPOLLIN);
	if (r < 0)
		return r;

	pthread_mutex_init(&rtc->lock, NULL);
	TAKE_FD(fd);
	return 0;
}

void pl031_destroy(struct pl031 *rtc)
{
	if (!rtc->alarm.loop)
		return;

	loop_remove(&rtc->alarm);
	close(rtc->alarm.fd);
	pthread_mutex_destroy(&rtc->lock);
}
