/* SPDX-License-Identifier: Apache-2.0 */
/* Transport and device core: registers of every width in any order, on an entropy device. */
#include <stdlib.h>

#include "tests/fuzz/virtio_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fuzz_guest g;
	struct virtio_dev *dev;

	if (!g.dev) {
		fuzz_open(&g);
		if (virtio_rng_new(&(struct virtio_rng_args){ 0 }, g.mem, g.io, &dev, NULL) < 0)
			abort();
		fuzz_plug(&g, dev);
	}
	fuzz_run(&g, data, size, false);
	return 0;
}
