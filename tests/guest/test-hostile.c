/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver that breaks every rule of the ring. Each case must end in DEVICE_NEEDS_RESET with a
 * configuration change interrupt (virtio 1.2 §2.1.2), or for a well-formed ring with a nonsensical
 * request in an answer; then a reset and a good request must work.
 */
#include "virtio.h"

const char payload_name[] = "hostile";

#define BLK_T_IN 0
#define BLK_T_FLUSH 4
#define BLK_S_OK 0

/* Any device with a queue that the driver can use; flags: what its buffers look like. */
struct victim {
	uint32_t id;
	unsigned queue;
	uint16_t flags;
	const char *name;
	void (*good)(void);
};

/* A case sets up descriptors; add is false when it fills the available ring itself. */
struct hostile {
	const char *name;
	void (*poison)(const struct victim *v);
	bool own_avail;
	bool qemu_tolerates; /* QEMU, for some of its devices, does not call it an error */
};

static volatile _Alignas(16) uint8_t buffer[64 * 1024];
static volatile _Alignas(16) struct {
	uint32_t type, reserved;
	uint64_t sector;
} blk_header;
static volatile uint8_t blk_status;
static volatile _Alignas(16) struct vring_desc table[VQ_SIZE];

/* An address that is neither RAM nor a device on any machine here. */
static volatile void *const nowhere = (void *)0x7ff0000000ull;

/* Good requests, one a kind of device: descriptor 0 is the head. */

static void blk_request(uint32_t type, uint64_t sector, uint32_t len)
{
	blk_header.type = type;
	blk_header.sector = sector;
	blk_status = 0xee;
	desc_set(0, &blk_header, 16, DESC_NEXT, 1);
	desc_set(1, buffer, len, DESC_NEXT | DESC_WRITE, 2);
	desc_set(2, &blk_status, 1, DESC_WRITE, 0);
}

static void good_blk(void)
{
	blk_request(BLK_T_IN, 0, 512);
}

static void good_rng(void)
{
	desc_set(0, buffer, 64, DESC_WRITE, 0);
}

static void good_console(void)
{
	static const char text[] = "(written by virtio-console)\r\n";

	for (unsigned i = 0; i < sizeof(text) - 1; i++)
		buffer[i] = (uint8_t)text[i];
	desc_set(0, buffer, sizeof(text) - 1, 0, 0);
}

static void good_net(void)
{
	memset_((void *)buffer, 0, 72);
	memset_((void *)(buffer + 12), 0xff, 6); /* 12: struct virtio_net_hdr, then the frame */
	buffer[12 + 12] = 0x88;
	buffer[12 + 13] = 0xb5; /* local experimental EtherType */
	desc_set(0, buffer, 72, 0, 0);
}

static const struct victim victims[] = {
	{ VIRTIO_ID_BLOCK, 0, 0, "blk", good_blk },
	{ VIRTIO_ID_RNG, 0, DESC_WRITE, "rng", good_rng },
	{ VIRTIO_ID_CONSOLE, 1, 0, "console", good_console },
	{ VIRTIO_ID_NET, 1, 0, "net", good_net },
};

/* Hostile rings. */

static void loop_of_one(const struct victim *v)
{
	desc_set(0, buffer, 64, v->flags | DESC_NEXT, 0);
}

static void loop_of_two(const struct victim *v)
{
	desc_set(0, buffer, 64, v->flags | DESC_NEXT, 1);
	desc_set(1, buffer, 64, v->flags | DESC_NEXT, 0);
}

static void out_of_ram(const struct victim *v)
{
	desc_set(0, nowhere, 64, v->flags, 0);
}

static void across_the_end_of_ram(const struct victim *v)
{
	uint64_t base, size;

	fdt_memory(&base, &size);
	desc_set(0, (void *)(base + size - 64), 128, v->flags, 0);
}

static void into_mmio(const struct victim *v)
{
	desc_set(0, (void *)uart_base, 64, v->flags, 0);
}

static void address_wraps(const struct victim *v)
{
	desc_set(0, (void *)~63ull, 128, v->flags, 0);
}

static void length_too_big(const struct victim *v)
{
	desc_set(0, buffer, ~0u, v->flags, 0);
}

static void zero_length(const struct victim *v)
{
	desc_set(0, buffer, 0, v->flags, 0);
}

