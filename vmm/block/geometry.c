/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/block/geometry.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#define SECTOR 512

static int probe_device(int fd, struct disk_geometry *g, struct hvd_error *err)
{
	unsigned physical = 0;
	int logical = 0;

	if (ioctl(fd, BLKGETSIZE64, &g->size) < 0 || ioctl(fd, BLKSSZGET, &logical) < 0 ||
	    ioctl(fd, BLKPBSZGET, &physical) < 0)
		return hvd_err(err, errno, "cannot learn the size of the block device: %s",
			       strerror(errno));
	g->block = (uint32_t)logical;
	g->physical = physical;
	return 0;
}

static int probe_direct(int fd, struct disk_geometry *g, struct hvd_error *err)
{
	struct statx st = { 0 };
	int flags;

	if (!statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &st) && st.stx_dio_offset_align &&
	    st.stx_dio_offset_align <= g->block) {
		g->direct = true;
		g->mem_align = st.stx_dio_mem_align;
		return 0;
	}

	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_DIRECT) < 0)
		return hvd_err(err, errno, "cannot leave direct I/O: %s", strerror(errno));
	return 0;
}

int disk_geometry_probe(int fd, bool direct, struct disk_geometry *ret, struct hvd_error *err)
{
	struct disk_geometry g = { 0 };
	struct stat st;
	int r = 0;

	if (fstat(fd, &st) < 0)
		return hvd_err(err, errno, "cannot stat the disk: %s", strerror(errno));

	if (S_ISBLK(st.st_mode)) {
		r = probe_device(fd, &g, err);
	} else if (S_ISREG(st.st_mode)) {
		g.size = (uint64_t)st.st_size;
		g.block = SECTOR;
		g.physical = (uint32_t)st.st_blksize;
	} else {
		r = hvd_err(err, EINVAL, "not a regular file or block device");
	}
	if (r < 0)
		return r;

	g.size -= g.size % g.block;
	if (!g.size)
		return hvd_err(err, EINVAL, "holds less than one sector of %u bytes", g.block);

	if (direct) {
		r = probe_direct(fd, &g, err);
		if (r < 0)
			return r;
	}
	*ret = g;
	return 0;
}
