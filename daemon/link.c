/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/link.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "daemon/link_private.h"
#include "vmm/base/macro.h"

DEFINE_AUTO(struct mnl_socket *, mnl_socket_close);

/* Send the request and give each answer to fn, until the kernel says that this was all. */
int link_talk(struct nlmsghdr *request, mnl_cb_t fn, void *ctx)
{
	AUTO(mnl_socket_close) struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	char buf[32768];
	int r = MNL_CB_OK;

	if (!nl || mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0)
		return -errno;
	/* a dump has an end of its own; half of its flag is NLM_F_EXCL */
	request->nlmsg_flags |= NLM_F_REQUEST;
	if ((request->nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP)
		request->nlmsg_flags |= NLM_F_ACK;
	request->nlmsg_seq = 1;
	if (mnl_socket_sendto(nl, request, request->nlmsg_len) < 0)
		return -errno;
	while (r > MNL_CB_STOP) {
		ssize_t n = mnl_socket_recvfrom(nl, buf, sizeof(buf));

		if (n < 0)
			return -errno;
		r = mnl_cb_run(buf, (size_t)n, 1, mnl_socket_get_portid(nl), fn, ctx);
	}
	return r < 0 ? -errno : 0;
}

struct nlmsghdr *link_request(char *buf, uint16_t type, uint16_t flags, uint8_t family, int index)
{
	struct nlmsghdr *request = mnl_nlmsg_put_header(buf);
	struct ifinfomsg *info = mnl_nlmsg_put_extra_header(request, sizeof(*info));

	request->nlmsg_type = type;
	request->nlmsg_flags = flags;
	info->ifi_family = family;
	info->ifi_index = index;
	return request;
}

int link_set_up(int index, unsigned more_flags)
{
	char buf[LINK_REQUEST_SIZE];
	struct nlmsghdr *request = link_request(buf, RTM_NEWLINK, 0, AF_UNSPEC, index);
	struct ifinfomsg *info = mnl_nlmsg_get_payload(request);

	info->ifi_flags = info->ifi_change = IFF_UP | more_flags;
	return link_talk(request, NULL, NULL);
}

/* --- asking */

static void copy_text(const struct nlattr *attr, char *to, size_t size)
{
	if (attr && mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) >= 0 &&
	    strlen(mnl_attr_get_str(attr)) < size)
		strcpy(to, mnl_attr_get_str(attr));
}

static void read_info(const struct nlattr *info, struct link *link)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, info)
		if (mnl_attr_get_type(attr) == IFLA_INFO_KIND)
			copy_text(attr, link->kind, sizeof(link->kind));
}

static void read_traffic(const struct nlattr *attr, struct link *link)
{
	struct rtnl_link_stats64 stats = { 0 };

	/* kernels differ in what they have at its end */
	memcpy(&stats, mnl_attr_get_payload(attr),
	       MIN((size_t)mnl_attr_get_payload_len(attr), sizeof(stats)));
	link->rx = (struct link_traffic){ stats.rx_packets, stats.rx_bytes, stats.rx_dropped,
					  stats.rx_errors };
	link->tx = (struct link_traffic){ stats.tx_packets, stats.tx_bytes, stats.tx_dropped,
					  stats.tx_errors };
}

static void read_link(const struct nlmsghdr *answer, struct link *link)
{
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(answer);
	const struct nlattr *attr;

	*link = (struct link){ .index = info->ifi_index, .up = info->ifi_flags & IFF_UP };
	mnl_attr_for_each(attr, answer, sizeof(*info)) {
		switch (mnl_attr_get_type(attr)) {
		case IFLA_IFNAME:
			copy_text(attr, link->name, sizeof(link->name));
			break;
		case IFLA_IFALIAS:
			copy_text(attr, link->alias, sizeof(link->alias));
			break;
		case IFLA_MASTER:
			link->master = (int)mnl_attr_get_u32(attr);
			break;
		case IFLA_STATS64:
			read_traffic(attr, link);
			break;
		case IFLA_LINKINFO:
			read_info(attr, link);
			break;
		}
	}
}

static int on_found(const struct nlmsghdr *answer, void *ctx)
{
	if (answer->nlmsg_type == RTM_NEWLINK)
		read_link(answer, ctx);
	return MNL_CB_OK;
}

