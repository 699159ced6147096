/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <libfdt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/boot_image.h"
#include "vmm/arch/boot.h"
#include "vmm/base/macro.h"

#define BASE 0x40000000ULL
#define SIZE (16 * MIB)

static char kernel_name[] = "/boot/Image", initrd_name[] = "/boot/initrd";
static const struct boot_config names = { .kernel = kernel_name, .initrd = initrd_name };

/* A kernel of 3 MiB and an initrd, with something at both ends. */
static uint8_t kernel[3 * MIB], initrd[100000];

static int set_up(void **state)
{
	struct guest_mem *mem;

	memset(kernel, 0, sizeof(kernel));
	boot_image_header(kernel, 0x80000, 5 * MIB);
	memcpy(kernel + sizeof(kernel) - 4, "last", 4);
	memset(initrd, 'i', sizeof(initrd));
	assert_int_equal(guest_mem_new(BASE, SIZE, &mem), 0);
	*state = mem;
	return 0;
}

static int tear_down(void **state)
{
	guest_mem_free(*state);
	return 0;
}

static void places_kernel_fdt_and_initrd(void **state)
{
	AUTO(close) int k = boot_file(kernel, sizeof(kernel)), i = boot_file(initrd, sizeof(initrd));
	struct guest_mem *mem = *state;
	struct boot_layout layout;

	assert_int_equal(boot_load(&names, k, i, mem, &layout, NULL), 0);
	assert_int_equal(layout.entry, BASE + 0x80000);
	assert_memory_equal(guest_mem_ptr(mem, layout.entry, sizeof(kernel)), kernel, sizeof(kernel));

	/* behind the kernel's .bss, each on a boundary that the kernel may map or free by itself */
	assert_int_equal(layout.fdt, BASE + 6 * MIB);
	assert_int_equal(layout.initrd, layout.fdt + BOOT_FDT_SIZE);
	assert_int_equal(layout.initrd_size, sizeof(initrd));
	assert_memory_equal(guest_mem_ptr(mem, layout.initrd, sizeof(initrd)), initrd,
			    sizeof(initrd));
}

static void unpacks_gzip(void **state)
{
	AUTO(close) int k = boot_file_gzip(kernel, sizeof(kernel));
	struct guest_mem *mem = *state;
	struct boot_layout layout;

	assert_int_equal(boot_load(&names, k, -1, mem, &layout, NULL), 0);
	assert_memory_equal(guest_mem_ptr(mem, layout.entry, sizeof(kernel)), kernel, sizeof(kernel));
	assert_int_equal(layout.initrd_size, 0);
}

static const char *const zboot_types[] = { "gzip", "zstd", "lz4" };

static void unpacks_zboot(void **state)
{
	struct guest_mem *mem = *state;
	struct boot_layout layout;

	for (size_t i = 0; i < ARRAY_SIZE(zboot_types); i++) {
		AUTO(close) int k = boot_file_zboot(zboot_types[i], kernel, sizeof(kernel));
		void *at = guest_mem_ptr(mem, BASE + 0x80000, sizeof(kernel));

		memset(at, 0, sizeof(kernel));
		assert_int_equal(boot_load(&names, k, -1, mem, &layout, NULL), 0);
		assert_int_equal(layout.entry, BASE + 0x80000);
		assert_memory_equal(at, kernel, sizeof(kernel));
	}
}

static void expect_failure(struct guest_mem *mem, int k, int i, int r, const char *field,
			   const char *says)
{
	struct boot_layout layout = { .entry = 1 };
	struct hvd_error err = { 0 };

	assert_int_equal(boot_load(&names, k, i, mem, &layout, &err), r);
	assert_string_equal(err.field, field);
	assert_non_null(strstr(err.msg, says));
	assert_int_equal(layout.entry, 1);
}

static void a_kernel_is_needed(void **state)
{
	expect_failure(*state, -1, -1, -EINVAL, "boot.kernel", "no kernel");
}

