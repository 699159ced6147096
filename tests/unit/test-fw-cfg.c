/* SPDX-License-Identifier: Apache-2.0 */
#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/base/macro.h"
#include "vmm/hw/fw_cfg.h"

#define BASE     0x09020000ULL
#define RAM      0x40000000ULL
#define RAM_SIZE (1 * MIB)

#define DATA     0
#define SELECTOR 8
#define DMA      16

#define ERROR  (1u << 0)
#define READ   (1u << 1)
#define SKIP   (1u << 2)
#define SELECT (1u << 3)
#define WRITE  (1u << 4)

#define DESCRIPTOR (RAM + 0x1001) /* guests need not align it */
#define BUFFER     (RAM + 0x2003)

struct rig {
	struct guest_mem *mem;
	struct fw_cfg *cfg;
	struct mmio_bus bus;
};

static int set_up(void **state)
{
	static struct rig rig;

	rig = (struct rig){ 0 };
	assert_int_equal(guest_mem_new(RAM, RAM_SIZE, &rig.mem), 0);
	assert_int_equal(fw_cfg_new(BASE, rig.mem, &rig.cfg), 0);
	assert_int_equal(mmio_bus_add(&rig.bus, fw_cfg_region(rig.cfg), NULL), 0);
	assert_int_equal(fw_cfg_add_file(rig.cfg, "etc/one", "0123456789", 10, NULL), 0);
	assert_int_equal(fw_cfg_add_file(rig.cfg, "opt/two", "two", 3, NULL), 0);
	*state = &rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;

	fw_cfg_free(rig->cfg);
	guest_mem_free(rig->mem);
	return 0;
}

/* Accesses as a vCPU makes them: bytes in memory order. */
static void get(struct rig *rig, unsigned at, void *bytes, unsigned len)
{
	uint8_t data[MMIO_DATA_SIZE] = { 0 };

	mmio_bus_read(&rig->bus, BASE + at, data, len);
	memcpy(bytes, data, len);
}

static void set(struct rig *rig, unsigned at, uint64_t big_endian, unsigned len)
{
	uint8_t data[MMIO_DATA_SIZE] = { 0 };

	for (unsigned i = 0; i < len; i++)
		data[i] = (uint8_t)(big_endian >> (8 * (len - 1 - i)));
	mmio_bus_write(&rig->bus, BASE + at, data, len);
}

static void select_item(struct rig *rig, uint16_t key)
{
	set(rig, SELECTOR, key, 2);
}

static void assert_reads(struct rig *rig, unsigned width, const char *want, size_t len)
{
	for (size_t i = 0; i < len; i += width) {
		char got[8];

		get(rig, DATA, got, width);
		assert_memory_equal(got, want + i, width);
	}
}

static void put_descriptor(struct rig *rig, uint32_t control, uint32_t len, uint64_t address)
{
	uint8_t *d = guest_mem_ptr(rig->mem, DESCRIPTOR, 16);

	control = htobe32(control);
	len = htobe32(len);
	address = htobe64(address);
	memcpy(d, &control, 4);
	memcpy(d + 4, &len, 4);
	memcpy(d + 8, &address, 8);
}

static uint32_t answer(struct rig *rig)
{
	uint32_t control;

	memcpy(&control, guest_mem_ptr(rig->mem, DESCRIPTOR, 4), 4);
	return be32toh(control);
}

/* Returns what the device answers. */
static uint32_t dma(struct rig *rig, uint32_t control, uint32_t len, uint64_t address)
{
	put_descriptor(rig, control, len, address);
	set(rig, DMA, DESCRIPTOR, 8);
	return answer(rig);
}

static const char *buffer(struct rig *rig)
{
	return guest_mem_ptr(rig->mem, BUFFER, 64);
}

static void identifies_itself(void **state)
{
	struct rig *rig = *state;
	char signature[8];

	select_item(rig, FW_CFG_SIGNATURE);
	assert_reads(rig, 1, "QEMU", 4);
	select_item(rig, FW_CFG_ID);
	assert_reads(rig, 4, "\x03\0\0\0", 4);
	get(rig, DMA, signature, 8);
	assert_memory_equal(signature, "QEMU CFG", 8);
	get(rig, DMA + 4, signature, 4);
	assert_memory_equal(signature, " CFG", 4);
	get(rig, SELECTOR, signature, 2);
	assert_memory_equal(signature, "\0\0", 2);
}

static void items_are_read_by_any_width(void **state)
{
	struct rig *rig = *state;

	for (unsigned width = 1; width <= 8; width *= 2) {
		select_item(rig, FW_CFG_FILE_FIRST);
		assert_reads(rig, width, "0123456789\0\0\0\0\0\0", 16);
	}
	/* the bit that once meant writing */
	select_item(rig, FW_CFG_FILE_FIRST | 0x4000);
	assert_reads(rig, 2, "01", 2);
}

static void what_is_not_there_reads_as_zero(void **state)
{
	struct rig *rig = *state;

	select_item(rig, FW_CFG_FILE_FIRST + 2);
	assert_reads(rig, 8, "\0\0\0\0\0\0\0\0", 8);
	select_item(rig, 0xffff);
	assert_reads(rig, 8, "\0\0\0\0\0\0\0\0", 8);
}

