/* SPDX-License-Identifier: Apache-2.0 */
/* The balloon with all that it offers; what happens outside is a new target. */
#include <linux/virtio_balloon.h>
#include <stdlib.h>

#include "tests/fuzz/virtio_fuzz.h"

static struct fuzz_guest g;

static void on_changed(void *ctx, const struct balloon_info *info)
{
	if (info->actual > FUZZ_RAM_SIZE)
		abort();
}

static void retarget(struct fuzz_input *in)
{
	struct virtio_balloon_args args = { .target = fuzz_take(in, 3) };

	if (virtio_update(g.dev, &args, NULL) < 0)
		abort();
	virtio_set_config(g.dev, fuzz_take(in, 1) % sizeof(struct virtio_balloon_config),
			  fuzz_take(in, 4), 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct virtio_balloon_args args = {
		.deflate_on_oom = true, .page_reporting = true, .changed = on_changed,
	};
	struct virtio_dev *dev;

	if (!g.dev) {
		fuzz_open(&g);
		if (virtio_balloon_new(&args, g.mem, g.io, &dev, NULL) < 0)
			abort();
		fuzz_plug(&g, dev);
		g.event = retarget;
	}
	fuzz_run(&g, data, size, true);
	return 0;
}