static void a_stranger_is_refused(void **state)
{
	AUTO(close) int elf = boot_file("\x7f" "ELF", 4), empty = boot_file("", 0);

	expect_failure(*state, elf, -1, -ENOEXEC, "boot.kernel", "/boot/Image: not an arm64");
	expect_failure(*state, empty, -1, -ENOEXEC, "boot.kernel", "only 0 bytes");
}

static void a_truncated_image_is_refused(void **state)
{
	AUTO(close) int whole = -1, cut = -1;
	struct boot_layout layout;

	boot_image_pe(kernel, sizeof(kernel));
	whole = boot_file(kernel, sizeof(kernel));
	cut = boot_file(kernel, sizeof(kernel) - 1);
	assert_int_equal(boot_load(&names, whole, -1, *state, &layout, NULL), 0);
	expect_failure(*state, cut, -1, -EBADMSG, "boot.kernel", "truncated");
}

static void a_truncated_gzip_is_refused(void **state)
{
	AUTO(close) int fd = boot_file_gzip(kernel, sizeof(kernel));

	assert_int_equal(ftruncate(fd, lseek(fd, 0, SEEK_END) - 9), 0);
	expect_failure(*state, fd, -1, -EBADMSG, "boot.kernel", "truncated");
}

static void what_does_not_fit_is_refused(void **state)
{
	static const struct {
		uint64_t text_offset, image_size;
	} headers[] = {
		{ 0, SIZE + 1 },          { 0x80000, SIZE },         { SIZE, 4096 },
		{ UINT64_MAX, 4096 },     { 4096, UINT64_MAX },      { UINT64_MAX, UINT64_MAX },
		{ SIZE - 2 * MIB, 4096 }, { SIZE - 4096, 4096 },     { SIZE - 4, 1 },
		{ 0, SIZE },              { 0, SIZE - BOOT_FDT_SIZE + 1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(headers); i++) {
		AUTO(close) int fd = -1;

		boot_image_header(kernel, headers[i].text_offset, headers[i].image_size);
		fd = boot_file(kernel, sizeof(kernel));
		expect_failure(*state, fd, -1, -ENOSPC, "boot.kernel", "does not fit");
	}
}

/* However much comes out of a small file: no more than the VM's memory is written. */
static void bombs_are_refused(void **state)
{
	AUTO(free) uint8_t *zeroes = calloc(1, 2 * SIZE);
	AUTO(close) int gzip = -1;

	boot_image_header(zeroes, 0, 4096);
	gzip = boot_file_gzip(zeroes, 2 * SIZE);
	expect_failure(*state, gzip, -1, -ENOSPC, "boot.kernel", "does not fit");
	for (size_t i = 0; i < ARRAY_SIZE(zboot_types); i++) {
		AUTO(close) int fd = boot_file_zboot(zboot_types[i], zeroes, 2 * SIZE);

		expect_failure(*state, fd, -1, -ENOSPC, "boot.kernel", "does not fit");
	}
}

/* An EFI zboot image has to have an arm64 Image in it, and nothing else, not even another one. */
static void what_is_in_zboot_is_looked_at(void **state)
{
	uint8_t stranger[1000] = "MZ\0\0zimg";
	AUTO(close) int nested = boot_file_zboot("zstd", stranger, sizeof(stranger)), elf = -1, odd = -1;

	expect_failure(*state, nested, -1, -ENOEXEC, "boot.kernel",
		       "/boot/Image: not an arm64 kernel Image: it is an EFI zboot image inside");
	memcpy(stranger, "\x7f" "ELF\0\0\0\0", 8);
	elf = boot_file_zboot("lz4", stranger, sizeof(stranger));
	expect_failure(*state, elf, -1, -ENOEXEC, "boot.kernel", "it is an ELF file");
	odd = boot_file_zboot("xzkern", kernel, sizeof(kernel));
	expect_failure(*state, odd, -1, -ENOEXEC, "boot.kernel",
		       "/boot/Image: an EFI zboot image that is compressed with \"xzkern\"; gzip, ");
}

static void a_bad_initrd_is_refused(void **state)
{
	AUTO(close) int k = boot_file(kernel, sizeof(kernel)), empty = boot_file("", 0),
			large = boot_file("x", 1);

	expect_failure(*state, k, empty, -EBADMSG, "boot.initrd", "/boot/initrd: it is empty");
	assert_int_equal(ftruncate(large, 10 * MIB), 0);
	expect_failure(*state, k, large, -ENOSPC, "boot.initrd", "does not fit");
}

static void firmware_finds_the_device_tree_at_the_start_of_ram(void **state)
{
	struct guest_mem *mem = *state;
	struct boot_layout layout;

	assert_int_equal(boot_firmware(mem, &layout, NULL), 0);
	assert_int_equal(layout.entry, 0);
	assert_int_equal(layout.fdt, BASE);
	assert_int_equal(layout.initrd_size, 0);
}

static void writes_the_device_tree(void **state)
{
	static char cmdline[] = "console=ttyAMA0";
	struct boot_config config = { .cmdline = cmdline };
	struct boot_layout layout = { .fdt = BASE, .initrd = BASE + MIB, .initrd_size = 12345 };
	uint64_t mpidr = 0x80000000;
	struct memmap map = { 0 };
	struct fdt_machine machine = { .map = &map, .mpidr = &mpidr, .n_vcpus = 1 };
	struct guest_mem *mem = *state;
	const void *fdt = guest_mem_ptr(mem, BASE, BOOT_FDT_SIZE);
	uint8_t first_seed[64];
	const void *seed;
	int chosen, len;

	assert_int_equal(boot_write_fdt(&config, &layout, &machine, mem, NULL), 0);
	assert_int_equal(fdt_check_full(fdt, BOOT_FDT_SIZE), 0);
	assert_int_equal(machine.memory, SIZE);

	chosen = fdt_path_offset(fdt, "/chosen");
	assert_string_equal(fdt_getprop(fdt, chosen, "bootargs", NULL), cmdline);
	seed = fdt_getprop(fdt, chosen, "rng-seed", &len);
	assert_int_equal(len, sizeof(first_seed));
	memcpy(first_seed, seed, sizeof(first_seed));

	/* no two boots have the same randomness */
	assert_int_equal(boot_write_fdt(&config, &layout, &machine, mem, NULL), 0);
	assert_memory_not_equal(fdt_getprop(fdt, chosen, "rng-seed", NULL), first_seed,
				sizeof(first_seed));
}

static void a_command_line_may_be_too_long(void **state)
{
	struct boot_layout layout = { .fdt = BASE };
	struct boot_config config = { .cmdline = malloc(300000) };
	struct memmap map = { 0 };
	struct fdt_machine machine = { .map = &map, .n_vcpus = 0 };
	struct hvd_error err = { 0 };

	memset(config.cmdline, 'x', 300000);
	config.cmdline[299999] = '\0';
	assert_int_equal(boot_write_fdt(&config, &layout, &machine, *state, &err), -ENOSPC);
	assert_string_equal(err.field, "boot.cmdline");
	free(config.cmdline);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(places_kernel_fdt_and_initrd),
		TEST(unpacks_gzip),
		TEST(unpacks_zboot),
		TEST(a_kernel_is_needed),
		TEST(a_stranger_is_refused),
		TEST(a_truncated_image_is_refused),
		TEST(a_truncated_gzip_is_refused),
		TEST(what_does_not_fit_is_refused),
		TEST(bombs_are_refused),
		TEST(what_is_in_zboot_is_looked_at),
		TEST(a_bad_initrd_is_refused),
		TEST(firmware_finds_the_device_tree_at_the_start_of_ram),
		TEST(writes_the_device_tree),
		TEST(a_command_line_may_be_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