static void files_are_listed(void **state)
{
	static const char want[4 + 64 + 64] = "\0\0\0\x02"
		"\0\0\0\x0a" "\0\x20" "\0\0" "etc/one";
	struct rig *rig = *state;
	char got[sizeof(want) + 4];

	select_item(rig, FW_CFG_FILE_DIR);
	for (unsigned i = 0; i < sizeof(got); i += 4)
		get(rig, DATA, got + i, 4);
	assert_memory_equal(got, want, 4 + 64);
	assert_memory_equal(got + 68, "\0\0\0\x03" "\0\x21" "\0\0" "opt/two", 16);
	assert_memory_equal(got + sizeof(want), "\0\0\0\0", 4);
}

static void dma_reads(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(dma(rig, SELECT | READ | FW_CFG_FILE_FIRST << 16, 4, BUFFER), 0);
	assert_memory_equal(buffer(rig), "0123\0", 5);
	assert_int_equal(dma(rig, SKIP, 2, 0), 0);
	memset((char *)buffer(rig), 'x', 16);
	assert_int_equal(dma(rig, READ, 8, BUFFER), 0);
	assert_memory_equal(buffer(rig), "6789\0\0\0\0x", 9);
	/* and past the end */
	assert_int_equal(dma(rig, SKIP, UINT32_MAX, 0), 0);
	assert_int_equal(dma(rig, READ, 2, BUFFER), 0);
	assert_memory_equal(buffer(rig), "\0\0", 2);
	assert_int_equal(dma(rig, READ, 0, 0), 0);
}

static void dma_is_started_by_the_low_half(void **state)
{
	struct rig *rig = *state;

	put_descriptor(rig, SELECT | READ | (FW_CFG_FILE_FIRST + 1) << 16, 3, BUFFER);
	set(rig, DMA, 0, 4);
	assert_int_equal(answer(rig), SELECT | READ | (FW_CFG_FILE_FIRST + 1) << 16);
	set(rig, DMA + 4, DESCRIPTOR, 4);
	assert_int_equal(answer(rig), 0);
	assert_memory_equal(buffer(rig), "two", 3);

	/* the high half counts once */
	put_descriptor(rig, READ, 1, BUFFER);
	set(rig, DMA, 1, 4);
	set(rig, DMA + 4, DESCRIPTOR, 4);
	assert_int_equal(answer(rig), READ);
	set(rig, DMA + 4, DESCRIPTOR, 4);
	assert_int_equal(answer(rig), 0);
}

static void dma_stays_in_ram(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(dma(rig, SELECT | READ | FW_CFG_FILE_FIRST << 16, 4, BASE), ERROR);
	assert_int_equal(dma(rig, READ, 16, RAM + RAM_SIZE - 8), ERROR);
	assert_int_equal(dma(rig, READ, 16, UINT64_MAX - 8), ERROR);
	assert_int_equal(dma(rig, READ, FW_CFG_DMA_MAX + 1, RAM), ERROR);
	/* nothing was taken */
	assert_reads(rig, 4, "0123", 4);

	/* a descriptor that is not in RAM is not answered */
	set(rig, DMA, BASE, 8);
	set(rig, DMA, RAM + RAM_SIZE - 8, 8);
	set(rig, DMA, UINT64_MAX, 8);
	assert_reads(rig, 4, "4567", 4);
}

static void nothing_can_be_written(void **state)
{
	struct rig *rig = *state;

	memcpy((char *)buffer(rig), "evil", 4);
	assert_int_equal(dma(rig, SELECT | WRITE | FW_CFG_FILE_FIRST << 16, 4, BUFFER), ERROR);
	set(rig, DATA, 0x6576696c, 4);
	set(rig, SELECTOR, FW_CFG_FILE_FIRST, 4); /* no selector */
	set(rig, DMA + 2, DESCRIPTOR, 4);
	assert_reads(rig, 4, "0123", 4);
	/* reading goes before writing */
	assert_int_equal(dma(rig, READ | WRITE, 4, BUFFER), 0);
	assert_memory_equal(buffer(rig), "4567", 4);
	assert_int_equal(dma(rig, 0, 4, BUFFER), 0);
}

static void items_are_there_once(void **state)
{
	struct rig *rig = *state;
	struct hvd_error err = { 0 };
	char name[64];

	assert_int_equal(fw_cfg_add_file(rig->cfg, "opt/two", "x", 1, &err), -EEXIST);
	assert_int_equal(fw_cfg_add_item(rig->cfg, FW_CFG_ID, "x", 1, NULL), -EEXIST);
	assert_int_equal(fw_cfg_add_item(rig->cfg, FW_CFG_NB_CPUS, "\x04\0", 2, NULL), 0);
	select_item(rig, FW_CFG_NB_CPUS);
	assert_reads(rig, 2, "\x04\0", 2);

	memset(name, 'n', sizeof(name));
	name[56] = '\0';
	assert_int_equal(fw_cfg_add_file(rig->cfg, name, "x", 1, NULL), -ENAMETOOLONG);
	name[55] = '\0';
	assert_int_equal(fw_cfg_add_file(rig->cfg, name, NULL, 0, NULL), 0);
	for (unsigned i = 3; i < FW_CFG_MAX_FILES; i++) {
		snprintf(name, sizeof(name), "file%u", i);
		assert_int_equal(fw_cfg_add_file(rig->cfg, name, &i, sizeof(i), NULL), 0);
	}
	assert_int_equal(fw_cfg_add_file(rig->cfg, "more", "x", 1, NULL), -ENOSPC);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(identifies_itself),
		TEST(items_are_read_by_any_width),
		TEST(what_is_not_there_reads_as_zero),
		TEST(files_are_listed),
		TEST(dma_reads),
		TEST(dma_is_started_by_the_low_half),
		TEST(dma_stays_in_ram),
		TEST(nothing_can_be_written),
		TEST(items_are_there_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
