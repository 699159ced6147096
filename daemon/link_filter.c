/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest is held to its MAC address by the host's kernel, whatever its VMM process does: a classifier
 * of a few BPF instructions at the traffic control hook of its interface (tc-bpf(8)). That works for a
 * port of a bridge and for a macvtap alike, needs no table that could be left behind, and what it drops
 * is counted: tc -s qdisc show dev hvd0.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf_common.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "daemon/link_private.h"
#include "vmm/base/macro.h"

#define PRIORITY 1

static struct nlmsghdr *request_for(char *buf, uint16_t type, int index, uint32_t parent)
{
	struct nlmsghdr *request = mnl_nlmsg_put_header(buf);
	struct tcmsg *message = mnl_nlmsg_put_extra_header(request, sizeof(*message));

	request->nlmsg_type = type;
	request->nlmsg_flags = NLM_F_CREATE | NLM_F_EXCL;
	message->tcm_family = AF_UNSPEC;
	message->tcm_ifindex = index;
	message->tcm_parent = parent;
	return request;
}

static int add_hook(int index)
{
	char buf[LINK_REQUEST_SIZE];
	struct nlmsghdr *request = request_for(buf, RTM_NEWQDISC, index, TC_H_CLSACT);
	struct tcmsg *message = mnl_nlmsg_get_payload(request);

	message->tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0);
	mnl_attr_put_strz(request, TCA_KIND, "clsact");
	return link_talk(request, NULL, NULL);
}

/* Frames begin with their Ethernet header; no tap takes one that is shorter than that. */
static int add_program(int index, uint32_t parent, const struct sock_filter *program, size_t n)
{
	char buf[LINK_REQUEST_SIZE];
	struct nlmsghdr *request = request_for(buf, RTM_NEWTFILTER, index, parent);
	struct tcmsg *message = mnl_nlmsg_get_payload(request);
	struct nlattr *options;

	message->tcm_info = TC_H_MAKE(PRIORITY << 16, htons(ETH_P_ALL));
	mnl_attr_put_strz(request, TCA_KIND, "bpf");
	options = mnl_attr_nest_start(request, TCA_OPTIONS);
	mnl_attr_put_u16(request, TCA_BPF_OPS_LEN, (uint16_t)n);
	mnl_attr_put(request, TCA_BPF_OPS, n * sizeof(*program), program);
	mnl_attr_put_u32(request, TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT);
	mnl_attr_nest_end(request, options);
	return link_talk(request, NULL, NULL);
}

int link_unfilter(int index)
{
	char buf[LINK_REQUEST_SIZE];
	struct nlmsghdr *request = request_for(buf, RTM_DELQDISC, index, TC_H_CLSACT);
	struct tcmsg *message = mnl_nlmsg_get_payload(request);
	int r;

	request->nlmsg_flags = 0;
	message->tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0);
	r = link_talk(request, NULL, NULL);
	return r == -ENOENT || r == -EINVAL ? 0 : r;
}

int link_filter_source(int index, enum link_direction direction, const uint8_t *mac)
{
	const uint32_t high = (uint32_t)mac[0] << 24 | (uint32_t)mac[1] << 16 |
			      (uint32_t)mac[2] << 8 | mac[3];
	const uint32_t low = (uint32_t)mac[4] << 8 | mac[5];
	const struct sock_filter program[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct ethhdr, h_source)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, high, 0, 3),
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, offsetof(struct ethhdr, h_source) + 4),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, low, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, TC_ACT_OK),
		BPF_STMT(BPF_RET | BPF_K, TC_ACT_SHOT),
	};
	uint32_t hook = direction == LINK_INGRESS ? TC_H_MIN_INGRESS : TC_H_MIN_EGRESS;
	int r = add_hook(index);

	return r < 0 ? r : add_program(index, TC_H_MAKE(TC_H_CLSACT, hook), program,
				       ARRAY_SIZE(program));
}
