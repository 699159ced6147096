/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/atomic_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/base/cleanup.h"

int file_write_all(int fd, const void *data, size_t len)
{
	const char *at = data;

	while (len > 0) {
		ssize_t n = write(fd, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

int folder_sync(const char *folder)
{
	AUTO(close) int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return fsync(fd) < 0 ? -errno : 0;
}

static int write_new(const char *path, const void *data, size_t len, bool durable)
{
	AUTO(close) int fd = -1;
	int r;

	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	r = file_write_all(fd, data, len);
	if (r >= 0 && durable && fsync(fd) < 0)
		r = -errno;
	return r;
}

int atomic_write(const char *folder, const char *name, const void *data, size_t len, bool durable)
{
	char path[PATH_MAX], new[PATH_MAX];
	int r;

	if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= PATH_MAX ||
	    snprintf(new, sizeof(new), "%s/%s" ATOMIC_SUFFIX, folder, name) >= PATH_MAX)
		return -ENAMETOOLONG;
	r = write_new(new, data, len, durable);
	if (r >= 0 && rename(new, path) < 0)
		r = -errno;
	if (r < 0) {
		unlink(new);
		return r;
	}
	return durable ? folder_sync(folder) : 0;
}

int atomic_read(const char *path, size_t max, char **ret, size_t *ret_len)
{
	AUTO(free) char *text = NULL;
	AUTO(fclose) FILE *f = fopen(path, "re");
	struct stat st;
	size_t len;

	if (!f)
		return -errno;
	if (fstat(fileno(f), &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if ((size_t)st.st_size > max)
		return -EFBIG;

	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return -ENOMEM;
	len = fread(text, 1, (size_t)st.st_size, f);
	if (ferror(f))
		return -EIO;
	text[len] = '\0';
	*ret = TAKE(text);
	*ret_len = len;
	return 0;
}
