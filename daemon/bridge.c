/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/bridge.h"

#include <errno.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "vmm/base/cleanup.h"

static struct ifreq request_for(const char *interface)
{
	struct ifreq ifr = { 0 };

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", interface);
	return ifr;
}

static int set_up(int sock, const char *interface)
{
	struct ifreq ifr = request_for(interface);

	if (ioctl(sock, SIOCGIFFLAGS, &ifr) < 0)
		return -errno;
	ifr.ifr_flags |= IFF_UP;
	return ioctl(sock, SIOCSIFFLAGS, &ifr) < 0 ? -errno : 0;
}

int bridge_add_port(const char *bridge, const char *tap, struct hvd_error *err)
{
	struct ifreq ifr = request_for(bridge);
	AUTO(close) int sock = -1;
	int r = 0;

	sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return hvd_err(err, errno, "socket: %s", strerror(errno));

	ifr.ifr_ifindex = (int)if_nametoindex(tap);
	if (ifr.ifr_ifindex == 0 || ioctl(sock, SIOCBRADDIF, &ifr) < 0)
		r = -errno;
	if (r >= 0)
		r = set_up(sock, tap);
	return r < 0 ? hvd_err(err, -r, "cannot make %s a port of bridge %s: %s", tap, bridge,
			       strerror(-r))
		     : 0;
}

bool bridge_is_up(const char *bridge)
{
	struct ifreq ifr = request_for(bridge);
	AUTO(close) int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return sock >= 0 && ioctl(sock, SIOCGIFFLAGS, &ifr) >= 0 && (ifr.ifr_flags & IFF_UP);
}
