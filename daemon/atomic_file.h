/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small files that are there as a whole or not at all: written beside themselves and renamed. Who
 * reads one reads the old or the new.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define ATOMIC_SUFFIX ".new" /* of the file that is being written */

/*
 * Write folder/name, mode 0600. durable: not before it is on the disk, so that it is found after a
 * loss of power as well; without, it is found after a crash of this process. -errno.
 */
int atomic_write(const char *folder, const char *name, const void *data, size_t len, bool durable);

/* Read a regular file of up to max bytes; *ret is heap memory, NUL-terminated. -EFBIG, -errno. */
int atomic_read(const char *path, size_t max, char **ret, size_t *ret_len);

/* write(2) all of it; fsync(2) a folder, after a rename in it. -errno. */
int file_write_all(int fd, const void *data, size_t len);
int folder_sync(const char *folder);