static void next_out_of_range(const struct victim *v)
{
	desc_set(0, buffer, 64, v->flags | DESC_NEXT, VQ_SIZE);
}

static void head_out_of_range(const struct victim *v)
{
	v->good();
	avail_add(0xffff);
}

static void avail_runs_away(const struct victim *v)
{
	v->good();
	vring.avail.idx = 0x7000;
}

static void out_after_in(const struct victim *v)
{
	desc_set(0, buffer, 64, DESC_WRITE | DESC_NEXT, 1);
	desc_set(1, buffer, 64, 0, 0);
}

static void indirect(uint32_t len, uint16_t flags, volatile void *where)
{
	desc_set(0, where, len, DESC_INDIRECT | flags, 1);
	desc_set(1, buffer, 64, 0, 0);
}

static void fill_table(unsigned i, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
	table[i] = (struct vring_desc){ addr, len, flags, next };
}

static void indirect_in_indirect(const struct victim *v)
{
	fill_table(0, (uint64_t)table, 16, DESC_INDIRECT, 0);
	indirect(16, 0, table);
}

static void indirect_loop(const struct victim *v)
{
	fill_table(0, (uint64_t)buffer, 64, v->flags | DESC_NEXT, 1);
	fill_table(1, (uint64_t)buffer, 64, v->flags | DESC_NEXT, 0);
	indirect(32, 0, table);
}

static void indirect_next_outside(const struct victim *v)
{
	fill_table(0, (uint64_t)buffer, 64, v->flags | DESC_NEXT, 5);
	indirect(32, 0, table);
}

static void indirect_odd_size(const struct victim *v)
{
	fill_table(0, (uint64_t)buffer, 64, v->flags, 0);
	indirect(17, 0, table);
}

static void indirect_empty(const struct victim *v)
{
	indirect(0, 0, table);
}

static void indirect_out_of_ram(const struct victim *v)
{
	indirect(32, 0, nowhere);
}

static void indirect_huge(const struct victim *v)
{
	fill_table(0, (uint64_t)buffer, 64, v->flags, 0);
	indirect(0xfffffff0, 0, table);
}

static void indirect_with_next(const struct victim *v)
{
	fill_table(0, (uint64_t)buffer, 64, v->flags, 0);
	indirect(16, DESC_NEXT, table);
}

static const struct hostile rings[] = {
	{ "descriptor that is its own next", loop_of_one },
	{ "loop of two descriptors", loop_of_two },
	{ "buffer outside RAM", out_of_ram, .qemu_tolerates = true },
	{ "buffer across the end of RAM", across_the_end_of_ram, .qemu_tolerates = true },
	{ "buffer in a device's registers", into_mmio, .qemu_tolerates = true },
	{ "address that wraps", address_wraps, .qemu_tolerates = true },
	{ "length of 4 GiB - 1", length_too_big, .qemu_tolerates = true },
	{ "length of 0", zero_length, .qemu_tolerates = true },
	{ "next outside the table", next_out_of_range },
	{ "head outside the table", head_out_of_range, .own_avail = true },
	{ "available index far ahead", avail_runs_away, .own_avail = true, .qemu_tolerates = true },
	{ "readable after writable", out_after_in },
	{ "indirect in indirect", indirect_in_indirect, .qemu_tolerates = true },
	{ "loop in an indirect table", indirect_loop },
	{ "next outside an indirect table", indirect_next_outside },
	{ "indirect table of 17 bytes", indirect_odd_size },
	{ "empty indirect table", indirect_empty },
	{ "indirect table outside RAM", indirect_out_of_ram, .qemu_tolerates = true },
	{ "indirect table of 4 GiB", indirect_huge },
	{ "indirect with next", indirect_with_next, .qemu_tolerates = true },
};

static void start(const struct vdev *d, const struct victim *v)
{
	vdev_negotiate(d, VIRTIO_F_VERSION_1 |
				  (vdev_features(d) & VIRTIO_F_INDIRECT_DESC));
	vdev_setup_queue(d, v->queue);
	vdev_driver_ok(d);
}

/* Reset, set up anew, one good request: does the device live? */
static bool recovers(const struct vdev *d, const struct victim *v)
{
	if (!vdev_reset(d))
		return false;
	start(d, v);
	v->good();
	avail_add(0);
	vdev_kick(d, v->queue);
	if (!wait_for(vring.used.idx == 1))
		return false;
	return vring.used.ring[0].id == 0 && (v->id != VIRTIO_ID_BLOCK || blk_status == BLK_S_OK) &&
	       !(vdev_status(d) & STATUS_NEEDS_RESET);
}

