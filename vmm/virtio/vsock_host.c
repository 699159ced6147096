/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs of the host that connect to the guest: who comes to the listener says "CONNECT PORT\n", with the guest's
 * port, and is told "OK PORT\n", with its own, once the guest has accepted.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/virtio/vsock_private.h"

void vsock_accept(struct vsock *v)
{
	while (v->running && v->incoming) {
		int fd;

		if (list_empty(&v->unused) && list_empty(&v->closed) &&
		    v->n_conns == VSOCK_MAX_CONNECTIONS)
			return; /* when there is room again */
		fd = accept4(v->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0 && errno != EINTR && errno != ECONNABORTED)
			v->incoming = false;
		if (fd >= 0)
			vsock_conn_new(v, fd, VSOCK_GREETING);
	}
}

static bool parse_greeting(const char *text, uint32_t *port)
{
	static const char word[] = "CONNECT ";
	unsigned long long value;
	char *end;

	if (strncmp(text, word, strlen(word)) != 0 || text[strlen(word)] < '0' ||
	    text[strlen(word)] > '9')
		return false;
	value = strtoull(text + strlen(word), &end, 10);
	if (*end || value > UINT32_MAX)
		return false;
	*port = (uint32_t)value;
	return true;
}

/* A port of the host that no connection to this port of the guest has. */
static uint32_t choose_port(struct vsock *v, uint32_t guest_port)
{
	uint32_t port;

	do {
		port = v->next_port++;
		if (v->next_port == UINT32_MAX)
			v->next_port = VSOCK_FIRST_PORT;
	} while (vsock_find(v, port, guest_port));
	return port;
}

/* What follows the line is for the guest: not a byte more than that is read. */
void vsock_greet(struct vsock_conn *c)
{
	uint32_t port;
	ssize_t n = 0;
	char *end = NULL;

	while (c->n_greeting < VSOCK_GREETING_MAX && !end) {
		n = read(c->src.fd, c->greeting + c->n_greeting, 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		if (c->greeting[c->n_greeting++] == '\n')
			end = &c->greeting[c->n_greeting - 1];
	}
	if (!end && n < 0 && errno == EAGAIN) {
		c->readable = false;
		return;
	}
	if (end)
		*end = '\0';
	if (!end || !parse_greeting(c->greeting, &port)) {
		vsock_conn_release(c);
		return;
	}
	c->state = VSOCK_REQUESTED;
	vsock_conn_name(c, choose_port(c->vsock, port), port);
	vsock_conn_pend(c, VSOCK_OP(REQUEST));
}

bool vsock_welcome(struct vsock_conn *c)
{
	char text[24];
	int n = snprintf(text, sizeof(text), "OK %u\n", c->host_port);

	return write(c->src.fd, text, (size_t)n) == n;
}
