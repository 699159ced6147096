/* SPDX-License-Identifier: Apache-2.0 */
/* Rules of routing policy, which systemd-networkd makes for isolated networks, and forgets to remove. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/link_private.h"
#include "vmm/base/macro.h"

struct stale {
	struct stale *next;
	struct nlmsghdr request;
};

struct prune {
	uint32_t first, last;
	bool (*keeps)(void *ctx, const struct link_rule *rule);
	void *ctx;
	struct stale *stale;
	int r;
};

static void read_prefix(const struct nlattr *attr, const struct fib_rule_hdr *head, struct link_rule *rule)
{
	char text[INET6_ADDRSTRLEN];
	uint8_t address[16] = { 0 };
	size_t size = head->family == AF_INET ? 4 : 16;

	memcpy(address, mnl_attr_get_payload(attr), MIN(size, (size_t)mnl_attr_get_payload_len(attr)));
	if (inet_ntop(head->family, address, text, sizeof(text)))
		snprintf(rule->to, sizeof(rule->to), "%s/%u", text, head->dst_len);
}

static void read_rule(const struct nlmsghdr *answer, struct link_rule *rule)
{
	const struct fib_rule_hdr *head = mnl_nlmsg_get_payload(answer);
	const struct nlattr *attr;

	*rule = (struct link_rule){ 0 };
	mnl_attr_for_each(attr, answer, sizeof(*head)) {
		switch (mnl_attr_get_type(attr)) {
		case FRA_PRIORITY:
			rule->priority = mnl_attr_get_u32(attr);
			break;
		case FRA_PROTOCOL:
			rule->protocol = mnl_attr_get_u8(attr);
			break;
		case FRA_IIFNAME:
			snprintf(rule->from, sizeof(rule->from), "%s", mnl_attr_get_str(attr));
			break;
		case FRA_DST:
			read_prefix(attr, head, rule);
			break;
		}
	}
}

/* The rule as it was told is the request to delete it. */
static int on_rule(const struct nlmsghdr *answer, void *ctx)
{
	struct prune *prune = ctx;
	struct link_rule rule;
	struct stale *stale;

	if (answer->nlmsg_type != RTM_NEWRULE)
		return MNL_CB_OK;
	read_rule(answer, &rule);
	if (rule.priority < prune->first || rule.priority > prune->last ||
	    prune->keeps(prune->ctx, &rule))
		return MNL_CB_OK;
	stale = malloc(offsetof(struct stale, request) + answer->nlmsg_len);
	if (!stale) {
		prune->r = -ENOMEM;
		return MNL_CB_OK;
	}
	memcpy(&stale->request, answer, answer->nlmsg_len);
	stale->request.nlmsg_type = RTM_DELRULE;
	stale->request.nlmsg_flags = 0;
	stale->next = prune->stale;
	prune->stale = stale;
	return MNL_CB_OK;
}

int link_prune_rules(uint32_t first, uint32_t last, bool (*keeps)(void *ctx, const struct link_rule *rule),
		     void *ctx)
{
	struct prune prune = { .first = first, .last = last, .keeps = keeps, .ctx = ctx };
	char buf[LINK_REQUEST_SIZE];
	struct nlmsghdr *request = mnl_nlmsg_put_header(buf);
	int r;

	request->nlmsg_type = RTM_GETRULE;
	request->nlmsg_flags = NLM_F_DUMP;
	mnl_nlmsg_put_extra_header(request, sizeof(struct fib_rule_hdr)); /* AF_UNSPEC: of every family */
	r = link_talk(request, on_rule, &prune);
	if (r >= 0)
		r = prune.r;
	for (struct stale *stale = prune.stale, *next; stale; stale = next) {
		int deleted = link_talk(&stale->request, NULL, NULL);

		if (r >= 0 && deleted < 0 && deleted != -ENOENT)
			r = deleted;
		next = stale->next;
		free(stale);
	}
	return r;
}