/*
 * A few milliseconds are much longer than any of these devices thinks about a kick, but only the
 * cases that may go either way wait for that long.
 */
static bool is_broken(const struct vdev *d, bool must)
{
	uint64_t end = ticks() + ticks_per_second() / 50;

	if (must)
		return wait_for(vdev_status(d) & STATUS_NEEDS_RESET);
	while (ticks() < end && !(vdev_status(d) & STATUS_NEEDS_RESET) && !vring.used.idx)
		;
	return vdev_status(d) & STATUS_NEEDS_RESET;
}

static void verdict(const struct vdev *d, const struct victim *v, const char *name, bool must)
{
	bool broken = is_broken(d, must);

	if (must) {
		check(broken, "%s: %s: needs reset", v->name, name);
		check(wait_for(vdev_read(d, VIRTIO_MMIO_INTERRUPT_STATUS) & 2),
		      "%s: %s: configuration change interrupt", v->name, name);
	} else {
		print("   %s: %s: %s\n", v->name, name, broken ? "needs reset" : "tolerated");
	}
	check(recovers(d, v), "%s: %s: recovers", v->name, name);
}

static void test_rings(const struct vdev *d, const struct victim *v)
{
	for (unsigned i = 0; i < sizeof(rings) / sizeof(rings[0]); i++) {
		start(d, v);
		rings[i].poison(v);
		if (!rings[i].own_avail)
			avail_add(0);
		vdev_kick(d, v->queue);
		verdict(d, v, rings[i].name,
			!(rings[i].qemu_tolerates && d->vendor == VENDOR_QEMU));
	}
}

/* Where the rings themselves are. {size, descriptor table, available ring, used ring} */
static void test_ring_places(const struct vdev *d, const struct victim *v)
{
	uint64_t desc = (uint64_t)vring.desc, avail = (uint64_t)&vring.avail;
	uint64_t used = (uint64_t)&vring.used, base, size;
	fdt_memory(&base, &size);
	const struct {
		const char *name;
		uint32_t size;
		uint64_t desc, avail, used;
	} places[] = {
		{ "descriptor table outside RAM", VQ_SIZE, (uint64_t)nowhere, avail, used },
		{ "available ring outside RAM", VQ_SIZE, desc, (uint64_t)nowhere, used },
		{ "used ring outside RAM", VQ_SIZE, desc, avail, (uint64_t)nowhere },
		{ "used ring in a device's registers", VQ_SIZE, desc, avail, uart_base },
		{ "descriptor table across the end of RAM", VQ_SIZE, base + size - 64, avail, used },
		{ "descriptor table not aligned", VQ_SIZE, desc + 8, avail, used },
		{ "available ring not aligned", VQ_SIZE, desc, avail + 1, used },
		{ "used ring not aligned", VQ_SIZE, desc, avail, used + 2 },
		{ "rings at the end of the address space", VQ_SIZE, ~0xfffull, ~0xfffull, ~0xfffull },
		{ "queue of size 0", 0, desc, avail, used },
		{ "queue of size 3", 3, desc, avail, used },
		{ "queue of size 32768", 32768, desc, avail, used },
		{ "queue of size 2^31", 1u << 31, desc, avail, used },
	};

	for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		vdev_negotiate(d, VIRTIO_F_VERSION_1);
		memset_((void *)&vring, 0, sizeof(vring));
		vdev_setup_queue_at(d, v->queue, places[i].size, places[i].desc, places[i].avail,
				    places[i].used);
		vdev_driver_ok(d);
		v->good();
		avail_add(0);
		vdev_kick(d, v->queue);
		/* A device may refuse a size by not taking it: then it breaks or stays silent. */
		verdict(d, v, places[i].name, d->vendor != VENDOR_QEMU && places[i].size == VQ_SIZE);
	}
}

