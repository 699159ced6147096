/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/peers.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

static int open_end(int fd, bool server, sd_bus **ret)
{
	sd_id128_t id = { .bytes = { 1 } };
	sd_bus *bus = NULL;
	int r;

	r = sd_bus_new(&bus);
	if (r >= 0)
		r = sd_bus_set_fd(bus, fd, fd);
	if (r >= 0 && server)
		r = sd_bus_set_server(bus, true, id);
	if (r >= 0)
		r = sd_bus_set_anonymous(bus, true);
	if (r >= 0)
		r = sd_bus_start(bus);
	if (r < 0) {
		sd_bus_unref(bus);
		return r;
	}
	*ret = bus;
	return 0;
}

int peers_open(struct peers *peers)
{
	int fds[2];
	int r;

	memset(peers, 0, sizeof(*peers));
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
		return -errno;
	r = open_end(fds[0], false, &peers->client);
	if (r >= 0)
		r = open_end(fds[1], true, &peers->server);
	while (r >= 0 &&
	       !(sd_bus_is_ready(peers->client) > 0 && sd_bus_is_ready(peers->server) > 0)) {
		r = sd_bus_process(peers->client, NULL);
		if (r >= 0)
			r = sd_bus_process(peers->server, NULL);
	}
	if (r < 0)
		peers_close(peers);
	return r < 0 ? r : 0;
}

void peers_close(struct peers *peers)
{
	sd_bus_close(peers->client);
	sd_bus_close(peers->server);
	peers->client = sd_bus_unref(peers->client);
	peers->server = sd_bus_unref(peers->server);
}

int peers_message(struct peers *peers, sd_bus_message **ret)
{
	return sd_bus_message_new_signal(peers->client, ret, "/test", "org.hvd1.Test", "Test");
}

int peers_pass(struct peers *peers, sd_bus_message *m, sd_bus_message **ret)
{
	sd_bus_message *got = NULL;
	int r;

	r = sd_bus_send(peers->client, m, NULL);
	while (r >= 0) {
		r = sd_bus_process(peers->client, NULL);
		if (r >= 0)
			r = sd_bus_process(peers->server, &got);
		if (r < 0)
			break;
		if (got && sd_bus_message_is_signal(got, "org.hvd1.Test", "Test") > 0) {
			*ret = got;
			return 0;
		}
		got = sd_bus_message_unref(got);
	}
	return r;
}
