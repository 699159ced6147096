/* SPDX-License-Identifier: Apache-2.0 */
/* What a guest has of its memory, and what it says of its use: plain data. */
#pragma once

#include <stdint.h>

/* The guest's own numbers (virtio 1.2 §5.5.6.4): bytes, and counts since it booted. 0: not told. */
struct balloon_stats {
	uint64_t total, available, free, caches;
	uint64_t major_faults, minor_faults;
	uint64_t swap_in, swap_out;
};

struct balloon_info {
	uint64_t actual; /* bytes that the guest has: its memory without what is in the balloon */
	uint64_t stats_usec; /* when stats were taken, CLOCK_REALTIME; 0: there are none */
	struct balloon_stats stats;
};
