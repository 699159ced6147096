/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/hw/pl011.h"

#include <stdatomic.h>

#include "vmm/base/macro.h"
#include "vmm/hw/primecell.h"

enum {
	DR = 0x00,
	RSR = 0x04,
	FR = 0x18,
	ILPR = 0x20,
	IBRD = 0x24,
	FBRD = 0x28,
	LCR_H = 0x2c,
	CR = 0x30,
	IFLS = 0x34,
	IMSC = 0x38,
	RIS = 0x3c,
	MIS = 0x40,
	ICR = 0x44,
	DMACR = 0x48,
};

#define FR_CTS  (1u << 0)
#define FR_DSR  (1u << 1)
#define FR_DCD  (1u << 2)
#define FR_RXFE (1u << 4)
#define FR_RXFF (1u << 6)
#define FR_TXFE (1u << 7)
#define FR_RI   (1u << 8)

#define RSR_OE (1u << 3)

#define LCR_H_FEN (1u << 4)

#define CR_UARTEN (1u << 0)
#define CR_LBE    (1u << 7)
#define CR_TXE    (1u << 8)
#define CR_RXE    (1u << 9)
#define CR_DTR    (1u << 10)
#define CR_RTS    (1u << 11)
#define CR_OUT1   (1u << 12)
#define CR_OUT2   (1u << 13)
#define CR_MASK   0xff87u

#define INT_RX   (1u << 4)
#define INT_TX   (1u << 5)
#define INT_RT   (1u << 6)
#define INT_OE   (1u << 10)
#define INT_MASK 0x7ffu

static const uint8_t pl011_id[8] = { 0x11, 0x10, 0x34, 0x00, PRIMECELL_CID };

/* Without FIFOs there is a holding register of one character. */
static unsigned depth(const struct pl011 *uart)
{
	return uart->lcr_h & LCR_H_FEN ? PL011_FIFO_DEPTH : 1;
}

/* Characters in the FIFO that raise the receive interrupt (§3.3.9). */
static unsigned trigger(const struct pl011 *uart)
{
	static const uint8_t eighths[8] = { 1, 2, 4, 6, 7, 4, 4, 4 };

	return MAX(1U, depth(uart) * eighths[(uart->ifls >> 3) & 7] / 8);
}

/* A terminal is always there; in loopback mode its lines are the UART's own (§3.3.8). */
static uint32_t modem_flags(const struct pl011 *uart)
{
	if (!(uart->cr & CR_LBE))
		return FR_CTS | FR_DSR | FR_DCD;
	return (uart->cr & CR_RTS ? FR_CTS : 0) | (uart->cr & CR_DTR ? FR_DSR : 0) |
	       (uart->cr & CR_OUT1 ? FR_DCD : 0) | (uart->cr & CR_OUT2 ? FR_RI : 0);
}

/* After every change of the FIFO and of CR. */
static void update_flags(struct pl011 *uart)
{
	uint32_t fr = FR_TXFE | modem_flags(uart);

	if (!uart->used)
		fr |= FR_RXFE;
	if (uart->used == depth(uart))
		fr |= FR_RXFF;
	atomic_store_explicit(&uart->fr, fr, memory_order_relaxed);
}

static void update_irq(struct pl011 *uart)
{
	bool level = uart->ris & uart->imsc;

	if (level == uart->level)
		return;
	uart->level = level;
	uart->irq->set(uart->irq, level);
}

static bool can_receive(const struct pl011 *uart)
{
	return (uart->cr & (CR_UARTEN | CR_RXE)) == (CR_UARTEN | CR_RXE);
}

static bool takes_input(const struct pl011 *uart)
{
	return can_receive(uart) && !(uart->cr & CR_LBE);
}

/* As many as fit. */
static size_t receive(struct pl011 *uart, const uint8_t *data, size_t len)
{
	size_t n = MIN(len, (size_t)(depth(uart) - uart->used));

	for (size_t i = 0; i < n; i++)
		uart->fifo[(uart->head + uart->used++) % PL011_FIFO_DEPTH] = data[i];
	if (n) {
		update_flags(uart);
		uart->ris |= INT_RT;
		if (uart->used >= trigger(uart))
			uart->ris |= INT_RX;
	}
	return n;
}

/* In loopback mode: what is sent is received, and nobody else's. What does not fit is lost (§3.3.2). */
static void loop_back(struct pl011 *uart, uint8_t c)
{
	if (!can_receive(uart) || !(uart->cr & CR_TXE))
		return;
	if (!receive(uart, &c, 1)) {
		uart->overrun = true;
		uart->ris |= INT_OE;
	}
}

size_t pl011_input(void *ctx, const uint8_t *data, size_t len)
{
	struct pl011 *uart = ctx;
	size_t n = 0;

	pthread_mutex_lock(&uart->lock);
	if (takes_input(uart))
		n = receive(uart, data, len);
	update_irq(uart);
	uart->starved = n < len;
	pthread_mutex_unlock(&uart->lock);
	return n;
}

