/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a payload stands on: console, checks, PSCI, MMIO, time, CPUs, and the device tree.
 *
 * A payload defines run() and payload_name. It prints one line a check ("ok what", "FAIL what"), and the
 * runtime ends with "DONE name: N ok, N failed" and SYSTEM_OFF. Addresses come from the FDT, so
 * the same file boots on hvd-vmm and on QEMU's virt machine.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RT_MAX_CPUS 8

extern const char payload_name[];
void run(void);

/* %s %c %u %d %x with h-less widths: int, or with l: 64 bits. Zero padding as %08x. CPU 0 only. */
void print(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* One line of the result. Returns cond. */
bool check(bool cond, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool check_eq(uint64_t got, uint64_t want, const char *what);

/* -1 when nothing was typed. */
int uart_getc(void);
void uart_puts(const char *s);
/* Say READY and wait for a key. */
void uart_ask(void);

void memset_(void *p, int c, size_t n);
bool str_eq(const char *a, const char *b);
/* A word of the kernel command line. */
bool cmdline_has(const char *word);

/* Architected counter. */
uint64_t ticks(void);
uint64_t ticks_per_second(void);

/* Poll cond for at most a minute of guest time. A macro, so that cond is looked at afresh. */
#define wait_for(cond)                                                                             \
	({                                                                                         \
		uint64_t end_ = ticks() + 60 * ticks_per_second();                                 \
		bool met_;                                                                         \
		while (!(met_ = (cond)) && ticks() < end_)                                         \
			;                                                                          \
		met_;                                                                              \
	})

/* PSCI (Arm DEN0022) by HVC. */
#define PSCI_VERSION 0x84000000
#define PSCI_CPU_SUSPEND 0xc4000001
#define PSCI_CPU_OFF 0x84000002
#define PSCI_CPU_ON_32 0x84000003
#define PSCI_AFFINITY_INFO_32 0x84000004
#define PSCI_CPU_ON 0xc4000003
#define PSCI_AFFINITY_INFO 0xc4000004
#define PSCI_MIGRATE_INFO_TYPE 0x84000006
#define PSCI_SYSTEM_OFF 0x84000008
#define PSCI_SYSTEM_RESET 0x84000009
#define PSCI_FEATURES 0x8400000a
#define PSCI_SYSTEM_RESET2 0xc4000012
#define SMCCC_VERSION 0x80000000
#define PSCI_NOT_SUPPORTED (-1)
#define PSCI_INVALID_PARAMETERS (-2)
#define PSCI_DENIED (-3)
#define PSCI_ALREADY_ON (-4)
#define PSCI_ON_PENDING (-5)
#define PSCI_INVALID_ADDRESS (-9)

int64_t psci(uint64_t fn, uint64_t a, uint64_t b, uint64_t c);
void power_off(void) __attribute__((noreturn));

/* CPU number i has this affinity, as KVM and QEMU both number them with a GICv3. */
static inline uint64_t cpu_mpidr(unsigned i)
{
	return (i & 0xf) | (uint64_t)(i >> 4) << 8;
}
unsigned cpu_count(void); /* from the FDT */

/* Start CPU i in fn, which runs on that CPU and ends with CPU_OFF when it returns. */
typedef void (*cpu_fn)(unsigned cpu);
int64_t cpu_start(unsigned i, cpu_fn fn);
static inline unsigned cpu_self(void)
{
	uint64_t i;

	asm volatile("mrs %0, tpidr_el1" : "=r"(i));
	return (unsigned)i;
}

extern char secondary_entry[];

/* MMIO. */
#define MMIO_ACCESSORS(bits, insn, reg)                                                            \
	static inline uint##bits##_t read##bits(uint64_t addr)                                     \
	{                                                                                          \
		uint##bits##_t v;                                                                  \
		asm volatile("ldr" insn " %" reg "0, [%1]" : "=r"(v) : "r"(addr) : "memory");      \
		return v;                                                                          \
	}                                                                                          \
	static inline void write##bits(uint64_t addr, uint##bits##_t v)                            \
	{                                                                                          \
		asm volatile("str" insn " %" reg "0, [%1]" : : "r"(v), "r"(addr) : "memory");      \
	}
MMIO_ACCESSORS(8, "b", "w")
MMIO_ACCESSORS(16, "h", "w")
MMIO_ACCESSORS(32, "", "w")
MMIO_ACCESSORS(64, "", "x")

/* Of 1, 2, 4 or 8 bytes. */
static inline uint64_t read_width(uint64_t addr, unsigned len)
{
	return len == 1 ? read8(addr) : len == 2 ? read16(addr) : len == 4 ? read32(addr) : read64(addr);
}

static inline void write_width(uint64_t addr, uint64_t v, unsigned len)
{
	if (len == 1)
		write8(addr, (uint8_t)v);
	else if (len == 2)
		write16(addr, (uint16_t)v);
	else if (len == 4)
		write32(addr, (uint32_t)v);
	else
		write64(addr, v);
}

static inline void barrier(void)
{
	asm volatile("dsb sy" : : : "memory");
}

/* Addresses below the GICv3's own are found by fdt_find(). */
extern uint64_t uart_base;

/* A node of the device tree as far as a payload needs it. */
struct fdt_device {
	uint64_t base, size;   /* first reg entry */
	uint64_t base2, size2; /* second, 0 when none */
	uint32_t intid;        /* GIC INTID of the first interrupt, 0 when none */
	bool edge;
};

/* The index-th node with this compatible string. */
bool fdt_find(const char *compatible, unsigned index, struct fdt_device *ret);
unsigned fdt_count_device_type(const char *type);
const char *fdt_bootargs(void);
void fdt_memory(uint64_t *base, uint64_t *size);
bool fdt_open(const void *fdt);
