/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/arch/image_codec.h"

#include <endian.h>
#include <errno.h>
#include <lz4.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "vmm/base/macro.h"

#define GZIP_WINDOW (15 + 16) /* the largest window; a gzip header, no other */

/* The format that `lz4 -l` writes, and the only one that kernels unpack (lz4_Frame_format.md, "Legacy frame"). */
#define LZ4_LEGACY_MAGIC 0x184c2102
#define LZ4_BLOCK_SIZE   (8 * MIB)

/* What comes next of the part, at most len (> 0) bytes of it, to buf. Returns as image_source_fill(). */
static int read_piece(struct image_source *source, void *buf, size_t len, size_t *ret_len,
		      struct hvd_error *err)
{
	ssize_t n;

	if (source->at == source->end)
		return 0;

	do
		n = pread(source->fd, buf, (size_t)MIN((uint64_t)len, source->end - source->at),
			  (off_t)source->at);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return hvd_err(err, errno, "cannot read it: %s", strerror(errno));
	if (!n && source->end == UINT64_MAX)
		return 0;
	if (!n)
		return hvd_err(err, EBADMSG, "truncated: it has %llu bytes, its header says %llu or more",
			       (unsigned long long)source->at, (unsigned long long)source->end);

	source->at += (uint64_t)n;
	*ret_len = (size_t)n;
	return 1;
}

int image_source_fill(struct image_source *source, struct hvd_error *err)
{
	size_t n;
	int r;

	if (source->pos < source->len)
		return 1;
	r = read_piece(source, source->buf, IMAGE_SOURCE_SIZE, &n, err);
	if (r <= 0)
		return r;
	source->pos = 0;
	source->len = n;
	return 1;
}

static size_t take_buffered(struct image_source *source, void *buf, size_t len)
{
	size_t n = MIN(len, source->len - source->pos);

	memcpy(buf, source->buf + source->pos, n);
	source->pos += n;
	return n;
}

int image_source_read(struct image_source *source, void *buf, size_t len, size_t *ret_len,
		      struct hvd_error *err)
{
	size_t done = 0;

	while (done < len) {
		uint8_t *dst = (uint8_t *)buf + done;
		size_t room = len - done, n = 0;
		int r;

		/* much at once need not be copied twice: a plain kernel is read to its place */
		if (source->pos == source->len && room >= IMAGE_SOURCE_SIZE) {
			r = read_piece(source, dst, room, &n, err);
		} else {
			r = image_source_fill(source, err);
			if (r > 0)
				n = take_buffered(source, dst, room);
		}
		if (r < 0)
			return r;
		if (r == 0)
			break;
		done += n;
	}
	*ret_len = done;
	return 0;
}

static int truncated(struct hvd_error *err, const struct image_codec *codec)
{
	return hvd_err(err, EBADMSG, "truncated: the %s stream ends before its end mark", codec->name);
}

static int damaged(struct hvd_error *err, const struct image_codec *codec, const char *what)
{
	return hvd_err(err, EBADMSG, "damaged: the %s stream has bad data (%s)", codec->name, what);
}

static int no_memory(struct hvd_error *err)
{
	return hvd_err(err, ENOMEM, "cannot decompress it: %s", strerror(ENOMEM));
}

static int plain_create(void **ret)
{
	*ret = NULL;
	return 0;
}

static int plain_read(void *state, struct image_source *source, void *buf, size_t len,
		      size_t *ret_len, struct hvd_error *err)
{
	return image_source_read(source, buf, len, ret_len, err);
}

static void plain_destroy(void *state)
{
}

const struct image_codec image_plain = {
	.name = "plain",
	.create = plain_create,
	.read = plain_read,
	.destroy = plain_destroy,
};

struct gzip {
	z_stream z;
	bool ended;
};

static int gzip_create(void **ret)
{
	struct gzip *g = calloc(1, sizeof(*g));

	if (!g || inflateInit2(&g->z, GZIP_WINDOW) != Z_OK) {
		free(g);
		return -ENOMEM;
	}
	*ret = g;
	return 0;
}

static int gzip_read(void *state, struct image_source *source, void *buf, size_t len,
		     size_t *ret_len, struct hvd_error *err)
{
	struct gzip *g = state;
	uInt room = (uInt)MIN(len, (size_t)GIB);
	int code, more;

	g->z.next_out = buf;
	g->z.avail_out = room;
	while (!g->ended && g->z.avail_out == room) {
		more = image_source_fill(source, err);
		if (more < 0)
			return more;
		g->z.next_in = source->buf + source->pos;
		g->z.avail_in = (uInt)(source->len - source->pos);
		code = inflate(&g->z, Z_NO_FLUSH);
		source->pos = source->len - g->z.avail_in;

		if (code == Z_MEM_ERROR)
			return no_memory(err);
		if (code == Z_BUF_ERROR && !more)
			return truncated(err, &image_gzip);
		if (code != Z_OK && code != Z_STREAM_END)
			return damaged(err, &image_gzip, g->z.msg ? g->z.msg : zError(code));
		g->ended = code == Z_STREAM_END;
	}
	*ret_len = room - g->z.avail_out;
	return 0;
}

static void gzip_destroy(void *state)
{
	struct gzip *g = state;

	inflateEnd(&g->z);
	free(g);
}

