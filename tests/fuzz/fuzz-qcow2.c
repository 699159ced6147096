/* SPDX-License-Identifier: Apache-2.0 */
/* The header of a qcow2 image: what is taken names no other file. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/qcow2.h"
#include "vmm/base/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t none[8];
	AUTO(close) int fd = memfd_create("fuzz", MFD_CLOEXEC);
	struct hvd_error err = { 0 };
	uint64_t length = 7;
	int r;

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	r = qcow2_check(fd, false, &length, &err);
	if ((r < 0) != (err.code < 0) || (r < 0 && length != 7))
		abort();
	if (r >= 0 && (size < 16 || memcmp(data + 8, none, sizeof(none)) != 0))
		abort();
	if (r >= 0 && qcow2_check(fd, true, &length, NULL) < 0)
		abort();
	return 0;
}
