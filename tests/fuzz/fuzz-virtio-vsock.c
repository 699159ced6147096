/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The socket device. Outside are a server that answers what it gets, and programs that connect, talk and
 * go away.
 */
#include <linux/virtio_vsock.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/fuzz/virtio_fuzz.h"

#define MAX_PEERS 8

static struct fuzz_guest g;
static char folder[] = "/tmp/fuzz-vsock-XXXXXX";
static int server;
static int peers[MAX_PEERS];
static unsigned n_peers;

static struct sockaddr_un address(const char *name)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/%s", folder, name);
	return addr;
}

static int listen_on(const char *name)
{
	struct sockaddr_un addr = address(name);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, 64) < 0)
		abort();
	return fd;
}

static void add_peer(int fd)
{
	if (fd < 0)
		return;
	if (n_peers == MAX_PEERS)
		close(peers[--n_peers]);
	peers[n_peers++] = fd;
}

static void connect_in(struct fuzz_input *in)
{
	static const char *const greetings[] = { "CONNECT 1\n", "CONNECT 4294967295\nabc", "CONN", "\n" };
	struct sockaddr_un addr = address("vsock");
	const char *text = greetings[fuzz_take(in, 1) % ARRAY_SIZE(greetings)];
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		close(fd);
		return;
	}
	(void)!write(fd, text, strlen(text));
	add_peer(fd);
}

static void outside(struct fuzz_input *in)
{
	static char buf[100000];
	unsigned what = (unsigned)fuzz_take(in, 1), i = (unsigned)fuzz_take(in, 1);

	if (what % 8 == 0)
		connect_in(in);
	add_peer(accept4(server, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK));
	if (!n_peers)
		return;
	i %= n_peers;
	switch (what % 8) {
	case 1:
		(void)!read(peers[i], buf, sizeof(buf));
		break;
	case 2:
	case 3:
		(void)!write(peers[i], buf, fuzz_take(in, 2));
		break;
	case 4:
		shutdown(peers[i], SHUT_WR);
		break;
	case 5:
		shutdown(peers[i], SHUT_RD);
		break;
	case 6:
		close(peers[i]);
		peers[i] = peers[--n_peers];
		break;
	}
}

static void open_device(void)
{
	struct virtio_vsock_args args = { .cid = 3, .folder = folder };
	struct virtio_dev *dev;

	signal(SIGPIPE, SIG_IGN);
	if (!mkdtemp(folder))
		abort();
	server = listen_on("vsock_1");
	args.listener = listen_on("vsock");
	fuzz_open(&g);
	if (virtio_vsock_new(&args, g.mem, g.io, &dev, NULL) < 0)
		abort();
	fuzz_plug(&g, dev);
	g.event = outside;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd;

	if (!g.dev)
		open_device();
	fuzz_run(&g, data, size, true);
	while (n_peers)
		close(peers[--n_peers]);
	while ((fd = accept(server, NULL, NULL)) >= 0)
		close(fd);
	return 0;
}