static uint8_t read_data(struct pl011 *uart)
{
	uint8_t c;

	if (!uart->used)
		return 0;

	c = uart->fifo[uart->head];
	uart->head = (uart->head + 1) % PL011_FIFO_DEPTH;
	uart->used--;
	update_flags(uart);

	if (uart->used < trigger(uart))
		uart->ris &= ~INT_RX;
	if (!uart->used)
		uart->ris &= ~INT_RT;
	update_irq(uart);
	return c;
}

static uint32_t read_register(struct pl011 *uart, uint64_t offset)
{
	switch (offset) {
	case DR:
		return read_data(uart);
	case RSR:
		return uart->overrun ? RSR_OE : 0;
	case ILPR:
		return uart->ilpr;
	case IBRD:
		return uart->ibrd;
	case FBRD:
		return uart->fbrd;
	case LCR_H:
		return uart->lcr_h;
	case CR:
		return uart->cr;
	case IFLS:
		return uart->ifls;
	case IMSC:
		return uart->imsc;
	case RIS:
		return uart->ris;
	case MIS:
		return uart->ris & uart->imsc;
	case DMACR:
		return uart->dmacr;
	}
	return primecell_is_id(offset) ? primecell_id(pl011_id, offset) : 0;
}

static void write_register(struct pl011 *uart, uint64_t offset, uint32_t value)
{
	switch (offset) {
	case DR:
		/* The character has left already: the FIFO ran through its trigger level (§2.8.2). */
		uart->ris |= INT_TX;
		if (uart->cr & CR_LBE)
			loop_back(uart, (uint8_t)value);
		break;
	case RSR: /* written, it is ECR: any value clears the errors */
		uart->overrun = false;
		break;
	case ILPR:
		uart->ilpr = value & 0xff;
		break;
	case IBRD:
		uart->ibrd = value & 0xffff;
		break;
	case FBRD:
		uart->fbrd = value & 0x3f;
		break;
	case LCR_H:
		/* switching the FIFOs on or off flushes them (§3.3.7) */
		if ((uart->lcr_h ^ value) & LCR_H_FEN) {
			uart->used = 0;
			uart->ris &= ~(INT_RX | INT_RT);
		}
		uart->lcr_h = value & 0xff;
		update_flags(uart);
		break;
	case CR:
		uart->cr = value & CR_MASK;
		update_flags(uart);
		break;
	case IFLS:
		uart->ifls = value & 0x3f;
		break;
	case IMSC:
		uart->imsc = value & INT_MASK;
		break;
	case ICR:
		uart->ris &= ~value;
		break;
	case DMACR:
		uart->dmacr = value & 7;
		break;
	}
	update_irq(uart);
}

/* True, once, when input was refused and would be taken now. */
static bool hungry(struct pl011 *uart)
{
	bool yes = uart->starved && takes_input(uart) && uart->used < depth(uart);

	if (yes)
		uart->starved = false;
	return yes;
}

static uint64_t pl011_read(struct mmio_region *region, uint64_t offset, unsigned len)
{
	struct pl011 *uart = container_of(region, struct pl011, region);
	uint32_t value;
	bool ready;

	/* guests poll it for each character that they write */
	if (offset == FR)
		return atomic_load_explicit(&uart->fr, memory_order_relaxed);

	pthread_mutex_lock(&uart->lock);
	value = read_register(uart, offset);
	ready = hungry(uart);
	pthread_mutex_unlock(&uart->lock);

	if (ready)
		console_input_ready(uart->console);
	return value;
}

static void pl011_write(struct mmio_region *region, uint64_t offset, uint64_t value, unsigned len)
{
	struct pl011 *uart = container_of(region, struct pl011, region);
	bool ready, sent;

	pthread_mutex_lock(&uart->lock);
	/* Whatever else CR says: early consoles write before anyone has enabled the UART. */
	sent = offset == DR && !(uart->cr & CR_LBE);
	write_register(uart, offset, (uint32_t)value);
	ready = hungry(uart);
	pthread_mutex_unlock(&uart->lock);

	if (sent)
		console_write(uart->console, &(uint8_t){ (uint8_t)value }, 1);

	if (ready)
		console_input_ready(uart->console);
}

void pl011_init(struct pl011 *uart, uint64_t base, struct irq_line *irq, struct console *console)
{
	*uart = (struct pl011){
		.region = { "pl011", base, PRIMECELL_SIZE, pl011_read, pl011_write },
		.irq = irq,
		.console = console,
		.cr = CR_TXE | CR_RXE,
		.ifls = 0x12,
	};
	update_flags(uart);
	pthread_mutex_init(&uart->lock, NULL);
	console_set_input(console, pl011_input, uart);
}

void pl011_destroy(struct pl011 *uart)
{
	if (!uart->console)
		return;

	console_set_input(uart->console, NULL, NULL);
	pthread_mutex_destroy(&uart->lock);
}
