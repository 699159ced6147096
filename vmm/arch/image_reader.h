/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of a kernel image: of a plain file, of one compressed with gzip, and of an EFI zboot image.
 *
 * An EFI zboot image, which is how distributions ship vmlinuz, is a PE program that carries a compressed
 * Image (CONFIG_EFI_ZBOOT; drivers/firmware/efi/libstub/zboot-header.S in the kernel's source):
 *
 *	0	"MZ"
 *	4	"zimg"
 *	8	where in the file the compressed Image is, 32 bits, little-endian
 *	12	how many bytes it has, likewise
 *	24	what it is compressed with, a string
 *
 * gzip, zstd and lz4 are unpacked (vmm/arch/image_codec.h). The header is not believed: a part outside
 * of the file is an error, and what comes out goes where the caller has room.
 */
#pragma once

#include <stdint.h>

#include "vmm/base/cleanup.h"
#include "vmm/base/err.h"

struct image_reader;

/*
 * Read fd (which stays the caller's, and is to stay open) from its start. -ENOEXEC: an EFI zboot image that
 * is compressed with something else, which err names; -EBADMSG: its header makes no sense; -ENOMEM, -errno.
 */
int image_reader_new(int fd, struct image_reader **ret, struct hvd_error *err);
struct image_reader *image_reader_free(struct image_reader *reader);
DEFINE_AUTO(struct image_reader *, image_reader_free);

/*
 * The next len bytes of the image, decompressed. *ret_len is less only at its end. -EBADMSG: the
 * compressed file is cut short or damaged; -ENOMEM, -errno.
 */
int image_read(struct image_reader *reader, void *buf, uint64_t len, uint64_t *ret_len,
	       struct hvd_error *err);
