/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of CPUs as people write them, "0-3,8", into the bit mask that systemd takes. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define CPUSET_MAX_CPUS 4096
#define CPUSET_BYTES (CPUSET_MAX_CPUS / 8)

/* CPU n is bit n % 8 of mask[n / 8]; *len is the number of bytes up to the last that is set. 0 or -EINVAL. */
int cpuset_parse(const char *text, uint8_t mask[static CPUSET_BYTES], size_t *len);
