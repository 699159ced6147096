/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PL061 GPIO controller with eight lines (Arm DDI 0190). Its inputs are driven by the machine: line
 * GPIO_POWER_BUTTON is the power button. Outputs lead nowhere.
 *
 * Registers are accessed by vCPU threads, inputs change on the main loop: one lock.
 */
#pragma once

#include <pthread.h>

#include "vmm/bus/mmio.h"
#include "vmm/hw/irq.h"

#define PL061_PERIPHID 0x00041061

struct pl061 {
	struct mmio_region region;
	struct irq_line *irq;

	pthread_mutex_t lock;
	uint8_t in, out;      /* levels at the pins, and what the guest drives */
	uint8_t dir;          /* 1: output */
	uint8_t is, ibe, iev; /* sense (1: level), both edges, event (1: rising or high) */
	uint8_t ie, edges;    /* enabled; edges latched */
	uint8_t afsel;
	bool level;
};

/* irq stays the caller's and must outlive the device. */
void pl061_init(struct pl061 *gpio, uint64_t base, struct irq_line *irq);

/* No-op on a zeroed struct. */
void pl061_destroy(struct pl061 *gpio);

/* Drive an input line (0 … 7) from outside; any thread. */
void pl061_set_input(struct pl061 *gpio, unsigned line, bool high);
