/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of booting: kernel images made to order, as files in memory. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Write an arm64 header into head (at least 64 bytes). */
void boot_image_header(uint8_t *head, uint64_t text_offset, uint64_t image_size);

/* Make it a PE file with one section that ends at file_size; head has at least 256 bytes. */
void boot_image_pe(uint8_t *head, uint32_t file_size);

/* A memfd with these bytes, plain or as a gzip file. */
int boot_file(const void *data, size_t len);
int boot_file_gzip(const void *data, size_t len);

/*
 * An EFI zboot image with these bytes in it, compressed as type says: "gzip", "zstd" or "zstd22", "lz4" (which
 * of any other name it is too), laid out as kernels are built: the compressed bytes, not at the start of a page,
 * and behind them, but for gzip, how many there are uncompressed.
 */
#define BOOT_ZBOOT_AT 0x1238
int boot_file_zboot(const char *type, const void *data, size_t len);
