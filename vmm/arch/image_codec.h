/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a kernel image may be compressed with: one table entry for each library.
 *
 * Each reads one stream and ends with it; what follows is left alone, as the kernel's own
 * decompressors do. Input comes in pieces, output goes where the caller wants it, so that the size of
 * neither is believed: memory is what the format's window takes (gzip 32 KiB, lz4 two blocks of 8 MiB,
 * zstd at most 128 MiB, and no more of it than there is output).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "vmm/base/err.h"

/* A part of a file, read in pieces. The descriptor is not owned, and its position not used. */
struct image_source {
	int fd;
	uint64_t at, end; /* the next byte to read, and the end of the part; UINT64_MAX: that of the file */
	uint8_t *buf;     /* IMAGE_SOURCE_SIZE bytes, of which [pos, len) are still to be used */
	size_t pos, len;
};

#define IMAGE_SOURCE_SIZE 65536

/*
 * Make sure that there is something in buf. 1: there is; 0: the part has been used up; -EBADMSG: the file
 * ends before the part does; -errno.
 */
int image_source_fill(struct image_source *source, struct hvd_error *err);

/* Copy so many bytes, if there are as many: *ret_len is less only at the end of the part. */
int image_source_read(struct image_source *source, void *buf, size_t len, size_t *ret_len,
		      struct hvd_error *err);

struct image_codec {
	const char *name;
	/* What read() and destroy() are given. -ENOMEM. */
	int (*create)(void **ret);
	/*
	 * The next bytes of the output, at most len (> 0) of them; *ret_len is 0 only at the end of the stream.
	 * -EBADMSG: cut short or damaged; -ENOMEM; errors of the source.
	 */
	int (*read)(void *state, struct image_source *source, void *buf, size_t len, size_t *ret_len,
		    struct hvd_error *err);
	void (*destroy)(void *state);
};

extern const struct image_codec image_plain, image_gzip, image_zstd, image_lz4;
