/* SPDX-License-Identifier: Apache-2.0 */
#include "api/utf8.h"

#include <string.h>

size_t utf8_next(const char *text, size_t len, uint32_t *ret)
{
	const unsigned char *s = (const unsigned char *)text;
	static const uint32_t payload[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t c = s[0];
	size_t n;

	if (c < 0x80)
		n = 1;
	else if (c >= 0xc2 && c < 0xe0)
		n = 2;
	else if (c >= 0xe0 && c < 0xf0)
		n = 3;
	else if (c >= 0xf0 && c < 0xf5)
		n = 4;
	else
		return 0;

	if (n > len)
		return 0;
	c &= payload[n];
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < least[n])
		return 0;
	*ret = c;
	return n;
}

static bool is_text(uint32_t c)
{
	if (c < 0x20)
		return c == '\t' || c == '\n';
	if (c >= 0x7f && c < 0xa0)
		return false;
	if (c >= 0xd800 && c < 0xe000)
		return false;
	return c <= 0x10ffff && c != 0xfffe && c != 0xffff;
}

bool utf8_is_text(const char *text, size_t len)
{
	uint32_t c;

	for (size_t n; len; text += n, len -= n) {
		n = utf8_next(text, len, &c);
		if (!n || !is_text(c))
			return false;
	}
	return true;
}

void utf8_clean(char *text)
{
	size_t len = strlen(text);
	uint32_t c;

	for (size_t n; len; text += n, len -= n) {
		n = utf8_next(text, len, &c);
		if (n && is_text(c))
			continue;
		if (!n)
			n = 1;
		memset(text, '?', n);
	}
}
