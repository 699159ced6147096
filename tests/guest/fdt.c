/* SPDX-License-Identifier: Apache-2.0 */
/* A reader of flattened device trees (Devicetree Specification v0.4 §5), for two-cell machines. */
#include "rt.h"

#define FDT_MAGIC 0xd00dfeed
#define FDT_BEGIN_NODE 1
#define FDT_END_NODE 2
#define FDT_PROP 3
#define FDT_NOP 4
#define FDT_END 9

struct prop {
	const char *name;
	const uint8_t *data;
	uint32_t len;
	unsigned depth; /* of the node: 1 is the root */
	bool first;     /* of its node */
	bool end_of_node;
};

static const uint8_t *tree;

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint64_t be64(const uint8_t *p)
{
	return (uint64_t)be32(p) << 32 | be32(p + 4);
}

bool fdt_open(const void *fdt)
{
	tree = fdt && !((uint64_t)fdt & 7) && be32(fdt) == FDT_MAGIC ? fdt : NULL;
	return tree;
}

/* The next property or end of a node at *pos. False at the end of the tree. */
static bool next(const uint8_t **pos, struct prop *prop)
{
	const char *strings = (const char *)tree + be32(tree + 12);
	const uint8_t *p = *pos;

	prop->end_of_node = false;
	for (;;) {
		uint32_t token = be32(p);

		p += 4;
		switch (token) {
		case FDT_BEGIN_NODE:
			prop->depth++;
			prop->first = true;
			while (*p)
				p++;
			p = (const uint8_t *)(((uint64_t)p + 4) & ~3ull);
			break;
		case FDT_END_NODE:
			prop->depth--;
			prop->end_of_node = true;
			*pos = p;
			return true;
		case FDT_PROP:
			prop->len = be32(p);
			prop->name = strings + be32(p + 4);
			prop->data = p + 8;
			*pos = (const uint8_t *)(((uint64_t)p + 8 + prop->len + 3) & ~3ull);
			return true;
		case FDT_NOP:
			break;
		default:
			return false;
		}
	}
}

static bool has_string(const struct prop *prop, const char *s)
{
	const char *p = (const char *)prop->data, *end = p + prop->len;

	while (p < end) {
		if (str_eq(p, s))
			return true;
		while (*p++)
			;
	}
	return false;
}

static void read_interrupt(const struct prop *prop, struct fdt_device *dev)
{
	if (prop->len < 12)
		return;
	/* <type number flags>: 0 is an SPI, 1 a PPI */
	dev->intid = be32(prop->data + 4) + (be32(prop->data) ? 16 : 32);
	dev->edge = be32(prop->data + 8) & 3;
}

static void read_reg(const struct prop *prop, struct fdt_device *dev)
{
	if (prop->len >= 16) {
		dev->base = be64(prop->data);
		dev->size = be64(prop->data + 8);
	}
	if (prop->len >= 32) {
		dev->base2 = be64(prop->data + 16);
		dev->size2 = be64(prop->data + 24);
	}
}

/* The index-th node in which property has the string value. Its parents need not be devices. */
static bool find(const char *property, const char *value, unsigned index, struct fdt_device *ret)
{
	const uint8_t *pos = tree + be32(tree + 8);
	struct prop prop = { 0 };
	struct fdt_device dev = { 0 };
	bool match = false;

	while (next(&pos, &prop)) {
		/* Properties come before subnodes: a new node, or the end of this one, completes it. */
		if (prop.first || prop.end_of_node) {
			if (match && index-- == 0) {
				*ret = dev;
				return true;
			}
			dev = (struct fdt_device){ 0 };
			match = false;
			prop.first = false;
		}
		if (prop.end_of_node) {
			continue;
		} else if (str_eq(prop.name, property) && has_string(&prop, value)) {
			match = true;
		} else if (str_eq(prop.name, "reg")) {
			read_reg(&prop, &dev);
		} else if (str_eq(prop.name, "interrupts")) {
			read_interrupt(&prop, &dev);
		}
	}
	return false;
}

bool fdt_find(const char *compatible, unsigned index, struct fdt_device *ret)
{
	return find("compatible", compatible, index, ret);
}

unsigned fdt_count_device_type(const char *type)
{
	struct fdt_device dev;
	unsigned n = 0;

	while (find("device_type", type, n, &dev))
		n++;
	return n;
}

void fdt_memory(uint64_t *base, uint64_t *size)
{
	struct fdt_device dev = { 0 };

	find("device_type", "memory", 0, &dev);
	*base = dev.base;
	*size = dev.size;
}

const char *fdt_bootargs(void)
{
	const uint8_t *pos = tree + be32(tree + 8);
	struct prop prop = { 0 };

	while (next(&pos, &prop)) {
		if (!prop.end_of_node && str_eq(prop.name, "bootargs"))
			return (const char *)prop.data;
	}
	return "";
}
