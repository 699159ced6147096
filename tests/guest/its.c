/* SPDX-License-Identifier: Apache-2.0 */
#include "its.h"

#define GITS_CTLR 0x0000
#define GITS_TYPER 0x0008
#define GITS_CBASER 0x0080
#define GITS_CWRITER 0x0088
#define GITS_CREADR 0x0090
#define GITS_BASER 0x0100
#define GITS_TRANSLATER 0x10040

#define GICR_CTLR 0x0000
#define GICR_TYPER 0x0008
#define GICR_PROPBASER 0x0070
#define GICR_PENDBASER 0x0078

#define VALID (1ull << 63)
#define INNER_WB (7ull << 59) /* cacheable, as BASER and CBASER have it */
#define SHARED (1ull << 10)
#define TYPE(baser) ((baser) >> 56 & 7)
#define TYPE_DEVICES 1
#define TYPE_COLLECTIONS 4

#define ID_BITS 14 /* LPIs 8192 to 16383 */

enum {
	CMD_MOVI = 0x01,
	CMD_INT = 0x03,
	CMD_CLEAR = 0x04,
	CMD_SYNC = 0x05,
	CMD_MAPD = 0x08,
	CMD_MAPC = 0x09,
	CMD_MAPTI = 0x0a,
	CMD_INV = 0x0c,
	CMD_DISCARD = 0x0f,
};

static _Alignas(65536) uint8_t tables[2][65536];
static _Alignas(65536) uint8_t pending[RT_MAX_CPUS][65536];
static _Alignas(65536) uint64_t commands[512]; /* 128 commands; KVM takes no other alignment */
static _Alignas(4096) uint8_t properties[8192];
static _Alignas(256) uint64_t translations[ITS_MAX_DEVICES][ITS_MAX_EVENTS * 2];
static unsigned devices[ITS_MAX_DEVICES], n_devices;
static uint64_t its;

static bool command(uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t at = read64(its + GITS_CWRITER);
	volatile uint64_t *cmd = commands + at / 8;

	cmd[0] = a;
	cmd[1] = b;
	cmd[2] = c;
	cmd[3] = 0;
	barrier();
	at = (at + 32) % sizeof(commands);
	write64(its + GITS_CWRITER, at);
	return wait_for(read64(its + GITS_CREADR) == at);
}

static void set_up_lpis(unsigned cpu)
{
	uint64_t r = gic_redistributor(cpu);

	write64(r + GICR_PROPBASER, (uint64_t)properties | SHARED | 7 << 7 | (ID_BITS - 1));
	write64(r + GICR_PENDBASER, (uint64_t)pending[cpu] | SHARED | 7 << 7 | 1ull << 62);
	barrier();
	write32(r + GICR_CTLR, read32(r + GICR_CTLR) | 1);
	barrier();
}

static bool set_up_tables(void)
{
	unsigned found = 0;

	for (unsigned i = 0; i < 8; i++) {
		uint64_t at = its + GITS_BASER + 8 * i, type = TYPE(read64(at));

		if (type != TYPE_DEVICES && type != TYPE_COLLECTIONS)
			continue;
		/* one flat page of 64 KiB */
		write64(at, VALID | INNER_WB | SHARED | 2 << 8 | (uint64_t)tables[type == TYPE_DEVICES]);
		found++;
	}
	return found == 2;
}

/* GITS_TYPER.PTA: targets are addresses, or else numbers of CPUs, both from bit 16 on. */
static uint64_t target(unsigned cpu)
{
	uint64_t r = gic_redistributor(cpu);

	return read64(its + GITS_TYPER) & 1 << 19 ? r : (read64(r + GICR_TYPER) >> 8 & 0xffff) << 16;
}

/* A collection for each CPU, of its number. */
static bool sync(unsigned cpu)
{
	return command(CMD_SYNC, 0, target(cpu));
}

bool its_add_cpu(unsigned cpu)
{
	set_up_lpis(cpu);
	return command(CMD_MAPC, 0, VALID | target(cpu) | cpu) && sync(cpu);
}

bool its_init(void)
{
	struct fdt_device dev;

	if (!fdt_find("arm,gic-v3-its", 0, &dev))
		return false;
	its = dev.base;
	if (!set_up_tables())
		return false;
	write64(its + GITS_CBASER, VALID | INNER_WB | SHARED | (uint64_t)commands);
	write64(its + GITS_CWRITER, 0);
	write32(its + GITS_CTLR, 1);
	barrier();
	return its_add_cpu(0);
}

static bool add_device(unsigned device)
{
	for (unsigned i = 0; i < n_devices; i++)
		if (devices[i] == device)
			return true;
	if (n_devices == ITS_MAX_DEVICES)
		return false;
	devices[n_devices] = device;
	/* five bits of event ID */
	return command(CMD_MAPD | (uint64_t)device << 32, 4,
		       VALID | (uint64_t)translations[n_devices++]);
}

bool its_unmap(unsigned device)
{
	for (unsigned i = 0; i < n_devices; i++)
		if (devices[i] == device)
			devices[i] = ~0u; /* the table stays taken */
	return command(CMD_MAPD | (uint64_t)device << 32, 4, 0) && sync(0);
}

static bool event_command(unsigned cmd, unsigned device, unsigned event, uint64_t collection)
{
	return command(cmd | (uint64_t)device << 32, event, collection) && sync(0);
}

bool its_send(unsigned device, unsigned event)
{
	return event_command(CMD_INT, device, event, 0);
}

bool its_clear(unsigned device, unsigned event)
{
	return event_command(CMD_CLEAR, device, event, 0);
}

bool its_discard(unsigned device, unsigned event)
{
	return event_command(CMD_DISCARD, device, event, 0);
}

bool its_move(unsigned device, unsigned event, unsigned cpu)
{
	return event_command(CMD_MOVI, device, event, cpu) && sync(cpu);
}

bool its_enable(unsigned device, unsigned event, unsigned lpi, bool enable)
{
	properties[lpi - INTID_LPI] = (uint8_t)(0xa0 | 2 | enable); /* priority, group 1 */
	barrier();
	return event_command(CMD_INV, device, event, 0);
}

bool its_map(unsigned device, unsigned event, unsigned lpi)
{
	return add_device(device) &&
	       command(CMD_MAPTI | (uint64_t)device << 32, event | (uint64_t)lpi << 32, 0) &&
	       its_enable(device, event, lpi, true);
}

uint64_t its_doorbell(void)
{
	return its + GITS_TRANSLATER;
}
