/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "tests/unit/irq_probe.h"
#include "vmm/hw/pl011.h"

#define DR    0x00
#define RSR   0x04
#define FR    0x18
#define IBRD  0x24
#define LCR_H 0x2c
#define CR    0x30
#define IFLS  0x34
#define IMSC  0x38
#define RIS   0x3c
#define MIS   0x40
#define ICR   0x44

#define RXFE (1u << 4)
#define RXFF (1u << 6)
#define TXFE (1u << 7)
#define FEN  (1u << 4)
#define RX   (1u << 4)
#define TX   (1u << 5)
#define RT   (1u << 6)
#define ON   0x301u
#define LBE  0x80u

struct rig {
	struct loop *main;
	struct console *console;
	struct irq_probe irq;
	struct pl011 uart;
	int terminal; /* of a client that types */
};

static int set_up(void **state)
{
	static struct rig rig;
	int ends[2];

	rig = (struct rig){ .irq = IRQ_PROBE_INIT };
	assert_int_equal(loop_new(&rig.main), 0);
	assert_int_equal(console_new(rig.main, &rig.console), 0);
	pl011_init(&rig.uart, 0x09000000, &rig.irq.line, rig.console);

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
	assert_int_equal(console_attach(rig.console, ends[0], true, NULL), 0);
	rig.terminal = ends[1];
	*state = &rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;

	pl011_destroy(&rig->uart);
	console_free(rig->console);
	loop_free(rig->main);
	close(rig->terminal);
	return 0;
}

static uint32_t get(struct rig *rig, uint64_t offset)
{
	return reg_read(&rig->uart.region, offset);
}

static void set(struct rig *rig, uint64_t offset, uint32_t value)
{
	reg_write(&rig->uart.region, offset, value);
}

struct last_work {
	struct loop_work work;
	struct loop *loop;
};

static void quit(struct loop_work *work)
{
	loop_quit(container_of(work, struct last_work, work)->loop);
}

/* Let the main loop do what it has to do by now. */
static void settle(struct rig *rig)
{
	struct last_work last = { { .fn = quit }, rig->main };

	for (int i = 0; i < 3; i++) {
		loop_post(rig->main, &last.work);
		assert_int_equal(loop_run(rig->main), 0);
	}
}

static size_t type(struct rig *rig, const char *text)
{
	return pl011_input(&rig->uart, (const uint8_t *)text, strlen(text));
}

static void output_reaches_the_console(void **state)
{
	struct rig *rig = *state;
	char buf[16] = "";

	/* even before the UART is enabled, as early consoles expect */
	for (const char *p = "hello"; *p; p++) {
		assert_true(get(rig, FR) & TXFE);
		set(rig, DR, (uint32_t)*p);
	}
	settle(rig);
	assert_int_equal(read(rig->terminal, buf, sizeof(buf)), 5);
	assert_string_equal(buf, "hello");
}

static void output_raises_the_transmit_interrupt(void **state)
{
	struct rig *rig = *state;

	set(rig, IMSC, TX);
	assert_false(rig->irq.level);
	set(rig, DR, 'x');
	assert_true(rig->irq.level);
	assert_int_equal(get(rig, MIS), TX);
	set(rig, ICR, TX);
	assert_false(rig->irq.level);
	assert_int_equal(get(rig, RIS), 0);
	assert_int_equal(rig->irq.changes, 2);
}

static void takes_no_input_until_enabled(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(type(rig, "x"), 0);
	assert_true(get(rig, FR) & RXFE);
	set(rig, CR, ON);
	assert_int_equal(type(rig, "x"), 1);
	assert_false(get(rig, FR) & RXFE);
	assert_int_equal(get(rig, DR), 'x');
	assert_true(get(rig, FR) & RXFE);
	assert_int_equal(get(rig, DR), 0);
}

static void without_fifos_one_character_fits(void **state)
{
	struct rig *rig = *state;

	set(rig, CR, ON);
	assert_int_equal(type(rig, "abc"), 1);
	assert_true(get(rig, FR) & RXFF);
	assert_true(get(rig, RIS) & RX);
	assert_int_equal(get(rig, DR), 'a');
	assert_false(get(rig, RIS) & (RX | RT));
}

static void fifo_takes_as_much_as_fits(void **state)
{
	struct rig *rig = *state;
	char text[41];

	set(rig, LCR_H, FEN);
	set(rig, CR, ON);
	for (int i = 0; i < 40; i++)
		text[i] = (char)('A' + i);
	text[40] = '\0';

	assert_int_equal(type(rig, text), PL011_FIFO_DEPTH);
	assert_true(get(rig, FR) & RXFF);
	for (int i = 0; i < 10; i++)
		assert_int_equal(get(rig, DR), text[i]);
	assert_int_equal(type(rig, text + 32), 8);
	for (int i = 10; i < 40; i++)
		assert_int_equal(get(rig, DR), text[i]);
	assert_true(get(rig, FR) & RXFE);
}

