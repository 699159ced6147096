/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PL011 (Arm DDI 0183): every register, the FIFOs and their levels, and its interrupts. In
 * loopback mode it talks to itself; results are printed when that is over. "qemu" on the command line
 * leaves out what QEMU's has not: 32 characters, levels, overruns, RXE.
 */
#include "gic.h"
#include "primecell.h"

const char payload_name[] = "pl011";

#define DR    0x00
#define RSR   0x04
#define FR    0x18
#define ILPR  0x20
#define IBRD  0x24
#define FBRD  0x28
#define LCR_H 0x2c
#define CR    0x30
#define IFLS  0x34
#define IMSC  0x38
#define RIS   0x3c
#define MIS   0x40
#define ICR   0x44
#define DMACR 0x48

#define RXFE (1u << 4)
#define TXFF (1u << 5)
#define RXFF (1u << 6)
#define TXFE (1u << 7)
#define BUSY (1u << 3)

#define FEN  (1u << 4)
#define WLEN (3u << 5)

#define ON  0x301u
#define LBE 0x80u

#define RX (1u << 4)
#define TX (1u << 5)
#define RT (1u << 6)
#define OE (1u << 10)

static uint64_t base;
static bool qemu;

static uint32_t get(unsigned reg)
{
	return read32(base + reg);
}

static void set(unsigned reg, uint32_t value)
{
	write32(base + reg, value);
	barrier();
}

static void keeps(unsigned reg, uint32_t value, const char *what)
{
	set(reg, value);
	check_eq(get(reg), value, what);
}

static void test_registers(void)
{
	uint32_t ifls = get(IFLS);

	check_id(base, 0x011, "PL011 peripheral id");
	check_eq(ifls, 0x12, "IFLS: half full after reset");
	keeps(ILPR, 0x5a, "ILPR keeps 8 bits");
	set(ILPR, 0);
	keeps(IBRD, 0x1234, "IBRD keeps 16 bits");
	keeps(FBRD, 0x2a, "FBRD keeps 6 bits");
	keeps(LCR_H, WLEN | FEN, "LCR_H keeps word length and FIFO enable");
	keeps(IFLS, 0x24, "IFLS keeps both levels");
	set(IFLS, ifls);
	check_eq(get(CR) & ON, ON, "CR: what was enabled");
	keeps(IMSC, 0x7ff & ~0x3au, "IMSC keeps its bits");
	set(IMSC, 0);
	keeps(DMACR, 0, "DMACR keeps 0");
	set(ICR, 0x7ff);
	check_eq(get(MIS), 0, "MIS is 0 when all is masked");
	check_eq(get(RIS) & (RX | RT), 0, "RIS: nothing received");
	check_eq(get(RSR) & 0xf, 0, "RSR: no errors");

	check(wait_for(get(FR) & TXFE), "FR: transmit FIFO empty in the end");
	check(get(FR) & RXFE, "FR: receive FIFO empty");
	check(!(get(FR) & (TXFF | RXFF | BUSY)), "FR: not full, not busy");

	/* narrow accesses are what an early console does */
	check_eq(read16(base + FR), get(FR), "FR read with 16 bits");
	check_eq(read8(base + FR), get(FR) & 0xff, "FR read with 8 bits");
	write8(base + DR, '\r');
	write16(base + DR, '\r');
	check(true, "DR written with 8 and 16 bits");
}

/* A byte to itself. */
static void send(uint8_t c)
{
	set(DR, c);
}

/* Each level of the receive FIFO: where the interrupt comes, and where it goes. */
static void test_levels(void)
{
	static const struct {
		unsigned ifls, characters;
	} levels[] = { { 0, 4 }, { 1, 8 }, { 2, 16 }, { 3, 24 }, { 4, 28 } };

	for (unsigned l = 0; l < 5; l++) {
		unsigned up = 0, down = 0, wrong = 0, depth = qemu ? 16 : 32;
		uint32_t empty, full;

		set(LCR_H, WLEN);
		set(LCR_H, WLEN | FEN);
		set(IFLS, levels[l].ifls << 3);
		set(ICR, 0x7ff);
		set(CR, ON | LBE);
		empty = get(FR);
		for (unsigned i = 1; i <= depth; i++) {
			send((uint8_t)i);
			if (!up && get(RIS) & RX)
				up = i;
		}
		full = get(FR);
		for (unsigned i = 1; i <= depth; i++) {
			if ((get(DR) & 0xff) != i)
				wrong++;
			if (!down && !(get(RIS) & RX))
				down = depth - i;
		}
		set(CR, ON);
		check_eq(empty & (RXFE | RXFF), RXFE, "empty");
		check_eq(full & (RXFE | RXFF), RXFF, "full in the end");
		check_eq(wrong, 0, "they come in the order in which they went");
		check_eq(get(FR) & RXFE, RXFE, "empty in the end");
		if (qemu)
			continue;
		check_eq(up, levels[l].characters, "the receive interrupt comes at the level");
		check_eq(down, levels[l].characters - 1, "and goes below it");
	}
	set(IFLS, 0x12);
}

