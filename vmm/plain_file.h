/* SPDX-License-Identifier: Apache-2.0 */
/* Opening files that a definition names, which may be anything. */
#pragma once

#include <stdbool.h>

#include "vmm/base/err.h"

/*
 * Open a regular file, or a block device where block_too says so, with flags of open(2), close on exec;
 * a pipe that nobody writes does not hold it up. Returns the descriptor. -EISDIR, -EINVAL: it is
 * something else; -errno. err names the path, not a field.
 */
int plain_file_open(const char *path, int flags, bool block_too, struct hvd_error *err);
