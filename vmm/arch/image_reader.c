/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/arch/image_reader.h"

#include <ctype.h>
#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "vmm/arch/image_codec.h"
#include "vmm/base/macro.h"

#define ZBOOT_HEADER_SIZE 64
#define ZBOOT_TYPE_AT     24
#define ZBOOT_TYPE_SIZE   32

struct image_reader {
	const struct image_codec *codec;
	void *state;
	struct image_source source;
};

/* As headers call them; "zstd22" is that of kernels before 6.14. */
static const struct {
	const char *name;
	const struct image_codec *codec;
} zboot_types[] = {
	{ "gzip", &image_gzip },
	{ "zstd", &image_zstd },
	{ "zstd22", &image_zstd },
	{ "lz4", &image_lz4 },
};

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

static bool is_zboot(const uint8_t *head, size_t len)
{
	return len >= ZBOOT_HEADER_SIZE && !memcmp(head, "MZ", 2) && !memcmp(head + 4, "zimg", 4);
}

/* The string of the header, for a person. */
static void get_type(const uint8_t *head, char type[ZBOOT_TYPE_SIZE + 1])
{
	memcpy(type, head + ZBOOT_TYPE_AT, ZBOOT_TYPE_SIZE);
	type[ZBOOT_TYPE_SIZE] = '\0';
	for (char *c = type; *c; c++)
		if (!isgraph((unsigned char)*c))
			*c = '?';
}

static int open_zboot(struct image_reader *reader, const uint8_t *head, struct hvd_error *err)
{
	uint32_t at = get32(head + 8), size = get32(head + 12);
	char type[ZBOOT_TYPE_SIZE + 1];

	if (at < ZBOOT_HEADER_SIZE || !size)
		return hvd_err(err, EBADMSG,
			       "damaged: the header of the EFI zboot image puts %u bytes at %u", size,
			       at);
	reader->source.pos = reader->source.len = 0;
	reader->source.at = at;
	reader->source.end = (uint64_t)at + size;

	get_type(head, type);
	for (size_t i = 0; i < ARRAY_SIZE(zboot_types); i++)
		if (!strcmp(type, zboot_types[i].name)) {
			reader->codec = zboot_types[i].codec;
			return 0;
		}
	return hvd_err(err, ENOEXEC,
		       "an EFI zboot image that is compressed with \"%s\"; gzip, zstd and lz4 can be "
		       "read",
		       type);
}

/* Look at the start of the file, and say what it is and where reading begins. */
static int open_source(struct image_reader *reader, struct hvd_error *err)
{
	struct image_source *source = &reader->source;
	uint8_t head[ZBOOT_HEADER_SIZE];
	size_t n;
	int r = image_source_read(source, head, sizeof(head), &n, err);

	if (r < 0)
		return r;
	if (is_zboot(head, n))
		return open_zboot(reader, head, err);
	source->pos = 0;
	reader->codec = n >= 2 && head[0] == 0x1f && head[1] == 0x8b ? &image_gzip : &image_plain;
	return 0;
}

int image_reader_new(int fd, struct image_reader **ret, struct hvd_error *err)
{
	AUTO(image_reader_free) struct image_reader *reader = calloc(1, sizeof(*reader));
	const struct image_codec *codec;
	int r;

	if (reader)
		reader->source = (struct image_source){
			.fd = fd,
			.end = UINT64_MAX,
			.buf = malloc(IMAGE_SOURCE_SIZE),
		};
	if (!reader || !reader->source.buf)
		return hvd_err(err, ENOMEM, "%s", strerror(ENOMEM));

	r = open_source(reader, err);
	if (r < 0)
		return r;
	codec = TAKE(reader->codec); /* free() is to destroy what create() has made */
	r = codec->create(&reader->state);
	if (r < 0)
		return hvd_err(err, -r, "cannot decompress it: %s", strerror(-r));
	reader->codec = codec;
	*ret = TAKE(reader);
	return 0;
}

struct image_reader *image_reader_free(struct image_reader *reader)
{
	if (!reader)
		return NULL;
	if (reader->codec)
		reader->codec->destroy(reader->state);
	free(reader->source.buf);
	free(reader);
	return NULL;
}

int image_read(struct image_reader *reader, void *buf, uint64_t len, uint64_t *ret_len,
	       struct hvd_error *err)
{
	uint64_t done = 0;

	while (done < len) {
		size_t n;
		int r = reader->codec->read(reader->state, &reader->source, (uint8_t *)buf + done,
					    (size_t)(len - done), &n, err);

		if (r < 0)
			return r;
		if (!n)
			break;
		done += n;
	}
	*ret_len = done;
	return 0;
}
