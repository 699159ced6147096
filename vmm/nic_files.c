/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/nic_files.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "vmm/base/cleanup.h"

#define TAP_TEMPLATE "hvd%d" /* the kernel fills in the first free number */
#define TAP_FLAGS    (IFF_TAP | IFF_NO_PI | IFF_VNET_HDR)

struct nic_files nic_files_none(void)
{
	struct nic_files files;

	for (size_t i = 0; i < VM_MAX_NIC_QUEUES; i++)
		files.tap[i] = files.vhost[i] = -1;
	return files;
}

void nic_files_close(struct nic_files *files)
{
	for (size_t i = 0; i < VM_MAX_NIC_QUEUES; i++) {
		if (files->tap[i] >= 0)
			close(files->tap[i]);
		if (files->vhost[i] >= 0)
			close(files->vhost[i]);
	}
	*files = nic_files_none();
}

static int tap_error(const struct nic_config *nic, int errnum, const char *name, unsigned n_queues,
		     struct hvd_error *err)
{
	if (errnum == EINVAL && n_queues > 1 && nic->tap)
		return hvd_err_field(err, errnum, "queues", "%s is no tap of several queues: make it "
				     "with multi_queue, or give it 1", name);
	switch (errnum) {
	case EPERM:
		hvd_err(err, errnum, "tap %s: not permitted: needs CAP_NET_ADMIN, or the interface "
			"must belong to this user", name);
		break;
	case EBUSY:
		hvd_err(err, errnum, "tap %s is in use by another VM", name);
		break;
	case EINVAL:
		hvd_err(err, errnum, "%s is not a tap interface", name);
		break;
	default:
		hvd_err(err, errnum, "tap %s: %s", name, strerror(errnum));
	}
	return nic->tap ? hvd_err_in(err, -errnum, "tap") : -errnum;
}

/*
 * Make tun a queue of the interface that ifr names, which is filled in, or of the one whose device it is.
 * 0 or -errno.
 */
static int attach(int tun, struct ifreq *ifr, int flags)
{
	ifr->ifr_flags = (short)flags;
	return ioctl(tun, TUNSETIFF, ifr) < 0 ? -errno : 0;
}

static int attach_all(const struct nic_config *nic, unsigned n_queues, const int *tun,
		      struct ifreq *ifr)
{
	int flags = TAP_FLAGS | (n_queues > 1 ? IFF_MULTI_QUEUE : 0), r;

	r = attach(tun[0], ifr, flags);
	/* one that is made for several queues says so even where it has but one */
	if (r == -EINVAL && nic->tap && n_queues == 1)
		r = attach(tun[0], ifr, flags | IFF_MULTI_QUEUE);
	for (unsigned i = 1; r >= 0 && i < n_queues; i++)
		r = attach(tun[i], ifr, flags);
	return r;
}

/* A macvtap has a device of its own, which is there as soon as the interface is. */
static int choose_device(const struct nic_config *nic, unsigned macvtap, char path[static 32],
			 struct hvd_error *err)
{
	if (!nic->interface)
		snprintf(path, 32, "/dev/net/tun");
	else if (macvtap)
		snprintf(path, 32, "/dev/tap%u", macvtap);
	else
		return hvd_err_field(err, EOPNOTSUPP, "interface",
				     "there is nobody to make a macvtap on %s: give a tap",
				     nic->interface);
	return 0;
}

static int open_taps(const struct nic_config *nic, unsigned n_queues, unsigned macvtap,
		     struct nic_files *files, char name[static IFNAMSIZ], struct hvd_error *err)
{
	struct ifreq ifr = { 0 };
	char path[32];
	int r = choose_device(nic, macvtap, path, err);

	if (r < 0)
		return r;

	/* TUNSETIFF would make an interface of this name */
	if (nic->tap && !if_nametoindex(nic->tap))
		return hvd_err_field(err, ENOENT, "tap", "no interface %s on this host", nic->tap);

	for (unsigned i = 0; i < n_queues; i++) {
		files->tap[i] = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
		if (files->tap[i] < 0)
			return hvd_err(err, errno, "%s: %s", path, strerror(errno));
	}
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", nic->tap ? nic->tap : TAP_TEMPLATE);
	r = attach_all(nic, n_queues, files->tap, &ifr);
	if (r >= 0 && ioctl(files->tap[0], TUNGETIFF, &ifr) < 0)
		r = -errno;
	memcpy(name, ifr.ifr_name, IFNAMSIZ);
	return r < 0 ? tap_error(nic, -r, name, n_queues, err) : 0;
}

static int set_mtu(const char *name, uint32_t mtu, struct hvd_error *err)
{
	AUTO(close) int sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = { .ifr_mtu = (int)mtu };

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (sock < 0 || ioctl(sock, SIOCSIFMTU, &ifr) < 0)
		return hvd_err_field(err, errno, "mtu", "the host cannot have it on %s: %s", name,
				     strerror(errno));
	return 0;
}

static int open_vhost(unsigned n_queues, struct nic_files *files, struct hvd_error *err)
{
	for (unsigned i = 0; i < n_queues; i++) {
		files->vhost[i] = open("/dev/vhost-net", O_RDWR | O_CLOEXEC);
		if (files->vhost[i] < 0)
			return hvd_err_field(err, errno, "backend", "/dev/vhost-net: %s: load the "
					     "module vhost_net, or give backend process",
					     strerror(errno));
	}
	return 0;
}

int nic_files_open(const struct nic_config *nic, unsigned n_queues, unsigned macvtap,
		   struct nic_files *ret, struct hvd_error *err)
{
	struct nic_files files = NIC_FILES_INIT;
	char name[IFNAMSIZ];
	int r;

	r = open_taps(nic, n_queues, macvtap, &files, name, err);
	if (r >= 0 && nic->mtu && !nic->tap)
		r = set_mtu(name, nic->mtu, err);
	if (r >= 0 && nic->backend == NIC_BACKEND_VHOST)
		r = open_vhost(n_queues, &files, err);
	if (r < 0) {
		nic_files_close(&files);
		return r;
	}
	*ret = files;
	return 0;
}
