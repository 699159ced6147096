/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/hw/pl061.h"

#include "vmm/base/macro.h"
#include "vmm/hw/primecell.h"

enum {
	DATA = 0x000, /* … 0x3fc: bits 9:2 of the address choose the lines */
	DATA_LAST = 0x3ff,
	DIR = 0x400,
	IS = 0x404,
	IBE = 0x408,
	IEV = 0x40c,
	IE = 0x410,
	RIS = 0x414,
	MIS = 0x418,
	IC = 0x41c,
	AFSEL = 0x420,
};

static const uint8_t pl061_id[8] = { 0x61, 0x10, 0x04, 0x00, PRIMECELL_CID };

static uint8_t pins(const struct pl061 *gpio)
{
	return (gpio->in & ~gpio->dir) | (gpio->out & gpio->dir);
}

/* Raw status: latched edges, and levels as they are (§3.3.7). */
static uint8_t raw_status(const struct pl061 *gpio)
{
	uint8_t active = (uint8_t)~(pins(gpio) ^ gpio->iev);

	return (gpio->edges & ~gpio->is) | (active & gpio->is);
}

static void update_irq(struct pl061 *gpio)
{
	bool level = raw_status(gpio) & gpio->ie;

	if (level == gpio->level)
		return;
	gpio->level = level;
	gpio->irq->set(gpio->irq, level);
}

static void latch_edges(struct pl061 *gpio, uint8_t before)
{
	uint8_t after = pins(gpio), changed = before ^ after;
	uint8_t wanted = gpio->ibe | (uint8_t)~(after ^ gpio->iev);

	gpio->edges |= changed & wanted;
}

void pl061_set_input(struct pl061 *gpio, unsigned line, bool high)
{
	uint8_t bit = (uint8_t)(1u << (line & 7)), before;

	pthread_mutex_lock(&gpio->lock);
	before = pins(gpio);
	gpio->in = high ? gpio->in | bit : gpio->in & (uint8_t)~bit;
	latch_edges(gpio, before);
	update_irq(gpio);
	pthread_mutex_unlock(&gpio->lock);
}

static uint8_t read_register(struct pl061 *gpio, uint64_t offset)
{
	if (offset <= DATA_LAST)
		return pins(gpio) & (uint8_t)(offset >> 2);

	switch (offset) {
	case DIR:
		return gpio->dir;
	case IS:
		return gpio->is;
	case IBE:
		return gpio->ibe;
	case IEV:
		return gpio->iev;
	case IE:
		return gpio->ie;
	case RIS:
		return raw_status(gpio);
	case MIS:
		return raw_status(gpio) & gpio->ie;
	case AFSEL:
		return gpio->afsel;
	}
	return primecell_is_id(offset) ? primecell_id(pl061_id, offset) : 0;
}

static void write_register(struct pl061 *gpio, uint64_t offset, uint8_t value)
{
	uint8_t before = pins(gpio), mask = (uint8_t)(offset >> 2);

	if (offset <= DATA_LAST) {
		gpio->out = (gpio->out & ~mask) | (value & mask);
		latch_edges(gpio, before);
		update_irq(gpio);
		return;
	}

	switch (offset) {
	case DIR:
		gpio->dir = value;
		latch_edges(gpio, before);
		break;
	case IS:
		gpio->is = value;
		break;
	case IBE:
		gpio->ibe = value;
		break;
	case IEV:
		gpio->iev = value;
		break;
	case IE:
		gpio->ie = value;
		break;
	case IC:
		gpio->edges &= (uint8_t)~value;
		break;
	case AFSEL:
		gpio->afsel = value;
		break;
	}
	update_irq(gpio);
}

static uint64_t pl061_read(struct mmio_region *region, uint64_t offset, unsigned len)
{
	struct pl061 *gpio = container_of(region, struct pl061, region);
	uint8_t value;

	pthread_mutex_lock(&gpio->lock);
	value = read_register(gpio, offset);
	pthread_mutex_unlock(&gpio->lock);
	return value;
}

static void pl061_write(struct mmio_region *region, uint64_t offset, uint64_t value, unsigned len)
{
	struct pl061 *gpio = container_of(region, struct pl061, region);

	pthread_mutex_lock(&gpio->lock);
	write_register(gpio, offset, (uint8_t)value);
	pthread_mutex_unlock(&gpio->lock);
}

void pl061_init(struct pl061 *gpio, uint64_t base, struct irq_line *irq)
{
	*gpio = (struct pl061){
		.region = { "pl061", base, PRIMECELL_SIZE, pl061_read, pl061_write },
		.irq = irq,
	};
	pthread_mutex_init(&gpio->lock, NULL);
}

void pl061_destroy(struct pl061 *gpio)
{
	if (gpio->irq)
		pthread_mutex_destroy(&gpio->lock);
}
