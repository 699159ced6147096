/* SPDX-License-Identifier: Apache-2.0 */
/* The network device; a socket stands for the tap, and frames come from the input. */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/fuzz/virtio_fuzz.h"

static struct fuzz_guest g;
static int tap, peer;

static void frame(struct fuzz_input *in)
{
	static uint8_t buf[65536];
	uint64_t len = fuzz_take(in, 2);

	buf[0] = (uint8_t)fuzz_take(in, 1);
	(void)!send(peer, buf, len, MSG_DONTWAIT);
}

/* Frames that nobody read would be the next input's, and it would not do the same each time. */
static void drain(int fd)
{
	static uint8_t buf[65536];

	while (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) >= 0)
		;
}

static void open_device(void)
{
	struct virtio_net_args args = { .mac = { 2, 0, 0, 0, 0, 1 } };
	struct virtio_dev *dev;
	int pair[2];

	fuzz_open(&g);
	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) < 0)
		abort();
	args.tap = tap = pair[0];
	peer = pair[1];
	if (virtio_net_new(&args, g.mem, g.io, &dev, NULL) < 0)
		abort();
	fuzz_plug(&g, dev);
	g.event = frame;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!g.dev)
		open_device();
	fuzz_run(&g, data, size, true);
	drain(tap);
	drain(peer);
	return 0;
}
