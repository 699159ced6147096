/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text for terminals: columns instead of bytes, and nothing that a terminal would obey.
 *
 * Names, descriptions and messages come from others. Before they are shown, control characters
 * are replaced, so that no VM's description can move the cursor or set the window title.
 */
#pragma once

#include <stddef.h>
#include <stdio.h>

/* A copy of text in which each control character and each invalid byte is '?'. NULL: no memory. */
char *text_clean(const char *text);

/* Columns that clean text takes in the current locale. */
size_t text_width(const char *text);

/* Bytes of clean text that fit into width columns. */
size_t text_fit(const char *text, size_t width);

/*
 * Print words of text from column `indent` on, broken before column `width`; continued lines are
 * indented as well. The cursor stands at column `at` when called. Ends with a newline.
 */
void text_wrap(FILE *f, const char *text, unsigned at, unsigned indent, unsigned width);

/* "5 s", "12 min", "3 h 20 min", "4 d 2 h": two units at most. */
void text_duration(unsigned long long seconds, char buf[static 32]);
