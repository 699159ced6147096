/* SPDX-License-Identifier: Apache-2.0 */
#include "rt.h"

#define UART_DR 0x00
#define UART_FR 0x18
#define UART_CR 0x30
#define FR_RXFE (1u << 4)
#define FR_TXFF (1u << 5)

/* Until the FDT has been read: where machine type hvd-1.0 and QEMU's virt have the PL011. */
uint64_t uart_base = 0x09000000;

static unsigned n_ok, n_failed;
static cpu_fn volatile cpu_entry[RT_MAX_CPUS];

void rt_main(const void *fdt);
void rt_secondary(uint64_t cpu);
void rt_exception(uint64_t esr, uint64_t elr, uint64_t far);
void *memset(void *p, int c, size_t n);
void *memcpy(void *dst, const void *src, size_t n);

static void putc_(char c)
{
	while (read32(uart_base + UART_FR) & FR_TXFF)
		;
	write32(uart_base + UART_DR, (uint8_t)c);
}

void uart_puts(const char *s)
{
	for (; *s; s++) {
		if (*s == '\n')
			putc_('\r');
		putc_(*s);
	}
}

int uart_getc(void)
{
	if (read32(uart_base + UART_FR) & FR_RXFE)
		return -1;
	return (int)(read32(uart_base + UART_DR) & 0xff);
}

void uart_ask(void)
{
	uart_puts("READY\n");
	while (uart_getc() < 0)
		;
}

static void print_number(uint64_t v, unsigned base, unsigned width)
{
	char buf[24];
	unsigned i = sizeof(buf);

	buf[--i] = 0;
	do {
		buf[--i] = "0123456789abcdef"[v % base];
		v /= base;
	} while ((v || sizeof(buf) - 1 - i < width) && i > 0);
	uart_puts(buf + i);
}

static void vprint(const char *fmt, va_list ap)
{
	for (; *fmt; fmt++) {
		unsigned width = 0;
		bool wide = false;

		if (*fmt != '%') {
			uart_puts((char[2]){ *fmt, 0 });
			continue;
		}
		for (fmt++; *fmt >= '0' && *fmt <= '9'; fmt++)
			width = width * 10 + (unsigned)(*fmt - '0');
		for (; *fmt == 'l'; fmt++)
			wide = true;
		switch (*fmt) {
		case 's':
			uart_puts(va_arg(ap, const char *));
			break;
		case 'c':
			uart_puts((char[2]){ (char)va_arg(ap, int), 0 });
			break;
		case 'd': {
			int64_t v = wide ? va_arg(ap, int64_t) : va_arg(ap, int);

			if (v < 0)
				uart_puts("-");
			print_number(v < 0 ? -(uint64_t)v : (uint64_t)v, 10, width);
			break;
		}
		default:
			print_number(wide ? va_arg(ap, uint64_t) : va_arg(ap, unsigned),
				     *fmt == 'x' ? 16 : 10, width);
		}
	}
}

void print(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vprint(fmt, ap);
	va_end(ap);
}

bool check(bool cond, const char *fmt, ...)
{
	va_list ap;

	uart_puts(cond ? "ok " : "FAIL ");
	va_start(ap, fmt);
	vprint(fmt, ap);
	va_end(ap);
	uart_puts("\n");
	if (cond)
		n_ok++;
	else
		n_failed++;
	return cond;
}

bool check_eq(uint64_t got, uint64_t want, const char *what)
{
	if (got == want)
		return check(true, "%s", what);
	return check(false, "%s: 0x%lx, not 0x%lx", what, got, want);
}

void memset_(void *p, int c, size_t n)
{
	volatile uint8_t *b = p;

	while (n--)
		*b++ = (uint8_t)c;
}

/* gcc calls these two for structures even when freestanding. */
void *memset(void *p, int c, size_t n)
{
	memset_(p, c, n);
	return p;
}

void *memcpy(void *dst, const void *src, size_t n)
{
	volatile uint8_t *d = dst;
	const uint8_t *s = src;

	while (n--)
		*d++ = *s++;
	return dst;
}

bool str_eq(const char *a, const char *b)
{
	for (; *a && *a == *b; a++, b++)
		;
	return *a == *b;
}

bool cmdline_has(const char *word)
{
	const char *p = fdt_bootargs();

	while (*p) {
		const char *w = word;

		for (; *w && *p == *w; p++, w++)
			;
		if (!*w && (!*p || *p == ' '))
			return true;
		while (*p && *p != ' ')
			p++;
		while (*p == ' ')
			p++;
	}
	return false;
}

uint64_t ticks(void)
{
	uint64_t v;

	asm volatile("isb; mrs %0, cntvct_el0" : "=r"(v) : : "memory");
	return v;
}

uint64_t ticks_per_second(void)
{
	uint64_t v;

	asm volatile("mrs %0, cntfrq_el0" : "=r"(v));
	return v;
}

int64_t psci(uint64_t fn, uint64_t a, uint64_t b, uint64_t c)
{
	register uint64_t x0 asm("x0") = fn;
	register uint64_t x1 asm("x1") = a;
	register uint64_t x2 asm("x2") = b;
	register uint64_t x3 asm("x3") = c;

	asm volatile("hvc #0"
		     : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)
		     :
		     : "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15",
		       "x16", "x17", "memory");
	/* The 32-bit functions answer in w0. */
	return fn & 0x40000000 ? (int64_t)x0 : (int32_t)x0;
}

void power_off(void)
{
	psci(PSCI_SYSTEM_OFF, 0, 0, 0);
	for (;;)
		asm volatile("wfi");
}

unsigned cpu_count(void)
{
	unsigned n = fdt_count_device_type("cpu");

	return n > RT_MAX_CPUS ? RT_MAX_CPUS : n;
}

int64_t cpu_start(unsigned i, cpu_fn fn)
{
	cpu_entry[i] = fn;
	barrier();
	return psci(PSCI_CPU_ON, cpu_mpidr(i), (uint64_t)secondary_entry, i);
}

void rt_secondary(uint64_t cpu)
{
	cpu_entry[cpu]((unsigned)cpu);
	psci(PSCI_CPU_OFF, 0, 0, 0);
}

void rt_exception(uint64_t esr, uint64_t elr, uint64_t far)
{
	print("\n");
	check(false, "no exception on CPU %u: ESR 0x%lx ELR +0x%lx FAR 0x%lx", cpu_self(), esr, elr,
	      far);
	print("DONE %s: %u ok, %u failed\n", payload_name, n_ok, n_failed);
	power_off();
}

void rt_main(const void *fdt)
{
	struct fdt_device uart;
	bool have_fdt = fdt_open(fdt);

	if (have_fdt && fdt_find("arm,pl011", 0, &uart))
		uart_base = uart.base;
	/* Some VMMs drop what is sent to a disabled UART: UARTEN, TXE, RXE. */
	write32(uart_base + UART_CR, 0x301);
	print("PAYLOAD %s\n", payload_name);
	if (check(have_fdt, "x0 points to an FDT"))
		run();
	print("DONE %s: %u ok, %u failed\n", payload_name, n_ok, n_failed);
	power_off();
}
