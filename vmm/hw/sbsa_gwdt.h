/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The generic watchdog of Arm servers (Arm BSA, DEN0094, appendix "Generic Watchdog"; revision 1 of its
 * architecture): two pages of registers, one for those who may only keep it quiet.
 *
 *	refresh + 0x000  WRR   any write: starts anew
 *	control + 0x000  WCS   bit 0: enabled; bits 1 and 2, read-only: signals WS0 and WS1
 *	control + 0x008  WOR   the period, 48 bits
 *	control + 0x010  WCV   when it ends, 64 bits
 *	both    + 0xfcc  WIIDR
 *
 * Times are those of the guest's counter (CNTVCT_EL0). When the period ends, WS0 is raised, which is an
 * interrupt, and another one begins; when that ends too, WS1: the owner is called to do what a host
 * does with a guest that is stuck. Writes to WRR, WCS and WOR start anew, and take back both signals.
 *
 * Registers are accessed by vCPU threads, the timer runs on the main loop: one lock. While the VM is held, time
 * stands still for the watchdog, though not for the counter.
 */
#pragma once

#include <pthread.h>

#include "vmm/base/loop.h"
#include "vmm/bus/mmio.h"
#include "vmm/hw/irq.h"

#define SBSA_GWDT_FRAME_SIZE 0x10000ULL /* BSA: 64 KiB apart, so that either can be mapped alone */

/* The guest's counter. Any thread. */
struct sbsa_gwdt_clock {
	uint64_t (*now)(const struct sbsa_gwdt_clock *clock);
	uint64_t hz;
};

struct sbsa_gwdt {
	struct mmio_region refresh, control;
	const struct sbsa_gwdt_clock *clock;
	struct irq_line *irq; /* WS0 */
	/* WS1, on the main loop; may destroy the device. */
	void (*fired)(void *ctx);
	void *ctx;
	struct loop_source timer;

	pthread_mutex_t lock; /* protects what follows */
	bool enabled, ws0, ws1;
	uint64_t period, end; /* WOR and WCV, in ticks of the clock */
	bool held;
	uint64_t left; /* ticks until the end, while held */
};

/* clock, irq and main stay the caller's and must outlive the device. Returns 0 or -errno. Main loop. */
int sbsa_gwdt_init(struct sbsa_gwdt *dog, uint64_t refresh, uint64_t control,
		   const struct sbsa_gwdt_clock *clock, struct irq_line *irq, struct loop *main,
		   void (*fired)(void *ctx), void *ctx);

/* Main loop, no vCPU runs. No-op on a zeroed struct. */
void sbsa_gwdt_destroy(struct sbsa_gwdt *dog);

/* Time stands still, and goes on. Main loop, no vCPU runs. No-op on a zeroed struct, or when it is so. */
void sbsa_gwdt_hold(struct sbsa_gwdt *dog);
void sbsa_gwdt_let_go(struct sbsa_gwdt *dog);
