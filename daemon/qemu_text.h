/* SPDX-License-Identifier: Apache-2.0 */
/* What QEMU's programs write to standard error, for a person. */
#pragma once

#include <stddef.h>

/* A file that the program knows by another name than the host does; path NULL: there is none. */
struct qemu_path {
	const char *at, *path;
};

/*
 * The last line of output, without the program's name (with colon and space), without the part of the
 * command line in it, and with the paths of the host. Printable ASCII only. "" when there is none.
 */
void qemu_explain(const char *output, const char *program, const struct qemu_path *paths, size_t n_paths,
		  char *buf, size_t size);
