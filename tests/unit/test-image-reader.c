/* SPDX-License-Identifier: Apache-2.0 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/boot_image.h"
#include "vmm/arch/image_reader.h"
#include "vmm/base/macro.h"

/* More than a block of lz4, and than what is read at once. */
static uint8_t data[9 * MIB];

static const char *const zboot_types[] = { "gzip", "zstd", "zstd22", "lz4" };

/* Half of it is noise, so that compressed files have some size; the other half is the same again. */
static int set_up(void **state)
{
	uint32_t x = 1;

	for (size_t i = 0; i < sizeof(data); i++) {
		x = x * 1664525 + 1013904223;
		data[i] = i % 8192 < 4096 ? (uint8_t)(x >> 24) : data[i - 4096];
	}
	return 0;
}

static void read_whole(int fd)
{
	static const size_t pieces[] = { 64, 1, 4095, 100000, 1, sizeof(data) - 104161 };
	AUTO(image_reader_free) struct image_reader *reader = NULL;
	AUTO(free) uint8_t *buf = malloc(sizeof(data));
	size_t at = 0;
	uint64_t n = 1;

	assert_int_equal(image_reader_new(fd, &reader, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
		assert_int_equal(image_read(reader, buf + at, pieces[i], &n, NULL), 0);
		assert_int_equal(n, pieces[i]);
		at += pieces[i];
	}
	assert_memory_equal(buf, data, sizeof(data));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(image_read(reader, buf, 1, &n, NULL), 0);
		assert_int_equal(n, 0);
	}
}

/* Twice: a reset reads the same descriptors again. Their position is nobody's business. */
static void reads_plain_and_gzip_alike(void **state)
{
	AUTO(close) int plain = boot_file(data, sizeof(data));
	AUTO(close) int gzip = boot_file_gzip(data, sizeof(data));

	for (int i = 0; i < 2; i++) {
		read_whole(plain);
		read_whole(gzip);
	}
}

static void reads_zboot(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(zboot_types); i++) {
		AUTO(close) int fd = boot_file_zboot(zboot_types[i], data, sizeof(data));

		read_whole(fd);
		read_whole(fd);
	}
}

/* All of it; at most room bytes of it. */
static int read_up_to(int fd, uint64_t room, uint64_t *ret, struct hvd_error *err)
{
	AUTO(image_reader_free) struct image_reader *reader = NULL;
	AUTO(free) uint8_t *buf = malloc(room);
	int r = image_reader_new(fd, &reader, err);

	return r < 0 ? r : image_read(reader, buf, room, ret, err);
}

static void read_broken(int fd, int want, const char *says)
{
	struct hvd_error err = { 0 };
	uint64_t n = 7;

	assert_int_equal(read_up_to(fd, 2 * sizeof(data), &n, &err), want);
	assert_int_equal(err.code, want);
	assert_int_equal(n, 7);
	if (!strstr(err.msg, says))
		fail_msg("\"%s\" does not say \"%s\"", err.msg, says);
}

static void broken_gzip_is_reported(void **state)
{
	AUTO(close) int cut = boot_file_gzip(data, sizeof(data));
	AUTO(close) int bad = boot_file_gzip(data, sizeof(data));
	off_t end = lseek(bad, 0, SEEK_END);

	assert_int_equal(ftruncate(cut, 40000), 0);
	read_broken(cut, -EBADMSG, "truncated");

	/* its checksum, which stands before its length, and its data */
	assert_int_equal(pwrite(bad, "\0\xff\0\xff", 4, end - 8), 4);
	read_broken(bad, -EBADMSG, "damaged");
	assert_int_equal(pwrite(bad, "\xff\xff\xff\xff", 4, 10), 4);
	read_broken(bad, -EBADMSG, "damaged");
}

/* Wherever the file ends. */
static void cut_zboot_is_reported(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(zboot_types); i++) {
		AUTO(close) int fd = boot_file_zboot(zboot_types[i], data, sizeof(data));
		/* the last byte of what is compressed */
		off_t end = lseek(fd, 0, SEEK_END) - (strcmp(zboot_types[i], "gzip") ? 5 : 1);
		const off_t sizes[] = { end, end - 4, end / 2, BOOT_ZBOOT_AT + 5, BOOT_ZBOOT_AT + 1,
					BOOT_ZBOOT_AT, 64 };

		for (size_t k = 0; k < ARRAY_SIZE(sizes); k++) {
			assert_int_equal(ftruncate(fd, sizes[k]), 0);
			read_broken(fd, -EBADMSG, "truncated: it has");
		}
	}
}

static void put(int fd, uint32_t value, off_t at)
{
	value = htole32(value);
	assert_int_equal(pwrite(fd, &value, sizeof(value), at), sizeof(value));
}

