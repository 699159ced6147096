/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arm64 kernel images: what the header says, and the bytes, plain or gzip-compressed.
 *
 * The 64-byte header is that of Documentation/arch/arm64/booting.rst in the kernel's source. What is
 * not such an image is named to the user (an x86 bzImage, an ELF file, an xz-compressed one, …). A
 * kernel with an EFI stub is also a PE file, whose section table tells how long the file must be.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "vmm/base/cleanup.h"
#include "vmm/base/err.h"

#define IMAGE_HEAD_SIZE 4096 /* bytes that image_parse() likes to see */

struct image_header {
	uint64_t text_offset; /* where it wants to be above a 2 MiB boundary */
	uint64_t image_size;  /* memory that it needs from there, .bss included; 0: not known */
	uint64_t file_size;   /* bytes that it must have, 0 when not known */
};

/* -ENOEXEC: not an arm64 Image; err says what it is. head is the first len bytes of the image. */
int image_parse(const uint8_t *head, size_t len, struct image_header *ret, struct hvd_error *err);

struct image_reader;

/* Read fd (which stays the caller's) from its start. -ENOMEM, -errno. */
int image_reader_new(int fd, struct image_reader **ret);
struct image_reader *image_reader_free(struct image_reader *reader);
DEFINE_AUTO(struct image_reader *, image_reader_free);

/*
 * The next len bytes of the image, decompressed. *ret_len is less only at its end. -EBADMSG: the
 * compressed file is cut short or damaged; -errno.
 */
int image_read(struct image_reader *reader, void *buf, uint64_t len, uint64_t *ret_len,
	       struct hvd_error *err);
