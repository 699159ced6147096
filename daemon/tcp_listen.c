/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/tcp_listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/schema.h"
#include "vmm/base/cleanup.h"

#define BACKLOG 128

DEFINE_AUTO(struct addrinfo *, freeaddrinfo);

/* "[::1]:8443" -> "::1" and "8443" */
static int split(const char *text, char host[static NI_MAXHOST], const char **port,
		 struct hvd_error *err)
{
	const char *colon = strrchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : 0;
	uint64_t number;

	if (!colon || number_parse(colon + 1, &number) < 0 || !number || number > 65535)
		return hvd_err(err, EINVAL, "\"%.80s\" has no port: 192.0.2.1:8443, [::1]:8443 or "
			       ":8443", text);
	if (len > 1 && text[0] == '[' && colon[-1] == ']') {
		text++;
		len -= 2;
	} else if (memchr(text, ':', len)) {
		return hvd_err(err, EINVAL, "\"%.80s\": put an IPv6 address in brackets", text);
	}
	snprintf(host, NI_MAXHOST, "%.*s", (int)len, text);
	*port = colon + 1;
	return 0;
}

static int open_socket(const struct addrinfo *address)
{
	AUTO(close) int fd = socket(address->ai_family,
				    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	static const int yes = 1, no = 0;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	/* the address may come after hvd has been started */
	setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &yes, sizeof(yes));
	if (address->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no));
	if (bind(fd, address->ai_addr, address->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0)
		return -errno;
	return TAKE_FD(fd);
}

int tcp_listen(const char *text, struct hvd_error *err)
{
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
				  .ai_socktype = SOCK_STREAM };
	AUTO(freeaddrinfo) struct addrinfo *addresses = NULL;
	char host[NI_MAXHOST];
	const char *port = NULL;
	int r;

	r = split(text, host, &port, err);
	if (r < 0)
		return r;
	/* "::" takes IPv4 as well */
	if (!host[0])
		strcpy(host, access("/proc/net/if_inet6", F_OK) == 0 ? "::" : "0.0.0.0");
	r = getaddrinfo(host, port, &hints, &addresses);
	if (r != 0) {
		addresses = NULL;
		return hvd_err(err, EINVAL, "\"%.80s\" is no address of IPv4 or IPv6: %s", host,
			       gai_strerror(r));
	}
	r = open_socket(addresses);
	return r < 0 ? hvd_err(err, -r, "%s: %s", text, strerror(-r)) : r;
}
