/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define LOG_LINE_MAX 1024
#define WINDOW_SECONDS 10

/* Written once by log_open() before threads start: process configuration, not state of a VM. */
static int log_max = LOG_INFO;
static bool log_prefix;

void log_open(int max_priority)
{
	log_max = max_priority;
	log_prefix = getenv("JOURNAL_STREAM") != NULL;
}

bool log_enabled(int priority)
{
	return priority <= log_max;
}

void log_line(int priority, const char *fmt, ...)
{
	char line[LOG_LINE_MAX];
	size_t len = 0;
	va_list ap;
	int n;

	if (!log_enabled(priority))
		return;

	if (log_prefix)
		len = (size_t)snprintf(line, sizeof(line), "<%d>", priority);

	va_start(ap, fmt);
	n = vsnprintf(line + len, sizeof(line) - len - 1, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;

	len += (size_t)n;
	if (len > sizeof(line) - 2)
		len = sizeof(line) - 2;
	line[len++] = '\n';

	/* Nothing sensible can be done when standard error is gone. */
	if (write(STDERR_FILENO, line, len) < 0)
		return;
}

bool log_allowed(struct log_limit *limit, unsigned burst)
{
	struct timespec now;
	uint64_t window;

	clock_gettime(CLOCK_MONOTONIC, &now);
	window = (uint64_t)now.tv_sec / WINDOW_SECONDS + 1;
	if (window != limit->window) {
		if (limit->suppressed)
			log_notice("%u more lines like the next were left out", limit->suppressed);
		limit->window = window;
		limit->used = limit->suppressed = 0;
	}
	if (limit->used >= burst) {
		limit->suppressed++;
		return false;
	}
	limit->used++;
	return true;
}
