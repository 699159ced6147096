/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/arch/image.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "vmm/base/macro.h"

#define ARM64_MAGIC_AT     56
#define ARM64_HEADER_SIZE  64
#define PE_OFFSET_AT       60
#define PE_COFF_SIZE       24
#define PE_SECTION_SIZE    40
#define PE_MAX_SECTIONS    16
#define LEGACY_TEXT_OFFSET 0x80000 /* of kernels that leave image_size 0 (before 3.17) */

struct magic {
	unsigned at, len;
	const char *bytes, *what;
};

#define USE "use an Image, plain or gzip-compressed, or an EFI zboot image (vmlinuz)"

/* In this order: an EFI zboot image is also a PE file. */
static const struct magic strangers[] = {
	{ 4, 4, "zimg", "an EFI zboot image inside of something compressed; take it out first" },
	{ 0x202, 4, "HdrS", "an x86 bzImage" },
	{ 0x24, 4, "\x18\x28\x6f\x01", "a 32-bit Arm zImage" },
	{ 0, 4, "\x7f" "ELF", "an ELF file (vmlinux?); use arch/arm64/boot/Image" },
	{ 0, 4, "\x27\x05\x19\x56", "a U-Boot image; take the kernel out with dumpimage first" },
	{ 0, 4, "\xd0\x0d\xfe\xed", "a device tree or FIT image" },
	{ 0, 6, "\xfd" "7zXZ", "xz-compressed; " USE },
	{ 0, 4, "\x28\xb5\x2f\xfd", "zstd-compressed; " USE },
	{ 0, 4, "\x04\x22\x4d\x18", "lz4-compressed; " USE },
	{ 0, 4, "\x02\x21\x4c\x18", "lz4-compressed; " USE },
	{ 0, 3, "BZh", "bzip2-compressed; " USE },
	{ 0, 6, "070701", "an initrd (cpio archive)" },
	{ 0, 4, "QFI\xfb", "a qcow2 disk image" },
	{ 0, 2, "\x1f\x8b", "compressed twice, with gzip inside; " USE },
};

static uint16_t get16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return le16toh(v);
}

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

static uint64_t get64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return le64toh(v);
}

static bool has_magic(const uint8_t *head, size_t len, const struct magic *m)
{
	return len >= m->at + m->len && !memcmp(head + m->at, m->bytes, m->len);
}

static int not_an_image(const uint8_t *head, size_t len, struct hvd_error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(strangers); i++)
		if (has_magic(head, len, &strangers[i]))
			return hvd_err(err, ENOEXEC, "not an arm64 kernel Image: it is %s",
				       strangers[i].what);
	if (len < ARM64_HEADER_SIZE)
		return hvd_err(err, ENOEXEC, "not an arm64 kernel Image: it has only %zu bytes",
			       len);
	return hvd_err(err, ENOEXEC,
		       "not an arm64 kernel Image: no \"ARM\\x64\" at offset 56; " USE);
}

/* End of the last section in the file (PE/COFF §3, §4), or 0 when there is no section table. */
static uint64_t pe_file_size(const uint8_t *head, size_t len)
{
	uint64_t pe = get32(head + PE_OFFSET_AT), end = 0;
	uint64_t table;
	unsigned n;

	if (head[0] != 'M' || head[1] != 'Z' || pe + PE_COFF_SIZE > len ||
	    memcmp(head + pe, "PE\0", 4))
		return 0;

	n = MIN(get16(head + pe + 6), PE_MAX_SECTIONS);
	table = pe + PE_COFF_SIZE + get16(head + pe + 20);
	for (unsigned i = 0; i < n && table + PE_SECTION_SIZE <= len; i++) {
		const uint8_t *section = head + table;

		end = MAX(end, (uint64_t)get32(section + 16) + get32(section + 20));
		table += PE_SECTION_SIZE;
	}
	return end;
}

int image_parse(const uint8_t *head, size_t len, struct image_header *ret, struct hvd_error *err)
{
	static const struct magic arm64 = { ARM64_MAGIC_AT, 4, "ARM\x64", NULL };
	static const struct magic *const zboot = &strangers[0];

	if (len < ARM64_HEADER_SIZE || !has_magic(head, len, &arm64) ||
	    has_magic(head, len, zboot))
		return not_an_image(head, len, err);

	ret->text_offset = get64(head + 8);
	ret->image_size = get64(head + 16);
	ret->file_size = pe_file_size(head, len);
	if (!ret->image_size)
		ret->text_offset = LEGACY_TEXT_OFFSET;
	return 0;
}
