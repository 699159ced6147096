/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/arch/aml.h"

#include <errno.h>
#include <string.h>

/* ACPI 6.3 §20.3 */
enum {
	ZERO_OP = 0x00,
	ONE_OP = 0x01,
	NAME_OP = 0x08,
	BYTE_PREFIX = 0x0a,
	WORD_PREFIX = 0x0b,
	DWORD_PREFIX = 0x0c,
	STRING_PREFIX = 0x0d,
	QWORD_PREFIX = 0x0e,
	SCOPE_OP = 0x10,
	BUFFER_OP = 0x11,
	METHOD_OP = 0x14,
	DUAL_NAME_PREFIX = 0x2e,
	MULTI_NAME_PREFIX = 0x2f,
	EXT_PREFIX = 0x5b,
	LOCAL0_OP = 0x60,
	ARG0_OP = 0x68,
	DEVICE_OP = 0x82, /* behind EXT_PREFIX */
	IF_OP = 0xa0,
	ELSE_OP = 0xa1,
};

#define METHOD_SERIALIZED 0x08

/* Resource descriptors (§6.4.2, §6.4.3) */
enum {
	END_TAG = 0x79,
	MEMORY32_FIXED = 0x86,
	DWORD_SPACE = 0x87,
	WORD_SPACE = 0x88,
	EXTENDED_INTERRUPT = 0x89,
	QWORD_SPACE = 0x8a,
};

#define READ_WRITE           0x01
#define INTERRUPT_CONSUMER   0x01
#define INTERRUPT_EDGE       0x02
#define SPACE_CONSUMER       0x01
#define SPACE_MIN_MAX_FIXED  0x0c /* decoded positively */
#define SPACE_IO_ALL         0x03
#define SPACE_IO_TRANSLATION 0x10 /* memory on this side, ports on the other */

static void byte(struct aml *a, unsigned value)
{
	blob_put_le(a->out, value, 1);
}

static void fail(struct aml *a)
{
	if (!a->out->error)
		a->out->error = -EINVAL;
}

static void begin(struct aml *a, bool template)
{
	if (a->depth == AML_MAX_DEPTH) {
		fail(a);
		return;
	}
	a->open[a->depth].at = a->out->len;
	a->open[a->depth++].template = template;
}

/* How many bytes a package's length takes, which counts them too (§20.2.4). */
static unsigned length_bytes(size_t body)
{
	if (body + 1 < 1u << 6)
		return 1;
	if (body + 2 < 1u << 12)
		return 2;
	return body + 3 < 1u << 20 ? 3 : 4;
}

static void insert_length(struct aml *a, size_t at)
{
	size_t length = a->out->len - at;
	unsigned n = length_bytes(length);
	uint8_t *p = blob_insert(a->out, at, n);

	length += n;
	if (!p)
		return;
	if (n == 1) {
		p[0] = (uint8_t)length;
		return;
	}
	p[0] = (uint8_t)((n - 1) << 6 | (length & 0xf));
	for (unsigned i = 1; i < n; i++)
		p[i] = (uint8_t)(length >> (4 + 8 * (i - 1)));
}

/* A buffer's size, here 2 or more, stands before its bytes. */
static void insert_buffer_size(struct aml *a, size_t at)
{
	size_t size = a->out->len - at;
	bool word = size > UINT8_MAX;
	uint8_t *p = blob_insert(a->out, at, word ? 3 : 2);

	if (!p)
		return;
	if (size > UINT16_MAX)
		fail(a);
	p[0] = word ? WORD_PREFIX : BYTE_PREFIX;
	p[1] = (uint8_t)size;
	if (word)
		p[2] = (uint8_t)(size >> 8);
}

void aml_end(struct aml *a)
{
	size_t at;

	if (!a->depth) {
		fail(a);
		return;
	}
	at = a->open[--a->depth].at;
	if (a->open[a->depth].template) {
		byte(a, END_TAG);
		byte(a, 0); /* no checksum */
		insert_buffer_size(a, at);
	}
	insert_length(a, at);
}

/* Four letters, filled up with '_'. */
static void put_segment(struct aml *a, const char *text, size_t len)
{
	if (!len || len > 4) {
		fail(a);
		return;
	}
	blob_put(a->out, text, len);
	blob_put(a->out, "___", 4 - len);
}

static void put_path(struct aml *a, const char *path)
{
	unsigned n = 1;

	if (*path == '\\')
		byte(a, (unsigned char)*path++);
	for (const char *p = path; *p; p++)
		n += *p == '.';
	if (n > AML_MAX_SEGMENTS)
		fail(a);
	if (n == 2) {
		byte(a, DUAL_NAME_PREFIX);
	} else if (n > 2) {
		byte(a, MULTI_NAME_PREFIX);
		byte(a, n);
	}
	for (; n; n--) {
		size_t len = strcspn(path, ".");

		put_segment(a, path, len);
		path += len + 1;
	}
}

void aml_begin_scope(struct aml *a, const char *path)
{
	byte(a, SCOPE_OP);
	begin(a, false);
	put_path(a, path);
}

void aml_begin_device(struct aml *a, const char *name)
{
	byte(a, EXT_PREFIX);
	byte(a, DEVICE_OP);
	begin(a, false);
	put_path(a, name);
}

