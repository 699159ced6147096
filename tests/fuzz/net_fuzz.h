/* SPDX-License-Identifier: Apache-2.0 */
/* The network device; sockets stand for the queues of its tap, and frames come from the input. */
#pragma once

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/fuzz/virtio_fuzz.h"

#define NET_FUZZ_MAX_PAIRS 2

static struct fuzz_guest g;
static int taps[NET_FUZZ_MAX_PAIRS], peers[NET_FUZZ_MAX_PAIRS];
static unsigned n_pairs;

/* A frame, or the link or the limits change. */
static void net_fuzz_event(struct fuzz_input *in)
{
	static uint8_t buf[65536];
	uint64_t len = fuzz_take(in, 2);
	struct virtio_net_args args = { .n_pairs = n_pairs };
	uint8_t what = (uint8_t)fuzz_take(in, 1);

	if (len < 0xff00) {
		buf[0] = what;
		(void)!send(peers[len % n_pairs], buf, len, MSG_DONTWAIT);
		return;
	}
	args.link_down = what & 1;
	args.trust_mac = what & 2;
	if (virtio_update(g.dev, &args, NULL) < 0)
		abort();
}

/* Frames that nobody read would be the next input's, and it would not do the same each time. */
static void net_fuzz_drain(int fd)
{
	static uint8_t buf[65536];

	while (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) >= 0)
		;
}

static void net_fuzz_open(unsigned pairs)
{
	const struct virtio_net_args args = {
		.n_pairs = pairs, .taps = taps, .mac = { 2, 0, 0, 0, 0, 1 },
	};
	struct virtio_dev *dev;
	int pair[2];

	n_pairs = pairs;
	fuzz_open(&g);
	for (unsigned i = 0; i < pairs; i++) {
		if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) < 0)
			abort();
		taps[i] = pair[0];
		peers[i] = pair[1];
	}
	if (virtio_net_new(&args, g.mem, g.io, &dev, NULL) < 0)
		abort();
	fuzz_plug(&g, dev);
	g.event = net_fuzz_event;
}

static int net_fuzz_run(unsigned pairs, const uint8_t *data, size_t size)
{
	const struct virtio_net_args up = { .n_pairs = pairs };

	if (!g.dev)
		net_fuzz_open(pairs);
	if (virtio_update(g.dev, &up, NULL) < 0)
		abort();
	fuzz_run(&g, data, size, true);
	for (unsigned i = 0; i < pairs; i++) {
		net_fuzz_drain(taps[i]);
		net_fuzz_drain(peers[i]);
	}
	return 0;
}
