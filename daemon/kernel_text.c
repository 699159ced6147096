/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/kernel_text.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/cleanup.h"

#define DIGITS "0123456789"

bool kernel_text_read(const char *path, char buf[static KERNEL_TEXT_SIZE])
{
	AUTO(close) int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, KERNEL_TEXT_SIZE - 1);

	buf[n < 0 ? 0 : n] = '\0';
	return n >= 0;
}

/* The first number of the line that text begins with. */
static uint64_t number_in_line(const char *text)
{
	const char *at = text + strcspn(text, DIGITS "\n");

	return *at && *at != '\n' ? strtoull(at, NULL, 10) : 0;
}

/* The line whose first word is key, behind that; NULL: there is none. */
static const char *find_line(const char *text, const char *key)
{
	size_t len = strlen(key);

	while (text) {
		if (strncmp(text, key, len) == 0 && strchr(" \t:", text[len]) && text[len])
			return text + len;
		text = strchr(text, '\n');
		text = text ? text + 1 : NULL;
	}
	return NULL;
}

uint64_t kernel_text_value(const char *text, const char *key)
{
	const char *line = find_line(text, key);

	return line ? number_in_line(line) : 0;
}

uint64_t kernel_text_pressure(const char *text, const char *kind)
{
	const char *line = find_line(text, kind);
	const char *total = line ? strstr(line, "total=") : NULL;
	const char *end = line ? strchr(line, '\n') : NULL;

	return total && (!end || total < end) ? number_in_line(total) : 0;
}

uint64_t kernel_text_number(const char *text, unsigned n)
{
	for (; n; n--) {
		text += strcspn(text, " \n");
		text += *text == ' ';
	}
	return *text >= '0' && *text <= '9' ? strtoull(text, NULL, 10) : 0;
}

/* The second field is a name in parentheses, which may have anything in it. */
const char *kernel_text_stat(const char *text)
{
	const char *end = strrchr(text, ')');

	return end && end[1] ? end + 2 : "";
}
