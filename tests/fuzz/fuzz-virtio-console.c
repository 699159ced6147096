/* SPDX-License-Identifier: Apache-2.0 */
/* The console device and the console behind it; what is typed comes from the input. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/fuzz/virtio_fuzz.h"
#include "vmm/console.h"

static struct fuzz_guest g;
static int client;

static void type(struct fuzz_input *in)
{
	uint8_t buf[4096];
	size_t len = (size_t)fuzz_take(in, 2) % sizeof(buf);

	for (size_t i = 0; i < len; i++)
		buf[i] = (uint8_t)i;
	(void)!write(client, buf, len);
}

static void open_device(void)
{
	struct console *console;
	struct virtio_dev *dev;
	int pair[2];

	/* one loop is both main and I/O loop here */
	fuzz_open(&g);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		abort();
	client = pair[1];
	if (console_new(g.io, &console) < 0 || console_attach(console, pair[0], true, NULL) < 0 ||
	    virtio_console_new(console, g.mem, g.io, &dev, NULL) < 0)
		abort();
	fuzz_plug(&g, dev);
	g.event = type;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t buf[4096];

	if (!g.dev)
		open_device();
	fuzz_run(&g, data, size, true);
	while (read(client, buf, sizeof(buf)) > 0)
		;
	return 0;
}
