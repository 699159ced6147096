/* SPDX-License-Identifier: Apache-2.0 */
/* A program on a terminal of its own: what it prints there, and what is typed. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct pty {
	int fd;
	pid_t pid;
	char *text; /* all that it has printed, terminated */
	size_t len, seen; /* seen: what has been expected up to now */
};

/* argv is NULL-terminated; a terminal of 24 lines and so many columns. */
void pty_start(struct pty *pty, const char *const *argv, unsigned columns);

void pty_type(struct pty *pty, const char *keys);
void pty_resize(struct pty *pty, unsigned columns);

/* Wait until it prints text, behind what has been expected before; fails the test if it does not. */
void pty_expect(struct pty *pty, const char *text);

/* Read to its end and reap it. Returns its wait status. */
int pty_end(struct pty *pty);
void pty_free(struct pty *pty);
