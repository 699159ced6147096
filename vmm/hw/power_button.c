/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/hw/power_button.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>

#define HOLD_NSEC 100000000

static void on_release(struct loop_source *src, uint32_t events)
{
	struct power_button *button = container_of(src, struct power_button, release);
	uint64_t expirations;

	if (read(src->fd, &expirations, sizeof(expirations)) > 0)
		pl061_set_input(button->gpio, button->line, false);
}

int power_button_init(struct power_button *button, struct pl061 *gpio, unsigned line,
		      struct irq_line *pulse, struct loop *main)
{
	AUTO(close) int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	int r;

	if (fd < 0)
		return -errno;

	*button = (struct power_button){
		.gpio = gpio,
		.line = line,
		.pulse = pulse,
		.release = { .fd = fd, .fn = on_release },
	};
	r = loop_add(main, &button->release, EPOLLIN);
	if (r < 0)
		return r;
	TAKE_FD(fd);
	return 0;
}

void power_button_destroy(struct power_button *button)
{
	if (!button->release.loop)
		return;
	loop_remove(&button->release);
	close(button->release.fd);
}

void power_button_press(struct power_button *button)
{
	struct itimerspec hold = { .it_value.tv_nsec = HOLD_NSEC };

	pl061_set_input(button->gpio, button->line, true);
	button->pulse->set(button->pulse, true);
	button->pulse->set(button->pulse, false);
	timerfd_settime(button->release.fd, 0, &hold, NULL);
}
