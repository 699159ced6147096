/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/boot_image.h"

#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

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
