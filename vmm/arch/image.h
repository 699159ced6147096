/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arm64 kernel images: what the header says.
 *
 * The 64-byte header is that of Documentation/arch/arm64/booting.rst in the kernel's source. What is
 * not such an image is named to the user (an x86 bzImage, an ELF file, an xz-compressed one, …). A
 * kernel with an EFI stub is also a PE file, whose section table tells how long the file must be.
 *
 * The bytes come from vmm/arch/image_reader.h, which has taken off gzip and EFI zboot.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "vmm/base/err.h"

#define IMAGE_HEAD_SIZE 4096 /* bytes that image_parse() likes to see */

struct image_header {
	uint64_t text_offset; /* where it wants to be above a 2 MiB boundary */
	uint64_t image_size;  /* memory that it needs from there, .bss included; 0: not known */
	uint64_t file_size;   /* bytes that it must have, 0 when not known */
};

/* -ENOEXEC: not an arm64 Image; err says what it is. head is the first len bytes of the image. */
int image_parse(const uint8_t *head, size_t len, struct image_header *ret, struct hvd_error *err);
