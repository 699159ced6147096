/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/mem/guest_mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmm/base/macro.h"

#define HUGE_PAGE (2 * MIB)

struct guest_mem {
	uint64_t base, size;
	uint8_t *host;
	int fd; /* -1: private */
};

/* The host address is as aligned as the IPA, so that stage 2 can map whole huge pages. */
static void *map_aligned(uint64_t size)
{
	uint64_t span = size + HUGE_PAGE, head;
	uint8_t *start;

	start = mmap(NULL, span, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (start == MAP_FAILED)
		return NULL;

	head = ALIGN_UP((uintptr_t)start, HUGE_PAGE) - (uintptr_t)start;
	if (head)
		munmap(start, head);
	munmap(start + head + size, HUGE_PAGE - head);
	return start + head;
}

static int map(struct guest_mem *mem)
{
	mem->host = map_aligned(mem->size);
	if (!mem->host)
		return -ENOMEM;
	/* in place of the anonymous pages, which were only to find an aligned address */
	if (mem->fd >= 0 && mmap(mem->host, mem->size, PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_FIXED | MAP_NORESERVE, mem->fd, 0) == MAP_FAILED)
		return -ENOMEM;

	/* Advice: a kernel built without one of these runs the VM all the same. */
	madvise(mem->host, mem->size, MADV_HUGEPAGE);
	madvise(mem->host, mem->size, MADV_DONTDUMP);
	return 0;
}

/* Takes fd over. */
static int new_on(int fd, uint64_t base, uint64_t size, struct guest_mem **ret)
{
	AUTO(close) int owned = fd;
	AUTO(guest_mem_free) struct guest_mem *mem = NULL;
	int r;

	if (!size || size > UINT64_MAX - HUGE_PAGE || base > UINT64_MAX - size)
		return -ENOMEM;

	mem = calloc(1, sizeof(*mem));
	if (!mem)
		return -ENOMEM;
	mem->base = base;
	mem->size = size;
	mem->fd = TAKE_FD(owned);
	r = map(mem);
	if (r < 0)
		return r;
	*ret = TAKE(mem);
	return 0;
}

int guest_mem_new(uint64_t base, uint64_t size, struct guest_mem **ret)
{
	return new_on(-1, base, size, ret);
}

int guest_mem_new_shared(uint64_t base, uint64_t size, struct guest_mem **ret)
{
	AUTO(close) int fd = memfd_create("guest RAM", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -errno;
	/* whoever gets the descriptor must not pull the memory away under the others */
	if (size > INT64_MAX || ftruncate(fd, (off_t)size) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -ENOMEM;
	return new_on(TAKE_FD(fd), base, size, ret);
}

int guest_mem_fd(const struct guest_mem *mem)
{
	return mem->fd;
}

struct guest_mem *guest_mem_free(struct guest_mem *mem)
{
	if (!mem)
		return NULL;

	if (mem->host)
		munmap(mem->host, mem->size);
	if (mem->fd >= 0)
		close(mem->fd);
	free(mem);
	return NULL;
}

void *guest_mem_ptr(const struct guest_mem *mem, uint64_t ipa, uint64_t len)
{
	uint64_t offset = ipa - mem->base;

	/* ipa below base wraps to an offset beyond any size */
	if (!len || offset >= mem->size || len > mem->size - offset)
		return NULL;
	return mem->host + offset;
}

int guest_mem_discard(const struct guest_mem *mem, void *p, size_t len)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uintptr_t start = ALIGN_UP((uintptr_t)p, page);
	uintptr_t end = ((uintptr_t)p + len) & ~(page - 1);

	if (start >= end)
		return 0;
	/* what is shared is the file's: a hole in it */
	return madvise((void *)start, end - start, mem->fd < 0 ? MADV_DONTNEED : MADV_REMOVE) < 0
		       ? -errno
		       : 0;
}

uint64_t guest_mem_base(const struct guest_mem *mem)
{
	return mem->base;
}

uint64_t guest_mem_size(const struct guest_mem *mem)
{
	return mem->size;
}