void aml_begin_method(struct aml *a, const char *name, unsigned n_args)
{
	byte(a, METHOD_OP);
	begin(a, false);
	put_path(a, name);
	byte(a, n_args | METHOD_SERIALIZED);
}

void aml_begin_if(struct aml *a)
{
	byte(a, IF_OP);
	begin(a, false);
}

void aml_begin_else(struct aml *a)
{
	byte(a, ELSE_OP);
	begin(a, false);
}

void aml_name(struct aml *a, const char *name)
{
	byte(a, NAME_OP);
	put_path(a, name);
}

void aml_int(struct aml *a, uint64_t value)
{
	if (value <= 1) {
		byte(a, value ? ONE_OP : ZERO_OP);
	} else if (value <= UINT8_MAX) {
		byte(a, BYTE_PREFIX);
		blob_put_le(a->out, value, 1);
	} else if (value <= UINT16_MAX) {
		byte(a, WORD_PREFIX);
		blob_put_le(a->out, value, 2);
	} else if (value <= UINT32_MAX) {
		byte(a, DWORD_PREFIX);
		blob_put_le(a->out, value, 4);
	} else {
		byte(a, QWORD_PREFIX);
		blob_put_le(a->out, value, 8);
	}
}

void aml_string(struct aml *a, const char *text)
{
	byte(a, STRING_PREFIX);
	blob_put(a->out, text, strlen(text) + 1);
}

static unsigned hex(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0');
	return (unsigned)((c | 0x20) - 'a') + 10;
}

/* Three letters of five bits, four digits of four, big-endian (§19.3.4). */
void aml_eisa_id(struct aml *a, const char *id)
{
	unsigned value = 0;

	for (unsigned i = 0; i < 3; i++)
		value = value << 5 | (unsigned)(id[i] - '@');
	for (unsigned i = 3; i < 7; i++)
		value = value << 4 | hex(id[i]);
	byte(a, DWORD_PREFIX);
	blob_put_le(a->out, __builtin_bswap32(value), 4);
}

/* The first three groups are little-endian numbers (§19.6.142). */
void aml_uuid(struct aml *a, const char *text)
{
	static const uint8_t at[16] = { 6, 4, 2, 0, 11, 9, 16, 14, 19, 21, 24, 26, 28, 30, 32, 34 };

	byte(a, BUFFER_OP);
	begin(a, false);
	aml_int(a, sizeof(at));
	for (unsigned i = 0; i < sizeof(at); i++)
		byte(a, hex(text[at[i]]) << 4 | hex(text[at[i] + 1]));
	aml_end(a);
}

void aml_ref(struct aml *a, const char *path)
{
	put_path(a, path);
}

void aml_arg(struct aml *a, unsigned n)
{
	byte(a, ARG0_OP + n);
}

void aml_local(struct aml *a, unsigned n)
{
	byte(a, LOCAL0_OP + n);
}

void aml_op(struct aml *a, enum aml_op op)
{
	byte(a, op);
}

void aml_begin_resources(struct aml *a)
{
	byte(a, BUFFER_OP);
	begin(a, true);
}

void aml_memory32_fixed(struct aml *a, uint64_t base, uint64_t size)
{
	if (base + size > 1ULL << 32)
		fail(a);
	byte(a, MEMORY32_FIXED);
	blob_put_le(a->out, 9, 2);
	byte(a, READ_WRITE);
	blob_put_le(a->out, base, 4);
	blob_put_le(a->out, size, 4);
}

void aml_interrupt(struct aml *a, uint32_t intid, bool edge)
{
	byte(a, EXTENDED_INTERRUPT);
	blob_put_le(a->out, 6, 2);
	byte(a, INTERRUPT_CONSUMER | (edge ? INTERRUPT_EDGE : 0));
	byte(a, 1);
	blob_put_le(a->out, intid, 4);
}

/* Word, DWord or QWord Address Space Descriptor (§6.4.3.5) */
static void put_space(struct aml *a, unsigned word, enum aml_window type, unsigned flags,
		      unsigned type_flags, uint64_t base, uint64_t size, uint64_t offset)
{
	byte(a, word == 2 ? WORD_SPACE : word == 4 ? DWORD_SPACE : QWORD_SPACE);
	blob_put_le(a->out, 3 + 5 * word, 2);
	byte(a, type);
	byte(a, SPACE_MIN_MAX_FIXED | flags);
	byte(a, type_flags);
	blob_put_le(a->out, 0, word); /* granularity */
	blob_put_le(a->out, base, word);
	blob_put_le(a->out, base + size - 1, word);
	blob_put_le(a->out, offset, word);
	blob_put_le(a->out, size, word);
}

void aml_memory64(struct aml *a, uint64_t base, uint64_t size)
{
	put_space(a, 8, AML_MEMORY, SPACE_CONSUMER, READ_WRITE, base, size, 0);
}

void aml_window(struct aml *a, enum aml_window type, unsigned word, uint64_t base, uint64_t size,
		uint64_t offset)
{
	unsigned type_flags = 0;

	if (type == AML_MEMORY)
		type_flags = READ_WRITE;
	else if (type == AML_IO)
		type_flags = SPACE_IO_ALL | (offset ? SPACE_IO_TRANSLATION : 0);
	put_space(a, word, type, 0, type_flags, base, size, offset);
}
