/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio over PCI, behind a root port: config space, BARs, MSI-X and rings in any order, on an
 * entropy device. The first byte says whether the device is up already.
 */
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
		fuzz_plug_pci(&g, dev);
	}
	if (size)
		fuzz_run(&g, data + 1, size - 1, data[0] & 1);
	return 0;
}