/* Registers written when they must not be, and kicks for what is not there. */
static void test_order(const struct vdev *d, const struct victim *v)
{
	vdev_negotiate(d, VIRTIO_F_VERSION_1);
	vdev_setup_queue(d, v->queue);
	v->good();
	avail_add(0);
	vdev_kick(d, v->queue);
	verdict(d, v, "kick before DRIVER_OK", false);

	start(d, v);
	vdev_kick(d, 0xffff);
	vdev_kick(d, 7);
	vdev_kick(d, ~0u);
	verdict(d, v, "kick of no queue", false);

	start(d, v);
	vdev_setup_queue_at(d, v->queue, 1024, (uint64_t)nowhere, (uint64_t)nowhere, uart_base);
	v->good();
	avail_add(0);
	vdev_kick(d, v->queue);
	verdict(d, v, "queue registers written after DRIVER_OK", false);

	start(d, v);
	v->good();
	avail_add(0);
	avail_add(0);
	avail_add(0);
	vdev_kick(d, v->queue);
	verdict(d, v, "the same head three times", false);

	start(d, v);
	vring.avail.used_event = 0xffff;
	vring.used.idx = 0x1234;
	v->good();
	avail_add(0);
	vdev_kick(d, v->queue);
	verdict(d, v, "used index written by the driver", false);
}

static void test_blk(const struct vdev *d, const struct victim *v)
{
	static const struct {
		const char *name;
		uint32_t type;
		uint64_t sector;
		uint32_t len;
	} requests[] = {
		{ "read past the end", BLK_T_IN, 1ull << 40, 512 },
		{ "sector that wraps", BLK_T_IN, ~0ull, 512 },
		{ "sector * 512 that wraps to 0", BLK_T_IN, 1ull << 55, 512 },
		{ "read of 100 bytes", BLK_T_IN, 0, 100 },
		{ "unknown type", 0x12345678, 0, 512 },
		{ "flush with data", BLK_T_FLUSH, 0, 512 },
	};

	for (unsigned i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		start(d, v);
		blk_request(requests[i].type, requests[i].sector, requests[i].len);
		avail_add(0);
		vdev_kick(d, v->queue);
		check(wait_for(vring.used.idx == 1 || vdev_status(d) & STATUS_NEEDS_RESET),
		      "blk: %s: answered", requests[i].name);
		if (i < 3)
			check(blk_status == 1, "blk: %s: status %u is IOERR", requests[i].name,
			      blk_status);
		check(recovers(d, v), "blk: %s: recovers", requests[i].name);
	}

	start(d, v);
	desc_set(0, &blk_header, 8, 0, 0);
	avail_add(0);
	vdev_kick(d, v->queue);
	verdict(d, v, "request of 8 bytes", false);

	start(d, v);
	desc_set(0, &blk_header, 16, 0, 0);
	avail_add(0);
	vdev_kick(d, v->queue);
	verdict(d, v, "request without a status byte", false);
}

/* After a reset nothing of the old life may write to memory (CVE-2021-3748 and the like). */
static void test_reset_in_flight(const struct vdev *d, const struct victim *v)
{
	uint8_t want = 0xa5;
	unsigned changed = 0;

	for (unsigned round = 0; round < 8; round++) {
		start(d, v);
		blk_request(BLK_T_IN, 0, sizeof(buffer));
		for (unsigned i = 0; i < 8; i++)
			avail_add(0);
		vdev_kick(d, v->queue);
		if (!vdev_reset(d))
			break;
		memset_((void *)buffer, want, sizeof(buffer));
		for (uint64_t end = ticks() + ticks_per_second() / 100; ticks() < end;)
			;
		for (unsigned i = 0; i < sizeof(buffer); i++)
			changed += buffer[i] != want;
	}
	check_eq(changed, 0, "blk: no byte written after a reset with reads in flight");
	check(recovers(d, v), "blk: recovers after resets in flight");
}

void run(void)
{
	unsigned n = 0;
	struct vdev d;

	if (cmdline_has("ask"))
		uart_ask();
	for (unsigned i = 0; i < sizeof(victims) / sizeof(victims[0]); i++) {
		const struct victim *v = &victims[i];

		if (!vdev_find(v->id, 0, &d))
			continue;
		n++;
		print("%s at 0x%lx\n", v->name, d.base);
		if (!check(recovers(&d, v), "%s: a good request works", v->name))
			continue;
		test_rings(&d, v);
		test_ring_places(&d, v);
		test_order(&d, v);
		if (v->id == VIRTIO_ID_BLOCK) {
			test_blk(&d, v);
			test_reset_in_flight(&d, v);
		}
	}
	check(n > 0, "%u devices to attack", n);
}
