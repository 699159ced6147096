/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/event_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "daemon/atomic_file.h"
#include "daemon/event_log.h"
#include "daemon/store.h"
#include "vmm/base/cleanup.h"
#include "vmm/base/log.h"
#include "vmm/base/macro.h"

#define RESERVE 4096 /* numbers for one write of `seq` */

static int path_of(const struct event_file *file, const char *name, char path[static PATH_MAX])
{
	return snprintf(path, PATH_MAX, "%s/%s", file->folder, name) >= PATH_MAX ? -ENAMETOOLONG
										 : 0;
}

/* ---- numbers ---- */

static int reserve(struct event_file *file, uint64_t seq)
{
	char text[32];
	int r;

	snprintf(text, sizeof(text), "%" PRIu64 "\n", seq);
	r = atomic_write(file->folder, "seq", text, strlen(text), true);
	if (r >= 0)
		file->reserved = seq;
	return r;
}

static void read_reserved(struct event_file *file)
{
	AUTO(free) char *text = NULL;
	char path[PATH_MAX];
	size_t len;

	if (path_of(file, "seq", path) >= 0 && atomic_read(path, 31, &text, &len) >= 0)
		sscanf(text, "%" SCNu64, &file->reserved);
}

/* ---- lines ---- */

static uint64_t read_log(const struct event_file *file, const char *name,
			 uint64_t (*fn)(void *ctx, const char *line, size_t len), void *ctx)
{
	AUTO(free) char *text = NULL;
	char path[PATH_MAX];
	uint64_t last = 0;
	size_t len = 0;

	if (path_of(file, name, path) < 0 || atomic_read(path, 2 * EVENT_FILE_MAX, &text, &len) < 0)
		return 0;
	/* what a crash has cut off has no newline */
	for (char *line = text, *end; (end = memchr(line, '\n', (size_t)(text + len - line)));
	     line = end + 1) {
		uint64_t seq = fn(ctx, line, (size_t)(end - line));

		last = MAX(last, seq);
	}
	return last;
}

static int open_log(struct event_file *file)
{
	char path[PATH_MAX], last = '\n';
	struct stat st;
	int r;

	r = path_of(file, "log", path);
	if (r < 0)
		return r;
	file->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (file->fd < 0 || fstat(file->fd, &st) < 0)
		return -errno;
	file->size = (uint64_t)st.st_size;
	/* a line that was cut off must not garble the next */
	if (file->size && pread(file->fd, &last, 1, st.st_size - 1) == 1 && last != '\n' &&
	    write(file->fd, "\n", 1) != 1)
		return -EIO;
	return 0;
}

/* Say it once, until it works again. */
static void note(struct event_file *file, int r)
{
	if (r < 0 && !file->failing)
		log_warning("%s: events are not kept over a restart of hvd: %s", file->folder,
			    strerror(-r));
	file->failing = r < 0;
}

int event_file_open(struct event_file *file, const char *folder,
		    uint64_t (*fn)(void *ctx, const char *line, size_t len), void *ctx,
		    uint64_t *ret_seq, struct hvd_error *err)
{
	uint64_t old, last;
	int r;

	*file = (struct event_file){ .fd = -1 };
	r = store_make_folder(folder, err);
	if (r < 0)
		return r;
	file->folder = strdup(folder);
	if (!file->folder)
		return hvd_err(err, ENOMEM, "out of memory");
	read_reserved(file);
	old = read_log(file, "log.old", fn, ctx);
	last = read_log(file, "log", fn, ctx);
	last = MAX(old, last);
	*ret_seq = file->reserved > last ? file->reserved - 1 : last;
	return 0;
}

void event_file_close(struct event_file *file, uint64_t seq)
{
	/* what was reserved and not used is given back */
	if (file->folder && file->reserved > seq + 1)
		reserve(file, seq + 1);
	if (file->fd >= 0)
		close(file->fd);
	free(file->folder);
	*file = (struct event_file){ .fd = -1 };
}

static int rotate(struct event_file *file)
{
	char path[PATH_MAX], old[PATH_MAX];
	int r;

	r = path_of(file, "log", path);
	if (r >= 0)
		r = path_of(file, "log.old", old);
	if (r < 0)
		return r;
	if (rename(path, old) < 0)
		return -errno;
	close(file->fd);
	file->fd = -1;
	return open_log(file);
}

static int add(struct event_file *file, uint64_t seq, const char *line, size_t len)
{
	const struct iovec iov[] = { { (char *)line, len }, { (char[]){ "\n" }, 1 } };
	ssize_t n;
	int r = 0;

	if (seq >= file->reserved)
		r = reserve(file, seq + RESERVE);
	if (r >= 0 && file->fd < 0)
		r = open_log(file);
	if (r >= 0 && file->size + len > EVENT_FILE_MAX)
		r = rotate(file);
	if (r < 0)
		return r;
	n = writev(file->fd, iov, ARRAY_SIZE(iov));
	if (n < 0)
		return -errno;
	file->size += (uint64_t)n;
	if (n == (ssize_t)len + 1)
		return 0;
	/* opening it again ends the line */
	close(file->fd);
	file->fd = -1;
	return -ENOSPC;
}

void event_file_add(struct event_file *file, uint64_t seq, const char *line, size_t len)
{
	note(file, add(file, seq, line, len));
}
