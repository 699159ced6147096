/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PL011 UART, revision r1p5 with FIFOs of 32 characters (Arm DDI 0183).
 *
 * Output is transmitted at once, so the transmit FIFO is always empty. Input comes from the console
 * and is taken as far as the receive FIFO has room; the receive timeout passes at once. In loopback
 * mode nothing is sent, and what is written comes back.
 *
 * Registers are accessed by vCPU threads, input arrives on the main loop: one lock. The console is
 * called without it.
 */
#pragma once

#include <pthread.h>

#include "vmm/bus/mmio.h"
#include "vmm/console.h"
#include "vmm/hw/irq.h"

#define PL011_FIFO_DEPTH 32
#define PL011_PERIPHID   0x00341011 /* PeriphID3 … PeriphID0, for the device tree */

struct pl011 {
	struct mmio_region region;
	struct irq_line *irq;
	struct console *console;

	pthread_mutex_t lock;
	uint8_t fifo[PL011_FIFO_DEPTH];
	unsigned head, used;
	uint32_t ilpr, ibrd, fbrd, lcr_h, cr, ifls, imsc, ris, dmacr;
	_Atomic uint32_t fr; /* kept current, so that reading it takes no lock */
	bool level;
	bool overrun; /* a character has come that had no room: in loopback mode only */
	bool starved; /* the console has more input than the FIFO had room for */
};

/* irq and console stay the caller's and must outlive the device. Main loop. */
void pl011_init(struct pl011 *uart, uint64_t base, struct irq_line *irq, struct console *console);

/* Take the device from the console. Main loop, no vCPU runs. No-op on a zeroed struct. */
void pl011_destroy(struct pl011 *uart);

/* What is typed; a console_input_fn. ctx is the struct pl011. */
size_t pl011_input(void *ctx, const uint8_t *data, size_t len);
