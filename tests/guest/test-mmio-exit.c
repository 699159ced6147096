/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What does an MMIO access that user space must answer cost?
 *
 * Rounds of reads of the PL011's flag register between two reads of the virtual counter. Each read
 * leaves the guest, KVM and the kernel, reaches the VMM's device model and comes back.
 *
 * In the lab's deterministic mode the outer machine executes one instruction per 2 ns of
 * virtual time (-icount shift=1) and its counter advances once in 16 ns (62.5 MHz): one tick is
 * eight instructions of the whole path: guest, host kernel and VMM together. Then
 *
 *	instructions per read = ticks / reads * (10^9 / frequency) / 2
 *
 * of which the guest's loop is three. (Proof of the factor: on an emulated machine without KVM, where
 * the read is one instruction, 500 reads take 188 ticks, which is 1500 instructions.)
 * The smallest of the rounds is the one that no timer tick of the host fell into; the median tells
 * what is usual. tests/bench/run does the sum.
 */
#include "rt.h"

const char payload_name[] = "mmio-exit";

#define ROUNDS 21
#define READS 500
#define UART_FR 0x18

static uint64_t round_ticks(void)
{
	uint64_t t0 = ticks(), n = READS, v;

	asm volatile("1: ldr %w1, [%2]\n"
		     "subs %0, %0, #1\n"
		     "b.ne 1b"
		     : "+r"(n), "=&r"(v)
		     : "r"(uart_base + UART_FR)
		     : "cc", "memory");
	return ticks() - t0;
}

void run(void)
{
	uint64_t t[ROUNDS];

	round_ticks(); /* everything mapped and warm */
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t v = round_ticks();
		unsigned j = i;

		for (; j > 0 && t[j - 1] > v; j--)
			t[j] = t[j - 1];
		t[j] = v;
	}
	check(t[0] > 0, "the counter advances");
	print("MMIO-EXIT reads=%u frequency=%lu min=%lu median=%lu max=%lu\n", READS,
	      ticks_per_second(), t[0], t[ROUNDS / 2], t[ROUNDS - 1]);
}
