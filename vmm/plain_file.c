/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/plain_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "vmm/base/cleanup.h"

static const char *kind_of(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return "a directory";
	case S_IFCHR:
		return "a character device";
	case S_IFIFO:
		return "a pipe";
	case S_IFSOCK:
		return "a socket";
	default:
		return "a block device";
	}
}

/* O_NONBLOCK is taken off again, because io_uring would fail requests that have to wait. */
int plain_file_open(const char *path, int flags, bool block_too, struct hvd_error *err)
{
	AUTO(close) int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0)
		return hvd_err(err, errno, "%s: %s", path, strerror(errno));
	if (fstat(fd, &st) < 0 || fcntl(fd, F_SETFL, flags & ~O_ACCMODE) < 0)
		return hvd_err(err, errno, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode) && !(block_too && S_ISBLK(st.st_mode)))
		return hvd_err(err, S_ISDIR(st.st_mode) ? EISDIR : EINVAL,
			       "%s is %s; a regular file%s is needed", path, kind_of(st.st_mode),
			       block_too ? " or block device" : "");
	return TAKE_FD(fd);
}
