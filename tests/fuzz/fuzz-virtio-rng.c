/* SPDX-License-Identifier: Apache-2.0 */
/* The entropy device, whose limit comes and goes: what it lets pass at once is a little more than nothing. */
#include <stdlib.h>

#include "tests/fuzz/virtio_fuzz.h"

static struct fuzz_guest g;

static void set_limit(bool limited)
{
	static const struct virtio_rng_args args[] = {
		[true] = { .bytes_limit = { .per_second = 1, .burst = 8192 } },
	};

	if (virtio_update(g.dev, &args[limited], NULL) < 0)
		abort();
}

static void on_event(struct fuzz_input *in)
{
	set_limit(fuzz_take(in, 1) & 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct virtio_dev *dev;

	if (!g.dev) {
		fuzz_open(&g);
		if (virtio_rng_new(&(struct virtio_rng_args){ 0 }, g.mem, g.io, &dev, NULL) < 0)
			abort();
		fuzz_plug(&g, dev);
		g.event = on_event;
	}
	set_limit(false);
	fuzz_run(&g, data, size, true);
	return 0;
}
