/* SPDX-License-Identifier: Apache-2.0 */
/* Text forms of scalar values. */
#include "api/schema.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/cleanup.h"
#include "vmm/base/macro.h"

int number_parse(const char *text, uint64_t *ret)
{
	uint64_t value = 0;

	if (!*text)
		return -EINVAL;
	for (; *text; text++) {
		uint64_t digit = (uint64_t)(*text - '0');

		if (*text < '0' || *text > '9')
			return -EINVAL;
		if (value > (INT64_MAX - digit) / 10)
			return -ERANGE;
		value = value * 10 + digit;
	}
	*ret = value;
	return 0;
}

static const char size_suffixes[] = "KMGT";

int size_parse(const char *text, uint64_t *ret)
{
	size_t digits = strspn(text, "0123456789");
	const char *suffix = text + digits;
	char number[24];
	unsigned shift = 0;
	uint64_t value;
	int r;

	if (digits >= sizeof(number))
		return -ERANGE;
	memcpy(number, text, digits);
	number[digits] = '\0';
	r = number_parse(number, &value);
	if (r < 0)
		return r;

	if (*suffix) {
		char c = *suffix >= 'a' ? (char)(*suffix - 'a' + 'A') : *suffix;
		const char *at = strchr(size_suffixes, c);

		/* "M", "MiB" */
		if (!at || (suffix[1] && strcmp(suffix + 1, "iB") != 0))
			return -EINVAL;
		shift = 10 * (unsigned)(at - size_suffixes + 1);
	}
	if (value > (uint64_t)INT64_MAX >> shift)
		return -ERANGE;
	*ret = value << shift;
	return 0;
}

void size_format(uint64_t bytes, char buf[static 24])
{
	unsigned i = 0;

	while (bytes && i < sizeof(size_suffixes) - 1 && bytes % KIB == 0) {
		bytes /= KIB;
		i++;
	}
	if (i)
		snprintf(buf, 24, "%" PRIu64 "%c", bytes, size_suffixes[i - 1]);
	else
		snprintf(buf, 24, "%" PRIu64, bytes);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Two hexadecimal digits. */
static int hex_byte(const char *text, uint8_t *ret)
{
	int high = hex_digit(text[0]);
	int low = high < 0 ? -1 : hex_digit(text[1]);

	if (low < 0)
		return -EINVAL;
	*ret = (uint8_t)(high << 4 | low);
	return 0;
}

int uuid_parse(const char *text, uint8_t ret[static 16])
{
	uint8_t uuid[16];

	for (unsigned i = 0; i < 16; i++) {
		if ((i == 4 || i == 6 || i == 8 || i == 10) && *text++ != '-')
			return -EINVAL;
		if (hex_byte(text, &uuid[i]) < 0)
			return -EINVAL;
		text += 2;
	}
	if (*text)
		return -EINVAL;
	memcpy(ret, uuid, sizeof(uuid));
	return 0;
}

/* Every VM of a list has some of these: snprintf() would be most of its cost. */
static char *put_byte(char *buf, uint8_t byte)
{
	static const char digits[] = "0123456789abcdef";

	*buf++ = digits[byte >> 4];
	*buf++ = digits[byte & 15];
	return buf;
}

void uuid_format(const uint8_t uuid[static 16], char buf[static UUID_TEXT_SIZE])
{
	for (unsigned i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*buf++ = '-';
		buf = put_byte(buf, uuid[i]);
	}
	*buf = '\0';
}

int mac_parse(const char *text, uint8_t ret[static 6])
{
	uint8_t mac[6];

	for (unsigned i = 0; i < 6; i++) {
		if (i && *text++ != ':')
			return -EINVAL;
		if (hex_byte(text, &mac[i]) < 0)
			return -EINVAL;
		text += 2;
	}
	if (*text)
		return -EINVAL;
	memcpy(ret, mac, sizeof(mac));
	return 0;
}

void mac_format(const uint8_t mac[static 6], char buf[static MAC_TEXT_SIZE])
{
	for (unsigned i = 0; i < 6; i++) {
		if (i)
			*buf++ = ':';
		buf = put_byte(buf, mac[i]);
	}
	*buf = '\0';
}

uint64_t field_get_number(const struct field *field, const void *obj)
{
	const void *p = field_ptr(field, obj);

	switch (field->type) {
	case FIELD_BOOL:
		return *(const bool *)p;
	case FIELD_U32:
	case FIELD_ENUM:
		return *(const uint32_t *)p;
	case FIELD_U64:
	case FIELD_SIZE:
		return *(const uint64_t *)p;
	default:
		return 0;
	}
}

int field_set_number(const struct field *field, void *obj, uint64_t value, struct hvd_error *err)
{
	void *p = field_ptr(field, obj);

	switch (field->type) {
	case FIELD_BOOL:
		*(bool *)p = value;
		return 0;
	case FIELD_U32:
	case FIELD_ENUM:
		if (value > UINT32_MAX)
			return hvd_err_field(err, ERANGE, field->name, "is too large");
		*(uint32_t *)p = (uint32_t)value;
		return 0;
	case FIELD_U64:
	case FIELD_SIZE:
		if (value > INT64_MAX)
			return hvd_err_field(err, ERANGE, field->name, "is too large");
		*(uint64_t *)p = value;
		return 0;
	default:
		return hvd_err_field(err, EINVAL, field->name, "is not a number");
	}
}

static int set_str(const struct field *field, void *obj, const char *text, struct hvd_error *err)
{
	char **p = field_ptr(field, obj);
	char *copy = NULL;

	if (*text) {
		copy = strdup(text);
		if (!copy)
			return hvd_err_field(err, ENOMEM, field->name, "out of memory");
	}
	free(*p);
	*p = copy;
	return 0;
}

static int set_enum(const struct field *field, void *obj, const char *text, struct hvd_error *err)
{
	char known[256] = "";
	size_t used = 0;

	for (unsigned i = 0; field->names[i]; i++)
		if (strcmp(field->names[i], text) == 0)
			return field_set_number(field, obj, i, err);

	for (unsigned i = 0; field->names[i] && used < sizeof(known); i++)
		used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s", i ? ", " : "",
					 field->names[i]);
	return hvd_err_field(err, EINVAL, field->name, "'%.40s' is not one of: %s", text, known);
}

