/* SPDX-License-Identifier: Apache-2.0 */
/* A real block device for tests that run as root: a loop device. */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "vmm/base/cleanup.h"

/*
 * A loop device on this file, open with the flags given; path gets its name. It goes with its last
 * descriptor. -1: there are none here, or not for this user.
 */
static inline int loop_device(int file, int flags, char path[static 32])
{
	AUTO(close) int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	AUTO(close) int fd = -1;
	struct loop_config config = { .fd = (uint32_t)file, .info.lo_flags = LO_FLAGS_AUTOCLEAR };

	/* another process may take the free one first */
	for (int attempt = 0; control >= 0 && attempt < 10; attempt++) {
		int i = ioctl(control, LOOP_CTL_GET_FREE);

		snprintf(path, 32, "/dev/loop%d", i);
		fd = open(path, flags | O_CLOEXEC);
		if (i < 0 || fd < 0)
			return -1;
		if (ioctl(fd, LOOP_CONFIGURE, &config) == 0)
			return TAKE_FD(fd);
		if (errno != EBUSY)
			return -1;
		close(TAKE_FD(fd));
	}
	return -1;
}