const struct image_codec image_gzip = {
	.name = "gzip",
	.create = gzip_create,
	.read = gzip_read,
	.destroy = gzip_destroy,
};

struct zstd {
	ZSTD_DStream *stream;
	bool ended;
};

static int zstd_create(void **ret)
{
	struct zstd *z = calloc(1, sizeof(*z));

	if (!z)
		return -ENOMEM;
	z->stream = ZSTD_createDStream();
	if (!z->stream) {
		free(z);
		return -ENOMEM;
	}
	*ret = z;
	return 0;
}

/* ZSTD_decompressStream() has a default limit of the window, 128 MiB, which is what `zstd --ultra -22` uses. */
static int zstd_read(void *state, struct image_source *source, void *buf, size_t len,
		     size_t *ret_len, struct hvd_error *err)
{
	struct zstd *z = state;
	ZSTD_outBuffer out = { buf, len, 0 };
	int more;

	while (!z->ended && !out.pos) {
		ZSTD_inBuffer in;
		size_t code;

		more = image_source_fill(source, err);
		if (more < 0)
			return more;
		in = (ZSTD_inBuffer){ source->buf, source->len, source->pos };
		code = ZSTD_decompressStream(z->stream, &out, &in);
		source->pos = in.pos;

		if (ZSTD_isError(code))
			return damaged(err, &image_zstd, ZSTD_getErrorName(code));
		if (code && !more && !out.pos)
			return truncated(err, &image_zstd);
		z->ended = code == 0;
	}
	*ret_len = out.pos;
	return 0;
}

static void zstd_destroy(void *state)
{
	struct zstd *z = state;

	ZSTD_freeDStream(z->stream);
	free(z);
}

const struct image_codec image_zstd = {
	.name = "zstd",
	.create = zstd_create,
	.read = zstd_read,
	.destroy = zstd_destroy,
};

struct lz4 {
	bool begun;
	size_t pos, len; /* of block: what is still to be given out */
	char *packed;    /* LZ4_COMPRESSBOUND(LZ4_BLOCK_SIZE) bytes */
	char *block;     /* LZ4_BLOCK_SIZE bytes */
};

static void lz4_destroy(void *state)
{
	struct lz4 *l = state;

	free(l->packed);
	free(l->block);
	free(l);
}

static int lz4_create(void **ret)
{
	struct lz4 *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->packed = malloc(LZ4_COMPRESSBOUND(LZ4_BLOCK_SIZE));
	l->block = malloc(LZ4_BLOCK_SIZE);
	if (!l->packed || !l->block) {
		lz4_destroy(l);
		return -ENOMEM;
	}
	*ret = l;
	return 0;
}

/* 1: read; 0: nothing more is there, which between blocks is the end of the stream. */
static int lz4_word(struct image_source *source, uint32_t *ret, struct hvd_error *err)
{
	uint32_t word;
	size_t n;
	int r = image_source_read(source, &word, sizeof(word), &n, err);

	if (r < 0)
		return r;
	if (n && n < sizeof(word))
		return truncated(err, &image_lz4);
	if (!n)
		return 0;
	*ret = le32toh(word);
	return 1;
}

/* Unpack the next block. Returns as lz4_word(). */
static int lz4_block(struct lz4 *l, struct image_source *source, struct hvd_error *err)
{
	uint32_t size;
	size_t n;
	int r;

	r = lz4_word(source, &size, err);
	if (r <= 0)
		return r;
	if (!size || size > LZ4_COMPRESSBOUND(LZ4_BLOCK_SIZE))
		return damaged(err, &image_lz4, "the size of a block");
	r = image_source_read(source, l->packed, size, &n, err);
	if (r < 0)
		return r;
	if (n < size)
		return truncated(err, &image_lz4);

	r = LZ4_decompress_safe(l->packed, l->block, (int)size, LZ4_BLOCK_SIZE);
	if (r <= 0)
		return damaged(err, &image_lz4, "a block");
	l->pos = 0;
	l->len = (size_t)r;
	return 1;
}

static int lz4_begin(struct lz4 *l, struct image_source *source, struct hvd_error *err)
{
	uint32_t magic = 0;
	int r = lz4_word(source, &magic, err);

	if (r < 0)
		return r;
	if (r == 0)
		return truncated(err, &image_lz4);
	if (magic != LZ4_LEGACY_MAGIC)
		return damaged(err, &image_lz4, "not the format that kernels use, that of lz4 -l");
	l->begun = true;
	return 0;
}

static int lz4_read(void *state, struct image_source *source, void *buf, size_t len, size_t *ret_len,
		    struct hvd_error *err)
{
	struct lz4 *l = state;
	size_t n;
	int r = 0;

	if (!l->begun)
		r = lz4_begin(l, source, err);
	if (r == 0 && l->pos == l->len)
		r = lz4_block(l, source, err);
	if (r < 0)
		return r;

	n = MIN(len, l->len - l->pos);
	memcpy(buf, l->block + l->pos, n);
	l->pos += n;
	*ret_len = n;
	return 0;
}

const struct image_codec image_lz4 = {
	.name = "lz4",
	.create = lz4_create,
	.read = lz4_read,
	.destroy = lz4_destroy,
};