int link_find(const char *name, struct link *ret)
{
	char buf[LINK_REQUEST_SIZE];
	struct nlmsghdr *request = link_request(buf, RTM_GETLINK, 0, AF_UNSPEC, 0);
	struct link link = { 0 };
	int r;

	mnl_attr_put_strz(request, IFLA_IFNAME, name);
	r = link_talk(request, on_found, &link);
	if (r >= 0)
		*ret = link;
	return r;
}

struct each {
	int (*on_link)(void *ctx, const struct link *link);
	int (*on_route)(void *ctx, const struct link_route *route);
	void *ctx;
	int r;
};

/* The rest of a dump is read in any case: what is closed in the middle is closed half-read. */
static int on_each_link(const struct nlmsghdr *answer, void *ctx)
{
	struct each *each = ctx;
	struct link link;

	if (each->r < 0 || answer->nlmsg_type != RTM_NEWLINK)
		return MNL_CB_OK;
	read_link(answer, &link);
	each->r = each->on_link(each->ctx, &link);
	return MNL_CB_OK;
}

int link_each(int (*fn)(void *ctx, const struct link *link), void *ctx)
{
	char buf[LINK_REQUEST_SIZE];
	struct nlmsghdr *request = link_request(buf, RTM_GETLINK, NLM_F_DUMP, AF_UNSPEC, 0);
	struct each each = { .on_link = fn, .ctx = ctx };
	int r = link_talk(request, on_each_link, &each);

	return r < 0 ? r : each.r;
}

bool link_is_bridge_up(const char *name)
{
	struct link link;

	return link_find(name, &link) >= 0 && strcmp(link.kind, "bridge") == 0 && link.up;
}

static void read_route(const struct nlmsghdr *answer, struct link_route *route, uint32_t *table)
{
	const struct rtmsg *info = mnl_nlmsg_get_payload(answer);
	const struct nlattr *attr;

	*route = (struct link_route){ .family = info->rtm_family, .prefix = info->rtm_dst_len };
	*table = info->rtm_table;
	mnl_attr_for_each(attr, answer, sizeof(*info)) {
		switch (mnl_attr_get_type(attr)) {
		case RTA_DST:
			memcpy(route->address, mnl_attr_get_payload(attr),
			       MIN((size_t)mnl_attr_get_payload_len(attr), sizeof(route->address)));
			break;
		case RTA_OIF:
			if_indextoname(mnl_attr_get_u32(attr), route->interface);
			break;
		case RTA_TABLE:
			*table = mnl_attr_get_u32(attr);
			break;
		}
	}
}

static int on_each_route(const struct nlmsghdr *answer, void *ctx)
{
	struct each *each = ctx;
	struct link_route route;
	uint32_t table;

	if (each->r < 0 || answer->nlmsg_type != RTM_NEWROUTE)
		return MNL_CB_OK;
	read_route(answer, &route, &table);
	if (table == RT_TABLE_MAIN)
		each->r = each->on_route(each->ctx, &route);
	return MNL_CB_OK;
}

int link_each_route(int (*fn)(void *ctx, const struct link_route *route), void *ctx)
{
	char buf[LINK_REQUEST_SIZE];
	struct nlmsghdr *request = mnl_nlmsg_put_header(buf);
	struct each each = { .on_route = fn, .ctx = ctx };
	int r;

	request->nlmsg_type = RTM_GETROUTE;
	request->nlmsg_flags = NLM_F_DUMP;
	mnl_nlmsg_put_extra_header(request, sizeof(struct rtmsg));
	r = link_talk(request, on_each_route, &each);
	return r < 0 ? r : each.r;
}

/* --- changing */

int link_set_alias(int index, const char *alias)
{
	char buf[LINK_REQUEST_SIZE];
	struct nlmsghdr *request = link_request(buf, RTM_NEWLINK, 0, AF_UNSPEC, index);

	mnl_attr_put(request, IFLA_IFALIAS, strlen(alias), alias);
	return link_talk(request, NULL, NULL);
}

int link_delete(int index)
{
	char buf[LINK_REQUEST_SIZE];
	int r = link_talk(link_request(buf, RTM_DELLINK, 0, AF_UNSPEC, index), NULL, NULL);

	return r == -ENODEV ? 0 : r;
}
