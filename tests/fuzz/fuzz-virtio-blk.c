/* SPDX-License-Identifier: Apache-2.0 */
/* The block device on a real io_uring, its disk in memory. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/fuzz/virtio_fuzz.h"

#define DISK_SIZE (64 * KIB)

static struct fuzz_guest g;

static void open_device(void)
{
	struct virtio_blk_args args = { .fd = memfd_create("disk", MFD_CLOEXEC), .serial = "fuzz" };
	struct hvd_error err = { 0 };
	struct virtio_dev *dev;

	fuzz_open(&g);
	if (args.fd < 0 || ftruncate(args.fd, DISK_SIZE) < 0)
		abort();
	if (virtio_blk_new(&args, g.mem, g.io, &dev, &err) < 0) {
		fprintf(stderr, "skipped: %s\n", err.msg);
		exit(77);
	}
	fuzz_plug(&g, dev);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!g.dev)
		open_device();
	fuzz_run(&g, data, size, true);
	return 0;
}
