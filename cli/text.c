/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/text.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

/*
 * One character at p: its length in bytes, and its columns, or -1 when it is not printable. Bytes
 * that are no character of the locale count as one unprintable character each.
 */
static size_t next_char(const char *p, mbstate_t *state, int *columns)
{
	wchar_t wc;
	size_t n = mbrtowc(&wc, p, MB_LEN_MAX, state);

	if (n == (size_t)-1 || n == (size_t)-2) {
		memset(state, 0, sizeof(*state));
		*columns = -1;
		return 1;
	}
	*columns = wcwidth(wc);
	return n;
}

char *text_clean(const char *text)
{
	mbstate_t state = { 0 };
	char *clean, *out;
	int columns;
	size_t n;

	clean = out = malloc(strlen(text) + 1);
	if (!clean)
		return NULL;

	for (; *text; text += n) {
		n = next_char(text, &state, &columns);
		if (columns < 0) {
			*out++ = '?';
		} else {
			memcpy(out, text, n);
			out += n;
		}
	}
	*out = '\0';
	return clean;
}

size_t text_width(const char *text)
{
	mbstate_t state = { 0 };
	size_t width = 0;
	int columns;

	while (*text) {
		text += next_char(text, &state, &columns);
		width += columns < 0 ? 1 : (size_t)columns;
	}
	return width;
}

size_t text_fit(const char *text, size_t width)
{
	const char *p = text;
	mbstate_t state = { 0 };
	size_t used = 0, n;
	int columns;

	for (; *p; p += n) {
		n = next_char(p, &state, &columns);
		used += columns < 0 ? 1 : (size_t)columns;
		if (used > width)
			break;
	}
	return (size_t)(p - text);
}

void text_wrap(FILE *f, const char *text, unsigned at, unsigned indent, unsigned width)
{
	bool first = true;

	if (at > indent) {
		fputc('\n', f);
		at = 0;
	}
	fprintf(f, "%*s", (int)(indent - at), "");
	at = indent;
	while (*(text += strspn(text, " "))) {
		size_t len = strcspn(text, " ");

		if (!first && at + 1 + len > width) {
			fprintf(f, "\n%*s", (int)indent, "");
			at = indent;
			first = true;
		}
		fprintf(f, "%s%.*s", first ? "" : " ", (int)len, text);
		at += (unsigned)len + !first;
		first = false;
		text += len;
	}
	fputc('\n', f);
}

void text_duration(unsigned long long seconds, char buf[static 32])
{
	unsigned long long minutes = seconds / 60, hours = minutes / 60, days = hours / 24;

	if (days)
		snprintf(buf, 32, "%llu d %llu h", days, hours % 24);
	else if (hours)
		snprintf(buf, 32, "%llu h %llu min", hours, minutes % 60);
	else if (minutes)
		snprintf(buf, 32, "%llu min", minutes);
	else
		snprintf(buf, 32, "%llu s", seconds);
}
