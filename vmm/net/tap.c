/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/net/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>

_Static_assert(TAP_CSUM == TUN_F_CSUM && TAP_TSO4 == TUN_F_TSO4 && TAP_TSO6 == TUN_F_TSO6 &&
		       TAP_ECN == TUN_F_TSO_ECN,
	       "as the kernel has them");

static bool set_offloads(int fd, unsigned offloads)
{
	return ioctl(fd, TUNSETOFFLOAD, (unsigned long)offloads) == 0;
}

/* By trying: UDP segmentation came with Linux 6.2. In the end nothing is set. */
static unsigned find_offloads(int fd)
{
	unsigned offloads = TAP_CSUM | TAP_TSO4 | TAP_TSO6 | TAP_ECN;

	if (set_offloads(fd, offloads | TAP_USO))
		offloads |= TAP_USO;
	set_offloads(fd, 0);
	return offloads;
}

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
	*ret = (struct tap){ .fd = fd, .offloads = find_offloads(fd) };
	return 0;
}

void tap_set_offloads(const struct tap *tap, unsigned offloads)
{
	/* segmentation without checksums does not exist (§5.1.3.1) */
	if (!(offloads & TAP_CSUM))
		offloads = 0;
	/* one kind of UDP frames whole is none */
	if ((offloads & TAP_USO) != TAP_USO)
		offloads &= ~TAP_USO;

	/* fails on one that has none: what it gives is whole */
	set_offloads(tap->fd, offloads & tap->offloads);
}

void tap_attach(const struct tap *tap, bool attached)
{
	struct ifreq ifr = { .ifr_flags = attached ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE };

	/* fails where it is so already, and on what has no queues */
	(void)!ioctl(tap->fd, TUNSETQUEUE, &ifr);
}

void tap_set_filter(const struct tap *tap, const struct tap_filter *filter)
{
	static const uint8_t broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	union {
		struct tun_filter filter;
		uint8_t room[sizeof(struct tun_filter) + (TAP_FILTER_MAX + 1) * 6];
	} set = { 0 };

	if (!filter->everything) {
		set.filter.flags = filter->all_multicast ? TUN_FLT_ALLMULTI : 0;
		set.filter.count = (uint16_t)(filter->n + 1);
		memcpy(set.filter.addr, filter->mac, filter->n * sizeof(filter->mac[0]));
		memcpy(set.filter.addr[filter->n], broadcast, sizeof(broadcast));
	}
	/* a filter without addresses lets everything through; a macvtap has none */
	(void)!ioctl(tap->fd, TUNSETTXFILTER, &set);
}

bool tap_says_gone(int errnum)
{
	/* tun and macvtap */
	return errnum == EBADFD || errnum == ENOLINK;
}

bool tap_is_gone(const struct tap *tap)
{
	struct ifreq ifr = { 0 };

	return ioctl(tap->fd, TUNGETIFF, &ifr) < 0 && tap_says_gone(errno);
}

bool tap_says_down(int errnum)
{
	return errnum == EIO;
}
