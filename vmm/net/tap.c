/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/net/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>

int tap_setup(int fd, struct tap *ret, struct hvd_error *err)
{
	int flags = fcntl(fd, F_GETFL), header = TAP_HEADER;
	struct ifreq ifr = { 0 };

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return hvd_err(err, errno, "tap: %s", strerror(errno));

	if (ioctl(fd, TUNGETIFF, &ifr) < 0) {
		*ret = (struct tap){ .fd = fd };
		return 0;
	}

	if (!(ifr.ifr_flags & IFF_TAP) || !(ifr.ifr_flags & IFF_VNET_HDR))
		return hvd_err(err, EINVAL, "%s: not a tap with virtio-net headers (IFF_VNET_HDR)",
			       ifr.ifr_name);
	if (ioctl(fd, TUNSETVNETHDRSZ, &header) < 0)
		return hvd_err(err, errno, "%s: cannot set the size of headers: %s", ifr.ifr_name,
			       strerror(errno));
	*ret = (struct tap){ .fd = fd, .offloads = true };
	return 0;
}

void tap_set_offloads(const struct tap *tap, bool csum, bool tso4, bool tso6)
{
	unsigned long offloads = 0;

	if (!tap->offloads)
		return;

	/* segmentation without checksums does not exist (§5.1.3.1) */
	if (csum)
		offloads = TUN_F_CSUM | (tso4 ? TUN_F_TSO4 : 0) | (tso6 ? TUN_F_TSO6 : 0);

	/* Every kernel that knows IFF_VNET_HDR takes these; frames come whole if it did not. */
	(void)!ioctl(tap->fd, TUNSETOFFLOAD, offloads);
}
