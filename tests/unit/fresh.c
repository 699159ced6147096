/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/fresh.h"
#include "vmm/base/cleanup.h"

#define FILE_MAX (4 * 1024 * 1024)

static void full_path(const char *path, char buf[static 512])
{
	const char *top = getenv("top_srcdir");

	snprintf(buf, 512, "%s/%s", top ? top : ".", path);
}

/* NULL: there is none. */
static char *read_file(const char *path)
{
	AUTO(fclose) FILE *f = NULL;
	char full[512], *text;

	full_path(path, full);
	f = fopen(full, "r");
	if (!f)
		return NULL;
	text = calloc(1, FILE_MAX);
	assert_non_null(text);
	assert_true(fread(text, 1, FILE_MAX - 1, f) < FILE_MAX - 1);
	return text;
}

char *fresh_load(const char *path)
{
	char *text = read_file(path);

	if (!text)
		fail_msg("%s: cannot open", path);
	return text;
}

static void write_file(const char *path, const char *text)
{
	AUTO(fclose) FILE *f = NULL;
	char full[512];

	full_path(path, full);
	f = fopen(full, "w");
	if (!f || fputs(text, f) < 0)
		fail_msg("%s: cannot write", full);
	print_message("%s written\n", full);
}

/* The first line that differs. */
static void fail_at_difference(const char *path, const char *is, const char *should)
{
	while (*is && *should && !strncmp(is, should, strcspn(is, "\n") + 1)) {
		is += strcspn(is, "\n");
		should += strcspn(should, "\n");
		is += *is == '\n';
		should += *should == '\n';
	}
	fail_msg("%s is not what the tables say (this test writes it with HVD_REFRESH=1):\n"
		 "is     %.*s\nshould %.*s",
		 path, (int)strcspn(is, "\n"), is, (int)strcspn(should, "\n"), should);
}

void fresh_file(const char *path, const char *text)
{
	AUTO(free) char *is = read_file(path);

	if (is && !strcmp(is, text))
		return;
	if (getenv("HVD_REFRESH"))
		write_file(path, text);
	else
		fail_at_difference(path, is ? is : "", text);
}

void fresh_section(const char *path, const char *name, const char *text)
{
	AUTO(free) char *whole = fresh_load(path), *changed = NULL;
	char begin[80], end[80], *from, *to;

	snprintf(begin, sizeof(begin), "<!-- %s -->\n", name);
	snprintf(end, sizeof(end), "<!-- end of %s -->\n", name);
	from = strstr(whole, begin);
	to = from ? strstr(from, end) : NULL;
	if (!from || !to)
		fail_msg("%s has no section %s", path, name);
	from += strlen(begin);
	assert_true(asprintf(&changed, "%.*s%s%s", (int)(from - whole), whole, text, to) >= 0);
	fresh_file(path, changed);
}
