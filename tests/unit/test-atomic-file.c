/* SPDX-License-Identifier: Apache-2.0 */
/* Files that are there as a whole or not at all, and what somebody else may have put in their place. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/atomic_file.h"

struct place {
	char folder[32], file[48], new[48], other[48];
};

static int set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	strcpy(p->folder, "/tmp/hvd-test.XXXXXX");
	assert_non_null(mkdtemp(p->folder));
	snprintf(p->file, sizeof(p->file), "%s/file", p->folder);
	snprintf(p->new, sizeof(p->new), "%s/file" ATOMIC_SUFFIX, p->folder);
	snprintf(p->other, sizeof(p->other), "%s/other", p->folder);
	*state = p;
	return 0;
}

static int tear_down(void **state)
{
	struct place *p = *state;

	unlink(p->file);
	unlink(p->new);
	unlink(p->other);
	assert_int_equal(rmdir(p->folder), 0);
	free(p);
	return 0;
}

static void assert_holds(const char *path, const char *wanted)
{
	char *text;
	size_t len;

	assert_int_equal(atomic_read(path, 64, &text, &len), 0);
	assert_int_equal(len, strlen(wanted));
	assert_string_equal(text, wanted);
	free(text);
}

static void is_written_as_a_whole(void **state)
{
	const struct place *p = *state;
	struct stat st;

	for (int durable = 0; durable < 2; durable++) {
		assert_int_equal(atomic_write(p->folder, "file", "first", 5, durable), 0);
		assert_holds(p->file, "first");
		assert_int_equal(atomic_write(p->folder, "file", "2nd", 3, durable), 0);
		assert_holds(p->file, "2nd");
		assert_int_equal(access(p->new, F_OK), -1);
	}
	assert_int_equal(stat(p->file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

/* What a writer that was killed has left is of no account. */
static void what_was_left_is_replaced(void **state)
{
	const struct place *p = *state;

	assert_int_equal(atomic_write(p->folder, "file", "old", 3, false), 0);
	assert_int_equal(atomic_write(p->folder, "file" ATOMIC_SUFFIX, "much more than is written now", 29,
				      false), 0);
	assert_int_equal(atomic_write(p->folder, "file", "new", 3, false), 0);
	assert_holds(p->file, "new");
}

/* A link in the place of what is to be written is not followed by a process that may write anywhere. */
static void links_are_not_followed_cve_2026_1386(void **state)
{
	const struct place *p = *state;

	assert_int_equal(atomic_write(p->folder, "other", "precious", 8, false), 0);
	assert_int_equal(atomic_write(p->folder, "file", "old", 3, false), 0);
	assert_int_equal(symlink(p->other, p->new), 0);
	assert_int_equal(atomic_write(p->folder, "file", "new", 3, false), -ELOOP);
	assert_holds(p->other, "precious");
	assert_holds(p->file, "old");
	/* in the place of the file itself, it is replaced */
	assert_int_equal(unlink(p->file), 0);
	assert_int_equal(symlink(p->other, p->file), 0);
	assert_int_equal(atomic_write(p->folder, "file", "new", 3, false), 0);
	assert_holds(p->other, "precious");
	assert_holds(p->file, "new");
}

static void a_failure_leaves_the_old(void **state)
{
	const struct place *p = *state;
	char *text;
	size_t len;

	assert_int_equal(atomic_write(p->folder, "file", "old", 3, false), 0);
	assert_int_equal(atomic_write("/nonexistent", "file", "new", 3, false), -ENOENT);
	assert_int_equal(mkdir(p->new, 0700), 0);
	assert_int_equal(atomic_write(p->folder, "file", "new", 3, false), -EISDIR);
	assert_int_equal(rmdir(p->new), 0);
	assert_holds(p->file, "old");
	assert_int_equal(atomic_read(p->file, 2, &text, &len), -EFBIG);
	assert_int_equal(atomic_read(p->folder, 64, &text, &len), -EINVAL);
	assert_int_equal(atomic_read(p->other, 64, &text, &len), -ENOENT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(is_written_as_a_whole),
		TEST(what_was_left_is_replaced),
		TEST(links_are_not_followed_cve_2026_1386),
		TEST(a_failure_leaves_the_old),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
