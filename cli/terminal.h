/* SPDX-License-Identifier: Apache-2.0 */
/* What the terminal can do, and its raw mode. */
#pragma once

#include <stdbool.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <termios.h>

/* Columns of the terminal that f writes to; 0 when f is no terminal. */
unsigned terminal_width(FILE *f);

/* Of the terminal that fd is; zero where there is none or it does not say. */
struct winsize terminal_size(int fd);

/* Columns to wrap prose to: the terminal's, but 80 where there is none or it is very wide. */
unsigned terminal_prose_width(FILE *f);

/* True when f is a terminal and neither NO_COLOR nor TERM=dumb forbids colour. */
bool terminal_colour(FILE *f);

/*
 * On standard error, if it is a terminal: one line that is written over by the next, cut to what fits,
 * and erased by terminal_clear_line() and by ^C, when that ends the program.
 */
void terminal_show_line(const char *text);
void terminal_clear_line(void);

struct terminal_raw {
	int fd; /* -1: not in raw mode, nothing to restore */
	struct termios saved;
};

#define TERMINAL_RAW_NONE { .fd = -1 }

/* Every byte typed is read at once and as it is. Returns 0 or -errno. */
int terminal_raw_enter(struct terminal_raw *raw, int fd);

/* Put the terminal back as it was. May be called twice. */
void terminal_raw_leave(struct terminal_raw *raw);
