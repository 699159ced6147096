/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PL031 real-time clock (Arm DDI 0224): the host's CLOCK_REALTIME in seconds, plus what the guest
 * has set. The alarm is a timerfd on the main loop.
 *
 * Registers are accessed by vCPU threads, the alarm fires on the main loop: one lock.
 */
#pragma once

#include <pthread.h>

#include "vmm/base/loop.h"
#include "vmm/bus/mmio.h"
#include "vmm/hw/irq.h"

#define PL031_PERIPHID 0x00041031

struct pl031 {
	struct mmio_region region;
	struct irq_line *irq;
	struct loop_source alarm;

	pthread_mutex_t lock;
	uint32_t offset; /* guest time - host time, modulo 2^32 s */
	uint32_t load, match;
	bool masked, raised; /* masked: the interrupt mask lets nothing through */
	bool level;
};

/* irq and main stay the caller's and must outlive the device. Returns 0 or -errno. Main loop. */
int pl031_init(struct pl031 *rtc, uint64_t base, struct irq_line *irq, struct loop *main);

/* Main loop, no vCPU runs. No-op on a zeroed struct. */
void pl031_destroy(struct pl031 *rtc);
