/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The terminal of a foreground VM: between standard input and output and one end of a console
 * stream, on the main loop.
 *
 * A terminal is put into raw mode, so that every key is the guest's, but for the escape key ^A:
 * ^A x leaves, ^A ^A sends ^A, ^A h shows help. It is restored by terminal_close(), at exit(3), and
 * when a signal kills the process. Input that is no terminal is passed on as it is.
 */
#pragma once

#include "vmm/base/loop.h"

struct terminal {
	struct loop_source input, stream;
	struct loop *loop;
	bool escaped;
	void (*leave)(void *ctx); /* ^A x */
	void *ctx;
};

/* stream: a non-blocking stream socket, taken over in either outcome. One terminal a process. */
int terminal_open(struct terminal *term, struct loop *loop, int stream, void (*leave)(void *ctx),
		  void *ctx);

/* Write what is still in the stream, and restore. */
void terminal_close(struct terminal *term);

/*
 * The keys of one read: copies what is the guest's into out (room for len bytes) and returns how
 * many. *action gets 'x', 'h' or 0.
 */
size_t terminal_filter(bool *escaped, const char *in, size_t len, char *out, char *action);
