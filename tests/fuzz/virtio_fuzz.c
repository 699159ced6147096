/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/virtio_fuzz.h"

#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>

#define QUEUE_SIZE 16
#define MAX_STEPS 256

uint64_t fuzz_take(struct fuzz_input *in, unsigned bytes)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < bytes && in->size; i++) {
		value |= (uint64_t)*in->data++ << (8 * i);
		in->size--;
	}
	return value;
}

static uint8_t *at(struct fuzz_guest *g, uint64_t offset)
{
	return guest_mem_ptr(g->mem, FUZZ_RAM_BASE + offset, 1);
}

static void write_register(struct fuzz_guest *g, unsigned reg, uint32_t value)
{
	g->mmio.region.write(&g->mmio.region, reg, value, 4);
}

static void write_address(struct fuzz_guest *g, unsigned reg_low, uint64_t offset)
{
	write_register(g, reg_low, (uint32_t)(FUZZ_RAM_BASE + offset));
	write_register(g, reg_low + 4, (uint32_t)((FUZZ_RAM_BASE + offset) >> 32));
}

void fuzz_open(struct fuzz_guest *g)
{
	if (guest_mem_new(FUZZ_RAM_BASE, FUZZ_RAM_SIZE, &g->mem) < 0 || loop_new(&g->io) < 0)
		abort();
	log_open(LOG_EMERG);
}

void fuzz_plug(struct fuzz_guest *g, struct virtio_dev *dev)
{
	g->dev = dev;
	if (virtio_mmio_init(&g->mmio, dev, 0x0a000000) < 0)
		abort();
}

void fuzz_start(struct fuzz_guest *g, uint64_t features)
{
	static const uint32_t identified = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;

	write_register(g, VIRTIO_MMIO_STATUS, 0);
	write_register(g, VIRTIO_MMIO_STATUS, identified);
	for (uint32_t half = 0; half < 2; half++) {
		write_register(g, VIRTIO_MMIO_DRIVER_FEATURES_SEL, half);
		write_register(g, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(features >> (32 * half)));
	}
	write_register(g, VIRTIO_MMIO_STATUS, identified | VIRTIO_CONFIG_S_FEATURES_OK);
	for (uint32_t q = 0; q < g->dev->n_queues; q++) {
		uint64_t base = q * FUZZ_QUEUE_STEP;

		memset(at(g, base), 0, FUZZ_QUEUE_STEP);
		write_register(g, VIRTIO_MMIO_QUEUE_SEL, q);
		write_register(g, VIRTIO_MMIO_QUEUE_NUM, QUEUE_SIZE);
		write_address(g, VIRTIO_MMIO_QUEUE_DESC_LOW, base);
		write_address(g, VIRTIO_MMIO_QUEUE_AVAIL_LOW, base + 0x2000);
		write_address(g, VIRTIO_MMIO_QUEUE_USED_LOW, base + 0x3000);
		write_register(g, VIRTIO_MMIO_QUEUE_READY, 1);
	}
	write_register(g, VIRTIO_MMIO_STATUS,
		       identified | VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK);
}

/* One turn of the I/O loop. */
static void turn(struct fuzz_guest *g)
{
	loop_quit(g->io);
	loop_run(g->io);
}

static void do_write_memory(struct fuzz_guest *g, struct fuzz_input *in)
{
	uint64_t offset = fuzz_take(in, 3) % FUZZ_RAM_SIZE, len = fuzz_take(in, 1);

	for (; len && offset < FUZZ_RAM_SIZE; len--)
		*at(g, offset++) = (uint8_t)fuzz_take(in, 1);
}

/* A descriptor, in a queue's table or (queue 3 and above) an indirect one in the data area. */
static void do_descriptor(struct fuzz_guest *g, struct fuzz_input *in)
{
	uint64_t table = (fuzz_take(in, 1) & 7) * FUZZ_QUEUE_STEP, i = fuzz_take(in, 1) & 31;
	struct vring_desc desc = {
		.addr = FUZZ_RAM_BASE + fuzz_take(in, 3),
		.len = (uint32_t)fuzz_take(in, 3),
		.flags = (uint16_t)fuzz_take(in, 1),
		.next = (uint16_t)fuzz_take(in, 1),
	};

	memcpy(at(g, table + i * sizeof(desc)), &desc, sizeof(desc));
}

static void do_avail(struct fuzz_guest *g, struct fuzz_input *in)
{
	uint64_t q = fuzz_take(in, 1) & 3;
	struct vring_avail *avail = (void *)at(g, q * FUZZ_QUEUE_STEP + 0x2000);

	avail->ring[avail->idx % QUEUE_SIZE] = (uint16_t)fuzz_take(in, 1);
	avail->idx++;
}

static void do_kick(struct fuzz_guest *g, struct fuzz_input *in)
{
	write_register(g, VIRTIO_MMIO_QUEUE_NOTIFY, (uint32_t)fuzz_take(in, 1));
	turn(g);
}

static void do_register(struct fuzz_guest *g, struct fuzz_input *in)
{
	struct mmio_region *r = &g->mmio.region;
	uint64_t how = fuzz_take(in, 1), offset = fuzz_take(in, 2) % VIRTIO_MMIO_SIZE;
	unsigned len = 1U << (how & 3);

	if (len > VIRTIO_MMIO_SIZE - offset)
		len = 1;
	if (how & 4)
		r->read(r, offset, len);
	else
		r->write(r, offset, fuzz_take(in, len), len);
}

static void do_event(struct fuzz_guest *g, struct fuzz_input *in)
{
	if (g->event)
		g->event(in);
	turn(g);
}

static void do_pause(struct fuzz_guest *g, struct fuzz_input *in)
{
	virtio_quiesce(g->dev);
	virtio_resume(g->dev);
	turn(g);
}

static void do_restart(struct fuzz_guest *g, struct fuzz_input *in)
{
	fuzz_start(g, g->dev->host_features & ~fuzz_take(in, 4));
}

static void (*const steps[])(struct fuzz_guest *g, struct fuzz_input *in) = {
	do_descriptor, do_avail, do_kick, do_write_memory,
	do_register, do_event, do_pause, do_restart,
};

void fuzz_run(struct fuzz_guest *g, const uint8_t *data, size_t size, bool started)
{
	struct fuzz_input in = { data, size };

	memset(at(g, 0), 0, FUZZ_RAM_SIZE);
	if (started)
		fuzz_start(g, g->dev->host_features);
	for (int i = 0; i < MAX_STEPS && in.size; i++)
		steps[fuzz_take(&in, 1) % ARRAY_SIZE(steps)](g, &in);
	turn(g);

	/* whatever the guest did, a reset brings the device back */
	write_register(g, VIRTIO_MMIO_STATUS, 0);
	if (g->dev->status || g->dev->active)
		abort();
}
