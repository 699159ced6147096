/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scope-bound cleanup.
 *
 *	AUTO(free) char *path = NULL;
 *	AUTO(close) int fd = -1;
 *	AUTO(vmm_free) struct vmm *vmm = NULL;
 *	...
 *	*ret = TAKE(vmm);
 *	return 0;
 *
 * A module that has a destructor makes it usable here with DEFINE_AUTO() in its header.
 */
#pragma once

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define AUTO(fn) __attribute__((cleanup(auto_##fn)))

/* For destructors that take a pointer; they are not called with NULL. */
#define DEFINE_AUTO(type, fn)                                                                      \
	static inline void auto_##fn(type *p)                                                      \
	{                                                                                          \
		if (*p)                                                                            \
			fn(*p);                                                                    \
	}                                                                                          \
	struct auto_semicolon_##fn

/* Hands the value over and leaves NULL behind, so that the scope's cleanup has nothing to do. */
#define TAKE(ptr)                                                                                  \
	({                                                                                         \
		__auto_type taken_ = (ptr);                                                        \
		(ptr) = NULL;                                                                      \
		taken_;                                                                            \
	})

#define TAKE_FD(fd)                                                                                \
	({                                                                                         \
		int taken_ = (fd);                                                                 \
		(fd) = -1;                                                                         \
		taken_;                                                                            \
	})

static inline void auto_free(void *p)
{
	free(*(void **)p);
}

static inline void auto_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

DEFINE_AUTO(FILE *, fclose);
DEFINE_AUTO(DIR *, closedir);
