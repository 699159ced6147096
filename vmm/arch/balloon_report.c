/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/arch/balloon_report.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define PAUSE_NSEC (250 * 1000000L)

static bool take(struct balloon_report *report, struct balloon_info *ret)
{
	bool fresh;

	pthread_mutex_lock(&report->lock);
	fresh = report->fresh;
	report->fresh = false;
	*ret = report->info;
	pthread_mutex_unlock(&report->lock);
	return fresh;
}

static void deliver(struct balloon_report *report)
{
	const struct itimerspec time = { .it_value.tv_nsec = PAUSE_NSEC };
	struct balloon_info info;

	if (report->pause.loop || !take(report, &info))
		return;
	/* without a timer there is no pause */
	if (timerfd_settime(report->pause.fd, 0, &time, NULL) == 0)
		loop_add(report->main, &report->pause, EPOLLIN);
	report->fn(report->ctx, &info);
}

static void on_put(struct loop_work *work)
{
	deliver(container_of(work, struct balloon_report, work));
}

static void on_pause_over(struct loop_source *src, uint32_t events)
{
	loop_remove(src);
	deliver(container_of(src, struct balloon_report, pause));
}

int balloon_report_init(struct balloon_report *report, struct loop *main,
			void (*fn)(void *ctx, const struct balloon_info *info), void *ctx)
{
	*report = (struct balloon_report){ .main = main, .work.fn = on_put, .fn = fn, .ctx = ctx };
	pthread_mutex_init(&report->lock, NULL);
	report->pause = (struct loop_source){ .fn = on_pause_over };
	report->pause.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	return report->pause.fd < 0 ? -errno : 0;
}

void balloon_report_destroy(struct balloon_report *report)
{
	if (!report->main)
		return;
	loop_cancel(report->main, &report->work);
	loop_remove(&report->pause);
	if (report->pause.fd >= 0)
		close(report->pause.fd);
	pthread_mutex_destroy(&report->lock);
}

void balloon_report_put(struct balloon_report *report, const struct balloon_info *info)
{
	pthread_mutex_lock(&report->lock);
	report->info = *info;
	report->fresh = true;
	pthread_mutex_unlock(&report->lock);
	loop_post(report->main, &report->work);
}