static int set_bool(const struct field *field, void *obj, const char *text, struct hvd_error *err)
{
	static const char *const words[] = { "no", "yes", "false", "true", "off", "on" };

	for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
		if (strcmp(words[i], text) == 0)
			return field_set_number(field, obj, i & 1, err);
	return hvd_err_field(err, EINVAL, field->name, "'%.40s' is neither yes nor no", text);
}

static int set_parsed(const struct field *field, void *obj, const char *text,
		      int (*parse)(const char *, uint64_t *), const char *what,
		      struct hvd_error *err)
{
	uint64_t value;
	int r = parse(text, &value);

	if (r == -ERANGE)
		return hvd_err_field(err, ERANGE, field->name, "is too large");
	if (r < 0)
		return hvd_err_field(err, EINVAL, field->name, "'%.40s' is not a %s", text, what);
	return field_set_number(field, obj, value, err);
}

bool field_is_relative_path(const struct field *field, const char *text)
{
	if (!field->path || !text[0] || text[0] == '/')
		return false;
	for (size_t i = 0; field->names && field->names[i]; i++)
		if (strcmp(field->names[i], text) == 0)
			return false;
	return true;
}

int field_set_text(const struct field *field, void *obj, const char *text, struct hvd_error *err)
{
	switch (field->type) {
	case FIELD_STR:
		return set_str(field, obj, text, err);
	case FIELD_BOOL:
		return set_bool(field, obj, text, err);
	case FIELD_U32:
	case FIELD_U64:
		return set_parsed(field, obj, text, number_parse, "whole number", err);
	case FIELD_SIZE:
		return set_parsed(field, obj, text, size_parse, "size such as 512M or 2G", err);
	case FIELD_ENUM:
		return set_enum(field, obj, text, err);
	case FIELD_UUID:
		if (uuid_parse(text, field_ptr(field, obj)) == 0)
			return 0;
		return hvd_err_field(err, EINVAL, field->name, "'%.40s' is not a UUID", text);
	case FIELD_MAC:
		if (mac_parse(text, field_ptr(field, obj)) == 0)
			return 0;
		return hvd_err_field(err, EINVAL, field->name,
				     "'%.40s' is not a MAC address such as 52:54:00:12:34:56",
				     text);
	case FIELD_STRUCT:
	case FIELD_LIST:
		break;
	}
	return hvd_err_field(err, EINVAL, field->name, "has no text form");
}

/* The text form in buf, or a pointer to it elsewhere; NULL: unset. */
static const char *format(const struct field *field, const void *obj, char buf[static 64])
{
	uint64_t number = field_get_number(field, obj);

	if (field_is_unset(field, obj))
		return NULL;
	switch (field->type) {
	case FIELD_STR:
		return *(char **)field_ptr(field, obj);
	case FIELD_BOOL:
		return number ? "yes" : "no";
	case FIELD_ENUM:
		return field->names[number];
	case FIELD_SIZE:
		size_format(number, buf);
		return buf;
	case FIELD_UUID:
		uuid_format(field_ptr(field, obj), buf);
		return buf;
	case FIELD_MAC:
		mac_format(field_ptr(field, obj), buf);
		return buf;
	default:
		snprintf(buf, 64, "%" PRIu64, number);
		return buf;
	}
}

int field_get_text(const struct field *field, const void *obj, char **ret)
{
	const char *text;
	char buf[64];
	char *copy;

	if (field->type == FIELD_STRUCT || field->type == FIELD_LIST)
		return -EINVAL;
	text = format(field, obj, buf);
	if (!text) {
		*ret = NULL;
		return 0;
	}
	copy = strdup(text);
	if (!copy)
		return -ENOMEM;
	*ret = copy;
	return 0;
}
