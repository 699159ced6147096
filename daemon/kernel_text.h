/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers out of what the kernel tells as text: files of /proc and of control groups. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KERNEL_TEXT_SIZE 4096

/* The file's beginning, terminated. False: it cannot be read. */
bool kernel_text_read(const char *path, char buf[static KERNEL_TEXT_SIZE]);

/*
 * The number behind the word `key` at the beginning of a line, whatever stands between them
 * ("usage_usec 12", "MemTotal:  12 kB"). 0: there is none.
 */
uint64_t kernel_text_value(const char *text, const char *key);

/* "some … total=12" and "full … total=12" of a pressure file, in microseconds. */
uint64_t kernel_text_pressure(const char *text, const char *kind);

/* The n-th number of one line, from 0: "12 34 56". 0: there is none. */
uint64_t kernel_text_number(const char *text, unsigned n);

/* Of /proc/PID/stat: its fields from the third on, as proc(5) counts them. "": no such text. */
const char *kernel_text_stat(const char *text);