/* The header lies about where the compressed bytes are, and how many. */
static void zboot_headers_are_not_believed(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(zboot_types); i++) {
		AUTO(close) int fd = boot_file_zboot(zboot_types[i], data, sizeof(data));
		uint32_t size;

		assert_int_equal(pread(fd, &size, 4, 12), 4);
		put(fd, le32toh(size) / 2, 12);
		read_broken(fd, -EBADMSG, "truncated: the ");
		put(fd, 3, 12);
		read_broken(fd, -EBADMSG, "truncated: the ");
		put(fd, 0, 12);
		read_broken(fd, -EBADMSG, "damaged: the header");
		put(fd, UINT32_MAX, 12);
		put(fd, UINT32_MAX, 8);
		read_broken(fd, -EBADMSG, "truncated: it has 4294967295 bytes, its header says 8589934590");
		put(fd, 63, 8);
		read_broken(fd, -EBADMSG, "damaged: the header");
		put(fd, 0, 8);
		read_broken(fd, -EBADMSG, "damaged: the header");
		/* zeroes are no stream of any kind */
		put(fd, 64, 8);
		put(fd, 1000, 12);
		read_broken(fd, -EBADMSG, "damaged: the ");
	}
}

static void damaged_zboot_is_reported(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(zboot_types); i++) {
		AUTO(close) int fd = boot_file_zboot(zboot_types[i], data, sizeof(data));
		AUTO(free) void *bytes = malloc(100000);

		memset(bytes, 0xff, 100000);
		assert_int_equal(pwrite(fd, bytes, 100000, BOOT_ZBOOT_AT + 5000), 100000);
		read_broken(fd, -EBADMSG, "damaged: the ");
	}
}

/* lz4 has sizes of blocks, which it is easy to lie about. */
static void blocks_of_lz4_are_bounded(void **state)
{
	AUTO(close) int fd = boot_file_zboot("lz4", data, sizeof(data));

	put(fd, 0, BOOT_ZBOOT_AT + 4);
	read_broken(fd, -EBADMSG, "damaged: the lz4 stream has bad data (the size of a block)");
	put(fd, UINT32_MAX, BOOT_ZBOOT_AT + 4);
	read_broken(fd, -EBADMSG, "damaged: the lz4 stream has bad data (the size of a block)");
	put(fd, 8 * MIB, BOOT_ZBOOT_AT + 4);
	read_broken(fd, -EBADMSG, "truncated: the lz4");
	put(fd, 0x184d2204, BOOT_ZBOOT_AT);
	read_broken(fd, -EBADMSG, "lz4 -l");
}

static void other_compression_is_named(void **state)
{
	static const struct {
		const char *type, *says;
	} types[] = {
		{ "xzkern", "compressed with \"xzkern\"; gzip, zstd and lz4 can be read" },
		{ "lzma", "\"lzma\"" },
		{ "lzo", "\"lzo\"" },
		{ "", "\"\"" },
		{ "gzip2", "\"gzip2\"" },
		{ "\033[2J\n\xff", "\"?[2J??\"" },
		{ "0123456789012345678901234567890123456789", "\"01234567890123456789012345678901\"" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		AUTO(close) int fd = boot_file_zboot(types[i].type, data, 1000);

		read_broken(fd, -ENOEXEC, types[i].says);
	}
}

/* Layers are not taken off one after the other. */
static void what_is_inside_is_not_unpacked_again(void **state)
{
	static const uint8_t inner[100] = "MZ\0\0zimg";

	for (size_t i = 0; i < ARRAY_SIZE(zboot_types); i++) {
		AUTO(close) int fd = boot_file_zboot(zboot_types[i], inner, sizeof(inner));
		AUTO(image_reader_free) struct image_reader *reader = NULL;
		uint8_t buf[200];
		uint64_t n;

		assert_int_equal(image_reader_new(fd, &reader, NULL), 0);
		assert_int_equal(image_read(reader, buf, sizeof(buf), &n, NULL), 0);
		assert_int_equal(n, sizeof(inner));
		assert_memory_equal(buf, inner, sizeof(inner));
	}
}

static void a_small_file_is_plain(void **state)
{
	static const char *const files[] = { "", "M", "MZ", "\x1f", "MZ\0\0zimg" };

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		AUTO(close) int fd = boot_file(files[i], strlen(files[i]));
		uint64_t n = 99;

		assert_int_equal(read_up_to(fd, 100, &n, NULL), 0);
		assert_int_equal(n, strlen(files[i]));
	}
}

static void errors_of_the_file_are_passed_on(void **state)
{
	AUTO(close) int folder = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	read_broken(folder, -EISDIR, "cannot read it: ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_plain_and_gzip_alike),
		cmocka_unit_test(reads_zboot),
		cmocka_unit_test(broken_gzip_is_reported),
		cmocka_unit_test(cut_zboot_is_reported),
		cmocka_unit_test(zboot_headers_are_not_believed),
		cmocka_unit_test(damaged_zboot_is_reported),
		cmocka_unit_test(blocks_of_lz4_are_bounded),
		cmocka_unit_test(other_compression_is_named),
		cmocka_unit_test(what_is_inside_is_not_unpacked_again),
		cmocka_unit_test(a_small_file_is_plain),
		cmocka_unit_test(errors_of_the_file_are_passed_on),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
