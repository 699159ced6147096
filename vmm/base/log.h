/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log lines on standard error, one write(2) each, so lines of several threads do not mix.
 *
 * When standard error is the journal (JOURNAL_STREAM is set), lines carry the "<N>" priority
 * prefix of sd-daemon(3). Only mains, workers and dispatchers log; everything else returns errors
 * (docs/hacking.md). Safe from any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <syslog.h>

/* Lines above max_priority (LOG_ERR … LOG_DEBUG) are dropped. Call once, before threads start. */
void log_open(int max_priority);

/* True when a line of this priority would be written. */
bool log_enabled(int priority);

void log_line(int priority, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_err(...) log_line(LOG_ERR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_WARNING, __VA_ARGS__)
#define log_notice(...) log_line(LOG_NOTICE, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)

/*
 * For lines that a guest can provoke: at most `burst` lines in each 10 s, and how many were left out
 * before the next one. One struct per source of lines, zero-initialised; the caller's own lock or
 * thread protects it.
 */
struct log_limit {
	uint64_t window; /* CLOCK_MONOTONIC seconds / 10 of the current window */
	unsigned used, suppressed;
};

bool log_allowed(struct log_limit *limit, unsigned burst);
