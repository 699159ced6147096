/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "daemon/link_private.h"

#define NAME_TEMPLATE "hvdm%u"
#define NAMES_MAX     65536

static const uint32_t modes[_NIC_MODE_MAX] = {
	[NIC_MODE_BRIDGE] = MACVLAN_MODE_BRIDGE,
	[NIC_MODE_VEPA] = MACVLAN_MODE_VEPA,
	[NIC_MODE_PRIVATE] = MACVLAN_MODE_PRIVATE,
	[NIC_MODE_PASSTHROUGH] = MACVLAN_MODE_PASSTHRU,
};

/* -EEXIST: another has the name. */
static int make(const struct link_macvtap *macvtap, int parent, const char *name)
{
	char buf[LINK_REQUEST_SIZE];
	struct nlmsghdr *request =
		link_request(buf, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, AF_UNSPEC, 0);
	struct nlattr *info, *data;

	mnl_attr_put_u32(request, IFLA_LINK, (uint32_t)parent);
	mnl_attr_put_strz(request, IFLA_IFNAME, name);
	mnl_attr_put(request, IFLA_ADDRESS, 6, macvtap->mac);
	mnl_attr_put(request, IFLA_IFALIAS, strlen(macvtap->alias), macvtap->alias);
	info = mnl_attr_nest_start(request, IFLA_LINKINFO);
	mnl_attr_put_strz(request, IFLA_INFO_KIND, "macvtap");
	data = mnl_attr_nest_start(request, IFLA_INFO_DATA);
	mnl_attr_put_u32(request, IFLA_MACVLAN_MODE, modes[macvtap->mode]);
	mnl_attr_nest_end(request, data);
	mnl_attr_nest_end(request, info);
	return link_talk(request, NULL, NULL);
}

static int make_named(const struct link_macvtap *macvtap, int parent, char name[static IFNAMSIZ])
{
	int r = -EEXIST;

	for (unsigned i = 0; r == -EEXIST && i < NAMES_MAX; i++) {
		snprintf(name, IFNAMSIZ, NAME_TEMPLATE, i);
		r = make(macvtap, parent, name);
	}
	return r;
}

/* In mode passthrough the kernel gives it parent's address when it is made. */
static int set_address(int index, const uint8_t *mac)
{
	char buf[LINK_REQUEST_SIZE];
	struct nlmsghdr *request = link_request(buf, RTM_NEWLINK, 0, AF_UNSPEC, index);

	mnl_attr_put(request, IFLA_ADDRESS, 6, mac);
	return link_talk(request, NULL, NULL);
}

static int complete(const struct link_macvtap *macvtap, const char *name, struct link *ret)
{
	int r;

	r = link_find(name, ret);
	if (r < 0)
		return r;
	/* no mark, no life: it could not be found again */
	if (strcmp(ret->alias, macvtap->alias) != 0)
		r = link_set_alias(ret->index, macvtap->alias);
	if (r >= 0 && macvtap->mode == NIC_MODE_PASSTHROUGH)
		r = set_address(ret->index, macvtap->mac);
	if (r >= 0 && macvtap->filter)
		r = link_filter_source(ret->index, LINK_EGRESS, macvtap->mac);
	/* IPv6 needs multicast, of which the macvtap does not know what its guest has joined. */
	if (r >= 0)
		r = link_set_up(ret->index, IFF_ALLMULTI);
	if (r < 0)
		link_delete(ret->index);
	return r;
}

int link_make_macvtap(const struct link_macvtap *macvtap, struct link *ret, struct hvd_error *err)
{
	char name[IFNAMSIZ];
	struct link parent;
	int r;

	r = link_find(macvtap->parent, &parent);
	if (r == -ENODEV)
		return hvd_err(err, ENODEV, "there is no interface %s", macvtap->parent);
	if (r >= 0)
		r = make_named(macvtap, parent.index, name);
	if (r >= 0)
		r = complete(macvtap, name, ret);
	if (r == -EBUSY || r == -EINVAL)
		return hvd_err(err, EBUSY,
			       "%s cannot have a macvtap of this mode: it is a port of a bridge or "
			       "bond, or another VM has it in mode passthrough", macvtap->parent);
	if (r == -EADDRINUSE)
		return hvd_err(err, EBUSY, "another VM has this MAC address on %s", macvtap->parent);
	if (r == -EOPNOTSUPP)
		return hvd_err(err, EOPNOTSUPP, "the host's kernel has no macvtap (CONFIG_MACVTAP)");
	return r < 0 ? hvd_err(err, -r, "macvtap on %s: %s", macvtap->parent, strerror(-r)) : 0;
}
