/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/boot_image.h"
#include "vmm/arch/image.h"
#include "vmm/base/macro.h"

static void reads_the_header(void **state)
{
	struct image_header header;
	uint8_t head[256] = { 0 };

	boot_image_header(head, 0x80000, 0x123000);
	assert_int_equal(image_parse(head, sizeof(head), &header, NULL), 0);
	assert_int_equal(header.text_offset, 0x80000);
	assert_int_equal(header.image_size, 0x123000);
	assert_int_equal(header.file_size, 0);
	assert_int_equal(image_parse(head, 64, &header, NULL), 0);
	assert_int_equal(image_parse(head, 63, &header, NULL), -ENOEXEC);
}

static void old_images_have_a_fixed_offset(void **state)
{
	struct image_header header;
	uint8_t head[64];

	boot_image_header(head, 0x1000, 0);
	assert_int_equal(image_parse(head, sizeof(head), &header, NULL), 0);
	assert_int_equal(header.text_offset, 0x80000);
}

static void pe_sections_tell_the_length(void **state)
{
	struct image_header header;
	uint8_t head[256] = { 0 };

	boot_image_header(head, 0, 0x10000);
	boot_image_pe(head, 0x8000);
	assert_int_equal(image_parse(head, sizeof(head), &header, NULL), 0);
	assert_int_equal(header.file_size, 0x8000);

	/* a table outside of what was read says nothing */
	memset(head + 60, 0xff, 4);
	assert_int_equal(image_parse(head, sizeof(head), &header, NULL), 0);
	assert_int_equal(header.file_size, 0);
}

/* Each file that is not a kernel for arm64 is called by its name. */
static void names_what_it_is_instead(void **state)
{
	static const struct {
		unsigned at, len;
		const char *bytes, *says;
	} files[] = {
		{ 0, 8, "MZ\0\0zimg", "EFI zboot image inside" },
		{ 0x202, 4, "HdrS", "x86 bzImage" },
		{ 0x24, 4, "\x18\x28\x6f\x01", "32-bit Arm zImage" },
		{ 0, 4, "\x7f" "ELF", "ELF" },
		{ 0, 4, "\xd0\x0d\xfe\xed", "device tree" },
		{ 0, 4, "\x27\x05\x19\x56", "U-Boot" },
		{ 0, 6, "\xfd" "7zXZ", "xz-compressed" },
		{ 0, 4, "\x28\xb5\x2f\xfd", "zstd-compressed" },
		{ 0, 4, "\x04\x22\x4d\x18", "lz4-compressed" },
		{ 0, 3, "BZh", "bzip2-compressed" },
		{ 0, 6, "070701", "cpio" },
		{ 0, 4, "QFI\xfb", "qcow2" },
		{ 0, 1, "x", "no \"ARM\\x64\"" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		uint8_t head[1024] = { 0 };
		struct image_header header;
		struct hvd_error err = { 0 };

		memcpy(head + files[i].at, files[i].bytes, files[i].len);
		assert_int_equal(image_parse(head, sizeof(head), &header, &err), -ENOEXEC);
		assert_non_null(strstr(err.msg, "not an arm64 kernel Image"));
		assert_non_null(strstr(err.msg, files[i].says));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_the_header),
		cmocka_unit_test(old_images_have_a_fixed_offset),
		cmocka_unit_test(pe_sections_tell_the_length),
		cmocka_unit_test(names_what_it_is_instead),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