/* §3.3.9: at 1/8 of 32 characters the receive interrupt comes with the fourth. */
static void receive_interrupts_follow_the_trigger_level(void **state)
{
	struct rig *rig = *state;

	set(rig, LCR_H, FEN);
	set(rig, IFLS, 0);
	set(rig, CR, ON);
	set(rig, IMSC, RX | RT);
	type(rig, "abc");
	assert_int_equal(get(rig, MIS), RT);
	assert_true(rig->irq.level);
	type(rig, "d");
	assert_int_equal(get(rig, MIS), RX | RT);

	get(rig, DR);
	assert_int_equal(get(rig, MIS), RT);
	get(rig, DR);
	get(rig, DR);
	assert_true(rig->irq.level);
	get(rig, DR);
	assert_int_equal(get(rig, RIS), 0);
	assert_false(rig->irq.level);

	/* acknowledged without being read: quiet until more comes */
	type(rig, "e");
	set(rig, ICR, RT);
	assert_false(rig->irq.level);
	type(rig, "f");
	assert_true(rig->irq.level);
}

static void switching_fifos_flushes_them(void **state)
{
	struct rig *rig = *state;

	set(rig, LCR_H, FEN);
	set(rig, CR, ON);
	set(rig, IMSC, RX | RT);
	type(rig, "abc");
	set(rig, LCR_H, 0x60);
	assert_true(get(rig, FR) & RXFE);
	assert_false(rig->irq.level);
	assert_int_equal(get(rig, LCR_H), 0x60);
}

/* What is typed while the guest does not listen waits in the console and arrives later. */
static void typed_input_waits_for_the_guest(void **state)
{
	struct rig *rig = *state;
	char text[100];
	size_t got = 0;

	memset(text, 'x', sizeof(text));
	assert_int_equal(write(rig->terminal, text, sizeof(text)), sizeof(text));
	settle(rig);
	assert_true(get(rig, FR) & RXFE);

	set(rig, LCR_H, FEN);
	set(rig, CR, ON);
	for (int round = 0; round < 10; round++) {
		settle(rig);
		while (!(get(rig, FR) & RXFE)) {
			assert_int_equal(get(rig, DR), 'x');
			got++;
		}
	}
	assert_int_equal(got, sizeof(text));
}

/* What a driver or a test writes comes back to it, and nobody sees or disturbs it. */
static void loops_back(void **state)
{
	struct rig *rig = *state;

	set(rig, CR, ON | LBE);
	set(rig, LCR_H, FEN);
	set(rig, IMSC, RX);
	for (unsigned i = 0; i < 32; i++) {
		assert_int_equal(rig->irq.level, i >= 16);
		set(rig, DR, i);
	}
	assert_int_equal(get(rig, FR) & (RXFE | RXFF), RXFF);
	assert_int_equal(get(rig, RSR), 0);
	set(rig, DR, 99);
	assert_int_equal(get(rig, RSR), 8);
	assert_int_equal(get(rig, RIS) & (1u << 10), 1u << 10);
	set(rig, RSR, 0);
	assert_int_equal(get(rig, RSR), 0);
	assert_int_equal(pl011_input(&rig->uart, (const uint8_t *)"x", 1), 0);
	for (unsigned i = 0; i < 32; i++)
		assert_int_equal(get(rig, DR), i);
	assert_int_equal(get(rig, FR) & RXFE, RXFE);

	/* without TXE nothing leaves */
	set(rig, CR, 0x201 | LBE);
	set(rig, DR, 1);
	assert_int_equal(get(rig, FR) & RXFE, RXFE);

	/* modem lines: CTS, DSR, DCD are there, unless they are one's own */
	assert_int_equal(get(rig, FR) & 0x107, 0);
	set(rig, CR, ON | LBE | 0x3c00);
	assert_int_equal(get(rig, FR) & 0x107, 0x107);
	set(rig, CR, ON);
	assert_int_equal(get(rig, FR) & 0x107, 7);

	/* and what was typed meanwhile is not lost */
	assert_int_equal(pl011_input(&rig->uart, (const uint8_t *)"x", 1), 1);
	settle(rig);
	assert_int_equal(recv(rig->terminal, &(char){ 0 }, 1, MSG_DONTWAIT), -1);
}

static void identifies_itself(void **state)
{
	static const uint8_t id[] = { 0x11, 0x10, 0x34, 0x00, 0x0d, 0xf0, 0x05, 0xb1 };
	struct rig *rig = *state;

	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(get(rig, 0xfe0 + 4 * i), id[i]);
	assert_int_equal(PL011_PERIPHID, id[0] | id[1] << 8 | id[2] << 16);
}

static void keeps_only_the_bits_that_exist(void **state)
{
	static const struct {
		uint64_t offset;
		uint32_t kept;
	} regs[] = { { 0x20, 0xff }, { IBRD, 0xffff }, { 0x28, 0x3f },    { LCR_H, 0xff },
		     { IFLS, 0x3f }, { CR, 0xff87 },   { IMSC, 0x7ff },   { 0x48, 7 },
		     { FR, 0x197 },  { RIS, 0 },       { MIS, 0 },        { 0x800, 0 } };
	struct rig *rig = *state;

	/* FR is that of a CR with everything set, so of loopback mode */
	for (size_t i = 0; i < ARRAY_SIZE(regs); i++) {
		set(rig, regs[i].offset, 0xffffffff);
		assert_int_equal(get(rig, regs[i].offset), regs[i].kept);
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(output_reaches_the_console),
		TEST(output_raises_the_transmit_interrupt),
		TEST(takes_no_input_until_enabled),
		TEST(without_fifos_one_character_fits),
		TEST(fifo_takes_as_much_as_fits),
		TEST(receive_interrupts_follow_the_trigger_level),
		TEST(switching_fifos_flushes_them),
		TEST(typed_input_waits_for_the_guest),
		TEST(loops_back),
		TEST(identifies_itself),
		TEST(keeps_only_the_bits_that_exist),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
