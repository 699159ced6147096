/* SPDX-License-Identifier: Apache-2.0 */
/* Text for terminals and tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "cli/table.h"
#include "cli/text.h"
#include "vmm/base/macro.h"

static void test_clean(void **state)
{
	static const struct {
		const char *text, *clean;
	} rows[] = {
		{ "plain", "plain" },
		{ "größe 日本", "größe 日本" },
		{ "a\033[31mb", "a?[31mb" },       /* no colours of others */
		{ "a\nb\rc\td\x7f", "a?b?c?d?" },
		{ "\xc2\x9b" "31m", "?31m" },      /* CSI as one C1 control character */
		{ "bad \xff\xc3", "bad ??" },      /* no UTF-8, cut off */
		{ "", "" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char *clean = text_clean(rows[i].text);

		assert_string_equal(clean, rows[i].clean);
		free(clean);
	}
}

static void test_width(void **state)
{
	assert_int_equal(text_width("größe"), 5);
	assert_int_equal(text_width("日本"), 4);
	assert_int_equal(text_fit("größe", 3), 4);
	assert_int_equal(text_fit("日本", 3), 3);
	assert_int_equal(text_fit("ab", 5), 2);
}

/* Calls fn(f) and compares what it printed. */
#define assert_prints(expected, call)                                                              \
	do {                                                                                       \
		char *text_ = NULL;                                                                \
		size_t len_;                                                                       \
		FILE *f = open_memstream(&text_, &len_);                                           \
                                                                                                   \
		assert_non_null(f);                                                                \
		call;                                                                              \
		fclose(f);                                                                         \
		assert_string_equal(text_, expected);                                              \
		free(text_);                                                                       \
	} while (0)

static void test_wrap(void **state)
{
	assert_prints("one two\nthree\n", text_wrap(f, "one two three", 0, 0, 8));
	assert_prints("  one\n  two\n", text_wrap(f, "one two", 0, 2, 6));
	/* The label has gone beyond the text's column: the text starts below. */
	assert_prints("\n  one\n", text_wrap(f, "one", 5, 2, 20));
	/* A word is never broken. */
	assert_prints("longword\nx\n", text_wrap(f, "longword x", 0, 0, 4));
}

static void test_duration(void **state)
{
	static const struct {
		unsigned long long seconds;
		const char *text;
	} rows[] = {
		{ 0, "0 s" },           { 59, "59 s" },          { 60, "1 min" },
		{ 3599, "59 min" },     { 3600, "1 h 0 min" },   { 86399, "23 h 59 min" },
		{ 90000, "1 d 1 h" },   { 86400ULL * 1000, "1000 d 0 h" },
	};
	char buf[32];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		text_duration(rows[i].seconds, buf);
		assert_string_equal(buf, rows[i].text);
	}
}

static const char *red(const char *cell)
{
	return strcmp(cell, "bad") ? NULL : "31";
}

static const struct column columns[] = {
	{ .heading = "NAME" },
	{ .heading = "N", .right = true },
	{ .heading = "STATE", .colour = red },
};

static struct table *three_rows(void)
{
	struct table *table;

	assert_int_equal(table_new(columns, ARRAY_SIZE(columns), &table), 0);
	assert_int_equal(table_add(table, (const char *[]){ "a", "1", "good" }), 0);
	assert_int_equal(table_add(table, (const char *[]){ "größer", "10", "bad" }), 0);
	assert_int_equal(table_add(table, (const char *[]){ "b\033c", NULL, "good" }), 0);
	return table;
}

static void test_table(void **state)
{
	struct table *table = three_rows();

	assert_prints("NAME     N  STATE\n"
		      "a        1  good\n"
		      "größer  10  bad\n"
		      "b?c      -  good\n",
		      table_print(table, f, 0, false));
	assert_prints("NAME   N  STATE\n"
		      "a      1  good\n"
		      "grö…  10  bad\n"
		      "b?c    -  good\n",
		      table_print(table, f, 15, false));
	/* Narrower than anything makes sense: still printed. */
	assert_prints("NAME   N  STA…\n"
		      "a      1  good\n"
		      "grö…  10  bad\n"
		      "b?c    -  good\n",
		      table_print(table, f, 1, false));
	table_free(table);
}

static void test_table_colour(void **state)
{
	struct table *table = three_rows();

	assert_prints("\033[1mNAME\033[0m     \033[1mN\033[0m  \033[1mSTATE\033[0m\n"
		      "a        1  good\n"
		      "größer  10  \033[31mbad\033[0m\n"
		      "b?c      -  good\n",
		      table_print(table, f, 80, true));
	table_free(table);
}

static void test_empty_table(void **state)
{
	struct table *table;

	assert_int_equal(table_new(columns, ARRAY_SIZE(columns), &table), 0);
	assert_prints("NAME  N  STATE\n", table_print(table, f, 80, false));
	table_free(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clean),	    cmocka_unit_test(test_width),
		cmocka_unit_test(test_wrap),	    cmocka_unit_test(test_duration),
		cmocka_unit_test(test_table),	    cmocka_unit_test(test_table_colour),
		cmocka_unit_test(test_empty_table),
	};

	if (!setlocale(LC_CTYPE, "C.UTF-8"))
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
