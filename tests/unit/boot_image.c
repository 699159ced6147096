/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/boot_image.h"

#include <endian.h>
#include <lz4.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <cmocka.h>

#include "vmm/base/cleanup.h"
#include "vmm/base/macro.h"

static void put64(uint8_t *p, uint64_t v)
{
	v = htole64(v);
	memcpy(p, &v, sizeof(v));
}

static void put32(uint8_t *p, uint32_t v)
{
	v = htole32(v);
	memcpy(p, &v, sizeof(v));
}

void boot_image_header(uint8_t *head, uint64_t text_offset, uint64_t image_size)
{
	memset(head, 0, 64);
	put64(head + 8, text_offset);
	put64(head + 16, image_size);
	memcpy(head + 56, "ARM\x64", 4);
}

void boot_image_pe(uint8_t *head, uint32_t file_size)
{
	uint8_t *pe = head + 64, *section = pe + 24 + 16;

	head[0] = 'M';
	head[1] = 'Z';
	put32(head + 60, 64);
	memcpy(pe, "PE\0", 4);
	pe[6] = 1;   /* sections */
	pe[20] = 16; /* size of the optional header */
	put32(section + 16, file_size - 256);
	put32(section + 20, 256);
}

int boot_file(const void *data, size_t len)
{
	int fd = memfd_create("boot", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	return fd;
}

int boot_file_gzip(const void *data, size_t len)
{
	int fd = memfd_create("boot", MFD_CLOEXEC);
	gzFile gz = gzdopen(dup(fd), "wb");

	assert_non_null(gz);
	assert_int_equal(gzwrite(gz, data, (unsigned)len), len);
	assert_int_equal(gzclose(gz), Z_OK);
	return fd;
}

static void append(int fd, const void *data, size_t len)
{
	assert_int_equal(write(fd, data, len), len);
}

static void append32(int fd, uint32_t v)
{
	uint8_t bytes[4];

	put32(bytes, v);
	append(fd, bytes, sizeof(bytes));
}

static void append_gzip(int fd, const void *data, size_t len)
{
	AUTO(close) int packed = boot_file_gzip(data, len);
	off_t size = lseek(packed, 0, SEEK_END);
	AUTO(free) void *bytes = malloc((size_t)size);

	assert_int_equal(pread(packed, bytes, (size_t)size, 0), size);
	append(fd, bytes, (size_t)size);
}

static void append_zstd(int fd, const void *data, size_t len)
{
	AUTO(free) void *packed = malloc(ZSTD_compressBound(len));
	size_t size = ZSTD_compress(packed, ZSTD_compressBound(len), data, len, 3);

	assert_false(ZSTD_isError(size));
	append(fd, packed, size);
}

static void append_lz4(int fd, const void *data, size_t len)
{
	AUTO(free) char *packed = malloc(LZ4_COMPRESSBOUND(8 * MIB));

	append32(fd, 0x184c2102);
	for (size_t done = 0; done < len;) {
		size_t n = MIN(len - done, (size_t)(8 * MIB));
		int size = LZ4_compress_default((const char *)data + done, packed, (int)n,
						LZ4_COMPRESSBOUND(8 * MIB));

		assert_true(size > 0);
		append32(fd, (uint32_t)size);
		append(fd, packed, (size_t)size);
		done += n;
	}
}

int boot_file_zboot(const char *type, const void *data, size_t len)
{
	uint8_t head[BOOT_ZBOOT_AT] = { 'M', 'Z', 0, 0, 'z', 'i', 'm', 'g' };
	int fd = boot_file(head, sizeof(head));

	if (!strcmp(type, "gzip"))
		append_gzip(fd, data, len);
	else if (!strncmp(type, "zstd", 4))
		append_zstd(fd, data, len);
	else
		append_lz4(fd, data, len);

	put32(head + 8, BOOT_ZBOOT_AT);
	put32(head + 12, (uint32_t)lseek(fd, 0, SEEK_END) - BOOT_ZBOOT_AT);
	memcpy(head + 24, type, strlen(type) + 1);
	assert_int_equal(pwrite(fd, head, sizeof(head), 0), sizeof(head));
	if (strcmp(type, "gzip"))
		append32(fd, (uint32_t)len);
	return fd;
}
