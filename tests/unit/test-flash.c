/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/irq_probe.h"
#include "vmm/base/cleanup.h"
#include "vmm/hw/flash.h"

#define BASE  0x04000000
#define BLOCK ((uint32_t)FLASH_BLOCK)

/* What drivers send: the same to both chips. */
#define BOTH(x) ((uint32_t)(x) | (uint32_t)(x) << 16)
#define READY           BOTH(0x80)
#define LOCKED          BOTH(0x02)
#define PROGRAM_ERROR   BOTH(0x10)
#define ERASE_ERROR     BOTH(0x20)
#define SEQUENCE_ERROR  (PROGRAM_ERROR | ERASE_ERROR)

struct rig {
	struct flash_window window;
	const void *shown;
	unsigned shows, hides;
	int window_error;
	int fd;
	struct flash flash;
};

static int set_window(struct flash_window *window, const void *array)
{
	struct rig *rig = container_of(window, struct rig, window);

	if (rig->window_error)
		return rig->window_error;
	rig->shown = array;
	array ? rig->shows++ : rig->hides++;
	return 0;
}

/* A store of four blocks, erased. */
static int set_up(void **state)
{
	static uint8_t ones[4 * FLASH_BLOCK];
	static struct rig rig;

	rig = (struct rig){ .window = { set_window } };
	rig.fd = memfd_create("store", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	memset(ones, 0xff, sizeof(ones));
	assert_int_equal(pwrite(rig.fd, ones, sizeof(ones), 0), sizeof(ones));
	assert_int_equal(flash_init(&rig.flash, "flash", BASE, rig.fd, true, &rig.window), 0);
	*state = &rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;

	flash_destroy(&rig->flash);
	close(rig->fd);
	return 0;
}

static uint32_t get(struct rig *rig, uint64_t offset)
{
	return reg_read(&rig->flash.region, offset);
}

static void set(struct rig *rig, uint64_t offset, uint32_t value)
{
	reg_write(&rig->flash.region, offset, value);
}

static uint32_t in_file(struct rig *rig, uint64_t offset)
{
	uint32_t value;

	assert_int_equal(pread(rig->fd, &value, sizeof(value), (off_t)offset), sizeof(value));
	return value;
}

static void read_array(struct rig *rig)
{
	set(rig, 0, BOTH(0xff));
	assert_non_null(rig->shown);
}

static void program_word(struct rig *rig, uint64_t offset, uint32_t value)
{
	set(rig, offset, BOTH(0x40));
	set(rig, offset, value);
}

static void erase(struct rig *rig, uint64_t offset)
{
	set(rig, offset, BOTH(0x20));
	set(rig, offset, BOTH(0xd0));
}

static void assert_status(struct rig *rig, uint32_t status)
{
	assert_int_equal(get(rig, 0), status);
	set(rig, 0, BOTH(0x50));
	set(rig, 0, BOTH(0x70));
	assert_int_equal(get(rig, 0), READY);
	read_array(rig);
}

static void the_window_is_open_while_the_array_is_read(void **state)
{
	static const uint8_t others[] = { 0x10, 0x20, 0x40, 0x60, 0x70, 0x90, 0x98, 0xe8 };
	struct rig *rig = *state;

	assert_ptr_equal(rig->shown, rig->flash.array);
	assert_int_equal(rig->shows, 1);
	set(rig, 0, BOTH(0xff));
	assert_int_equal(rig->shows, 1); /* it was open */
	for (size_t i = 0; i < sizeof(others); i++) {
		struct flash *flash = &rig->flash;

		flash->state = FLASH_READY;
		set(rig, 0, BOTH(others[i]));
		assert_null(rig->shown);
		flash->state = FLASH_READY;
		read_array(rig);
	}
	assert_int_equal(rig->hides, sizeof(others));
}

static void a_window_that_does_not_move_keeps_the_chip_right(void **state)
{
	struct rig *rig = *state;

	rig->window_error = -ENOMEM;
	set(rig, 0, BOTH(0x70));
	assert_true(rig->flash.open);
	rig->window_error = 0;
	set(rig, 0, BOTH(0x70));
	assert_null(rig->shown);
	rig->window_error = -ENOMEM;
	program_word(rig, 8, 0x12345678);
	set(rig, 0, BOTH(0xff));
	assert_false(rig->flash.open);
	assert_int_equal(get(rig, 8), 0x12345678); /* by an exit */
	rig->window_error = 0;
	read_array(rig);
}

static void identifies_itself(void **state)
{
	struct rig *rig = *state;

	set(rig, 0, BOTH(0x90));
	assert_int_equal(get(rig, 0), BOTH(0x89));
	assert_int_equal(get(rig, 4), BOTH(0x18));
	assert_int_equal(get(rig, 8), 0);
	assert_int_equal(get(rig, 3 * BLOCK + 4), BOTH(0x18));
	assert_int_equal(rig->flash.region.read(&rig->flash.region, 0, 1), 0x89);
	assert_int_equal(rig->flash.region.read(&rig->flash.region, 2, 2), 0x89);
	assert_true(rig->flash.region.read(&rig->flash.region, 0, 8) == 0x0018001800890089ULL);
}

/* As a driver reads it: geometry of the bank from that of a chip. */
static void describes_itself(void **state)
{
	struct rig *rig = *state;
	uint32_t blocks, size, buffer;

#define CFI(word) (get(rig, (word)*4) & 0xff)
	set(rig, 0x55 * 4, BOTH(0x98));
	assert_int_equal(get(rig, 0x10 * 4), BOTH('Q'));
	assert_int_equal(get(rig, 0x11 * 4), BOTH('R'));
	assert_int_equal(get(rig, 0x12 * 4), BOTH('Y'));
	assert_int_equal(CFI(0x13) | CFI(0x14) << 8, 0x0001);
	assert_int_equal(CFI(0x15), 0x31);
	assert_int_equal(2u << CFI(0x27), FLASH_SIZE);
	buffer = 2u << (CFI(0x2a) | CFI(0x2b) << 8);
	assert_int_equal(buffer, FLASH_BUFFER);
	assert_int_equal(CFI(0x2c), 1);
	blocks = (CFI(0x2d) | CFI(0x2e) << 8) + 1;
	size = 2 * 256 * (CFI(0x2f) | CFI(0x30) << 8);
	assert_int_equal(size, FLASH_BLOCK);
	assert_int_equal(blocks * size, FLASH_SIZE);
	assert_int_equal(CFI(0x31) << 16 | CFI(0x32) << 8 | CFI(0x33), 'P' << 16 | 'R' << 8 | 'I');
	assert_int_equal(CFI(0x0f), 0);
	assert_int_equal(CFI(0xff), 0);
#undef CFI
}

static void programs_words(void **state)
{
	struct rig *rig = *state;

	program_word(rig, BLOCK + 16, 0xcafef00d);
	assert_int_equal(get(rig, BLOCK + 16), READY); /* status until told otherwise */
	assert_int_equal(in_file(rig, BLOCK + 16), 0xcafef00d);
	read_array(rig);
	assert_int_equal(get(rig, BLOCK + 16), 0xcafef00d);
	assert_int_equal(get(rig, BLOCK + 12), 0xffffffff);
	assert_int_equal(get(rig, BLOCK + 20), 0xffffffff);

	set(rig, 0, BOTH(0x10)); /* the other command for it */
	rig->flash.region.write(&rig->flash.region, 2, 0x55, 1);
	assert_int_equal(in_file(rig, 0), 0xff55ffff);
}

static void bits_are_cleared_by_programming_and_set_by_erasing(void **state)
{
	struct rig *rig = *state;

	program_word(rig, 0, 0x0ff00ff0);
	program_word(rig, 0, 0xf0f0f0f0);
	assert_int_equal(in_file(rig, 0), 0x00f000f0);
	assert_int_equal(get(rig, 0), READY);
	program_word(rig, BLOCK, 0);
	erase(rig, 0x1234 * 4);
	assert_status(rig, READY);
	assert_int_equal(in_file(rig, 0), 0xffffffff);
	assert_int_equal(in_file(rig, BLOCK), 0); /* another block */
}

static void write_buffer(struct rig *rig, uint64_t offset, unsigned words, uint32_t first)
{
	set(rig, offset, BOTH(0xe8));
	assert_int_equal(get(rig, offset), READY);
	set(rig, offset, BOTH(words - 1));
	for (unsigned i = 0; i < words; i++)
		set(rig, offset + 4 * i, first + i);
}

static void programs_a_buffer(void **state)
{
	struct rig *rig = *state;

	write_buffer(rig, 2 * BLOCK + 128, 32, 1000);
	assert_int_equal(in_file(rig, 2 * BLOCK + 128), 0xffffffff); /* not yet */
	set(rig, 2 * BLOCK + 128, BOTH(0xd0));
	assert_status(rig, READY);
	for (unsigned i = 0; i < 32; i++)
		assert_int_equal(in_file(rig, 2 * BLOCK + 128 + 4 * i), 1000 + i);
	assert_int_equal(in_file(rig, 2 * BLOCK + 124), 0xffffffff);
	assert_int_equal(in_file(rig, 2 * BLOCK + 256), 0xffffffff);

	write_buffer(rig, 3 * BLOCK - FLASH_BUFFER, FLASH_BUFFER / 4, 0);
	set(rig, 0, BOTH(0xd0));
	assert_status(rig, READY);
	assert_int_equal(in_file(rig, 3 * BLOCK - 4), FLASH_BUFFER / 4 - 1);
	assert_int_equal(in_file(rig, 3 * BLOCK), 0xffffffff);
}

static void wide_and_narrow_cycles(void **state)
{
	struct rig *rig = *state;
	struct mmio_region *region = &rig->flash.region;

	set(rig, 0, BOTH(0xe8));
	set(rig, 0, BOTH(3));
	region->write(region, 0, 0x1122334455667788ULL, 8); /* two cycles */
	region->write(region, 8, 0xaabb, 2);
	region->write(region, 10, 0xccdd, 2);
	set(rig, 0, BOTH(0xd0));
	assert_status(rig, READY);
	assert_true(region->read(region, 0, 8) == 0x1122334455667788ULL);
	assert_int_equal(region->read(region, 8, 4), 0xccddaabb);
	assert_int_equal(region->read(region, 9, 1), 0xaa);

	/* an unaligned one is none */
	region->write(region, FLASH_BUFFER - 2, BOTH(0x40), 4);
	assert_int_equal(rig->flash.state, FLASH_READY);
}

static void a_broken_sequence_programs_nothing(void **state)
{
	struct rig *rig = *state;

	write_buffer(rig, 0, 8, 0);
	set(rig, 0, BOTH(0xff)); /* no confirmation */
	assert_status(rig, READY | SEQUENCE_ERROR);
	assert_int_equal(in_file(rig, 0), 0xffffffff);

	set(rig, 0, BOTH(0xe8));
	set(rig, 0, BOTH(FLASH_BUFFER / 4)); /* one word too many */
	assert_status(rig, READY | SEQUENCE_ERROR);

	set(rig, 0, BOTH(0xe8));
	set(rig, 0, BOTH(3));
	set(rig, 0, 0);
	set(rig, FLASH_BUFFER, 0); /* beyond the buffer that the first word has chosen */
	assert_status(rig, READY | SEQUENCE_ERROR);
	assert_int_equal(in_file(rig, 0), 0xffffffff);

	set(rig, 0, BOTH(0x20));
	set(rig, 0, BOTH(0x40));
	assert_status(rig, READY | SEQUENCE_ERROR);

	set(rig, 0, BOTH(0x60));
	set(rig, 0, BOTH(0x2f)); /* these chips lock nothing down */
	assert_status(rig, READY | SEQUENCE_ERROR);
}

static void errors_stay_until_they_are_cleared(void **state)
{
	struct rig *rig = *state;

	set(rig, 0, BOTH(0x20));
	set(rig, 0, 0);
	program_word(rig, 0, 0x1234);
	set(rig, 0, BOTH(0xff));
	set(rig, 0, BOTH(0x70));
	assert_status(rig, READY | SEQUENCE_ERROR);
	assert_int_equal(in_file(rig, 0), 0x1234); /* done all the same */
}

static void locked_blocks_keep_what_they_have(void **state)
{
	struct rig *rig = *state;

	program_word(rig, BLOCK, 0x5a5a5a5a);
	set(rig, BLOCK, BOTH(0x60));
	set(rig, BLOCK, BOTH(0x01));
	assert_int_equal(get(rig, 0), READY);
	set(rig, 0, BOTH(0x90));
	assert_int_equal(get(rig, BLOCK + 8), BOTH(1));
	assert_int_equal(get(rig, 8), 0);

	program_word(rig, BLOCK, 0);
	assert_status(rig, READY | PROGRAM_ERROR | LOCKED);
	erase(rig, BLOCK);
	assert_status(rig, READY | ERASE_ERROR | LOCKED);
	write_buffer(rig, BLOCK, 4, 0);
	set(rig, BLOCK, BOTH(0xd0));
	assert_status(rig, READY | PROGRAM_ERROR | LOCKED);
	assert_int_equal(in_file(rig, BLOCK), 0x5a5a5a5a);

	set(rig, BLOCK, BOTH(0x60));
	set(rig, BLOCK, BOTH(0xd0));
	erase(rig, BLOCK);
	assert_status(rig, READY);
	assert_int_equal(in_file(rig, BLOCK), 0xffffffff);
}

static void beyond_the_store_nothing_can_be_written(void **state)
{
	struct rig *rig = *state;

	program_word(rig, 4 * BLOCK, 0);
	assert_status(rig, READY | PROGRAM_ERROR | LOCKED);
	erase(rig, FLASH_SIZE - 4);
	assert_status(rig, READY | ERASE_ERROR | LOCKED);
	assert_int_equal(get(rig, FLASH_SIZE - 4), 0);
	assert_int_equal(lseek(rig->fd, 0, SEEK_END), 4 * BLOCK);
}

/* The host's disk is full, or broken: the file cannot be written any more. */
static void errors_of_the_file_are_the_chips(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(fcntl(rig->fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), 0);
	program_word(rig, 0, 0);
	assert_status(rig, READY | PROGRAM_ERROR);
	erase(rig, 0);
	assert_status(rig, READY | ERASE_ERROR);
	assert_int_equal(in_file(rig, 0), 0xffffffff);
}

static void a_reset_in_the_middle_forgets_the_sequence(void **state)
{
	struct rig *rig = *state;

	program_word(rig, 0, 0x11111111);
	set(rig, BLOCK, BOTH(0x60));
	set(rig, BLOCK, BOTH(0x01));
	write_buffer(rig, BLOCK, 16, 0);
	flash_destroy(&rig->flash);
	assert_int_equal(flash_init(&rig->flash, "flash", BASE, rig->fd, true, &rig->window), 0);
	assert_non_null(rig->shown);
	set(rig, BLOCK, BOTH(0xd0)); /* confirms nothing */
	assert_int_equal(get(rig, 0), 0x11111111);
	assert_int_equal(in_file(rig, BLOCK), 0xffffffff);
	erase(rig, BLOCK); /* locks are forgotten too */
	assert_status(rig, READY);
}

/* What is programmed is in the file when the process dies the next moment. */
static void what_is_programmed_survives_the_process(void **state)
{
	struct rig *rig = *state;
	pid_t child = fork();
	int status;

	if (child == 0) {
		program_word(rig, 0x100, 0xdeadbeef);
		write_buffer(rig, 0x2000, 8, 7);
		set(rig, 0x2000, BOTH(0xd0));
		write_buffer(rig, 0x3000, 8, 7); /* never confirmed */
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(in_file(rig, 0x100), 0xdeadbeef);
	assert_int_equal(in_file(rig, 0x201c), 14);
	assert_int_equal(in_file(rig, 0x3000), 0xffffffff);
}

static void code_is_write_protected(void **state)
{
	static const char image[] = "firmware image of no round size";
	struct rig rig = { .window = { set_window } };
	char back[sizeof(image)] = "";

	rig.fd = memfd_create("code", MFD_CLOEXEC);
	assert_int_equal(pwrite(rig.fd, image, sizeof(image), 0), sizeof(image));
	assert_int_equal(flash_init(&rig.flash, "code", 0, rig.fd, false, &rig.window), 0);
	assert_memory_equal(rig.shown, image, sizeof(image));
	assert_int_equal(get(&rig, FLASH_SIZE - 4), 0);

	program_word(&rig, 0, 0);
	assert_status(&rig, READY | PROGRAM_ERROR | LOCKED);
	erase(&rig, 0);
	assert_status(&rig, READY | ERASE_ERROR | LOCKED);
	assert_int_equal(pread(rig.fd, back, sizeof(back), 0), sizeof(image));
	assert_string_equal(back, image);
	flash_destroy(&rig.flash);
	close(rig.fd);
}

static void files_of_a_wrong_size_are_refused(void **state)
{
	static const struct {
		off_t size;
		bool writable;
		int r;
	} cases[] = {
		{ 0, false, -EINVAL },
		{ 0, true, -EINVAL },
		{ FLASH_BLOCK + 1, true, -EINVAL },
		{ FLASH_BLOCK, true, 0 },
		{ FLASH_SIZE, true, 0 },
		{ FLASH_SIZE + 1, false, -EFBIG },
		{ FLASH_SIZE + FLASH_BLOCK, true, -EFBIG },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct rig rig = { .window = { set_window } };
		AUTO(close) int fd = memfd_create("size", MFD_CLOEXEC);

		assert_int_equal(ftruncate(fd, cases[i].size), 0);
		assert_int_equal(flash_init(&rig.flash, "size", 0, fd, cases[i].writable,
					    &rig.window), cases[i].r);
		assert_int_equal(rig.shows, cases[i].r == 0);
		flash_destroy(&rig.flash);
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(the_window_is_open_while_the_array_is_read),
		TEST(a_window_that_does_not_move_keeps_the_chip_right),
		TEST(identifies_itself),
		TEST(describes_itself),
		TEST(programs_words),
		TEST(bits_are_cleared_by_programming_and_set_by_erasing),
		TEST(programs_a_buffer),
		TEST(wide_and_narrow_cycles),
		TEST(a_broken_sequence_programs_nothing),
		TEST(errors_stay_until_they_are_cleared),
		TEST(locked_blocks_keep_what_they_have),
		TEST(beyond_the_store_nothing_can_be_written),
		TEST(errors_of_the_file_are_the_chips),
		TEST(a_reset_in_the_middle_forgets_the_sequence),
		TEST(what_is_programmed_survives_the_process),
		cmocka_unit_test(code_is_write_protected),
		cmocka_unit_test(files_of_a_wrong_size_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
