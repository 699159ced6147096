/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "daemon/link_private.h"

static int set_master(int tap, int bridge, const struct link_port *port)
{
	char buf[LINK_REQUEST_SIZE];
	struct nlmsghdr *request = link_request(buf, RTM_NEWLINK, 0, AF_UNSPEC, tap);

	if (port->mtu)
		mnl_attr_put_u32(request, IFLA_MTU, port->mtu);
	if (port->alias)
		mnl_attr_put(request, IFLA_IFALIAS, strlen(port->alias), port->alias);
	mnl_attr_put_u32(request, IFLA_MASTER, (uint32_t)bridge);
	return link_talk(request, NULL, NULL);
}

/* Nothing passes between isolated ports. */
static int isolate(int tap)
{
	char buf[LINK_REQUEST_SIZE];
	struct nlmsghdr *request = link_request(buf, RTM_NEWLINK, 0, AF_UNSPEC, tap);
	struct nlattr *info, *data;

	info = mnl_attr_nest_start(request, IFLA_LINKINFO);
	mnl_attr_put_strz(request, IFLA_INFO_SLAVE_KIND, "bridge");
	data = mnl_attr_nest_start(request, IFLA_INFO_SLAVE_DATA);
	mnl_attr_put_u8(request, IFLA_BRPORT_ISOLATED, 1);
	mnl_attr_nest_end(request, data);
	mnl_attr_nest_end(request, info);
	return link_talk(request, NULL, NULL);
}

static int add_port(const struct link *bridge, const struct link *tap, const struct link_port *port)
{
	int r;

	r = set_master(tap->index, bridge->index, port);
	if (r >= 0 && port->isolated)
		r = isolate(tap->index);
	if (r >= 0 && port->mac)
		r = link_filter_source(tap->index, LINK_INGRESS, port->mac);
	return r < 0 ? r : link_set_up(tap->index, 0);
}

int link_add_port(const char *bridge, const char *tap, const struct link_port *port,
		  struct hvd_error *err)
{
	struct link bridge_link, tap_link;
	int r;

	r = link_find(bridge, &bridge_link);
	if (r < 0)
		return hvd_err(err, -r, "bridge %s: %s", bridge, strerror(-r));
	if (strcmp(bridge_link.kind, "bridge") != 0)
		return hvd_err(err, EINVAL, "%s is not a bridge", bridge);
	r = link_find(tap, &tap_link);
	if (r >= 0)
		r = add_port(&bridge_link, &tap_link, port);
	return r < 0 ? hvd_err(err, -r, "cannot make %s a port of bridge %s: %s", tap, bridge,
			       strerror(-r))
		     : 0;
}
