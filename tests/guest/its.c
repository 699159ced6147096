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
	CMD_SYNC = 0x05,
	CMD_MAPD = 0x08,
	CMD_MAPC = 0x09,
	CMD_MAPTI = 0x0a,
	CMD_INV = 0x0c,
};

static _Alignas(65536) uint8_t tables[2][65536];
static _Alignas(65536) uint8_t pending[65536];
static _Alignas(4096) uint64_t commands[512]; /* 128 commands */
static _Alignas(4096) uint8_t properties[8192];
static _Alignas(256) uint64_t translations[ITS_MAX_DEVICES][ITS_MAX_EVENTS * 2];
static unsigned devices[ITS_MAX_DEVICES], n_devices;
static uint64_t its, target;

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

static void set_up_lpis(void)
{
	uint64_t r = gic_redistributor(0);

	write64(r + GICR_PROPBASER, (uint64_t)properties | SHARED | 7 << 7 | (ID_BITS - 1));
	write64(r + GICR_PENDBASER, (uint64_t)pending | SHARED | 7 << 7 | 1ull << 62);
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

bool its_init(void)
{
	struct fdt_device dev;

	if (!fdt_find("arm,gic-v3-its", 0, &dev))
		return false;
	its = dev.base;
	set_up_lpis();
	if (!set_up_tables())
		return false;
	write64(its + GITS_CBASER, VALID | INNER_WB | SHARED | (uint64_t)commands);
	write64(its + GITS_CWRITER, 0);
	write32(its + GITS_CTLR, 1);
	barrier();

	/* GITS_TYPER.PTA: targets are addresses, or numbers of CPUs, of which CPU 0 is 0 */
	target = read64(its + GITS_TYPER) & 1 << 19 ? gic_redistributor(0) : 0;
	return command(CMD_MAPC, 0, VALID | target) && command(CMD_SYNC, 0, target);
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

bool its_map(unsigned device, unsigned event, unsigned lpi)
{
	properties[lpi - INTID_LPI] = 0xa0 | 2 | 1; /* priority, group 1, enabled */
	barrier();
	return add_device(device) &&
	       command(CMD_MAPTI | (uint64_t)device << 32, event | (uint64_t)lpi << 32, 0) &&
	       command(CMD_INV | (uint64_t)device << 32, event, 0) && command(CMD_SYNC, 0, target);
}

uint64_t its_doorbell(void)
{
	return its + GITS_TRANSLATER;
}
