/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/base/blob.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/macro.h"

#define FIRST_ROOM 256

void blob_clear(struct blob *blob)
{
	free(blob->data);
	*blob = (struct blob){ 0 };
}

/* Room for len more bytes? */
static int reserve(struct blob *blob, size_t len)
{
	size_t room = MAX(blob->room, (size_t)FIRST_ROOM);
	uint8_t *data;

	if (blob->error)
		return blob->error;
	if (len > BLOB_MAX - blob->len)
		return blob->error = -ENOSPC;
	while (room < blob->len + len)
		room *= 2;
	if (room == blob->room)
		return 0;
	data = realloc(blob->data, room);
	if (!data)
		return blob->error = -ENOMEM;
	blob->data = data;
	blob->room = room;
	return 0;
}

uint8_t *blob_insert(struct blob *blob, size_t at, size_t len)
{
	if (reserve(blob, len) < 0)
		return NULL;
	memmove(blob->data + at + len, blob->data + at, blob->len - at);
	blob->len += len;
	return blob->data + at;
}

void blob_put(struct blob *blob, const void *data, size_t len)
{
	uint8_t *end = blob_insert(blob, blob->len, len);

	if (end && len)
		memcpy(end, data, len);
}

void blob_put_zeros(struct blob *blob, size_t len)
{
	uint8_t *end = blob_insert(blob, blob->len, len);

	if (end)
		memset(end, 0, len);
}

void blob_put_le(struct blob *blob, uint64_t value, unsigned bytes)
{
	size_t at = blob->len;

	blob_put_zeros(blob, bytes);
	blob_set_le(blob, at, value, bytes);
}

void blob_align(struct blob *blob, size_t align)
{
	blob_put_zeros(blob, ALIGN_UP(blob->len, align) - blob->len);
}

void blob_set_le(struct blob *blob, size_t at, uint64_t value, unsigned bytes)
{
	if (blob->error)
		return;
	for (unsigned i = 0; i < bytes; i++)
		blob->data[at + i] = (uint8_t)(value >> (8 * i));
}