static void test_without_fifos(void)
{
	uint32_t one, none, ris;
	uint8_t c;

	set(LCR_H, WLEN);
	set(ICR, 0x7ff);
	set(CR, ON | LBE);
	send('x');
	one = get(FR);
	ris = get(RIS);
	c = (uint8_t)get(DR);
	none = get(FR);
	set(CR, ON);
	check_eq(one & (RXFE | RXFF), RXFF, "without FIFOs: full with one character");
	check_eq(ris & RX, RX, "without FIFOs: which is an interrupt");
	check_eq(c, 'x', "without FIFOs: it is the right one");
	check_eq(none & RXFE, RXFE, "without FIFOs: then empty");
	check_eq(get(RIS) & RX, 0, "without FIFOs: and no interrupt");
}

/* What does not fit is lost, and that is told. */
static void test_overrun(void)
{
	uint32_t ris, rsr, cleared;
	unsigned wrong = 0;

	set(LCR_H, WLEN | FEN);
	set(ICR, 0x7ff);
	set(CR, ON | LBE);
	for (unsigned i = 0; i < 33; i++)
		send((uint8_t)i);
	ris = get(RIS);
	rsr = get(RSR);
	set(RSR, 0);
	cleared = get(RSR);
	for (unsigned i = 0; i < 32; i++)
		if ((get(DR) & 0xff) != i)
			wrong++;
	set(CR, ON);
	check_eq(ris & OE, OE, "overrun: an interrupt");
	check_eq(rsr & 8, 8, "overrun: RSR tells");
	check_eq(cleared & 8, 0, "overrun: ECR clears it");
	check_eq(wrong, 0, "overrun: the FIFO is as it was");
	check_eq(get(FR) & RXFE, RXFE, "overrun: the last one is lost");
	set(ICR, 0x7ff);
	check_eq(get(RIS) & OE, 0, "overrun: ICR clears the interrupt");
}

static void test_switches(void)
{
	uint32_t off, flushed;

	set(LCR_H, WLEN | FEN);
	set(CR, LBE | 0x101); /* no RXE */
	send('a');
	off = get(FR);
	set(CR, ON | LBE);
	send('b');
	send('c');
	set(LCR_H, WLEN);
	flushed = get(FR);
	set(LCR_H, WLEN | FEN);
	set(CR, ON);
	check(qemu || off & RXFE, "without RXE nothing is received");
	check_eq(flushed & RXFE, RXFE, "switching the FIFOs flushes them");
	set(ICR, 0x7ff);
}

static volatile unsigned n_irqs, seen;

static void on_irq(unsigned intid)
{
	seen = get(MIS);
	set(IMSC, 0);
	n_irqs++;
}

static void test_interrupts(const struct fdt_device *uart)
{
	bool came;

	gic_enable(uart->intid, on_irq, uart->edge, 0);
	set(LCR_H, WLEN);
	set(ICR, 0x7ff);
	set(CR, ON | LBE);
	set(IMSC, RX);
	send('x');
	came = wait_for(n_irqs == 1);
	get(DR);
	set(ICR, 0x7ff);
	set(CR, ON);
	check(came, "receive interrupt");
	check_eq(seen & RX, RX, "and MIS says so");
	check_eq(get(MIS), 0, "masked: MIS is 0");

	set(IMSC, TX);
	print(".\n");
	check(wait_for(n_irqs == 2), "transmit interrupt");
	check_eq(seen & TX, TX, "and MIS says so");
	set(ICR, TX);
	check_eq(get(RIS) & TX, 0, "ICR clears it");
	gic_disable(uart->intid, 0);
}

/* Whatever is written wherever, it is still a UART afterwards. */
static void test_all(void)
{
	static const uint32_t patterns[] = { 0, ~0u, 0x5a5a5a5a };

	for (unsigned p = 0; p < 3; p++)
		for (unsigned at = 4; at < 0x1000; at += 4)
			if (at != CR)
				set(at, patterns[p]);
	for (unsigned at = 0; at < 0x1000; at++)
		read8(base + at);
	set(IMSC, 0);
	set(ICR, 0x7ff);
	set(LCR_H, WLEN | FEN);
	set(IBRD, 1);
	set(FBRD, 0);
	set(IFLS, 0x12);
	set(DMACR, 0);
	set(CR, ON);
	check_id(base, 0x011, "after writes to everything: the same peripheral id");
	check_eq(get(FR) & RXFE, RXFE, "and nothing received");
}

void run(void)
{
	struct fdt_device uart;

	if (!check(fdt_find("arm,pl011", 0, &uart) && gic_init() && gic_init_cpu(0), "PL011 and GIC"))
		return;
	base = uart.base;
	qemu = cmdline_has("qemu");
	test_registers();
	test_levels();
	test_without_fifos();
	if (!qemu)
		test_overrun();
	test_switches();
	test_interrupts(&uart);
	test_all();
}
