/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes that grow at their end: a table, a program or a file that is written straight down and
 * checked once. The first error is kept, and later calls do nothing.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define BLOB_MAX (1024 * 1024) /* bytes; beyond is -ENOSPC */

/* Starts zeroed. */
struct blob {
	uint8_t *data; /* heap */
	size_t len, room;
	int error; /* 0, -ENOMEM or -ENOSPC */
};

void blob_clear(struct blob *blob);

static inline void auto_blob_clear(struct blob *blob)
{
	blob_clear(blob);
}

/* Append bytes, zeros, or the low bytes (1 … 8) of a number, little-endian. */
void blob_put(struct blob *blob, const void *data, size_t len);
void blob_put_zeros(struct blob *blob, size_t len);
void blob_put_le(struct blob *blob, uint64_t value, unsigned bytes);

/* Zeros up to the next multiple of align, a power of two. */
void blob_align(struct blob *blob, size_t align);

/* Shift what is from at on (at most len) by so many bytes, to be filled: NULL after an error. */
uint8_t *blob_insert(struct blob *blob, size_t at, size_t len);

/* Overwrite what is there; nothing happens after an error. */
void blob_set_le(struct blob *blob, size_t at, uint64_t value, unsigned bytes);
