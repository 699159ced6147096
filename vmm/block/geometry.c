/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/block/geometry.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "vmm/base/cleanup.h"
#include "vmm/base/macro.h"

#define SECTOR 512u
#define PAGE 4096u

static int probe_device(int fd, struct disk_geometry *g, struct hvd_error *err)
{
	unsigned physical = 0, optimal = 0;
	int logical = 0;

	if (ioctl(fd, BLKSSZGET, &logical) < 0 || ioctl(fd, BLKPBSZGET, &physical) < 0 ||
	    ioctl(fd, BLKIOOPT, &optimal) < 0)
		return hvd_err(err, errno, "cannot learn the block size of the device: %s",
			       strerror(errno));
	g->block = (uint32_t)logical;
	g->physical = physical;
	g->optimal = optimal;
	return 0;
}

static bool is_power_of_two(uint64_t n)
{
	return n && !(n & (n - 1));
}

/* A file is cached in pages; a file system that likes larger writes still takes these. */
static void set_file(const struct stat *st, struct disk_geometry *g)
{
	uint64_t preferred = (uint64_t)st->st_blksize;

	g->block = SECTOR;
	g->physical = is_power_of_two(preferred) ? (uint32_t)MIN(preferred, (uint64_t)PAGE) : SECTOR;
	g->physical = MAX(g->physical, SECTOR);
}

static int no_direct(struct hvd_error *err, const char *why)
{
	return hvd_err_field(err, EINVAL, "cache", "none: %s; use cache \"writeback\"", why);
}

/* A sector at the start of the disk, to memory that is aligned to this and no more. */
static bool can_read(int fd, uint8_t *memory, uint32_t align)
{
	return pread(fd, memory + align, SECTOR, 0) >= 0;
}

static int try_direct(int fd, struct disk_geometry *g, struct hvd_error *err)
{
	AUTO(free) uint8_t *memory = aligned_alloc(2 * PAGE, 2 * PAGE);

	if (!memory)
		return hvd_err(err, ENOMEM, "out of memory");
	if (!can_read(fd, memory, PAGE))
		return no_direct(err, "direct I/O of single sectors does not work on this file");
	g->mem_align = can_read(fd, memory, SECTOR) ? SECTOR : PAGE;
	return 0;
}

static int probe_direct(int fd, bool device, struct disk_geometry *g, struct hvd_error *err)
{
	struct statx st = { 0 };
	bool told = !statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &st) &&
		    st.stx_mask & STATX_DIOALIGN;
	int r = 0;

	if (told && st.stx_dio_offset_align > g->block)
		return no_direct(err, "direct I/O of this file goes in blocks larger than a sector");
	if (told && !st.stx_dio_offset_align)
		return no_direct(err, "this file has no direct I/O");

	if (told)
		g->mem_align = MAX(st.stx_dio_mem_align, 1u);
	else if (device)
		g->mem_align = g->block;
	else
		r = try_direct(fd, g, err);
	g->direct = r == 0;
	return r;
}

int disk_geometry_size(int fd, const struct disk_geometry *g, uint64_t *ret, struct hvd_error *err)
{
	uint64_t size;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return hvd_err(err, errno, "cannot stat the disk: %s", strerror(errno));
	size = (uint64_t)st.st_size;
	if (S_ISBLK(st.st_mode) && ioctl(fd, BLKGETSIZE64, &size) < 0)
		return hvd_err(err, errno, "cannot learn the size of the block device: %s",
			       strerror(errno));

	size -= size % g->block;
	if (!size)
		return hvd_err(err, EINVAL, "holds less than one sector of %u bytes", g->block);
	*ret = size;
	return 0;
}

int disk_geometry_probe(int fd, bool direct, struct disk_geometry *ret, struct hvd_error *err)
{
	struct disk_geometry g = { 0 };
	struct stat st;
	int r = 0;

	if (fstat(fd, &st) < 0)
		return hvd_err(err, errno, "cannot stat the disk: %s", strerror(errno));

	if (S_ISBLK(st.st_mode))
		r = probe_device(fd, &g, err);
	else if (S_ISREG(st.st_mode))
		set_file(&st, &g);
	else
		r = hvd_err(err, EINVAL, "not a regular file or block device");
	if (r >= 0)
		r = disk_geometry_size(fd, &g, &g.size, err);
	if (r >= 0 && direct)
		r = probe_direct(fd, S_ISBLK(st.st_mode), &g, err);
	if (r < 0)
		return r;
	*ret = g;
	return 0;
}
